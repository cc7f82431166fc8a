//! Which pack holds a piece: an index on disk that fits millions of pieces in little memory.
//!
//! The packs are the truth and this is derived: it is written after a pack is durable and may lag behind
//! after a power cut; [`Index::packs`] tells the store which packs it does not know yet. A folder that cannot
//! be read is removed and made anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use crate::pack::{PackId, Row};
use crate::{BlobError, BlobId};

/// Blocks kept in memory. A lookup that misses it reads 4 KB.
const CACHE_BYTES: u64 = 32 << 20;
/// What is collected in memory before it is sorted onto the disk.
const MEMTABLE_BYTES: u64 = 8 << 20;
const JOURNAL_BYTES: u64 = 64 << 20;

/// Where a piece lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub pack: PackId,
    pub row: Row,
}

/// The index; every call may wait for the disk.
pub(crate) struct Index {
    path: PathBuf,
    is_temporary: bool,
    /// None between a failed write and the next opening that succeeds.
    tables: RwLock<Option<Tables>>,
    numbers: RwLock<BTreeMap<u32, (PackId, u64)>>,
}

struct Tables {
    db: Database,
    /// Id to pack number and row.
    pieces: Keyspace,
    /// Pack number to pack id and length.
    packs: Keyspace,
}

impl Tables {
    fn open(path: &Path, is_temporary: bool) -> Result<Self, BlobError> {
        let failed = |error| index_error("open", path, &error);
        let db = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .temporary(is_temporary)
            .open()
            .map_err(failed)?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let pieces = db.keyspace("pieces", options).map_err(failed)?;
        let packs = db.keyspace("packs", options).map_err(failed)?;
        Ok(Self { db, pieces, packs })
    }

    fn numbers(&self, path: &Path) -> Result<BTreeMap<u32, (PackId, u64)>, BlobError> {
        let mut numbers = BTreeMap::new();
        for guard in self.packs.iter() {
            let pair = guard.into_inner();
            let (number, row) = pair.map_err(|error| index_error("read", path, &error))?;
            let (number, pack) = parse_pack(&number, &row).ok_or_else(|| corrupt(path))?;
            numbers.insert(number, pack);
        }
        Ok(numbers)
    }
}

impl Index {
    /// Opens the folder, makes it if it is missing, and makes it anew if it is malformed.
    pub fn open(path: &Path) -> Result<Self, BlobError> {
        match Self::open_as_is(path, false) {
            Err(BlobError::IndexDamaged { message, .. }) => {
                tracing::warn!(message, "the index of blobs is made anew from the packs");
                Self::remove(path)?;
                Self::open_as_is(path, false)
            }
            result => result,
        }
    }

    /// An index that goes when it is dropped, for a store in memory.
    pub fn temporary() -> Result<Self, BlobError> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("corliss-index-{}-{number}", std::process::id());
        Self::open_as_is(&std::env::temp_dir().join(name), true)
    }

    /// Removes the folder.
    pub fn remove(path: &Path) -> Result<(), BlobError> {
        std::fs::remove_dir_all(path)
            .map_err(|error| BlobError::io("remove", &path.display().to_string(), &error))
    }

    fn open_as_is(path: &Path, is_temporary: bool) -> Result<Self, BlobError> {
        let tables = Tables::open(path, is_temporary)?;
        Ok(Self {
            path: path.to_path_buf(),
            is_temporary,
            numbers: RwLock::new(tables.numbers(path)?),
            tables: RwLock::new(Some(tables)),
        })
    }

    /// The packs that it knows, with their lengths.
    pub fn packs(&self) -> BTreeMap<PackId, u64> {
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        numbers.values().copied().collect()
    }

    /// Where pieces lie, in the order of the ids.
    pub fn find(&self, ids: &[BlobId]) -> Result<Vec<Option<Location>>, BlobError> {
        self.with_tables(|tables| ids.iter().map(|id| self.find_one(tables, *id)).collect())
    }

    fn find_one(&self, tables: &Tables, id: BlobId) -> Result<Option<Location>, BlobError> {
        let value = tables.pieces.get(id.digest());
        let Some(value) = value.map_err(|error| self.failed("read", &error))? else {
            return Ok(None);
        };
        let parsed = value.split_first_chunk::<4>().and_then(|(number, row)| {
            let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
            let (pack, _) = *numbers.get(&u32::from_be_bytes(*number))?;
            let row = Row::decode(row)?;
            Some(Location { pack, row })
        });
        parsed.map(Some).ok_or_else(|| corrupt(&self.path))
    }

    /// Makes a durable pack known, all of it or nothing.
    pub fn add(&self, id: PackId, bytes: u64, rows: &[Row]) -> Result<(), BlobError> {
        let added = self.with_tables(|tables| {
            let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
            let number = numbers.last_key_value().map_or(0, |(last, _)| last + 1);
            let mut batch = tables.db.batch();
            for row in rows {
                let mut value = Vec::with_capacity(64);
                value.extend_from_slice(&number.to_be_bytes());
                row.encode(&mut value);
                batch.insert(&tables.pieces, row.id.digest(), value);
            }
            let mut value = id.0.to_vec();
            value.extend_from_slice(&bytes.to_be_bytes());
            batch.insert(&tables.packs, number.to_be_bytes(), value);
            batch.commit().map_err(|error| self.failed("write", &error))?;
            numbers.insert(number, (id, bytes));
            Ok(())
        });
        if added.is_err() {
            // After a failed write fjall takes no other before it is opened again.
            *self.tables.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        added
    }

    /// Pieces that are known.
    pub fn len(&self) -> Result<u64, BlobError> {
        let len =
            self.with_tables(|tables| tables.pieces.len().map_err(|error| self.failed("read", &error)))?;
        Ok(len as u64)
    }

    /// Opens the tables first if a write has failed.
    fn with_tables<T>(&self, work: impl FnOnce(&Tables) -> Result<T, BlobError>) -> Result<T, BlobError> {
        loop {
            if let Some(tables) = &*self.tables.read().unwrap_or_else(PoisonError::into_inner) {
                return work(tables);
            }
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            if tables.is_none() {
                let opened = Tables::open(&self.path, self.is_temporary)?;
                let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
                *numbers = opened.numbers(&self.path)?;
                *tables = Some(opened);
            }
        }
    }

    fn failed(&self, action: &'static str, error: &fjall::Error) -> BlobError {
        index_error(action, &self.path, error)
    }
}

fn parse_pack(number: &[u8], row: &[u8]) -> Option<(u32, (PackId, u64))> {
    let number = u32::from_be_bytes(number.try_into().ok()?);
    let (id, bytes) = row.split_first_chunk::<16>()?;
    Some((number, (PackId(*id), u64::from_be_bytes(bytes.try_into().ok()?))))
}

fn index_error(action: &'static str, path: &Path, error: &fjall::Error) -> BlobError {
    let path = path.display().to_string();
    match error {
        fjall::Error::Locked => BlobError::InUse { path },
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            BlobError::io(action, &path, error)
        }
        other => BlobError::IndexDamaged {
            path,
            message: other.to_string(),
        },
    }
}

fn corrupt(path: &Path) -> BlobError {
    BlobError::IndexDamaged {
        path: path.display().to_string(),
        message: "an entry is malformed".to_owned(),
    }
}
