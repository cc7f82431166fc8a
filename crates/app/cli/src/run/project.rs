//! Reads a project file on this machine, and shows all of its problems at once.

use std::path::{Path, PathBuf};

use corliss_pipelines::project_file::{self, DataSource, Problem, ProjectFile};

use crate::error::{CliError, CliResult, cause};

/// The script that by custom makes the data of an example.
const MAKES_DATA: &str = "get_data.py";

/// A project file without problems, as text and as parsed.
pub struct Loaded {
    /// As written; the server parses it again.
    pub text: String,
    /// Its name, without folders.
    pub file_name: String,
    /// The folder it lies in: what its steps are run in, and where its data folders are looked for.
    pub folder: PathBuf,
    /// Parsed.
    pub project: ProjectFile,
}

/// Reads and checks a project file.
pub fn load(path: &Path) -> CliResult<Loaded> {
    let shown = path.display();
    let meta = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !meta.is_file() {
        return Err(CliError::input(format!("{shown} is not a file"))
            .hint("name the project file, such as corliss.yaml"));
    }
    if meta.len() > project_file::MAX_BYTES as u64 {
        return Err(CliError::input(format!(
            "{shown} is larger than {} bytes",
            project_file::MAX_BYTES
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let text = String::from_utf8(bytes).map_err(|_| CliError::input(format!("{shown} is not UTF-8 text")))?;
    let full = std::fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
    let project = project_file::parse(&text, None).map_err(|problems| refuse(path, problems))?;
    let file_name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let folder = full.parent().map(Path::to_path_buf).unwrap_or_default();
    let loaded = Loaded {
        text,
        file_name,
        folder,
        project,
    };
    let missing = loaded.missing_data(path);
    if !missing.is_empty() {
        return Err(refuse(path, missing));
    }
    Ok(loaded)
}

impl Loaded {
    /// The folder of an entry under `data`, by its parts, so that it is shown without "/./".
    pub fn data_folder(&self, source: &DataSource) -> PathBuf {
        self.folder.join(&source.folder).components().collect()
    }

    /// The entries under `data` that name no folder; only this machine can know.
    fn missing_data(&self, file: &Path) -> Vec<Problem> {
        let entries = self.project.data.iter();
        entries
            .filter_map(|source| self.problem_of(source, file))
            .collect()
    }

    fn problem_of(&self, source: &DataSource, file: &Path) -> Option<Problem> {
        let folder = self.data_folder(source);
        if folder.is_dir() {
            return None;
        }
        let there = folder.exists();
        let message = if there {
            format!("{} is not a folder", folder.display())
        } else {
            format!("there is no folder {}", folder.display())
        };
        let hint = if !there && self.folder.join(MAKES_DATA).is_file() {
            format!("run python {} first", file.with_file_name(MAKES_DATA).display())
        } else {
            "make the folder, or name one that exists".to_owned()
        };
        Some(Problem {
            line: source.line,
            column: source.column,
            field: format!("data.{}", source.name),
            message,
            hint: Some(hint),
        })
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    match error.kind() {
        std::io::ErrorKind::NotFound => CliError::input(format!("there is no file {}", path.display()))
            .hint("name a project file, or go to the folder that holds corliss.yaml"),
        _ => CliError::input(format!("cannot read {}: {}", path.display(), cause(error))),
    }
}

/// What is wrong with the file, all of it.
pub fn refuse(path: &Path, problems: Vec<Problem>) -> CliError {
    CliError::project_file(path.display().to_string(), problems)
}
