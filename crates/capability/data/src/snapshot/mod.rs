//! A local folder as a tree: what the CLI sends and what the server makes of a step's output.
//!
//! Everything here blocks; call it from a thread that may. No server is needed.

mod beneath;
mod ignore;
mod memory;
mod stamp;
mod walk;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use corliss_blobstore::{BlobId, BlobInfo, CHUNK_MAX, Cutter, Kind as PieceKind, Piece};

use crate::config::{Limits, READ_ATTEMPTS};
use crate::tree::{Builder, Root as TreeRoot};
use crate::{DataError, Entry, EntryPath};

pub(crate) use beneath::{Beneath, Root};
pub use memory::Memory;
use memory::MemoryWalk;
pub(crate) use stamp::Stamp;

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

/// A file found in a folder, not yet read.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: EntryPath,
    /// Where its bytes are, relative to the root, if it was a link.
    source: Option<Box<Path>>,
    /// What it looked like when it was listed.
    pub(crate) stamp: Stamp,
}

impl Found {
    /// Where its bytes are, relative to the root.
    pub(crate) fn source(&self) -> &Path {
        match &self.source {
            Some(source) => source,
            None => Path::new(self.path.as_str()),
        }
    }
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
    entries: Vec<Entry>,
    /// Beside the entries.
    stamps: Vec<Stamp>,
    root: Root,
    /// Where the bytes of links are.
    links: HashMap<EntryPath, Box<Path>>,
    cuts: HashMap<BlobId, Cut>,
    taken: SystemTime,
}

/// Told how many more bytes were read, from several threads.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// A folder as it was listed: files that look as they are remembered are known, the others are yet to be read.
#[derive(Debug)]
pub struct Listing {
    root: Root,
    found: Vec<Found>,
    /// Beside those found.
    blobs: Vec<Option<Known>>,
}

/// What a file holds.
#[derive(Debug, Clone, Copy)]
struct Known {
    blob: BlobInfo,
    /// Whether the blob is a link, and the size that of the object.
    link: bool,
}

impl Known {
    const fn stored(blob: BlobInfo) -> Self {
        Self { blob, link: false }
    }
}

/// A file that is yet to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Which of the folder's files.
    pub at: usize,
    /// Where its bytes are, relative to the folder.
    pub source: PathBuf,
    /// How many there were.
    pub size_bytes: u64,
}

/// Lists a folder.
///
/// # Errors
/// Something in it cannot be part of a version, or cannot be looked at.
pub fn list(root: &Path, options: &Options, memory: &Memory) -> Result<Listing, DataError> {
    let (root, found) = scan(root, options)?;
    let mut walk = memory.walk();
    let blobs = found.iter().map(|file| recall(&mut walk, file)).collect();
    Ok(Listing { root, found, blobs })
}

impl Listing {
    /// How many files there are.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.found.len() as u64
    }

    /// Bytes of the files that are yet to be read.
    #[must_use]
    pub fn unread_bytes(&self) -> u64 {
        self.to_read().map(|(_, file)| file.stamp.size_bytes).sum()
    }

    /// The files that are yet to be read.
    #[must_use]
    pub fn unread(&self) -> Vec<Unread> {
        let unread = self.to_read().map(|(at, file)| Unread {
            at,
            source: file.source().to_path_buf(),
            size_bytes: file.stamp.size_bytes,
        });
        unread.collect()
    }

    fn to_read(&self) -> impl Iterator<Item = (usize, &Found)> {
        let files = self.found.iter().zip(&self.blobs).enumerate();
        files.filter_map(|(at, (file, blob))| blob.is_none().then_some((at, file)))
    }

    /// Takes a file for what somebody else read of it since it was listed. If it does not look as it did then, it
    /// stays to be read.
    pub fn note(&mut self, at: usize, blob: BlobInfo) {
        let Some(file) = self.found.get(at) else { return };
        let now = self.root.path().join(file.source()).symlink_metadata();
        if now.is_ok_and(|now| Stamp::of(&now) == file.stamp) && blob.size_bytes == file.stamp.size_bytes {
            self.blobs[at] = Some(Known::stored(blob));
        }
    }

    /// Reads and hashes what is yet to be read, on as many threads as there are CPUs.
    ///
    /// # Errors
    /// A file changes all the time, or cannot be read.
    pub fn read(self, progress: Progress<'_>) -> Result<Snapshot, DataError> {
        let unread: Vec<usize> = self.to_read().map(|(at, _)| at).collect();
        let Self {
            root,
            mut found,
            mut blobs,
        } = self;
        let mut cuts = HashMap::new();
        for file in hash_files(&root, &found, &unread, progress)? {
            if !file.cut.nodes.is_empty() {
                cuts.insert(file.blob.id, file.cut);
            }
            blobs[file.at] = Some(Known::stored(file.blob));
            found[file.at].stamp = file.stamp;
        }
        let mut snapshot = Snapshot {
            entries: Vec::with_capacity(found.len()),
            stamps: Vec::with_capacity(found.len()),
            root,
            links: HashMap::new(),
            cuts,
            taken: SystemTime::now(),
        };
        for (file, known) in found.into_iter().zip(blobs) {
            // Every file is known by now.
            let Some(Known { blob, link }) = known else {
                continue;
            };
            if let Some(source) = file.source {
                snapshot.links.insert(file.path.clone(), source);
            }
            snapshot.stamps.push(file.stamp);
            snapshot.entries.push(Entry {
                path: file.path,
                blob: blob.id,
                size_bytes: blob.size_bytes,
                executable: file.stamp.executable(),
                link,
            });
        }
        Ok(snapshot)
    }
}

fn recall(walk: &mut MemoryWalk<'_>, file: &Found) -> Option<Known> {
    let (id, link) = walk.recall(&file.path, &file.stamp)?;
    let size_bytes = file.stamp.size_bytes;
    let blob = BlobInfo { id, size_bytes };
    Some(Known { blob, link })
}

impl Snapshot {
    /// The files, in byte order of their paths.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tree of the files, and its records, each after what it lists.
    ///
    /// # Errors
    /// There are more files than a tree can have.
    pub fn tree(&self) -> Result<(TreeRoot, Vec<Piece>), DataError> {
        let mut builder = Builder::default();
        for entry in &self.entries {
            builder.push(entry)?;
        }
        let root = builder.finish()?;
        Ok((root, builder.take_pieces()))
    }

    /// How a file is cut; None if it is one chunk. A file that was remembered is read for it.
    ///
    /// # Errors
    /// It is not what it was, or cannot be read.
    pub fn cut(&self, entry: &Entry) -> Result<Option<Cow<'_, Cut>>, DataError> {
        if entry.size_bytes <= CHUNK_MAX as u64 {
            return Ok(None);
        }
        if let Some(cut) = self.cuts.get(&entry.blob) {
            return Ok(Some(Cow::Borrowed(cut)));
        }
        let file = self.open(&entry.path)?;
        let (blob, cut) = read_and_cut(&file, &mut vec![0; READ_BYTES], &|_| ())
            .map_err(|error| DataError::io("read", Path::new(entry.path.as_str()), &error))?;
        if blob.id == entry.blob {
            Ok(Some(Cow::Owned(cut)))
        } else {
            let path = entry.path.to_string();
            Err(DataError::Changed { path, attempts: 1 })
        }
    }

    /// Opens a file of the snapshot to send it. It may have changed since: the receiver compares digests.
    ///
    /// # Errors
    /// It is gone, or no longer a file within the folder.
    pub fn open(&self, path: &EntryPath) -> Result<File, DataError> {
        let link = self.links.get(path);
        self.root
            .open(link.map_or_else(|| Path::new(path.as_str()), Box::as_ref))
    }
}

/// A file that was read.
struct Hashed {
    /// Which of those found.
    at: usize,
    blob: BlobInfo,
    cut: Cut,
    stamp: Stamp,
}

/// Reads some of the files, on as many threads as there are CPUs.
fn hash_files(
    root: &Root,
    found: &[Found],
    unread: &[usize],
    progress: Progress<'_>,
) -> Result<Vec<Hashed>, DataError> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let work = || hash_line(root, found, unread, &next, progress);
        let running: Vec<_> = (0..threads.min(unread.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut all = Vec::with_capacity(unread.len());
        for thread in running {
            let hashed = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.extend(hashed?);
        }
        Ok(all)
    })
}

/// Takes one file after another until none is left.
fn hash_line(
    root: &Root,
    found: &[Found],
    unread: &[usize],
    next: &AtomicUsize,
    progress: Progress<'_>,
) -> Result<Vec<Hashed>, DataError> {
    let mut hashed = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    while let Some(at) = unread.get(next.fetch_add(1, Ordering::Relaxed)) {
        let file = &found[*at];
        let one = unchanging(root, file, |opened| {
            read_and_cut(opened, &mut buffer, progress)
                .map_err(|error| DataError::io("read", file.source(), &error))
        });
        match one {
            Ok((blob, cut, stamp)) => hashed.push(Hashed {
                at: *at,
                blob,
                cut,
                stamp,
            }),
            Err(error) => {
                // The other threads need not go on.
                next.store(unread.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
    }
    Ok(hashed)
}

fn read_and_cut(
    mut file: &File,
    buffer: &mut [u8],
    progress: Progress<'_>,
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
                progress(read as u64);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((cutter.finish(&mut note), cut))
}

/// Reads a file until its stamp is the same before and after, at most [`READ_ATTEMPTS`] times. Both are asked of the
/// open file: one that is replaced meanwhile is read as it was.
fn unchanging(
    root: &Root,
    found: &Found,
    mut read: impl FnMut(&File) -> Result<(BlobInfo, Cut), DataError>,
) -> Result<(BlobInfo, Cut, Stamp), DataError> {
    for attempt in 1..=READ_ATTEMPTS {
        let file = root.open(found.source())?;
        let before = stamp(&file, found)?;
        let (blob, cut) = read(&file)?;
        if stamp(&file, found)? == before && blob.size_bytes == before.size_bytes {
            return Ok((blob, cut, before));
        }
        std::thread::sleep(pause(attempt));
    }
    Err(DataError::Changed {
        path: found.path.to_string(),
        attempts: READ_ATTEMPTS,
    })
}

pub(crate) fn stamp(file: &File, found: &Found) -> Result<Stamp, DataError> {
    let metadata = file
        .metadata()
        .map_err(|error| DataError::io("look at", found.source(), &error))?;
    Ok(Stamp::of(&metadata))
}

/// Before reading a file again that changed; longer each time, as a slow writer may still be at it.
pub(crate) fn pause(attempt: u32) -> Duration {
    Duration::from_millis(25 << attempt.min(4))
}

#[cfg(test)]
mod tests;
