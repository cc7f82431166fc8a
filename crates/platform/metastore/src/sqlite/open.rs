//! Opening a database file: ownership, settings, schema.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::errors::{from_sqlite, io_error};
use crate::migrate;
use crate::{Migrations, StoreError};

/// Distinct statements that a connection keeps compiled; more than all our capabilities have.
const CACHED_STATEMENTS: usize = 512;
/// Only someone who opens the file with another tool can make us wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// The writing connection, and the lock that makes it the only one.
pub(super) struct Database {
    pub(super) connection: Connection,
    /// Held, never read: the kernel drops the lock with the last handle, also after kill -9.
    _owner: Option<File>,
}

/// Opens or makes the file and takes ownership of it.
pub(super) fn file(path: &Path) -> Result<Database, StoreError> {
    let owner = own(path)?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(from_sqlite)?;
    prepare(&connection)?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(from_sqlite)?;
    if mode != "wal" {
        let message = format!("its file system does not allow write-ahead logging (it offers '{mode}')");
        return Err(StoreError::Damaged { message });
    }
    settle_log(&connection)?;
    Ok(Database {
        connection,
        _owner: Some(owner),
    })
}

/// Moves the log that a process left when it died into the database, and begins a new one.
///
/// That process may have been told that the log could not be synced. The kernel then holds pages that it takes for
/// written and the disk does not have, and no later sync of the log writes them. What is committed next would lie
/// behind them, and be cut off with them by a power cut. The pages of the database are written anew, and synced.
fn settle_log(connection: &Connection) -> Result<(), StoreError> {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .map_err(from_sqlite)
}

/// A private database in memory.
pub(super) fn memory() -> Result<Database, StoreError> {
    let connection = Connection::open_in_memory().map_err(from_sqlite)?;
    prepare(&connection)?;
    Ok(Database {
        connection,
        _owner: None,
    })
}

/// A connection that sees committed snapshots and cannot write.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(from_sqlite)?;
    settings(&connection)?;
    Ok(connection)
}

fn own(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(io_error)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            database: path.display().to_string(),
        }),
        Err(TryLockError::Error(error)) => Err(io_error(error)),
    }
}

/// What a failed statement or closure of a group would undo is kept in memory: as a file, which nothing ever reads after
/// a crash, it was a quarter of the work of a large batch. So are 64 MiB of pages: with SQLite's own 2 MB a batch that
/// touches many is written to the log page by page, and read back, before it is committed.
fn prepare(connection: &Connection) -> Result<(), StoreError> {
    settings(connection)?;
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -65536;
             PRAGMA journal_size_limit = 67108864;",
        )
        .map_err(from_sqlite)
}

fn settings(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(from_sqlite)?;
    // As PostgreSQL compares; SQLite's own default ignores the case of ASCII letters.
    connection
        .execute_batch("PRAGMA case_sensitive_like = ON")
        .map_err(from_sqlite)
}

/// Brings the schema up to date, each step in its own transaction.
pub(super) fn migrate(connection: &Connection, known: &[Migrations]) -> Result<(), StoreError> {
    connection
        .execute_batch(migrate::CREATE_TABLE)
        .map_err(from_sqlite)?;
    for (component, version, step) in migrate::pending(&applied(connection)?, known)? {
        connection.execute_batch("BEGIN IMMEDIATE").map_err(from_sqlite)?;
        let applied = connection
            .execute_batch(step)
            .map_err(|error| {
                StoreError::statement(error, &format!("migration {component} {version}: {step}"))
            })
            .and_then(|()| {
                let record = migrate::record_sql(component, version);
                connection
                    .execute_batch(&format!("{record}; COMMIT"))
                    .map_err(from_sqlite)
            });
        if let Err(error) = applied {
            if !connection.is_autocommit() {
                connection.execute_batch("ROLLBACK").map_err(from_sqlite)?;
            }
            return Err(error);
        }
    }
    Ok(())
}

fn applied(connection: &Connection) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut statement = connection.prepare(migrate::SELECT).map_err(from_sqlite)?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(from_sqlite)?;
    rows.collect::<Result<_, _>>().map_err(from_sqlite)
}

/// Makes the names of new files durable; SQLite syncs their contents only.
pub(super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error)
}
