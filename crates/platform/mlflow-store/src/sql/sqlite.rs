//! A file of SQLite, opened for reading.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};

use super::cell::Cell;
use super::{Database, Row};
use crate::SourceError;

/// How long another process may keep the file for itself before that is said.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// And how long before it is given up: a server that writes to it holds it for moments.
const LONG_WAIT: Duration = Duration::from_secs(30);

/// A file of SQLite.
pub(crate) struct Sqlite {
    connection: Connection,
    path: PathBuf,
}

fn failed(path: &Path, error: &rusqlite::Error) -> SourceError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SourceError::Locked {
            path: path.to_owned(),
        },
        _ => SourceError::Sqlite {
            path: path.to_owned(),
            message: error.to_string(),
        },
    }
}

impl Sqlite {
    pub fn open(file: &Path, waiting: &mut dyn FnMut(&str)) -> Result<Self, SourceError> {
        // SQLite's own error would not say which file.
        if let Err(error) = std::fs::File::open(file) {
            return Err(SourceError::read(file, error));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error| failed(file, &error);
        let connection = Connection::open_with_flags(file, flags).map_err(failed)?;
        connection.busy_timeout(SHORT_WAIT).map_err(failed)?;
        let begun = begin(&connection);
        let is_locked = matches!(
            begun.as_ref().map_err(rusqlite::Error::sqlite_error_code),
            Err(Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
        );
        connection.busy_timeout(LONG_WAIT).map_err(failed)?;
        if is_locked {
            waiting(&format!(
                "{} is locked by another process; waiting for it for {} seconds at most",
                file.display(),
                LONG_WAIT.as_secs()
            ));
            begin(&connection).map_err(failed)?;
        } else {
            begun.map_err(failed)?;
        }
        Ok(Self {
            connection,
            path: file.to_owned(),
        })
    }
}

/// Reads for the first time; where that keeps no writer waiting, all that follows sees the state of this moment.
fn begin(connection: &Connection) -> rusqlite::Result<()> {
    let count = |connection: &Connection| {
        connection.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    count(connection)?;
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode == "wal" && connection.is_autocommit() {
        connection.execute_batch("BEGIN")?;
        count(connection)?;
    }
    Ok(())
}

impl Database for Sqlite {
    const COLUMNS: &'static str = "SELECT name FROM pragma_table_info($1)";

    fn each(
        &mut self,
        sql: &str,
        params: &[&str],
        each: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let failed = |error: rusqlite::Error| failed(&self.path, &error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let columns = statement.column_count();
        // Named parameters have numbers in the order in which they first occur.
        let mut rows = statement.query(params_from_iter(params)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let cells = (0..columns).map(|column| {
                Ok(match row.get_ref(column).map_err(failed)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(number) => Cell::Integer(number),
                    ValueRef::Real(number) => Cell::Real(number),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match std::str::from_utf8(bytes) {
                        Ok(text) => Cell::Text(text.to_owned()),
                        Err(_) => Cell::Bytes,
                    },
                })
            });
            if each(cells.collect::<Result<_, SourceError>>()?).is_break() {
                break;
            }
        }
        Ok(())
    }
}
