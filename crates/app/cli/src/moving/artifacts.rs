//! Files of runs and models: where they lie on this machine, and sending those that are not on the server.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use corliss_blobstore::id_of_reader;
use percent_encoding::percent_decode_str;

use super::mover::Way;
use super::report::Report;
use super::server::{FileHere, Server};
use crate::api::segment;
use crate::error::{CliResult, EXIT_BAD_INPUT, cause};
use crate::parallel::on_threads;
use crate::units;

/// Files that are sent at once.
const THREADS: usize = 4;
/// Folders within folders that are looked through.
const DEPTH: usize = 64;
/// The folder of artifacts within that of a run or model.
const ARTIFACTS: &str = "artifacts";
const OURS: &str = "mlflow-artifacts:/";

/// Where artifacts are looked for.
pub struct Artifacts {
    /// What the user named.
    root: Option<PathBuf>,
    wanted: bool,
    /// Runs and models whose address leads nowhere from here, and one such address.
    unreached: (HashSet<String>, String),
}

/// Files by their path within a folder of artifacts, with their sizes.
#[derive(Debug, Default)]
pub struct Files {
    folder: PathBuf,
    sizes: BTreeMap<String, u64>,
}

impl Files {
    pub fn count(&self) -> u64 {
        self.sizes.len() as u64
    }

    pub fn bytes(&self) -> u64 {
        self.sizes.values().sum()
    }
}

impl Artifacts {
    pub fn new(root: Option<&Path>, wanted: bool) -> Self {
        Self {
            root: root.map(Path::to_owned),
            wanted,
            unreached: (HashSet::new(), String::new()),
        }
    }

    /// The files of a run or model; none if they are not wanted, or cannot be reached, which is remembered.
    pub fn files_of(&mut self, owner: &str, uri: &str, report: &mut Report) -> Files {
        if !self.wanted || uri.is_empty() {
            return Files::default();
        }
        match self.place(owner, uri) {
            Place::Folder(folder) => scan(folder, report),
            Place::Nothing => Files::default(),
            Place::Elsewhere => {
                self.unreached.0.insert(owner.to_owned());
                uri.clone_into(&mut self.unreached.1);
                Files::default()
            }
        }
    }

    /// Whether they are to be moved in at all.
    pub const fn are_wanted(&self) -> bool {
        self.wanted
    }

    /// Whether the artifacts of a run or model could not be reached.
    pub fn is_unreached(&self, owner: &str) -> bool {
        self.unreached.0.contains(owner)
    }

    /// Says which artifacts could not be reached.
    pub fn tell(&self, report: &mut Report) {
        let (owners, example) = &self.unreached;
        if !owners.is_empty() {
            let count = units::plural_of(owners.len() as u64, "run or model", "runs or models");
            report.differences.add(&format!(
                "the artifacts of {count} cannot be reached from here, such as those at {example}: copy them to a folder \
                 and name it with --artifacts, or if there are none, leave artifacts out with --no-artifacts"
            ));
        }
    }

    fn place(&self, owner: &str, uri: &str) -> Place {
        let (is_local, parts) = parts_of(uri);
        let owner_at = parts.iter().position(|part| part == owner);
        let climbed = parts.iter().rposition(|part| part == "..").map_or(0, |at| at + 1);
        // A folder that is not the owner's own is somebody else's, whatever the store says.
        let is_own = owner_at.is_some_and(|at| parts[at + 1..] == [ARTIFACTS]);
        let Some(owner_at) = owner_at.filter(|at| is_own && climbed <= *at && (is_local || climbed == 0))
        else {
            return Place::Elsewhere;
        };
        let path = PathBuf::from(local_path(uri));
        if let Some(root) = &self.root {
            // As it lies there, or as much of it as was kept when it was copied.
            let tails = (climbed..=owner_at).map(|from| root.join(parts[from..].join("/")));
            let found = tails.into_iter().find(|path| path.is_dir());
            return match found {
                Some(folder) => Place::Folder(folder),
                // Others of the same store may have been copied, and these lie where it says.
                None if is_local && path.is_dir() => Place::Folder(path),
                // The folder of a run is made with its first artifact.
                None if root.is_dir() => Place::Nothing,
                None => Place::Elsewhere,
            };
        }
        if !is_local {
            return Place::Elsewhere;
        }
        match path.is_dir() {
            true => Place::Folder(path),
            false if has_others(&path) => Place::Nothing,
            false => Place::Elsewhere,
        }
    }
}

/// Where artifacts lie.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Folder(PathBuf),
    /// There are none.
    Nothing,
    Elsewhere,
}

/// Whether the place where others of the same store would lie is there: an experiment's folder, or that of all experiments.
/// What is above a folder that the user chose for an experiment says nothing of it.
fn has_others(path: &Path) -> bool {
    let is_there = |above: &Path| above.is_dir() && above.parent().is_some();
    let mut above = path.ancestors().skip(2);
    let (Some(experiment), Some(all)) = (above.next(), above.next()) else {
        return false;
    };
    let name = experiment
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let is_default = name == "models" || !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    is_there(experiment) || is_default && is_there(all)
}

/// Whether an address is a path of some machine, and the parts of its path.
fn parts_of(uri: &str) -> (bool, Vec<String>) {
    let (is_local, path) = match uri.split_once("://") {
        Some(("file", _)) | None if !uri.starts_with(OURS) => (true, local_path(uri)),
        Some((_, rest)) => (
            false,
            rest.split_once('/').map_or("", |(_, path)| path).to_owned(),
        ),
        None => (false, uri[OURS.len()..].to_owned()),
    };
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    (is_local, parts.map(str::to_owned).collect())
}

fn local_path(uri: &str) -> String {
    match uri.strip_prefix("file:") {
        Some(rest) => {
            let path = rest
                .strip_prefix("//localhost")
                .or_else(|| rest.strip_prefix("//"));
            percent_decode_str(path.unwrap_or(rest))
                .decode_utf8_lossy()
                .into_owned()
        }
        None => uri.to_owned(),
    }
}

/// Looks through a folder; what cannot be sent is told.
fn scan(folder: PathBuf, report: &mut Report) -> Files {
    let mut files = Files {
        folder,
        sizes: BTreeMap::new(),
    };
    let mut told = Vec::new();
    let mut folders = vec![(files.folder.clone(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        let mut leave_out = |path: &Path, why: &str| told.push(format!("{}: {why}", path.display()));
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                leave_out(&folder, &cause(&error));
                continue;
            }
        };
        for entry in entries {
            let found = entry.and_then(|entry| Ok((entry.file_type()?, entry.metadata()?.len(), entry)));
            let (kind, size, entry) = match found {
                Ok(found) => found,
                Err(error) => {
                    leave_out(&folder, &cause(&error));
                    continue;
                }
            };
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                leave_out(&path, "its name is no text");
                continue;
            };
            if kind.is_symlink() {
                leave_out(
                    &path,
                    "it is a link, and what it leads to may be no part of the run",
                );
            } else if kind.is_dir() && depth == DEPTH {
                leave_out(&path, &format!("more than {DEPTH} folders lie in each other"));
            } else if kind.is_dir() {
                folders.push((path, format!("{prefix}{name}/"), depth + 1));
            } else if kind.is_file() {
                files.sizes.insert(format!("{prefix}{name}"), size);
            } else {
                leave_out(&path, "it is a pipe, a socket or a device");
            }
        }
    }
    told.sort();
    told.iter().for_each(|text| report.left_out(text));
    files
}

/// What came of sending files.
#[derive(Default)]
pub struct Outcome {
    pub files: u64,
    pub bytes: u64,
    /// What is not here, or not as in the source, and why.
    pub told: Vec<String>,
    /// Those that could not be sent, which are told.
    pub unsent: Unsent,
}

/// Files that could not be sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsent {
    pub files: u64,
    pub bytes: u64,
}

/// Whether files are not at `artifact_uri`, or have another size there, or another content if that is to be compared.
pub fn is_any_to_send(server: &Server, files: &Files, artifact_uri: &str, way: Way) -> CliResult<bool> {
    let Some(root) = artifact_uri.strip_prefix(OURS).filter(|_| files.count() > 0) else {
        return Ok(false);
    };
    let there = server.files(root)?;
    Ok(files.sizes.iter().any(|(path, size)| match there.get(path) {
        Some(file) if file.size_bytes == *size => {
            let opened = File::open(files.folder.join(path)).and_then(id_of_reader);
            way.verify && opened.is_ok_and(|found| found.id.to_string() != file.id)
        }
        _ => true,
    }))
}

/// Sends the files that are not at `artifact_uri`, or have another size there, or another content if that is to be compared;
/// a dry run tells of those that have another content.
pub fn send(
    server: &Server,
    files: &Files,
    artifact_uri: &str,
    has_some: bool,
    way: Way,
) -> CliResult<Outcome> {
    let Some(root) = artifact_uri.strip_prefix(OURS) else {
        return Ok(Outcome {
            told: vec![format!(
                "its artifacts are kept at {artifact_uri} here, where they cannot be sent to"
            )],
            unsent: Unsent {
                files: files.count(),
                bytes: files.bytes(),
            },
            ..Outcome::default()
        });
    };
    let there = if has_some {
        server.files(root)?
    } else {
        BTreeMap::new()
    };
    let wanted: Vec<(&String, Option<&FileHere>)> = files
        .sizes
        .iter()
        .map(|(path, size)| (path, there.get(path).filter(|file| file.size_bytes == *size)))
        .filter(|(_, same_size)| match same_size {
            Some(_) => way.verify,
            None => !way.dry_run,
        })
        .collect();
    let outcome = Mutex::new(Outcome::default());
    on_threads(THREADS.min(wanted.len()), &wanted, |line| {
        for (path, there) in line {
            let came_of = send_one(server, &files.folder.join(path), (root, path), *there, way)?;
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match came_of {
                One::Sent(bytes) => {
                    outcome.files += 1;
                    outcome.bytes += bytes;
                }
                One::Same => {}
                One::Not(why) => {
                    outcome.told.push(format!("the artifact '{path}' {why}"));
                    outcome.unsent.files += 1;
                    outcome.unsent.bytes += files.sizes.get(*path).copied().unwrap_or_default();
                }
            }
        }
        Ok(())
    })?;
    let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.told.sort();
    Ok(outcome)
}

/// What came of sending a file.
enum One {
    /// It is there now: its bytes.
    Sent(u64),
    /// It is there already.
    Same,
    /// It is not there, or not as in the source, and why.
    Not(String),
}

fn send_one(
    server: &Server,
    from: &Path,
    (root, path): (&str, &str),
    there: Option<&FileHere>,
    way: Way,
) -> CliResult<One> {
    let unreadable = |error: io::Error| One::Not(format!("cannot be read: {}", cause(&error)));
    if let Some(there) = there {
        match File::open(from).and_then(id_of_reader) {
            Ok(found) if found.id.to_string() == there.id => return Ok(One::Same),
            Ok(_) if way.dry_run => return Ok(One::Not("has another content here".to_owned())),
            Ok(_) => {}
            Err(error) => return Ok(unreadable(error)),
        }
    }
    // Of a run that goes on, it may have grown since it was looked at.
    let opened = File::open(from).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, file) = match opened {
        Ok(opened) => opened,
        Err(error) => return Ok(unreadable(error)),
    };
    let parts: Vec<String> = root.split('/').chain(path.split('/')).map(segment).collect();
    let route = format!("/api/2.0/mlflow-artifacts/artifacts/{}", parts.join("/"));
    match server.api.put_file(&route, file, size) {
        Ok(()) => Ok(One::Sent(size)),
        // The server does not take this one, such as one whose name it does not allow.
        Err(error) if error.exit_code == EXIT_BAD_INPUT => {
            Ok(One::Not(format!("is not taken: {}", error.report.message)))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_file_is_left_out_and_each_has_its_reason() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        fs::write(root.join("plain"), "hello").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.join("link")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let deep = root.join(vec!["d"; DEPTH + 1].join("/"));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), "x").unwrap();
        let mut report = Report::default();
        let files = scan(root.to_owned(), &mut report);
        assert_eq!((files.count(), files.bytes()), (1, 5));
        let mut told = report.differences.texts().to_vec();
        told.sort();
        let reasons = [
            "more than 64 folders lie in each other",
            "link: it is a link",
            "pipe: it is a pipe",
        ];
        assert_eq!(told.len(), reasons.len(), "{told:?}");
        for (text, reason) in told.iter().zip(reasons) {
            assert!(text.contains(reason), "{text}");
        }
    }

    fn place(root: Option<&Path>, uri: &str) -> Place {
        Artifacts::new(root, true).place("r1", uri)
    }

    #[test]
    fn artifacts_are_found_where_the_store_or_the_user_says() {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join("mlruns/1/r1/artifacts");
        fs::create_dir_all(&own).unwrap();
        let root = home.path().join("mlruns");
        let shown = own.display().to_string();
        let found = Place::Folder(own.clone());
        assert_eq!(place(None, &shown), found);
        assert_eq!(place(None, &format!("file://{shown}")), found);
        for uri in [
            "mlflow-artifacts:/1/r1/artifacts",
            "mlflow-artifacts://host:5000/1/r1/artifacts",
            "s3://bucket/some/where/1/r1/artifacts",
            "file:///on/another/machine/mlruns/1/r1/artifacts",
        ] {
            assert_eq!(place(Some(&root), uri), found, "{uri}");
            assert_eq!(place(None, uri), Place::Elsewhere, "{uri}");
        }
        let other = format!("{}/1/r2/artifacts", root.display());
        assert_eq!(Artifacts::new(None, true).place("r2", &other), Place::Nothing);
        let first = format!("{}/2/r1/artifacts", root.display());
        assert_eq!(place(None, &first), Place::Nothing);
        // What lies above it proves nothing of a folder that was chosen for an experiment.
        let chosen = format!("{}/chosen/r1/artifacts", root.display());
        assert_eq!(place(None, &chosen), Place::Elsewhere);
        // Copied ones lie in the folder that is named, others where they lay.
        let copies = home.path().join("copies");
        fs::create_dir_all(&copies).unwrap();
        assert_eq!(place(Some(&copies), &shown), found);
    }

    #[test]
    fn nothing_but_a_runs_own_folder_is_read() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("secret/artifacts")).unwrap();
        let root = home.path().display();
        for uri in [
            "/etc".to_owned(),
            "file:///etc/artifacts".to_owned(),
            format!("{root}/secret/artifacts"),
            format!("{root}/r1/artifacts/../../secret/artifacts"),
            "mlflow-artifacts:/../r1/artifacts".to_owned(),
        ] {
            assert_eq!(place(None, &uri), Place::Elsewhere, "{uri}");
            assert_eq!(place(Some(home.path()), &uri), Place::Elsewhere, "{uri}");
        }
    }
}
