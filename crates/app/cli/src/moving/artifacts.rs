//! Files of runs and models: where they lie on this machine, and sending those that are not on the server.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::report::Report;
use super::server::Server;
use crate::api::segment;
use crate::error::{CliError, CliResult, cause};
use crate::parallel::on_threads;

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
    /// Addresses that lead nowhere from here: how many there are, and one of them.
    unreached: (u64, String),
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
            unreached: (0, String::new()),
        }
    }

    /// The files of a run or model; none if they are not wanted, or cannot be reached, which is remembered.
    pub fn files_of(&mut self, owner: &str, uri: &str, report: &mut Report) -> CliResult<Files> {
        if !self.wanted || uri.is_empty() {
            return Ok(Files::default());
        }
        match self.place(owner, uri) {
            Place::Folder(folder) => scan(folder, report),
            Place::Nothing => Ok(Files::default()),
            Place::Elsewhere => {
                self.unreached.0 += 1;
                uri.clone_into(&mut self.unreached.1);
                Ok(Files::default())
            }
        }
    }

    /// Says which artifacts could not be reached.
    pub fn tell(&self, report: &mut Report) {
        let (count, example) = &self.unreached;
        if *count > 0 {
            report.differences.add(format!(
                "the artifacts of {count} runs or models cannot be reached from here, such as those at {example}: copy \
                 them to a folder and name it with --artifacts"
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
        if let Some(root) = &self.root {
            // As it lies there, or as much of it as was kept when it was copied.
            let tails = (climbed..=owner_at).map(|from| root.join(parts[from..].join("/")));
            let found = tails.into_iter().find(|path| path.is_dir());
            return match found {
                Some(folder) => Place::Folder(folder),
                // The folder of a run is made with its first artifact.
                None if root.is_dir() => Place::Nothing,
                None => Place::Elsewhere,
            };
        }
        if !is_local {
            return Place::Elsewhere;
        }
        let path = PathBuf::from(local_path(uri));
        if path.is_dir() {
            return Place::Folder(path);
        }
        // Where others of the same store would lie.
        let is_near = path
            .ancestors()
            .skip(2)
            .take(2)
            .any(|above| above.is_dir() && above.parent().is_some());
        if is_near { Place::Nothing } else { Place::Elsewhere }
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

fn scan(folder: PathBuf, report: &mut Report) -> CliResult<Files> {
    let mut files = Files {
        folder,
        sizes: BTreeMap::new(),
    };
    let mut folders = vec![(files.folder.clone(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        let unreadable = |error: std::io::Error| {
            CliError::failed(format!("cannot read {}: {}", folder.display(), cause(&error)))
        };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            let Ok(name) = entry.file_name().into_string() else {
                report.differences.add(format!(
                    "{}: its name is no text, so it was left out",
                    entry.path().display()
                ));
                continue;
            };
            let path = format!("{prefix}{name}");
            if kind.is_dir() && depth < DEPTH {
                folders.push((entry.path(), format!("{path}/"), depth + 1));
            } else if kind.is_file() {
                files
                    .sizes
                    .insert(path, entry.metadata().map_err(unreadable)?.len());
            } else {
                report.differences.add(format!(
                    "{}: it is a link, lies too deep or is no plain file, so it was left out",
                    entry.path().display()
                ));
            }
        }
    }
    Ok(files)
}

/// Sends the files that are not at `artifact_uri`, or have another size there; answers how many, and their bytes.
pub fn send(
    server: &Server,
    files: &Files,
    artifact_uri: &str,
    has_some: bool,
    report: &mut Report,
) -> CliResult<(u64, u64)> {
    let Some(root) = artifact_uri.strip_prefix(OURS) else {
        report.differences.add(format!(
            "artifacts are kept at {artifact_uri} here, where they cannot be sent to"
        ));
        return Ok((0, 0));
    };
    let there = if has_some {
        server.files(root)?
    } else {
        BTreeMap::new()
    };
    let missing: Vec<(&String, &u64)> = files
        .sizes
        .iter()
        .filter(|(path, size)| there.get(*path) != Some(size))
        .collect();
    let refused = std::sync::Mutex::new(Vec::new());
    on_threads(THREADS.min(missing.len()), &missing, |line| {
        for (path, size) in line {
            let from = files.folder.join(path);
            let parts: Vec<String> = root.split('/').chain(path.split('/')).map(segment).collect();
            let route = format!("/api/2.0/mlflow-artifacts/artifacts/{}", parts.join("/"));
            let file = File::open(&from).map_err(|error| {
                CliError::failed(format!("cannot read {}: {}", from.display(), cause(&error)))
            })?;
            match server.api.put_file(&route, file, **size) {
                Ok(()) => {}
                // The server does not take this one, such as one whose name it does not allow.
                Err(error) if error.exit_code == crate::error::EXIT_BAD_INPUT => {
                    let told = format!("{}: {}", from.display(), error.report.message);
                    refused
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push(told);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })?;
    let refused = refused
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let count = (missing.len() - refused.len()) as u64;
    refused.into_iter().for_each(|text| report.differences.add(text));
    Ok((count, missing.iter().map(|(_, size)| **size).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
