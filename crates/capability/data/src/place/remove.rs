//! Removing a folder whose folders are closed to writers.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::DataError;

/// Removes a folder and all in it; that there is none is fine.
pub(crate) fn remove_tree(folder: &Path) -> Result<(), DataError> {
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(metadata) if metadata.is_dir() => open_up(folder).and_then(|()| fs::remove_dir_all(folder)),
        Ok(_) => fs::remove_file(folder),
        Err(error) => Err(error),
    }
    .map_err(|error| DataError::io("remove", folder, &error))
}

fn open_up(folder: &Path) -> std::io::Result<()> {
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}
