//! Which pack holds a piece: an index on disk that fits millions of pieces in little memory.
//!
//! The packs are the truth and this is derived: it is written after a pack is durable and may lag behind
//! after a power cut; [`Index::packs`] tells the store which packs it does not know yet. A folder that cannot
//! be read is removed and made anew.

mod packs;
mod upkeep;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use crate::pack::{PackId, Row};
use crate::{BlobError, BlobId};

use packs::Clock;
use packs::Numbers;
pub(crate) use packs::{PackInfo, Sums};
pub(crate) use upkeep::Move;

/// Blocks kept in memory. A lookup that misses it reads 4 KB.
const CACHE_BYTES: u64 = 32 << 20;
/// What is collected in memory before it is sorted onto the disk.
const MEMTABLE_BYTES: u64 = 8 << 20;
const JOURNAL_BYTES: u64 = 64 << 20;

/// Where a piece lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub pack: PackId,
    /// The pack's number in the index.
    pub number: u32,
    /// The row's place in the pack's table.
    pub at: u32,
    pub row: Row,
}

/// The index; every call may wait for the disk.
pub(crate) struct Index {
    path: PathBuf,
    is_temporary: bool,
    /// None between a failed write and the next opening that succeeds.
    tables: RwLock<Option<Tables>>,
    numbers: RwLock<Numbers>,
    /// The number of the next pack, changed under the lock of the numbers. None is given twice while the process
    /// lives: others remember them.
    next: AtomicU32,
    clock: Clock,
    /// A sync has failed. What the kernel shows of the index may not be what the disk has, and nothing tells.
    is_doubtful: AtomicBool,
}

struct Tables {
    db: Database,
    /// Id to pack number, place in its table, and row.
    pieces: Keyspace,
    /// Pack number to what is known of the pack.
    packs: Keyspace,
    /// Ids of pieces that are damaged, or that list what is.
    defects: Keyspace,
    /// How far upkeep came.
    notes: Keyspace,
}

impl Tables {
    fn open(path: &Path, is_temporary: bool) -> Result<Self, BlobError> {
        let failed = |error| match index_error("open", path, &error) {
            // A process died while it made the folder, or what names a file in it was changed.
            BlobError::Io { message, path, .. } if is_malformed(&error) => {
                BlobError::IndexDamaged { path, message }
            }
            told => told,
        };
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
        let defects = db.keyspace("defects", options).map_err(failed)?;
        let notes = db.keyspace("notes", options).map_err(failed)?;
        Ok(Self {
            db,
            pieces,
            packs,
            defects,
            notes,
        })
    }

    fn numbers(&self, path: &Path, now: u64) -> Result<BTreeMap<u32, PackInfo>, BlobError> {
        let mut numbers = BTreeMap::new();
        for guard in self.packs.iter() {
            let pair = guard.into_inner();
            let (number, row) = pair.map_err(|error| index_error("read", path, &error))?;
            let (number, mut pack) = parse_pack(&number, &row).ok_or_else(|| corrupt(path))?;
            // A clock that was ahead must not keep a pack young for years.
            pack.seen_ms = pack.seen_ms.min(now);
            numbers.insert(number, pack);
        }
        Ok(numbers)
    }
}

impl Index {
    /// Opens the folder, makes it if it is missing, and makes it anew if it is malformed.
    pub fn open(path: &Path) -> Result<Self, BlobError> {
        if doubt(path).exists() {
            tracing::warn!("the index of blobs is not to be trusted: it is made anew from the packs");
            Self::remove(path)?;
        }
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
        let gone = |result: io::Result<()>, path: &Path| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(BlobError::io("remove", &path.display().to_string(), &error))
            }
            _ => Ok(()),
        };
        gone(std::fs::remove_dir_all(path), path)?;
        let doubt = doubt(path);
        gone(std::fs::remove_file(&doubt), &doubt)
    }

    fn open_as_is(path: &Path, is_temporary: bool) -> Result<Self, BlobError> {
        let tables = Tables::open(path, is_temporary)?;
        let clock = Clock::start();
        let packs = tables.numbers(path, clock.now_ms())?;
        let next = packs.last_key_value().map_or(0, |(last, _)| last + 1);
        Ok(Self {
            path: path.to_path_buf(),
            is_temporary,
            numbers: RwLock::new(packs),
            next: AtomicU32::new(next),
            clock,
            is_doubtful: AtomicBool::new(false),
            tables: RwLock::new(Some(tables)),
        })
    }

    /// Now, as the ages of packs are measured.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The packs that it knows, with their lengths.
    pub fn packs(&self) -> BTreeMap<PackId, u64> {
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        let packs = numbers.values();
        packs.map(|pack| (pack.id, pack.bytes)).collect()
    }

    /// Where pieces lie, in the order of the ids.
    pub fn find(&self, ids: &[BlobId]) -> Result<Vec<Option<Location>>, BlobError> {
        self.with_tables(|tables| ids.iter().map(|id| self.find_one(tables, *id)).collect())
    }

    fn find_one(&self, tables: &Tables, id: BlobId) -> Result<Option<Location>, BlobError> {
        // Before the piece is looked up: its pack is not forgotten between.
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        let value = tables.pieces.get(id.digest());
        let Some(value) = value.map_err(|error| self.failed("read", &error))? else {
            return Ok(None);
        };
        let location = parse_piece(&numbers, &value);
        location.map(Some).ok_or_else(|| corrupt(&self.path))
    }

    /// Makes a durable pack known, all of it or nothing: the rows of its table with their places, and how many
    /// rows the table has.
    pub fn add(&self, id: PackId, bytes: u64, table_rows: u32, rows: &[(u32, Row)]) -> Result<(), BlobError> {
        self.change(|tables, numbers| {
            let number = self.next_number();
            let mut batch = tables.db.batch();
            let mut sums = Sums::default();
            for (at, row) in rows {
                sums.add(row);
                batch.insert(&tables.pieces, row.id.digest(), piece_value(number, *at, row));
            }
            let info = PackInfo {
                id,
                bytes,
                rows: table_rows,
                seen_ms: self.clock.now_ms(),
                sums,
            };
            batch.insert(&tables.packs, number.to_be_bytes(), info.encode());
            batch.commit().map_err(|error| self.failed("write", &error))?;
            numbers.insert(number, info);
            self.next.store(number + 1, Ordering::SeqCst);
            Ok(())
        })
    }

    /// A change that no other is beside.
    fn change<T>(
        &self,
        work: impl FnOnce(&Tables, &mut Numbers) -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        let changed = self.with_tables(|tables| {
            let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
            work(tables, &mut numbers)
        });
        if changed.is_err() {
            // After a failed write fjall takes no other before it is opened again.
            *self.tables.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        changed
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
                let done = work(tables);
                if matches!(done, Err(BlobError::IndexDamaged { .. })) {
                    self.doubt();
                }
                return done;
            }
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            if tables.is_none() {
                let opened = Tables::open(&self.path, self.is_temporary)?;
                let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
                *numbers = opened.numbers(&self.path, self.clock.now_ms())?;
                *tables = Some(opened);
            }
        }
    }

    /// Lets the next opening make it anew.
    pub fn doubt(&self) {
        let path = doubt(&self.path);
        if !self.is_temporary
            && let Err(error) = std::fs::write(&path, "")
        {
            let path = path.display();
            tracing::error!(%error, %path, "that the index is not to be trusted could not be noted");
        }
    }

    fn failed(&self, action: &'static str, error: &fjall::Error) -> BlobError {
        index_error(action, &self.path, error)
    }
}

fn parse_pack(number: &[u8], info: &[u8]) -> Option<(u32, PackInfo)> {
    let number = u32::from_be_bytes(number.try_into().ok()?);
    Some((number, PackInfo::decode(info)?))
}

fn piece_value(number: u32, at: u32, row: &Row) -> Vec<u8> {
    let mut value = Vec::with_capacity(68);
    value.extend_from_slice(&number.to_be_bytes());
    value.extend_from_slice(&at.to_be_bytes());
    row.encode(&mut value);
    value
}

fn parse_piece(numbers: &Numbers, value: &[u8]) -> Option<Location> {
    let (number, rest) = value.split_first_chunk::<4>()?;
    let (at, row) = rest.split_first_chunk::<4>()?;
    let number = u32::from_be_bytes(*number);
    Some(Location {
        pack: numbers.get(&number)?.id,
        number,
        at: u32::from_be_bytes(*at),
        row: Row::decode(row)?,
    })
}

fn index_error(action: &'static str, path: &Path, error: &fjall::Error) -> BlobError {
    let path = path.display().to_string();
    match error {
        fjall::Error::Locked => BlobError::InUse { path },
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            BlobError::io(action, &path, error)
        }
        // The tables are opened anew with the next call.
        fjall::Error::Poisoned => BlobError::Io {
            action,
            path,
            message: "the disk refused an earlier write".to_owned(),
        },
        other => BlobError::IndexDamaged {
            path,
            message: other.to_string(),
        },
    }
}

/// A file that is there if something of the index cannot be read, or if it may not be what the disk has. Were the file
/// lost in a power cut, the index would be what the disk has.
fn doubt(path: &Path) -> PathBuf {
    path.with_extension("doubtful")
}

/// Whether what the folder holds does not belong together, rather than the disk refusing something.
fn is_malformed(error: &fjall::Error) -> bool {
    use io::ErrorKind::{
        AlreadyExists, InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound, UnexpectedEof,
    };
    let (fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error))) = error else {
        return false;
    };
    matches!(
        error.kind(),
        AlreadyExists | InvalidData | InvalidInput | IsADirectory | NotADirectory | NotFound | UnexpectedEof
    )
}

fn corrupt(path: &Path) -> BlobError {
    BlobError::IndexDamaged {
        path: path.display().to_string(),
        message: "an entry is malformed".to_owned(),
    }
}
