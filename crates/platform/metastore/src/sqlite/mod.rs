//! SQLite: one writer thread with group commit, and read-only snapshots beside it.
//!
//! Why one writer: SQLite allows one at a time anyway, and a queue of our own turns "database is locked"
//! into waiting in order. Why a lock file: another process that wrote would bring that error back, and two
//! servers on one home would both believe that they own the jobs in it.

mod errors;
mod open;
mod readers;
mod tx;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::job::{Job, boxed};
use crate::{Migrations, StoreCounters, StoreError, Tx};

use readers::Readers;
use writer::Command;

/// Closures that may wait for the writer before callers have to wait to queue one.
const QUEUE_LEN: usize = 1024;

/// An open SQLite database.
pub(crate) struct SqliteStore {
    /// Some until the store is dropped.
    writer: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    /// None for a database in memory, which only its one connection can see: reads go to the writer.
    readers: Option<Readers>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    writes: AtomicU64,
    commits: AtomicU64,
}

impl SqliteStore {
    pub(crate) async fn open(path: PathBuf, migrations: Vec<Migrations>) -> Result<Self, StoreError> {
        let opened = tokio::task::spawn_blocking(move || {
            let database = open::file(&path)?;
            open::migrate(&database.connection, &migrations)?;
            open::sync_folder(&path)?;
            let readers = Readers::open(&path)?;
            Ok((database, readers))
        });
        let (database, readers) = joined(opened.await)?;
        Self::start(database, Some(readers))
    }

    pub(crate) async fn in_memory(migrations: Vec<Migrations>) -> Result<Self, StoreError> {
        let opened = tokio::task::spawn_blocking(move || {
            let database = open::memory()?;
            open::migrate(&database.connection, &migrations)?;
            Ok(database)
        });
        Self::start(joined(opened.await)?, None)
    }

    fn start(database: open::Database, readers: Option<Readers>) -> Result<Self, StoreError> {
        let (writer, queue) = mpsc::channel(QUEUE_LEN);
        let counters = Arc::new(Counters::default());
        let for_thread = Arc::clone(&counters);
        let thread = std::thread::Builder::new()
            .name("metastore-writer".to_owned())
            .spawn(move || writer::run(database, queue, &for_thread))
            .map_err(|error| StoreError::Unavailable {
                message: error.to_string(),
            })?;
        Ok(Self {
            writer: Some(writer),
            thread: Some(thread),
            readers,
            counters,
        })
    }

    pub(crate) async fn write<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.through_writer(closure, |job| Command {
            job,
            read_only: false,
        })
        .await
    }

    pub(crate) async fn read<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => readers.read(closure).await,
            None => {
                self.through_writer(closure, |job| Command { job, read_only: true })
                    .await
            }
        }
    }

    async fn through_writer<T, E, F>(
        &self,
        closure: F,
        command: impl FnOnce(Box<dyn Job>) -> Command,
    ) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = boxed(closure);
        let writer = self.writer.as_ref().ok_or(StoreError::Closed)?;
        writer.send(command(job)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) fn counters(&self) -> StoreCounters {
        StoreCounters {
            writes: self.counters.writes.load(Ordering::Relaxed),
            commits: self.counters.commits.load(Ordering::Relaxed),
        }
    }
}

impl Drop for SqliteStore {
    /// Ends what has been queued and closes the file, so that it can be opened again at once.
    fn drop(&mut self) {
        self.readers = None;
        self.writer = None;
        let Some(thread) = self.thread.take() else { return };
        // A closure may hold the last handle; its own thread must not wait for itself.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the metadata store's writer ended with a panic");
        }
    }
}

fn joined<T>(outcome: Result<Result<T, StoreError>, tokio::task::JoinError>) -> Result<T, StoreError> {
    outcome.unwrap_or_else(|error| {
        Err(StoreError::Panicked {
            message: error.to_string(),
        })
    })
}
