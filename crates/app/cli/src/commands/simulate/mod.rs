//! `corliss simulate`: recorded work under a virtual clock, decided by the server's own policies. It needs no
//! server.

mod requests;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::args::{Recorded, Recording, SimulateArgs};
use crate::context::Context;
use crate::error::{CliError, CliResult, cause};
use crate::units;

/// Where traces are looked for if `CORLISS_TRACES` does not say it: beside a checkout.
const TRACES: &str = "../shared/data/traces";
/// Larger files are refused.
const MAX_BYTES: u64 = 1 << 30;

/// Simulates what was recorded.
pub fn run(context: &Context, args: &SimulateArgs) -> CliResult {
    let folder = std::env::var_os("CORLISS_TRACES").filter(|folder| !folder.is_empty());
    let folder = folder.map_or_else(|| PathBuf::from(TRACES), PathBuf::from);
    let text = read(&args.trace, &folder)?;
    match args.trace.kind {
        Recorded::Requests(kind) => requests::run(context, args, kind, &text),
    }
}

/// The text of the file: a path as it is, else a name among the traces of its kind.
fn read(recording: &Recording, folder: &Path) -> CliResult<String> {
    let name = &recording.file;
    let places = [
        name.clone(),
        folder.join(recording.kind.name()).join(name),
        folder.join(name),
    ];
    for path in &places {
        match File::open(path) {
            Ok(file) => return text_of(path, file),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    let message = format!(
        "there is no trace {}, neither here nor in {}",
        name.display(),
        folder.display()
    );
    Err(CliError::input(message)
        .hint("give the path of a file, or set CORLISS_TRACES to the folder that holds traces"))
}

fn text_of(path: &Path, file: File) -> CliResult<String> {
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("{} is larger than {}", path.display(), units::bytes(MAX_BYTES));
        return Err(CliError::input(message).hint("simulate a part of it"));
    }
    String::from_utf8(bytes).map_err(|_| {
        CliError::input(format!("{} is not text in UTF-8", path.display()))
            .hint("traces are CSV or JSON lines; unpack the file if it is compressed")
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::input(format!("cannot read {}: {}", path.display(), cause(error)))
}

#[cfg(test)]
mod tests {
    use corliss_sim_serving::trace::TraceKind;

    use super::*;

    fn recording(file: &Path) -> Recording {
        Recording {
            kind: Recorded::Requests(TraceKind::Mooncake),
            file: file.to_owned(),
        }
    }

    #[test]
    fn a_file_is_found_by_its_path_or_among_the_traces() {
        let folder = tempfile::tempdir().unwrap();
        let of_kind = folder.path().join("mooncake");
        std::fs::create_dir(&of_kind).unwrap();
        std::fs::write(of_kind.join("a.jsonl"), "in its folder").unwrap();
        std::fs::write(folder.path().join("b.jsonl"), "beside").unwrap();
        let text = |file: &Path| read(&recording(file), folder.path()).map_err(|error| error.report.message);
        assert_eq!(text(Path::new("a.jsonl")).unwrap(), "in its folder");
        assert_eq!(text(Path::new("b.jsonl")).unwrap(), "beside");
        assert_eq!(text(&of_kind.join("a.jsonl")).unwrap(), "in its folder");
        let missing = text(Path::new("c.jsonl")).unwrap_err();
        assert!(missing.contains("no trace c.jsonl"), "{missing}");
        let a_folder = text(&of_kind).unwrap_err();
        assert!(a_folder.starts_with("cannot read"), "{a_folder}");
        std::fs::write(folder.path().join("zipped"), [0xff, 0xfe]).unwrap();
        let binary = text(Path::new("zipped")).unwrap_err();
        assert!(binary.ends_with("is not text in UTF-8"), "{binary}");
    }
}
