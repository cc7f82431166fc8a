//! The writer thread: takes what has queued up, runs it in one transaction, syncs once, answers all.
//!
//! Each closure has its own savepoint, so one that fails leaves the others alone. If the transaction as a
//! whole is lost (a closure filled the disk, a constraint failed at COMMIT), each closure is run again in a
//! transaction of its own, so only the guilty one fails.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::Counters;
use super::errors::{from_sqlite, in_statement};
use super::open::Database;
use super::tx::SqliteTx;
use crate::StoreError;
use crate::job::Job;

/// Closures that share one commit at most; bounds how long the first of them waits.
const GROUP_LEN: usize = 256;

/// A closure for the writing connection.
pub(super) struct Command {
    pub(super) job: Box<dyn Job>,
    /// A read of a database in memory, which has no other connection.
    pub(super) read_only: bool,
}

/// What became of a closure inside the transaction.
enum Ran {
    /// To be kept if the commit succeeds.
    Kept,
    /// Rolled back alone: its own error, or a failed statement that it ignored.
    Undone(Result<(), StoreError>),
}

/// Serves the queue until the last sender is gone.
pub(super) fn run(database: Database, mut queue: mpsc::Receiver<Command>, counters: &Counters) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_LEN
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        serve(&database.connection, group, counters);
    }
    drop(database);
}

fn serve(connection: &Connection, group: Vec<Command>, counters: &Counters) {
    let Some((group, error)) = attempt(connection, group, counters) else {
        return;
    };
    if group.len() == 1 || !worth_separating(&error) {
        for command in group {
            command.job.finish(Err(error.clone()));
        }
        return;
    }
    let mut rest: VecDeque<Command> = group.into();
    while let Some(command) = rest.pop_front() {
        if let Some((lost, error)) = attempt(connection, vec![command], counters) {
            for command in lost {
                command.job.finish(Err(error.clone()));
            }
        }
    }
}

/// After a failed sync nobody knows what the disk holds, so trying again could acknowledge a lost change.
fn worth_separating(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::StorageFull | StoreError::ConstraintViolation { .. } | StoreError::UniqueViolation { .. }
    )
}

/// Runs a group in one transaction; gives it back, unanswered, if the transaction was lost.
fn attempt(
    connection: &Connection,
    mut group: Vec<Command>,
    counters: &Counters,
) -> Option<(Vec<Command>, StoreError)> {
    let mut ran = Vec::with_capacity(group.len());
    let outcome = begin(connection)
        .and_then(|()| {
            for command in &mut group {
                ran.push(run_one(connection, command)?);
            }
            Ok(())
        })
        .and_then(|()| commit(connection));
    if let Err(error) = outcome {
        roll_back(connection);
        return Some((group, error));
    }
    // Counted before the first answer, so that whoever has one finds his own write in the counters.
    let kept = std::iter::zip(&group, &ran)
        .filter(|(command, ran)| !command.read_only && matches!(ran, Ran::Kept))
        .count();
    counters.writes.fetch_add(kept as u64, Ordering::Relaxed);
    counters.commits.fetch_add(u64::from(kept > 0), Ordering::Relaxed);
    for (command, ran) in group.into_iter().zip(ran) {
        command.job.finish(match ran {
            Ran::Kept => Ok(()),
            Ran::Undone(verdict) => verdict,
        });
    }
    None
}

/// `Err` means that the transaction around the savepoint is gone.
fn run_one(connection: &Connection, command: &mut Command) -> Result<Ran, StoreError> {
    batch(connection, "SAVEPOINT job")?;
    if command.read_only {
        batch(connection, "PRAGMA query_only = ON")?;
    }
    let mut tx = SqliteTx::new(connection);
    let keep = command.job.run(&mut tx);
    let failure = tx.into_failure();
    if command.read_only {
        batch(connection, "PRAGMA query_only = OFF")?;
    }
    if connection.is_autocommit() {
        // SQLite rolls the whole transaction back by itself after some errors, a full disk above all.
        return Err(failure.unwrap_or(StoreError::StorageFull));
    }
    if keep && failure.is_none() {
        batch(connection, "RELEASE job")?;
        return Ok(Ran::Kept);
    }
    batch(connection, "ROLLBACK TO job")?;
    batch(connection, "RELEASE job")?;
    Ok(Ran::Undone(failure.map_or(Ok(()), |first| {
        Err(StoreError::Aborted {
            first: first.to_string(),
        })
    })))
}

fn begin(connection: &Connection) -> Result<(), StoreError> {
    batch(connection, "BEGIN IMMEDIATE")
}

fn commit(connection: &Connection) -> Result<(), StoreError> {
    batch(connection, "COMMIT")
}

fn roll_back(connection: &Connection) {
    if connection.is_autocommit() {
        return;
    }
    if let Err(error) = connection.execute_batch("ROLLBACK") {
        tracing::error!(%error, "the metadata store could not roll a transaction back");
    }
}

fn batch(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let mut rows = statement.raw_query();
    while rows.next().map_err(|error| in_statement(&error, sql))?.is_some() {}
    Ok(())
}
