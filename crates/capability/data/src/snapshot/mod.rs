//! A local folder as a tree: what the CLI sends and what the server makes of a step's output.
//!
//! Everything here blocks; call it from a thread that may. No server is needed.

mod beneath;
mod ignore;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corliss_blobstore::{BlobId, BlobInfo, Cutter, Kind as PieceKind, Piece};

use crate::config::{Limits, READ_ATTEMPTS};
use crate::{DataError, Entry, EntryPath, Tree};

pub(crate) use beneath::Root;

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;

/// What a folder is, which decides what is left out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A project's code: without version control, caches, virtual environments and build results.
    Code,
    /// Data: everything, unless `.corlissignore` says otherwise.
    Data,
}

/// How to take a snapshot.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the folder is.
    pub kind: Kind,
    /// Files and folders to leave out, relative to the root: a project's own data folders, for one.
    pub exclude: Vec<PathBuf>,
    /// The most files.
    pub max_files: usize,
}

impl Options {
    /// Takes a folder of this kind, whole.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            exclude: Vec::new(),
            max_files: Limits::default().files,
        }
    }
}

/// What tells that a file is still the one that was looked at, as far as its metadata can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size_bytes: u64,
    modified_ns: i128,
    changed_ns: i128,
    inode: u64,
    mode: u32,
}

impl Stamp {
    pub(crate) fn of(metadata: &std::fs::Metadata) -> Self {
        let ns = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            size_bytes: metadata.size(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            mode: metadata.mode(),
        }
    }

    pub(crate) const fn executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

/// A file found in a folder, not yet read.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: EntryPath,
    /// Where its bytes are, relative to the root; another path if it was a link.
    pub(crate) source: PathBuf,
    /// Its length when it was listed, which is good enough for a progress bar.
    pub(crate) size_bytes: u64,
}

/// The files of a folder, in byte order of their paths.
pub(crate) fn scan(root: &Path, options: &Options) -> Result<(Root, Vec<Found>), DataError> {
    let root = Root::hold(root)?;
    let found = walk::walk(&root, options)?;
    Ok((root, found))
}

/// How a blob is cut, for sending only the pieces that are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// Its chunks in order: id and length.
    pub chunks: Vec<(BlobId, u32)>,
    /// The nodes above them, each after what it lists; the last is the blob itself.
    pub nodes: Vec<Piece>,
}

/// A folder as it was.
#[derive(Debug)]
pub struct Snapshot {
    tree: Tree,
    root: Root,
    sources: BTreeMap<EntryPath, PathBuf>,
    cuts: HashMap<BlobId, Cut>,
}

/// Told what there is to read, then how much was read, from several threads.
pub trait Progress: Sync {
    /// The folder was listed.
    fn found(&self, files: u64, bytes: u64);
    /// So many more bytes were read.
    fn read(&self, bytes: u64);
}

/// Nobody wants to know.
impl Progress for () {
    fn found(&self, _: u64, _: u64) {}
    fn read(&self, _: u64) {}
}

/// Reads and hashes a folder, on as many threads as there are CPUs.
///
/// # Errors
/// Something in it cannot be part of a version, changes all the time, or cannot be read.
pub fn take(root: &Path, options: &Options, progress: &impl Progress) -> Result<Snapshot, DataError> {
    let (root, found) = scan(root, options)?;
    let bytes = found.iter().map(|file| file.size_bytes).sum();
    progress.found(found.len() as u64, bytes);
    let next = AtomicUsize::new(0);
    let hashed = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let work = || hash_files(&root, &found, &next, progress);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = running.into_iter().map(|thread| match thread.join() {
            Ok(hashed) => hashed,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<Vec<_>, DataError>>()
    })?;
    let mut entries = Vec::with_capacity(found.len());
    let mut cuts = HashMap::new();
    for (entry, cut) in hashed.into_iter().flatten() {
        if !cut.nodes.is_empty() {
            cuts.insert(entry.blob, cut);
        }
        entries.push(entry);
    }
    let sources = found.into_iter().map(|file| (file.path, file.source));
    Ok(Snapshot {
        tree: Tree::new(entries)?,
        root,
        sources: sources.collect(),
        cuts,
    })
}

impl Snapshot {
    /// The files.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// How a blob of the snapshot is cut; None if it is one chunk.
    #[must_use]
    pub fn cut(&self, blob: BlobId) -> Option<&Cut> {
        self.cuts.get(&blob)
    }

    /// Opens a file of the snapshot to send it. It may have changed since: the receiver compares digests.
    ///
    /// # Errors
    /// It is gone, or no longer a file within the folder.
    pub fn open(&self, path: &EntryPath) -> Result<File, DataError> {
        let source = self
            .sources
            .get(path)
            .map_or_else(|| Path::new(path.as_str()), PathBuf::as_path);
        self.root.open(source)
    }
}

/// Takes one file after another until none is left.
fn hash_files(
    root: &Root,
    found: &[Found],
    next: &AtomicUsize,
    progress: &impl Progress,
) -> Result<Vec<(Entry, Cut)>, DataError> {
    let mut hashed = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    while let Some(file) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
        let one = unchanging(root, file, |opened| {
            read_and_cut(opened, &mut buffer, progress)
                .map_err(|error| DataError::io("read", &file.source, &error))
        });
        match one {
            Ok(one) => hashed.push(one),
            Err(error) => {
                // The other threads need not go on.
                next.store(found.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
    }
    Ok(hashed)
}

fn read_and_cut(
    mut file: File,
    buffer: &mut [u8],
    progress: &impl Progress,
) -> std::io::Result<(BlobInfo, Cut)> {
    let mut cut = Cut::default();
    let mut note = |piece: Piece| match piece.kind {
        PieceKind::Chunk => cut
            .chunks
            .push((piece.id, u32::try_from(piece.size_bytes).unwrap_or(u32::MAX))),
        PieceKind::Node(_) | PieceKind::Record => cut.nodes.push(piece),
    };
    let mut cutter = Cutter::new();
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => {
                cutter.push(&buffer[..read], &mut note);
                progress.read(read as u64);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((cutter.finish(&mut note), cut))
}

/// Reads a file until its stamp is the same before and after, at most [`READ_ATTEMPTS`] times.
fn unchanging(
    root: &Root,
    found: &Found,
    mut read: impl FnMut(File) -> Result<(BlobInfo, Cut), DataError>,
) -> Result<(Entry, Cut), DataError> {
    for attempt in 1..=READ_ATTEMPTS {
        let before = root.stamp(&found.source)?;
        let (blob, cut) = read(root.open(&found.source)?)?;
        if root.stamp(&found.source)? == before && blob.size_bytes == before.size_bytes {
            let entry = Entry {
                path: found.path.clone(),
                blob: blob.id,
                size_bytes: blob.size_bytes,
                executable: before.executable(),
            };
            return Ok((entry, cut));
        }
        std::thread::sleep(pause(attempt));
    }
    Err(DataError::Changed {
        path: found.path.to_string(),
        attempts: READ_ATTEMPTS,
    })
}

/// Before reading a file again that changed; longer each time, as a slow writer may still be at it.
pub(crate) fn pause(attempt: u32) -> Duration {
    Duration::from_millis(25 << attempt.min(4))
}

#[cfg(test)]
mod tests;
