//! What a complete checkpoint was when it was recorded.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use corliss_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::{HIDDEN, io};
use crate::JobsError;

const FORMAT: u32 = 1;

/// One complete checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub version: u32,
    /// Order of recording in this folder.
    pub sequence: u64,
    /// The entry's name.
    pub name: String,
    /// Which file or folder of that name it was.
    pub identity: Identity,
    /// Its files by path below the entry; the path is empty if the entry is a file itself.
    pub files: Vec<FileRecord>,
}

/// One file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileRecord {
    pub path: String,
    pub size_bytes: u64,
    pub blake3: String,
}

/// Tells whether a name was published again: the rename put another file or folder there. What was changed
/// in place keeps this, so it is not taken for a new checkpoint but found damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub inode: u64,
    /// Nanoseconds since the Unix epoch; 0 where the file system does not tell. Inodes are reused.
    pub born_ns: u64,
}

impl Identity {
    pub(super) fn of(entry: &Path) -> std::io::Result<Self> {
        let found = std::fs::symlink_metadata(entry)?;
        let born = found
            .created()
            .ok()
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let born_ns = born
            .and_then(|since| u64::try_from(since.as_nanos()).ok())
            .unwrap_or(0);
        Ok(Self {
            inode: found.ino(),
            born_ns,
        })
    }

    /// When it was made, which is before it was published.
    pub(super) fn born(&self) -> Option<Timestamp> {
        let born_ms = i64::try_from(self.born_ns / 1_000_000).ok()?;
        (born_ms > 0).then(|| Timestamp::from_millis(born_ms))
    }
}

impl Manifest {
    pub(super) fn new(sequence: u64, name: &str, identity: Identity, files: Vec<FileRecord>) -> Self {
        Self {
            version: FORMAT,
            sequence,
            name: name.to_owned(),
            identity,
            files,
        }
    }

    pub(super) fn entry(&self, dir: &Path) -> PathBuf {
        dir.join(&self.name)
    }

    fn file(&self, dir: &Path, record: &FileRecord) -> PathBuf {
        let entry = self.entry(dir);
        if record.path.is_empty() {
            entry
        } else {
            entry.join(&record.path)
        }
    }

    /// Whether the entry is still the one recorded, whatever became of its bytes.
    pub(super) fn is_current(&self, dir: &Path) -> bool {
        Identity::of(&self.entry(dir)).is_ok_and(|found| found == self.identity)
    }

    /// Whether every byte is still what was recorded.
    pub(super) fn verify(&self, dir: &Path) -> bool {
        self.files.iter().all(|record| {
            super::record::digest(&self.file(dir, record))
                .is_ok_and(|(size, digest)| size == record.size_bytes && digest == record.blake3)
        })
    }

    pub(super) fn save(&self, dir: &Path) -> Result<(), JobsError> {
        let hidden = dir.join(HIDDEN);
        std::fs::create_dir_all(&hidden).map_err(io("make the folder", &hidden))?;
        let path = path(dir, &self.name);
        let write = || -> std::io::Result<()> {
            use std::io::Write;
            let temporary = path.with_extension("tmp");
            let mut file = std::fs::File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            std::fs::File::open(&hidden)?.sync_all()
        };
        write().map_err(io("write", &path))
    }
}

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(HIDDEN).join(format!("{name}.json"))
}

pub(super) fn delete(dir: &Path, name: &str) -> Result<(), JobsError> {
    super::record::delete_path(&path(dir, name))
}

/// All manifests that can be read; one that cannot (torn, or of a newer version) records nothing.
pub(super) fn load_all(dir: &Path) -> Result<Vec<Manifest>, JobsError> {
    let hidden = dir.join(HIDDEN);
    let entries = match std::fs::read_dir(&hidden) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("read", &hidden)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(io("read", &hidden))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let manifest = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
        // The name inside must be the one outside: it becomes a path.
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        found.extend(manifest.filter(|made| made.version == FORMAT && Some(&made.name) == stem.as_ref()));
    }
    Ok(found)
}
