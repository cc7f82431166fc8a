//! Bytes out: whole, in part, or only to see that they are still what they were.

use std::fs::{self, File};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use tokio::io::AsyncReadExt;

use super::layout::{Layout, io_at};
use crate::{BlobError, BlobId, BlobInfo, BlobReader, Hasher};

pub(super) fn open_file(layout: &Layout, id: BlobId) -> Result<(File, u64), BlobError> {
    let path = layout.path(id);
    let file = File::open(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => BlobError::NotFound { id },
        _ => io_at("read", &path, &error),
    })?;
    let size_bytes = file
        .metadata()
        .map_err(|error| io_at("read", &path, &error))?
        .len();
    Ok((file, size_bytes))
}

pub(super) fn open(layout: &Layout, id: BlobId, range: Option<Range<u64>>) -> Result<BlobReader, BlobError> {
    let (mut file, size_bytes) = open_file(layout, id)?;
    let range = range.unwrap_or(0..size_bytes);
    if range.start > range.end || range.end > size_bytes {
        return Err(BlobError::Range {
            start: range.start,
            end: range.end,
            size_bytes,
        });
    }
    file.seek(SeekFrom::Start(range.start))
        .map_err(|error| io_at("read", &layout.path(id), &error))?;
    let len = range.end - range.start;
    Ok(BlobReader {
        bytes: Box::new(tokio::fs::File::from_std(file).take(len)),
        len,
        size_bytes,
    })
}

pub(super) fn verify(layout: &Layout, id: BlobId) -> Result<(), BlobError> {
    let (file, _) = open_file(layout, id)?;
    let mut hasher = Hasher::new();
    hasher
        .update_reader(&file)
        .map_err(|error| io_at("read", &layout.path(id), &error))?;
    if hasher.id() == id {
        Ok(())
    } else {
        Err(BlobError::Damaged { id })
    }
}

pub(super) fn list(layout: &Layout, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobInfo>, BlobError> {
    let mut page = Vec::new();
    let first = after.map_or(0, |id| id.digest()[0]);
    for prefix in first..=u8::MAX {
        let folder = layout.root().join(format!("{prefix:02x}"));
        let mut ids = ids_in(&folder)?;
        ids.retain(|id| after.is_none_or(|after| *id > after));
        ids.sort_unstable();
        for id in ids {
            if page.len() == limit {
                return Ok(page);
            }
            page.extend(layout.stat(id)?);
        }
    }
    Ok(page)
}

fn ids_in(folder: &Path) -> Result<Vec<BlobId>, BlobError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_at("list", folder, &error)),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| io_at("list", folder, &error))?.file_name();
        ids.extend(name.to_str().and_then(|name| name.parse::<BlobId>().ok()));
    }
    Ok(ids)
}
