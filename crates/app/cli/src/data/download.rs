//! Lays a version out as a folder: pieces are fetched many at a time by several threads, compared with their
//! ids, and written where they belong. Linked files, which have no pieces, are fetched one by one.

use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use corliss_blobstore::{BlobId, CHUNK_MAX, Child, Kind, Node};
use corliss_data::{Entry, transfer};
use indicatif::ProgressBar;

use super::local::Local;
use super::pieces::fetch;
use crate::api::{Api, segment};
use crate::error::{CliError, CliResult, cause, unwritable};
use crate::parallel::on_threads;

/// Content that is fetched in one request.
const BATCH_BYTES: u64 = transfer::BODY_BYTES as u64;
/// Pieces that are fetched in one request.
const BATCH_PIECES: usize = 4096;
/// Nodes that are fetched in one request; each is at most 82 KB.
const BATCH_NODES: usize = 64;
/// Of a linked file, read at a time.
const PART_BYTES: usize = 256 << 10;
/// Requests at once.
const FETCHERS: usize = 3;

/// A piece that goes into a file.
struct Target {
    id: BlobId,
    size_bytes: u64,
    /// Which of the entries.
    entry: usize,
    offset: u64,
}

/// Writes entries of a version below `folder`, which is open as `opened` and has none of them; `bar` is told every byte.
/// A server on this machine writes them itself.
pub fn entries(
    api: &Api,
    home: &Path,
    version: &str,
    entries: &[Entry],
    folder: &Path,
    opened: &File,
    bar: &ProgressBar,
) -> CliResult {
    if let Some(local) = Local::reach(api, home, opened) {
        make_folders(entries, folder)?;
        return local.lay_out(version, entries, bar);
    }
    let (linked, stored): (Vec<Entry>, Vec<Entry>) = entries.iter().cloned().partition(|entry| entry.link);
    write_stored(api, &stored, folder, bar)?;
    let paths = make_folders(&linked, folder)?;
    let linked: Vec<(Entry, PathBuf)> = linked.into_iter().zip(paths).collect();
    on_threads(FETCHERS, &linked, |line| {
        for (entry, path) in line {
            write_linked(api, version, entry, path, bar)?;
        }
        Ok(())
    })
}

/// Writes entries whose bytes the server stores.
fn write_stored(api: &Api, entries: &[Entry], folder: &Path, bar: &ProgressBar) -> CliResult {
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
    on_threads(FETCHERS, &batches, |line| {
        for batch in line {
            write_batch(api, batch, entries, &paths, bar)?;
        }
        Ok(())
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

/// What goes where. Large files are made here, empty, at their full length.
fn targets(api: &Api, entries: &[Entry], paths: &[PathBuf]) -> CliResult<Vec<Target>> {
    let (large, small): (Vec<usize>, Vec<usize>) =
        (0..entries.len()).partition(|at| entries[*at].size_bytes > CHUNK_MAX as u64);
    let whole = small.into_iter().map(|at| Target {
        id: entries[at].blob,
        size_bytes: entries[at].size_bytes,
        entry: at,
        offset: 0,
    });
    let mut targets: Vec<Target> = whole.collect();
    let lists = chunks(api, &large.iter().map(|at| &entries[*at]).collect::<Vec<_>>())?;
    for (at, chunks) in large.into_iter().zip(lists) {
        let file = create(&paths[at])?;
        file.set_len(entries[at].size_bytes)
            .and_then(|()| set_mode(&file, &entries[at]))
            .map_err(|error| unwritable(&paths[at], &error))?;
        let mut offset = 0;
        for chunk in chunks {
            targets.push(Target {
                id: chunk.id,
                size_bytes: chunk.size_bytes,
                entry: at,
                offset,
            });
            offset += chunk.size_bytes;
        }
    }
    Ok(targets)
}

/// The chunks of each large file, in order; the nodes of all of them are fetched together, level by level.
fn chunks(api: &Api, entries: &[&Entry]) -> CliResult<Vec<Vec<Child>>> {
    let top = |entry: &&Entry| Child {
        id: entry.blob,
        size_bytes: entry.size_bytes,
    };
    let mut lists: Vec<Vec<Child>> = entries.iter().map(|entry| vec![top(entry)]).collect();
    let mut open: Vec<usize> = (0..lists.len()).collect();
    while !open.is_empty() {
        let ids: Vec<BlobId> = open
            .iter()
            .flat_map(|at| lists[*at].iter().map(|child| child.id))
            .collect();
        let mut nodes: HashMap<BlobId, Node> = HashMap::new();
        for some in ids.chunks(BATCH_NODES) {
            let found = fetch(api, some)?.into_iter();
            nodes.extend(found.filter_map(|(id, piece)| Some((id, Node::decode(&piece.bytes)?))));
        }
        let mut higher = Vec::new();
        for at in open {
            let mut below = Vec::new();
            let mut kind = Kind::Chunk;
            for child in &lists[at] {
                let node = nodes.get(&child.id).filter(|node| {
                    let sizes = node.children().iter().map(|child| child.size_bytes);
                    sizes.sum::<u64>() == child.size_bytes
                });
                let node = node.ok_or_else(|| not_what_it_is(entries[at]))?;
                kind = node.child_kind();
                below.extend_from_slice(node.children());
            }
            lists[at] = below;
            if kind != Kind::Chunk {
                higher.push(at);
            }
        }
        open = higher;
    }
    Ok(lists)
}

/// Pieces of one file follow each other, so that a file is opened about once a batch, and few are open.
fn write_batch(
    api: &Api,
    batch: &[Target],
    entries: &[Entry],
    paths: &[PathBuf],
    bar: &ProgressBar,
) -> CliResult {
    let ids: Vec<BlobId> = batch.iter().map(|target| target.id).collect();
    let found = fetch(api, &ids)?;
    for of_file in batch.chunk_by(|left, right| left.entry == right.entry) {
        let (path, entry) = (&paths[of_file[0].entry], &entries[of_file[0].entry]);
        let file = if entry.size_bytes > CHUNK_MAX as u64 {
            let opened = File::options().write(true).open(path);
            opened.map_err(|error| unwritable(path, &error))?
        } else {
            let file = create(path)?;
            set_mode(&file, entry).map_err(|error| unwritable(path, &error))?;
            file
        };
        for target in of_file {
            // Fetched by its id, which was computed from its bytes.
            let piece = found.get(&target.id).ok_or_else(|| not_what_it_is(entry))?;
            if piece.size_bytes != target.size_bytes {
                return Err(not_what_it_is(entry));
            }
            file.write_all_at(&piece.bytes, target.offset)
                .map_err(|error| unwritable(path, &error))?;
            bar.inc(target.size_bytes);
        }
    }
    Ok(())
}

/// The server reads it where it lies, and breaks off if it is not what it was.
fn write_linked(api: &Api, version: &str, entry: &Entry, path: &Path, bar: &ProgressBar) -> CliResult {
    let parts: Vec<String> = entry.path.as_str().split('/').map(segment).collect();
    let from = format!(
        "/api/v1/data/versions/{}/files/{}",
        segment(version),
        parts.join("/")
    );
    let mut bytes = api.bytes(&from)?;
    let mut file = create(path)?;
    set_mode(&file, entry).map_err(|error| unwritable(path, &error))?;
    let mut buffer = vec![0; PART_BYTES];
    let mut written = 0;
    loop {
        let read = bytes.read(&mut buffer).map_err(|error| {
            CliError::failed(format!("'{}' broke off: {}", entry.path, cause(&error)))
                .hint("try again; if it breaks off again, the object that it is linked to was changed")
        })?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read])
            .map_err(|error| unwritable(path, &error))?;
        written += read as u64;
        bar.inc(read as u64);
    }
    match written == entry.size_bytes {
        true => Ok(()),
        false => Err(not_what_it_is(entry)),
    }
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

fn not_what_it_is(entry: &Entry) -> CliError {
    CliError::failed(format!(
        "the server's bytes of '{}' are not that file",
        entry.path
    ))
}
