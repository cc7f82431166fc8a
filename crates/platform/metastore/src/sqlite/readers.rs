//! A few read-only connections, each serving one snapshot at a time.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::errors::from_sqlite;
use super::open;
use super::tx::SqliteTx;
use crate::job::call;
use crate::{StoreError, Tx};

/// Readers beyond the cores only queue for them; four also keep a slow listing from delaying small reads.
const READERS: usize = 4;

/// The pool; cheap to clone.
#[derive(Clone)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

/// A borrowed connection, given back when dropped.
struct Borrowed {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let idle = (0..READERS)
            .map(|_| open::reader(path))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            idle: Arc::new(Mutex::new(idle)),
            permits: Arc::new(Semaphore::new(READERS)),
        })
    }

    pub(super) async fn read<T, E, F>(&self, mut closure: F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let pool = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let outcome = pool
                .borrow()
                .map_err(E::from)
                .and_then(|borrowed| borrowed.snapshot(&mut closure));
            drop(permit);
            outcome
        });
        task.await.map_err(|_| StoreError::Closed)?
    }

    fn borrow(&self) -> Result<Borrowed, StoreError> {
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        connection
            .map(|connection| Borrowed {
                connection: Some(connection),
                idle: Arc::clone(&self.idle),
            })
            .ok_or(StoreError::Closed)
    }
}

impl Borrowed {
    fn snapshot<T, E, F>(&self, closure: &mut F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E>,
        E: From<StoreError>,
    {
        let connection = self.connection.as_ref().ok_or(StoreError::Closed)?;
        connection.execute_batch("BEGIN").map_err(from_sqlite)?;
        let mut tx = SqliteTx::new(connection);
        let outcome = call(closure, &mut tx);
        let failure = tx.into_failure();
        if !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK").map_err(from_sqlite)?;
        }
        match (outcome, failure) {
            (Ok(_), Some(first)) => Err(StoreError::Aborted {
                first: first.to_string(),
            }
            .into()),
            (outcome, _) => outcome,
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
    }
}
