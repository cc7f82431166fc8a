//! Objects as files of a folder, `tmp/` for what is on its way.
//!
//! Order of effects of a put: write a scratch file, sync it, rename it to its name, sync the folder. So a
//! name always stands for whole, synced bytes, whenever the machine stops. One process at a time has the
//! folder: its lock is held as long as the backend lives, and goes with the process.
//!
//! After a sync that failed, the kernel takes what it could not write for written, and the next sync of that file
//! says that all is well. So such a file is given up, never synced again. Of a folder it is different: names go through
//! the journal of the file system, which stops at the first failure. A folder whose sync failed is synced before
//! anything is told of what is in it.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::{Backend, FORMAT, Object};
use crate::{BlobError, blocking};

/// Objects from this size on are written, and ranges from it on are read, past the page cache.
const DIRECT_FROM: usize = 1 << 20;
/// Bytes written at once on that way.
const DIRECT_BUFFER: usize = 4 << 20;
/// What memory, offsets and lengths are aligned to on that way: enough for every disk in use.
const BLOCK: usize = 4096;

/// A folder of objects; cheap to clone.
#[derive(Debug, Clone)]
pub struct DiskBackend {
    folder: Arc<Folder>,
}

#[derive(Debug)]
struct Folder {
    root: PathBuf,
    scratch: AtomicU64,
    /// Held between looking at an object and replacing it; the folder's lock keeps other processes out.
    replacing: Mutex<()>,
    /// Folders whose own names are durable, up to the root.
    durable: Mutex<HashSet<PathBuf>>,
    /// Folders in which names changed, and whose sync has failed since.
    unsynced: Mutex<BTreeSet<PathBuf>>,
    /// Held, never read.
    _lock: File,
}

impl DiskBackend {
    /// Opens the folder, makes it if it is missing, and removes what an interrupted put left in it.
    ///
    /// # Errors
    /// The folder cannot be used, another process uses it, or a newer program has made it.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let root = root.into();
        let folder = blocking(move || Folder::open(root)).await?;
        Ok(Self {
            folder: Arc::new(folder),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let folder = Arc::clone(&self.folder);
        blocking(move || work(&folder)).await
    }
}

#[async_trait]
impl Backend for DiskBackend {
    fn place(&self) -> String {
        self.folder.root.display().to_string()
    }

    async fn put(&self, name: &str, parts: Vec<Bytes>) -> Result<(), BlobError> {
        let name = name.to_owned();
        self.run(move |folder| folder.put(&name, &parts)).await
    }

    async fn put_if(&self, name: &str, expected: Option<&[u8]>, new: Bytes) -> Result<bool, BlobError> {
        let (name, expected) = (name.to_owned(), expected.map(<[u8]>::to_vec));
        self.run(move |folder| folder.put_if(&name, expected.as_deref(), &new))
            .await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        let name = name.to_owned();
        self.run(move |folder| {
            folder.sync_unsynced()?;
            let path = folder.root.join(name);
            found(&path, fs::read(&path)).map(|bytes| bytes.map(Bytes::from))
        })
        .await
    }

    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        let name = name.to_owned();
        self.run(move |folder| folder.read(&name, &ranges)).await
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, BlobError> {
        let name = name.to_owned();
        self.run(move |folder| {
            let path = folder.root.join(name);
            found(&path, fs::metadata(&path)).map(|metadata| metadata.map(|metadata| metadata.len()))
        })
        .await
    }

    async fn list(&self, within: &str) -> Result<Vec<Object>, BlobError> {
        let within = within.to_owned();
        self.run(move |folder| folder.list(&within)).await
    }

    async fn make_durable(&self, names: Vec<String>) -> Result<(), BlobError> {
        self.run(move |folder| {
            let paths = names.iter().map(|name| folder.root.join(name));
            let folders: BTreeSet<PathBuf> = paths
                .filter_map(|path| path.parent().map(Path::to_path_buf))
                .collect();
            folders.iter().try_for_each(|within| folder.sync(within))
        })
        .await
    }

    async fn remove(&self, name: &str) -> Result<(), BlobError> {
        let name = name.to_owned();
        self.run(move |folder| folder.remove(&name)).await
    }
}

impl Folder {
    fn open(root: PathBuf) -> Result<Self, BlobError> {
        make_folder(&root)?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(|error| io_at("write", &path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = root.display().to_string();
                return Err(BlobError::InUse { path });
            }
            Err(TryLockError::Error(error)) => return Err(io_at("lock", &path, &error)),
        }
        check_format(&root)?;
        let tmp = root.join("tmp");
        found(&tmp, fs::remove_dir_all(&tmp))?;
        make_folder(&tmp)?;
        let durable = settled_folders(&root)?;
        Ok(Self {
            root,
            scratch: AtomicU64::new(0),
            replacing: Mutex::default(),
            durable: Mutex::new(durable),
            unsynced: Mutex::default(),
            _lock: lock,
        })
    }

    /// Makes a folder of the root, and its name durable, and that of each above it.
    fn make(&self, folder: &Path) -> Result<(), BlobError> {
        // Held meanwhile: who finds the folder must not take its name for durable before it is.
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let above: Vec<&Path> = folder
            .ancestors()
            .take_while(|above| *above != self.root && !durable.contains(*above))
            .collect();
        for folder in above.iter().rev() {
            make_folder(folder)?;
            durable.insert(folder.to_path_buf());
        }
        Ok(())
    }

    fn sync(&self, folder: &Path) -> Result<(), BlobError> {
        let synced = sync_folder(folder);
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        match synced {
            Ok(()) => unsynced.remove(folder),
            Err(_) => unsynced.insert(folder.to_path_buf()),
        };
        synced
    }

    fn sync_unsynced(&self) -> Result<(), BlobError> {
        let unsynced = self
            .unsynced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        unsynced.iter().try_for_each(|folder| self.sync(folder))
    }

    fn put(&self, name: &str, parts: &[Bytes]) -> Result<(), BlobError> {
        self.sync_unsynced()?;
        let number = self.scratch.fetch_add(1, Ordering::Relaxed);
        let scratch = Scratch(self.root.join("tmp").join(number.to_string()));
        let path = self.root.join(name);
        write_file(&scratch.0, parts).map_err(|error| io_at("write", &scratch.0, &error))?;
        let folder = path.parent().unwrap_or(&self.root);
        self.make(folder)?;
        match fs::rename(&scratch.0, &path) {
            // Somebody has removed it beside us.
            Err(error) if error.kind() == ErrorKind::NotFound && !folder.exists() => {
                self.durable
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clear();
                self.make(folder)?;
                fs::rename(&scratch.0, &path).map_err(|error| io_at("write", &path, &error))?;
            }
            other => other.map_err(|error| io_at("write", &path, &error))?,
        }
        self.sync(folder)
    }

    fn put_if(&self, name: &str, expected: Option<&[u8]>, new: &Bytes) -> Result<bool, BlobError> {
        let _one_at_a_time = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        self.sync_unsynced()?;
        let path = self.root.join(name);
        if found(&path, fs::read(&path))?.as_deref() != expected {
            return Ok(false);
        }
        self.put(name, std::slice::from_ref(new))?;
        Ok(true)
    }

    fn read(&self, name: &str, ranges: &[Range<u64>]) -> Result<Option<Vec<BytesMut>>, BlobError> {
        let path = self.root.join(name);
        let Some(file) = found(&path, File::open(&path))? else {
            return Ok(None);
        };
        let size_bytes = file
            .metadata()
            .map_err(|error| io_at("read", &path, &error))?
            .len();
        // Before memory is taken for what is not there.
        if ranges
            .iter()
            .any(|range| range.start > range.end || range.end > size_bytes)
        {
            return Ok(None);
        }
        let is_long = |range: &Range<u64>| range.end - range.start >= DIRECT_FROM as u64;
        // Some file systems have no such way; then the page cache has to do.
        let direct = ranges.iter().any(is_long).then(|| open_direct(&path)).flatten();
        let read = ranges.iter().map(|range| match &direct {
            Some(direct) if is_long(range) => read_direct(direct, range),
            _ => {
                let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                let mut bytes = BytesMut::zeroed(len);
                file.read_exact_at(&mut bytes, range.start)?;
                Ok(bytes)
            }
        });
        match read.collect::<io::Result<Vec<BytesMut>>>() {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(io_at("read", &path, &error)),
        }
    }

    /// The folder is synced even if there was nothing to remove: another removal may not have come so far yet.
    fn remove(&self, name: &str) -> Result<(), BlobError> {
        let path = self.root.join(name);
        found(&path, fs::remove_file(&path))?;
        let folder = path.parent().unwrap_or(&self.root);
        match folder.exists() {
            true => self.sync(folder),
            false => Ok(()),
        }
    }

    fn list(&self, within: &str) -> Result<Vec<Object>, BlobError> {
        let mut objects = Vec::new();
        let mut folders = vec![within.to_owned()];
        while let Some(folder) = folders.pop() {
            let path = self.root.join(&folder);
            let failed = |error: io::Error| io_at("list", &path, &error);
            let Some(entries) = found(&path, fs::read_dir(&path))? else {
                continue;
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let name = format!("{folder}/{}", entry.file_name().display());
                let metadata = entry.metadata().map_err(failed)?;
                if metadata.is_dir() {
                    folders.push(name);
                } else {
                    let size_bytes = metadata.len();
                    objects.push(Object { name, size_bytes });
                }
            }
        }
        Ok(objects)
    }
}

/// Removed when dropped, unless it was renamed away before.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Writes and syncs a new file.
fn write_file(path: &Path, parts: &[Bytes]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    if parts.iter().map(Bytes::len).sum::<usize>() >= DIRECT_FROM {
        match options.custom_flags(OFlag::O_DIRECT.bits()).open(path) {
            Ok(file) => return write_direct(&file, parts),
            // A file system that has no such way.
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
                let _ = fs::remove_file(path);
                options.custom_flags(0);
            }
            Err(error) => return Err(error),
        }
    }
    let mut file = options.open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()
}

/// Past the page cache, whose pages cost more than the disk: buffered and synced, the same bytes took three
/// times as long. Whole blocks from aligned memory; the last is padded, and cut off again.
fn write_direct(file: &File, parts: &[Bytes]) -> io::Result<()> {
    let mut memory = vec![0; DIRECT_BUFFER + BLOCK];
    let start = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
    let buffer = &mut memory[start..start + DIRECT_BUFFER];
    let (mut filled, mut written) = (0, 0_u64);
    for part in parts {
        let mut rest: &[u8] = part;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(DIRECT_BUFFER - filled));
            buffer[filled..filled + now.len()].copy_from_slice(now);
            filled += now.len();
            rest = later;
            if filled == DIRECT_BUFFER {
                file.write_all_at(buffer, written)?;
                written += filled as u64;
                filled = 0;
            }
        }
    }
    if filled > 0 {
        let padded = filled.next_multiple_of(BLOCK);
        buffer[filled..padded].fill(0);
        file.write_all_at(&buffer[..padded], written)?;
        file.set_len(written + filled as u64)?;
    }
    file.sync_all()
}

fn open_direct(path: &Path) -> Option<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlag::O_DIRECT.bits());
    options.open(path).ok()
}

/// As [`write_direct`]: the whole blocks that the range touches, into aligned memory.
fn read_direct(file: &File, range: &Range<u64>) -> io::Result<BytesMut> {
    let block = BLOCK as u64;
    let start = range.start / block * block;
    let skip = usize::try_from(range.start - start).unwrap_or(usize::MAX);
    let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let blocks = (skip + len).next_multiple_of(BLOCK);
    let mut memory = BytesMut::zeroed(blocks + BLOCK);
    let aligned = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
    let mut bytes = memory.split_off(aligned);
    bytes.truncate(blocks);
    let mut filled = 0;
    // The last block of a file is read short.
    while filled < skip + len {
        match file.read_at(&mut bytes[filled..], start + filled as u64) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let _before = bytes.split_to(skip);
    bytes.truncate(len);
    Ok(bytes)
}

/// None if what was looked for is not there.
fn found<T>(path: &Path, result: io::Result<T>) -> Result<Option<T>, BlobError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_at("use", path, &error)),
    }
}

/// Makes a folder, private, and its name durable; that it exists already is fine.
fn make_folder(folder: &Path) -> Result<(), BlobError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| io_at("make the folder", folder, &error))?;
    folder.parent().map_or(Ok(()), sync_folder)
}

/// The folders of objects that are there, once their names are durable: whoever made them may have died before.
fn settled_folders(root: &Path) -> Result<HashSet<PathBuf>, BlobError> {
    let mut folders = HashSet::new();
    let within = |folder: &Path| {
        let failed = |error: io::Error| io_at("list", folder, &error);
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                found.push(entry.path());
            }
        }
        sync_folder(folder)?;
        Ok::<_, BlobError>(found)
    };
    for folder in within(root)? {
        // The index is not ours, and what is on its way is not kept.
        if !folder.ends_with("index") && !folder.ends_with("tmp") {
            folders.extend(within(&folder)?);
            folders.insert(folder);
        }
    }
    Ok(folders)
}

fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|error| io_at("sync the folder", folder, &error))
}

fn check_format(root: &Path) -> Result<(), BlobError> {
    let path = root.join("format");
    match found(&path, fs::read_to_string(&path))? {
        Some(text) if text.trim() == FORMAT => Ok(()),
        Some(text) => Err(BlobError::Newer {
            found: text.trim().chars().take(40).collect(),
            supported: FORMAT,
        }),
        None => {
            let partial = root.join("format.tmp");
            fs::write(&partial, format!("{FORMAT}\n"))
                .and_then(|()| File::open(&partial)?.sync_all())
                .and_then(|()| fs::rename(&partial, &path))
                .map_err(|error| io_at("write", &path, &error))?;
            sync_folder(root)
        }
    }
}

/// A file system's error on a path.
fn io_at(action: &'static str, path: &Path, error: &io::Error) -> BlobError {
    BlobError::io(action, &path.display().to_string(), error)
}
