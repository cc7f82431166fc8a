//! A file of SQLite, opened for reading.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::cell::Cell;
use super::{Database, Row};
use crate::SourceError;

/// For a server that still writes to it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A file of SQLite.
pub(crate) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub fn open(file: &Path) -> Result<Self, SourceError> {
        // SQLite's own error would not say which file.
        if let Err(error) = std::fs::File::open(file) {
            return Err(SourceError::read(file, error));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(file, flags).map_err(|error| SourceError::database(&error))?;
        connection
            .busy_timeout(BUSY_TIMEOUT)
            .map_err(|error| SourceError::database(&error))?;
        Ok(Self { connection })
    }
}

impl Database for Sqlite {
    const COLUMNS: &'static str = "SELECT name FROM pragma_table_info($1)";

    fn each(
        &mut self,
        sql: &str,
        params: &[&str],
        each: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let failed = |error: rusqlite::Error| SourceError::database(&error);
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
                    ValueRef::Text(text) | ValueRef::Blob(text) => {
                        Cell::Text(String::from_utf8_lossy(text).into_owned())
                    }
                })
            });
            if each(cells.collect::<Result<_, SourceError>>()?).is_break() {
                break;
            }
        }
        Ok(())
    }
}
