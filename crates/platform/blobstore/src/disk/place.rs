//! Laying a blob out as a file of its own: a reflink if the file system can, else a copy.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use super::layout::{Layout, io_at};
use super::read::open_file;
use crate::{BlobError, Placement};

pub(super) fn file(layout: &Layout, placement: &Placement) -> Result<(), BlobError> {
    let path = &placement.path;
    let failed = |error: std::io::Error| io_at("write", path, &error);
    let (mut source, _) = open_file(layout, placement.id)?;
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    if reflink_copy::reflink_file(&source, &target).is_err() {
        // Copies within the kernel; not synced, as it can be made again from the blob.
        std::io::copy(&mut source, &mut target).map_err(failed)?;
    }
    let mode = if placement.executable { 0o555 } else { 0o444 };
    target
        .set_permissions(Permissions::from_mode(mode))
        .map_err(failed)
}
