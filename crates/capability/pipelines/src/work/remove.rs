//! Removing work folders. Read-only folders are opened first, since a step may not run as root.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::PipelinesError;

/// What stays of an ended run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing.
    Nothing,
    /// Checkpoints, and each step's newest attempt without its copy of the code: to look into a failure.
    Evidence,
}

/// Removes what need not stay of a run's folder.
pub(crate) fn trim(run: &Path, keep: Keep) -> Result<(), PipelinesError> {
    if keep == Keep::Nothing {
        return remove_tree(run);
    }
    for entry in entries(run)? {
        let name = entry
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // Only steps have plain folders here; a file was left by a step that wrote out of its own folder.
        let is_folder = std::fs::symlink_metadata(&entry).is_ok_and(|found| found.is_dir());
        if name.starts_with('.') || !is_folder {
            remove_tree(&entry)?;
        } else {
            trim_step(&entry)?;
        }
    }
    Ok(())
}

fn trim_step(step: &Path) -> Result<(), PipelinesError> {
    let number =
        |path: &Path| -> Option<u32> { path.file_name()?.to_str()?.strip_prefix("attempt-")?.parse().ok() };
    let attempts = entries(step)?;
    let newest = attempts.iter().filter_map(|path| number(path)).max();
    for attempt in &attempts {
        match number(attempt) {
            None => {}
            found if found == newest => remove_tree(&attempt.join("code"))?,
            Some(_) => remove_tree(attempt)?,
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>, PipelinesError> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(PipelinesError::file("list", folder)(error)),
    };
    let paths: Result<_, _> = listing.map(|entry| entry.map(|entry| entry.path())).collect();
    paths.map_err(PipelinesError::file("list", folder))
}

/// Removes a tree or a file; one that is not there is fine, a link goes and not what it leads to.
pub(super) fn remove_tree(path: &Path) -> Result<(), PipelinesError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => {
            return std::fs::remove_file(path).map_err(PipelinesError::file("remove", path));
        }
        // What is wrong with it is told below.
        _ => {}
    }
    match std::fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            open_folders(path)?;
            std::fs::remove_dir_all(path).map_err(PipelinesError::file("remove", path))
        }
        Err(error) => Err(PipelinesError::file("remove", path)(error)),
    }
}

/// Makes every folder of a tree writable; links are not followed.
fn open_folders(root: &Path) -> Result<(), PipelinesError> {
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        let writable = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&folder, writable).map_err(PipelinesError::file("open", &folder))?;
        for entry in std::fs::read_dir(&folder).map_err(PipelinesError::file("list", &folder))? {
            let entry = entry.map_err(PipelinesError::file("list", &folder))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_the_newest_attempt_and_the_checkpoints() {
        let home = tempfile::tempdir().unwrap();
        let run = home.path().join("run");
        for folder in [
            ".code",
            ".inputs/v",
            "a/attempt-1/code",
            "a/attempt-2/code",
            "a/attempt-10/code",
        ] {
            std::fs::create_dir_all(run.join(folder)).unwrap();
        }
        for folder in ["a/attempt-10/outputs/o", "a/checkpoints/step-5"] {
            std::fs::create_dir_all(run.join(folder)).unwrap();
        }
        for file in ["..code.stamps", ".inputs/.v.stamps", "stray"] {
            std::fs::write(run.join(file), "x").unwrap();
        }
        trim(&run, Keep::Evidence).unwrap();
        assert!(!run.join("..code.stamps").exists() && !run.join("stray").exists());
        let left: Vec<bool> = [
            ".code",
            ".inputs",
            "a/attempt-2",
            "a/attempt-10/code",
            "a/attempt-10/outputs/o",
            "a/checkpoints/step-5",
        ]
        .iter()
        .map(|folder| run.join(folder).exists())
        .collect();
        assert_eq!(left, [false, false, false, false, true, true]);
        trim(&run, Keep::Evidence).unwrap();
        trim(&run, Keep::Nothing).unwrap();
        assert!(!run.exists());
        trim(&run, Keep::Nothing).unwrap();
        trim(&run, Keep::Evidence).unwrap();
    }

    #[test]
    fn read_only_folders_can_be_removed() {
        let home = tempfile::tempdir().unwrap();
        let tree = home.path().join("tree");
        std::fs::create_dir_all(tree.join("inner")).unwrap();
        std::fs::write(tree.join("inner/file"), "x").unwrap();
        std::fs::set_permissions(tree.join("inner"), std::fs::Permissions::from_mode(0o555)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
