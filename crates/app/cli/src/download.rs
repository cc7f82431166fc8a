//! Lays a version out as a folder: pieces are fetched many at a time by several threads, compared with their
//! ids, and written where they belong.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use corliss_blobstore::{BlobId, CHUNK_MAX, Child, Kind, Node, Piece};
use corliss_data::{Entry, transfer};
use indicatif::ProgressBar;
use serde_json::json;

use crate::api::Api;
use crate::error::{CliError, CliResult, cause};

/// Content that is fetched in one request.
const BATCH_BYTES: u64 = transfer::BODY_BYTES as u64;
/// Pieces that are fetched in one request.
const BATCH_PIECES: usize = 4096;
/// Requests at once.
const FETCHERS: usize = 3;

/// A piece that goes into a file.
struct Target {
    id: BlobId,
    size_bytes: u64,
    into: Into,
}

enum Into {
    /// A file of its own.
    Whole(usize),
    /// A part of a file that is open.
    Part(Arc<File>, u64),
}

/// Writes the entries below `folder`, which exists and is empty; `bar` is told every byte.
pub fn entries(api: &Api, entries: &[Entry], folder: &Path, bar: &ProgressBar) -> CliResult {
    let paths = make_folders(entries, folder)?;
    let targets = targets(api, entries, &paths)?;
    let mut batches: Vec<&[Target]> = Vec::new();
    let mut rest = targets.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(BATCH_PIECES).take_while(|target| {
            bytes += target.size_bytes;
            bytes <= BATCH_BYTES.max(CHUNK_MAX as u64)
        });
        let (batch, later) = rest.split_at(fits.count().max(1));
        batches.push(batch);
        rest = later;
    }
    let batches = apart(&batches);
    let next = AtomicUsize::new(0);
    let fetch_next = || {
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = write_batch(api, batch, entries, &paths, bar) {
                // The other threads need not go on.
                next.store(batches.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..FETCHERS).map(|_| scope.spawn(fetch_next)).collect();
        let joined = running.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}

/// Reorders so that those that are taken one after another lie far apart: threads that make files in one folder
/// wait for each other.
fn apart<T: Copy>(batches: &[T]) -> Vec<T> {
    let stride = batches.len().div_ceil(FETCHERS).max(1);
    let columns = (0..stride).flat_map(|row| batches.iter().skip(row).step_by(stride));
    columns.copied().collect()
}

/// Makes every folder once; answers the path of each entry.
fn make_folders(entries: &[Entry], folder: &Path) -> CliResult<Vec<PathBuf>> {
    let mut last = PathBuf::new();
    let mut paths = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = folder.join(entry.path.as_str());
        let parent = path.parent().unwrap_or(folder);
        if parent != last {
            std::fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
            last = parent.to_path_buf();
        }
        paths.push(path);
    }
    Ok(paths)
}

/// What goes where. The nodes of large files are fetched here; there are few of them.
fn targets(api: &Api, entries: &[Entry], paths: &[PathBuf]) -> CliResult<Vec<Target>> {
    let mut targets = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        if entry.size_bytes <= CHUNK_MAX as u64 {
            targets.push(Target {
                id: entry.blob,
                size_bytes: entry.size_bytes,
                into: Into::Whole(at),
            });
            continue;
        }
        let file = Arc::new(create(&paths[at])?);
        file.set_len(entry.size_bytes)
            .and_then(|()| set_mode(&file, entry))
            .map_err(|error| unwritable(&paths[at], &error))?;
        let mut offset = 0;
        for chunk in chunks(api, entry)? {
            targets.push(Target {
                id: chunk.id,
                size_bytes: chunk.size_bytes,
                into: Into::Part(Arc::clone(&file), offset),
            });
            offset += chunk.size_bytes;
        }
        if offset != entry.size_bytes {
            return Err(not_what_it_is(entry));
        }
    }
    Ok(targets)
}

/// The chunks of a large file, in order.
fn chunks(api: &Api, entry: &Entry) -> CliResult<Vec<Child>> {
    let mut level: Vec<Child> = vec![Child {
        id: entry.blob,
        size_bytes: entry.size_bytes,
    }];
    loop {
        let mut below = Vec::new();
        let mut kind = Kind::Chunk;
        for batch in level.chunks(64) {
            let ids: Vec<BlobId> = batch.iter().map(|child| child.id).collect();
            let mut found = fetch(api, &ids)?;
            for id in ids {
                let node = found.remove(&id).and_then(|piece| Node::decode(&piece.bytes));
                let node = node.ok_or_else(|| not_what_it_is(entry))?;
                kind = node.child_kind();
                below.extend_from_slice(node.children());
            }
        }
        if kind == Kind::Chunk {
            return Ok(below);
        }
        level = below;
    }
}

fn write_batch(
    api: &Api,
    batch: &[Target],
    entries: &[Entry],
    paths: &[PathBuf],
    bar: &ProgressBar,
) -> CliResult {
    let ids: Vec<BlobId> = batch.iter().map(|target| target.id).collect();
    let found = fetch(api, &ids)?;
    for target in batch {
        // Fetched by its id, which was computed from its bytes.
        let Some(piece) = found.get(&target.id) else {
            continue;
        };
        match &target.into {
            Into::Whole(at) => {
                let file = create(&paths[*at])?;
                file.write_all_at(&piece.bytes, 0)
                    .and_then(|()| set_mode(&file, &entries[*at]))
                    .map_err(|error| unwritable(&paths[*at], &error))?;
            }
            Into::Part(file, offset) => file
                .write_all_at(&piece.bytes, *offset)
                .map_err(|error| CliError::failed(format!("cannot write a file: {}", cause(&error))))?,
        }
        bar.inc(piece.bytes.len() as u64);
    }
    Ok(())
}

/// All of these pieces: a server answers as many as fit into one body.
fn fetch(api: &Api, ids: &[BlobId]) -> CliResult<HashMap<BlobId, Piece>> {
    let mut wanted: VecDeque<BlobId> = ids.iter().copied().collect();
    let mut found = HashMap::with_capacity(ids.len());
    while !wanted.is_empty() {
        let body = api.post_for_bytes("/api/v1/data/pieces/read", &json!({ "ids": wanted }))?;
        let pieces = transfer::parse(body).map_err(|error| CliError::diagnosed(&error))?;
        if pieces.is_empty() || pieces.len() > wanted.len() {
            return Err(unexpected());
        }
        for piece in pieces {
            if wanted.pop_front() != Some(piece.id) {
                return Err(unexpected());
            }
            found.insert(piece.id, piece);
        }
    }
    Ok(found)
}

fn create(path: &Path) -> CliResult<File> {
    File::create_new(path).map_err(|error| unwritable(path, &error))
}

fn set_mode(file: &File, entry: &Entry) -> std::io::Result<()> {
    if entry.executable {
        file.set_permissions(Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::failed(format!("cannot write {}: {}", path.display(), cause(error)))
}

fn not_what_it_is(entry: &Entry) -> CliError {
    CliError::failed(format!(
        "the server's bytes of '{}' are not that file",
        entry.path
    ))
}

fn unexpected() -> CliError {
    CliError::failed("the server sent other pieces than were asked for".to_owned())
}
