//! Bringing bytes in: from a stream, or from local files in batches.

use std::fs::Permissions;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tokio::io::AsyncReadExt;

use super::blocking;
use super::layout::{Layout, io_at};
use super::scratch::ScratchFile;
use crate::{BlobError, BlobId, BlobInfo, Hasher, Incoming, OpenFile, PutOptions, Stored};

/// Bytes moved at a time; also the largest file that is hashed before it is written anywhere.
const CHUNK: usize = 1 << 20;
/// Files whose scratch copies are synced together.
const BATCH: usize = 256;
/// From this many new files on, one sync of the whole file system is cheaper than one for each.
const SYNC_ALL_FROM: usize = 24;

struct Writer {
    scratch: ScratchFile,
    hasher: Hasher,
    size_bytes: u64,
}

impl Writer {
    fn new(layout: &Layout) -> Result<Self, BlobError> {
        Ok(Self {
            scratch: layout.scratch.file()?,
            hasher: Hasher::new(),
            size_bytes: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        self.scratch
            .file
            .write_all(bytes)
            .map_err(|error| io_at("write", &self.scratch.path, &error))
    }

    fn blob(&self) -> BlobInfo {
        BlobInfo {
            id: self.hasher.id(),
            size_bytes: self.size_bytes,
        }
    }
}

/// Stores a stream; reads on the caller's task, hashes and writes on threads that may block.
pub(super) async fn stream(
    layout: &Arc<Layout>,
    incoming: Incoming<'_>,
    options: PutOptions,
) -> Result<Stored, BlobError> {
    let for_writer = Arc::clone(layout);
    let mut writer = blocking(move || Writer::new(&for_writer)).await?;
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        (&mut *incoming)
            .take(CHUNK as u64)
            .read_to_end(&mut chunk)
            .await
            .map_err(|error| BlobError::Incoming {
                message: error.to_string(),
            })?;
        if chunk.is_empty() {
            break;
        }
        if let Some(limit_bytes) = options.limit_bytes
            && writer.size_bytes + chunk.len() as u64 > limit_bytes
        {
            return Err(BlobError::TooLarge { limit_bytes });
        }
        (writer, chunk) = blocking(move || {
            writer.write(&chunk)?;
            chunk.clear();
            Ok((writer, chunk))
        })
        .await?;
    }
    let layout = Arc::clone(layout);
    blocking(move || finish(&layout, &writer, options.expected)).await
}

fn finish(layout: &Layout, writer: &Writer, expected: Option<BlobId>) -> Result<Stored, BlobError> {
    let blob = writer.blob();
    if let Some(expected) = expected.filter(|expected| *expected != blob.id) {
        return Err(BlobError::DigestMismatch {
            expected,
            got: blob.id,
        });
    }
    let created = layout.stat(blob.id)?.is_none();
    if created {
        seal(&writer.scratch)?;
        sync(&writer.scratch)?;
        layout.publish(&writer.scratch.path, blob.id)?;
    }
    layout.sync_folders(std::iter::once(blob.id))?;
    Ok(Stored { blob, created })
}

/// Stores local files, in order.
pub(super) fn files(layout: &Layout, files: Vec<OpenFile>) -> Result<Vec<Stored>, BlobError> {
    let mut stored: Vec<Stored> = Vec::with_capacity(files.len());
    let mut files = files.into_iter().peekable();
    while files.peek().is_some() {
        let mut fresh = Vec::new();
        for open in files.by_ref().take(BATCH) {
            let (blob, scratch) = ingest(layout, open)?;
            stored.push(Stored {
                blob,
                created: scratch.is_some(),
            });
            fresh.extend(scratch.map(|scratch| (blob.id, scratch)));
        }
        if fresh.len() >= SYNC_ALL_FROM {
            sync_file_system(layout)?;
        } else {
            fresh.iter().try_for_each(|(_, scratch)| sync(scratch))?;
        }
        fresh
            .iter()
            .try_for_each(|(id, scratch)| layout.publish(&scratch.path, *id))?;
    }
    layout.sync_folders(stored.iter().map(|stored| stored.blob.id))?;
    Ok(stored)
}

/// Hashes a file and, if its bytes are new, copies them to a scratch file. The id is always that of the
/// copy, so a file that changes under our hands is stored under the name of what was stored.
fn ingest(layout: &Layout, open: OpenFile) -> Result<(BlobInfo, Option<ScratchFile>), BlobError> {
    let failed = |error: std::io::Error| BlobError::io("read", "a file to be stored", &error);
    let mut source = open().map_err(failed)?;
    let mut head = Vec::new();
    (&mut source)
        .take(CHUNK as u64 + 1)
        .read_to_end(&mut head)
        .map_err(failed)?;
    let mut hasher = Hasher::new();
    hasher.update(&head);
    if head.len() <= CHUNK {
        let blob = BlobInfo {
            id: hasher.id(),
            size_bytes: head.len() as u64,
        };
        if layout.stat(blob.id)?.is_some() {
            return Ok((blob, None));
        }
        let mut writer = Writer::new(layout)?;
        writer.write(&head)?;
        seal(&writer.scratch)?;
        return Ok((blob, Some(writer.scratch)));
    }
    // Large: reading twice costs less than writing what is there already.
    let rest = hasher.update_reader(&source).map_err(failed)?;
    let blob = BlobInfo {
        id: hasher.id(),
        size_bytes: head.len() as u64 + rest,
    };
    if layout.stat(blob.id)?.is_some() {
        return Ok((blob, None));
    }
    let (blob, scratch) = copy_large(layout, &mut source)?;
    // Changed in between into something that we have: the copy goes.
    let known = layout.stat(blob.id)?.is_some();
    Ok((blob, Some(scratch).filter(|_| !known)))
}

fn copy_large(layout: &Layout, source: &mut std::fs::File) -> Result<(BlobInfo, ScratchFile), BlobError> {
    let failed = |error: std::io::Error| BlobError::io("read", "a file to be stored", &error);
    source.rewind().map_err(failed)?;
    let mut writer = Writer::new(layout)?;
    if reflink_copy::reflink_file(source, &writer.scratch.file).is_ok() {
        let size_bytes = writer
            .hasher
            .update_reader(&writer.scratch.file)
            .map_err(failed)?;
        writer.size_bytes = size_bytes;
    } else {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = source.read(&mut chunk).map_err(failed)?;
            if read == 0 {
                break;
            }
            writer.write(&chunk[..read])?;
        }
    }
    seal(&writer.scratch)?;
    Ok((writer.blob(), writer.scratch))
}

/// Read-only from the start: what is published cannot be opened for writing by mistake.
fn seal(scratch: &ScratchFile) -> Result<(), BlobError> {
    let sealed = scratch.file.set_permissions(Permissions::from_mode(0o444));
    sealed.map_err(|error| io_at("write", &scratch.path, &error))
}

fn sync(scratch: &ScratchFile) -> Result<(), BlobError> {
    scratch
        .file
        .sync_all()
        .map_err(|error| io_at("sync", &scratch.path, &error))
}

fn sync_file_system(layout: &Layout) -> Result<(), BlobError> {
    let synced = std::fs::File::open(layout.root()).and_then(|root| Ok(nix::unistd::syncfs(&root)?));
    synced.map_err(|error| io_at("sync", layout.root(), &error))
}
