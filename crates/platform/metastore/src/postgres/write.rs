//! Serialisable writes: run, run again after a conflict, and at last run alone.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::runtime::Handle;
use tokio_postgres::SimpleQueryMessage;

use super::errors::{from_postgres, is_conflict};
use super::tx::{PostgresTx, roll_back};
use super::{PostgresStore, owner};
use crate::job::call;
use crate::{StoreError, Tx};

/// Attempts in all. The later ones run alone, so only somebody outside this server can use them up.
const ATTEMPTS: u32 = 12;
/// Conflicts that a writer loses before it asks all others to wait.
const CROWDED_ATTEMPTS: u32 = 4;

enum Attempt<T, E> {
    Done(Result<T, E>),
    Conflict,
}

impl PostgresStore {
    pub(super) async fn write_with_retries<T, E, F>(&self, mut closure: F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        for attempt in 1..=ATTEMPTS {
            let (shared, alone) = if attempt <= CROWDED_ATTEMPTS {
                (Some(Arc::clone(&self.turn).read_owned().await), None)
            } else {
                (None, Some(Arc::clone(&self.turn).write_owned().await))
            };
            let client = self.client().await?;
            let handle = Handle::current();
            let epoch = self.owner.epoch();
            // The turn moves into the thread: if the caller goes away, the transaction still runs in it.
            let task = tokio::task::spawn_blocking(move || {
                let outcome = attempt_once(&handle, client, epoch, &mut closure);
                drop((shared, alone));
                (closure, outcome)
            });
            let (returned, outcome) = task.await.map_err(|_| StoreError::Closed)?;
            closure = returned;
            match outcome {
                Attempt::Done(outcome) => return outcome,
                Attempt::Conflict => tokio::time::sleep(Duration::from_millis(u64::from(attempt))).await,
            }
        }
        Err(StoreError::Contention { attempts: ATTEMPTS }.into())
    }
}

fn attempt_once<T, E, F>(handle: &Handle, client: Object, epoch: i64, closure: &mut F) -> Attempt<T, E>
where
    F: FnMut(&mut dyn Tx) -> Result<T, E>,
    E: From<StoreError>,
{
    if let Err(error) = begin(handle, &client, epoch) {
        roll_back(handle, client);
        return Attempt::Done(Err(error.into()));
    }
    let mut tx = PostgresTx::new(handle, &client);
    let outcome = call(closure, &mut tx);
    match (outcome, tx.into_failure()) {
        (_, (Some(_), true)) => {
            roll_back(handle, client);
            Attempt::Conflict
        }
        (Ok(_), (Some(first), false)) => {
            roll_back(handle, client);
            Attempt::Done(Err(StoreError::Aborted {
                first: first.to_string(),
            }
            .into()))
        }
        (Err(error), _) => {
            roll_back(handle, client);
            Attempt::Done(Err(error))
        }
        (Ok(value), (None, _)) => commit(handle, client, value),
    }
}

/// Opens the transaction and checks, in the same round trip, that this server still owns the database.
///
/// The shared row lock makes a new owner, who must update that row first, wait for writes under way.
fn begin(handle: &Handle, client: &Object, epoch: i64) -> Result<(), StoreError> {
    const BEGIN: &str =
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT epoch FROM metastore_owner WHERE id = 1 FOR SHARE";
    let answer = handle
        .block_on(client.simple_query(BEGIN))
        .map_err(|error| from_postgres(&error, BEGIN))?;
    let found = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    if found == Some(epoch.to_string().as_str()) {
        Ok(())
    } else {
        Err(owner::superseded())
    }
}

fn commit<T, E: From<StoreError>>(handle: &Handle, client: Object, value: T) -> Attempt<T, E> {
    match handle.block_on(client.batch_execute("COMMIT")) {
        Ok(()) => Attempt::Done(Ok(value)),
        Err(error) if is_conflict(&error) => {
            roll_back(handle, client);
            Attempt::Conflict
        }
        Err(error) => {
            let answered = error.as_db_error().is_some();
            let error = from_postgres(&error, "COMMIT");
            roll_back(handle, client);
            Attempt::Done(Err(if answered {
                error
            } else {
                StoreError::CommitUnknown
            }
            .into()))
        }
    }
}
