//! The metadata store: one handle over SQLite (a file, or memory) or PostgreSQL.
//!
//! It owns connections, transactions and migrations, never domain queries: capabilities bring their SQL,
//! written once in the dialect that both databases share (`$1` placeholders, `ON CONFLICT`, `RETURNING`;
//! TEXT, BIGINT, DOUBLE PRECISION, BYTEA; no booleans, no JSON operators).
//!
//! Invariants:
//! - [`Metastore::write`] answers `Ok` only after the change is on stable storage.
//! - A closure's transaction is serialisable; its error, its panic or a failed statement rolls all of it back.
//! - After a failed statement a transaction can only be rolled back, on both databases: to tolerate a
//!   duplicate, write `ON CONFLICT DO NOTHING` and look at the number of rows changed.
//! - One process owns a database at a time; a second one is refused by name.
//! - "database is locked" cannot happen: SQLite has one writer and read-only snapshots beside it.

mod config;
mod error;
mod job;
pub mod lists;
mod migrate;
mod postgres;
mod row;
mod sqlite;
mod tx;
mod value;

use std::sync::Arc;

pub use config::MetastoreConfig;
pub use error::StoreError;
pub use migrate::Migrations;
pub use row::Row;
pub use tx::Tx;
pub use value::Value;

use postgres::PostgresStore;
use sqlite::SqliteStore;

/// The metadata store; cheap to clone.
#[derive(Clone)]
pub struct Metastore {
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

/// How much work the store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreCounters {
    /// Write closures that were committed.
    pub writes: u64,
    /// Commits that carried them; fewer than `writes` where a commit was shared.
    pub commits: u64,
}

impl Metastore {
    /// Opens the store, takes ownership of its database and brings its schema up to date.
    ///
    /// # Errors
    /// The database is owned by another process, newer than this program, damaged or not reachable.
    pub async fn open(config: &MetastoreConfig, migrations: &[Migrations]) -> Result<Self, StoreError> {
        let backend = match config {
            MetastoreConfig::Sqlite { path } => Backend::Sqlite(Arc::new(
                SqliteStore::open(path.clone(), migrations.to_vec()).await?,
            )),
            MetastoreConfig::Postgres { url } => {
                Backend::Postgres(Arc::new(PostgresStore::open(url, migrations).await?))
            }
        };
        Ok(Self { backend })
    }

    /// A store in memory with the same SQL semantics, gone when the last handle is dropped: for tests.
    ///
    /// # Errors
    /// A migration is wrong.
    pub async fn in_memory(migrations: &[Migrations]) -> Result<Self, StoreError> {
        let store = SqliteStore::in_memory(migrations.to_vec()).await?;
        Ok(Self {
            backend: Backend::Sqlite(Arc::new(store)),
        })
    }

    /// Runs the closure in a serialisable read-write transaction. `Ok`: durable when this returns. `Err`:
    /// rolled back. The closure may be run again after a conflict, so it must neither consume what it
    /// captured nor have effects outside the transaction.
    ///
    /// # Errors
    /// The closure's own error, or a [`StoreError`] turned into it.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.backend {
            Backend::Sqlite(store) => store.write(f).await,
            Backend::Postgres(store) => store.write(f).await,
        }
    }

    /// Runs the closure on a read-only snapshot. It may be run again, as in [`Metastore::write`].
    ///
    /// # Errors
    /// The closure's own error, or a [`StoreError`] turned into it.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.backend {
            Backend::Sqlite(store) => store.read(f).await,
            Backend::Postgres(store) => store.read(f).await,
        }
    }

    /// What the store has done since it was opened.
    #[must_use]
    pub fn counters(&self) -> StoreCounters {
        match &self.backend {
            Backend::Sqlite(store) => store.counters(),
            Backend::Postgres(store) => store.counters(),
        }
    }
}

impl std::fmt::Debug for Metastore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let backend = match &self.backend {
            Backend::Sqlite(_) => "sqlite",
            Backend::Postgres(_) => "postgresql",
        };
        f.debug_struct("Metastore")
            .field("backend", &backend)
            .finish_non_exhaustive()
    }
}
