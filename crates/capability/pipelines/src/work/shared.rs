//! What all steps of a run read: the code, laid out once per run, and the input versions, laid out once for all runs.
//!
//! They are asked for again before every attempt, because the data room then looks whether a step has
//! written into them (as root it can) and lays them out anew.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corliss_types::{RunId, VersionId};

use super::{create, run_folder};
use crate::error::PipelinesError;
use crate::ports::Datasets;

const MAX_DEPTH: usize = 128;

/// The read-only folders of one run.
pub(crate) struct SharedFolders {
    run: RunId,
    folder: PathBuf,
    datasets: Arc<dyn Datasets>,
}

impl SharedFolders {
    pub(crate) fn new(work: &Path, run: &RunId, datasets: Arc<dyn Datasets>) -> Self {
        Self {
            run: run.clone(),
            folder: run_folder(work, run),
            datasets,
        }
    }

    /// The folder of the code snapshot.
    pub(crate) async fn code(&self, version: &VersionId) -> Result<PathBuf, PipelinesError> {
        let folder = self.folder.join(".code");
        self.datasets.materialise(version, &folder).await?;
        Ok(folder)
    }

    /// The folder of an input version.
    pub(crate) async fn input(&self, version: &VersionId) -> Result<PathBuf, PipelinesError> {
        Ok(self.datasets.hold(version, &self.run).await?)
    }
}

/// Copies a tree into an existing folder by reference where the file system can; the copy is writable.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<(), PipelinesError> {
    let mut open = vec![(from.to_owned(), to.to_owned(), 0)];
    while let Some((from, to, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            let message = format!("the code has folders deeper than {MAX_DEPTH} levels");
            return Err(PipelinesError::StepOutput { message });
        }
        for entry in std::fs::read_dir(&from).map_err(PipelinesError::file("list", &from))? {
            let entry = entry.map_err(PipelinesError::file("list", &from))?;
            let kind = entry
                .file_type()
                .map_err(PipelinesError::file("inspect", &entry.path()))?;
            let target = to.join(entry.file_name());
            if kind.is_dir() {
                create(&target)?;
                open.push((entry.path(), target, depth + 1));
            } else if kind.is_file() {
                copy_file(&entry.path(), &target)?;
            }
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), PipelinesError> {
    reflink_copy::reflink_or_copy(from, to).map_err(PipelinesError::file("copy", to))?;
    let mode = std::fs::metadata(from)
        .map_err(PipelinesError::file("inspect", from))?
        .permissions()
        .mode();
    let writable = std::fs::Permissions::from_mode((mode & 0o777) | 0o600);
    std::fs::set_permissions(to, writable).map_err(PipelinesError::file("change", to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_writable_and_keeps_what_may_be_executed() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        std::fs::create_dir_all(from.join("deep/er")).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        let script = from.join("deep/er/run.sh");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o555)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", from.join("link")).unwrap();
        copy_tree(&from, &to).unwrap();
        let copy = to.join("deep/er/run.sh");
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "#!/bin/sh\n");
        assert_eq!(
            std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
            0o755
        );
        assert!(!to.join("link").exists());
    }
}
