//! A transaction on a PostgreSQL connection, driven from a blocking thread.

use std::sync::Arc;

use deadpool_postgres::Object;
use tokio::runtime::Handle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};

use super::errors::{from_postgres, is_conflict};
use crate::job::call;
use crate::tx::check_params;
use crate::{Row, StoreError, Tx, Value};

/// Statements on a connection whose BEGIN and COMMIT are somebody else's.
pub(super) struct PostgresTx<'c> {
    handle: &'c Handle,
    client: &'c Object,
    failed: Option<StoreError>,
    conflict: bool,
    changed: bool,
}

/// What a closure's statements came to.
pub(super) struct End {
    /// Why the first failed that did.
    pub(super) failure: Option<StoreError>,
    /// It failed for a conflict with another transaction.
    pub(super) conflict: bool,
    /// A statement may have changed rows.
    pub(super) changed: bool,
}

impl<'c> PostgresTx<'c> {
    pub(super) fn new(handle: &'c Handle, client: &'c Object) -> Self {
        Self {
            handle,
            client,
            failed: None,
            conflict: false,
            changed: false,
        }
    }

    pub(super) fn into_end(self) -> End {
        End {
            failure: self.failed,
            conflict: self.conflict,
            changed: self.changed,
        }
    }

    fn run<T>(
        &mut self,
        sql: &str,
        params: &[Value],
        statement: impl AsyncFnOnce(&Object, &Statement, &[&(dyn ToSql + Sync)]) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        if let Some(first) = &self.failed {
            return Err(StoreError::Aborted {
                first: first.to_string(),
            });
        }
        // Some that change rows answer rows too; a SELECT does not.
        self.changed |= !sql.trim_start().starts_with("SELECT");
        let outcome = check_params(params).and_then(|()| {
            self.handle.block_on(async {
                let prepared = self.client.prepare_cached(sql).await;
                let ran = match prepared {
                    Ok(prepared) if prepared.params().len() != params.len() => {
                        let used = prepared.params().len();
                        let message = format!("{} parameters were given, {used} are used", params.len());
                        return Err(StoreError::statement(message, sql));
                    }
                    Ok(prepared) => {
                        let refs: Vec<&(dyn ToSql + Sync)> =
                            params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
                        statement(self.client, &prepared, &refs).await
                    }
                    Err(error) => Err(error),
                };
                ran.map_err(|error| {
                    self.conflict |= is_conflict(&error);
                    from_postgres(&error, sql)
                })
            })
        });
        outcome.inspect_err(|error| self.failed = Some(error.clone()))
    }
}

impl Tx for PostgresTx<'_> {
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let rows = self.run(sql, params, async |client, statement, params| {
            client.query(statement, params).await
        })?;
        let Some(first) = rows.first() else {
            return Ok(Vec::new());
        };
        let columns: Arc<[String]> = first
            .columns()
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        rows.iter()
            .map(|row| {
                let values = (0..columns.len())
                    .map(|index| row.try_get::<_, Value>(index))
                    .collect::<Result<_, _>>()
                    .map_err(|error| from_postgres(&error, sql))?;
                Ok(Row::new(Arc::clone(&columns), values))
            })
            .collect()
    }

    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.run(sql, params, async |client, statement, params| {
            client.execute(statement, params).await
        })
    }
}

/// Runs a read closure on a snapshot.
pub(super) fn snapshot<T, E, F>(handle: &Handle, client: Object, closure: &mut F) -> Result<T, E>
where
    F: FnMut(&mut dyn Tx) -> Result<T, E>,
    E: From<StoreError>,
{
    const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    handle
        .block_on(client.batch_execute(BEGIN))
        .map_err(|error| from_postgres(&error, BEGIN))?;
    let mut tx = PostgresTx::new(handle, &client);
    let outcome = call(closure, &mut tx);
    let failure = tx.into_end().failure;
    roll_back(handle, client);
    match (outcome, failure) {
        (Ok(_), Some(first)) => Err(StoreError::Aborted {
            first: first.to_string(),
        }
        .into()),
        (outcome, _) => outcome,
    }
}

/// Ends a transaction; a connection that cannot is thrown away instead of going back to the pool.
pub(super) fn roll_back(handle: &Handle, client: Object) {
    if handle.block_on(client.batch_execute("ROLLBACK")).is_err() {
        drop(Object::take(client));
    }
}
