//! A transaction on a SQLite connection.

use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use super::errors::in_statement;
use crate::tx::check_params;
use crate::{Row, StoreError, Tx, Value};

/// Statements on a connection whose BEGIN, SAVEPOINT and COMMIT are somebody else's.
pub(super) struct SqliteTx<'c> {
    connection: &'c Connection,
    failed: Option<StoreError>,
}

impl<'c> SqliteTx<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            failed: None,
        }
    }

    /// The first failed statement. PostgreSQL refuses to go on after one, so SQLite does too.
    pub(super) fn into_failure(self) -> Option<StoreError> {
        self.failed
    }

    fn guarded<T>(
        &mut self,
        run: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(first) = &self.failed {
            return Err(StoreError::Aborted {
                first: first.to_string(),
            });
        }
        run(self.connection).inspect_err(|error| self.failed = Some(error.clone()))
    }
}

impl Tx for SqliteTx<'_> {
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.guarded(|connection| {
            let mut statement = bound(connection, sql, params)?;
            let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
            let mut rows = statement.raw_query();
            let mut answer = Vec::new();
            while let Some(row) = rows.next().map_err(|error| in_statement(&error, sql))? {
                let values = (0..columns.len())
                    .map(|index| row.get_ref(index).map(from_ref))
                    .collect::<Result<_, _>>()
                    .map_err(|error| in_statement(&error, sql))?;
                answer.push(Row::new(Arc::clone(&columns), values));
            }
            Ok(answer)
        })
    }

    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.guarded(|connection| {
            let before = connection.total_changes();
            let mut statement = bound(connection, sql, params)?;
            let mut rows = statement.raw_query();
            while rows.next().map_err(|error| in_statement(&error, sql))?.is_some() {}
            // `changes` alone would repeat the number of an earlier statement after one that changed nothing.
            Ok(if connection.total_changes() == before {
                0
            } else {
                connection.changes()
            })
        })
    }
}

fn bound<'c>(
    connection: &'c Connection,
    sql: &str,
    params: &[Value],
) -> Result<CachedStatement<'c>, StoreError> {
    check_params(params)?;
    let mut statement = connection
        .prepare_cached(&numbered(sql))
        .map_err(|error| in_statement(&error, sql))?;
    // The greatest number of a placeholder.
    let used = statement.parameter_count();
    if used > params.len() {
        return Err(StoreError::statement(
            format!("parameter ${used} is missing"),
            sql,
        ));
    }
    if used < params.len() {
        let message = format!("{} parameters were given, {used} are used", params.len());
        return Err(StoreError::statement(message, sql));
    }
    for (index, value) in params.iter().enumerate() {
        statement
            .raw_bind_parameter(index + 1, value)
            .map_err(|error| in_statement(&error, sql))?;
    }
    Ok(statement)
}

/// `?2` for `$2`. SQLite takes the latter for a name, and looks names up by going through all of them: with hundreds
/// of parameters that took longer than the statement itself. Our statements have no `$` in a text.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn from_ref(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}
