//! The writers: each takes what has queued up, runs it in one serialisable transaction, commits once, answers all.
//!
//! Several, because a statement is a round trip to the server and one writer would have only one under way; few, so that
//! what comes while they are busy shares their next commits. A transaction that loses a conflict is run again, and at
//! last alone. If a closure spoils a shared one (its own error after a change, a failed statement), each is run again
//! in a transaction of its own, so only the guilty one fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::SimpleQueryMessage;

use super::errors::{from_postgres, is_conflict};
use super::tx::{End, PostgresTx, roll_back};
use super::{Server, owner};
use crate::StoreError;
use crate::job::Job;

/// Transactions under way at once.
const WRITERS: usize = 4;
/// Closures that may wait before callers have to wait to queue one.
const QUEUE_LEN: usize = 1024;
/// Closures that share one commit at most; bounds how long the first of them waits, and what one conflict costs.
const GROUP_LEN: usize = 32;
/// Attempts in all. The later ones run alone, so only somebody outside this server can use them up.
const ATTEMPTS: u32 = 12;
/// Conflicts that a group loses before it asks all others to wait.
const CROWDED_ATTEMPTS: u32 = 4;

type Group = Vec<Box<dyn Job>>;
type Queue = Arc<Mutex<mpsc::Receiver<Box<dyn Job>>>>;

/// What became of a transaction.
enum Attempt {
    /// All are answered.
    Answered,
    /// Another transaction was faster; none is answered.
    Conflict(Group),
    /// One of several made it impossible to keep the others; none is answered.
    Spoilt(Group),
}

/// Serves closures until the sender is gone.
pub(super) fn start(server: &Arc<Server>) -> mpsc::Sender<Box<dyn Job>> {
    let (sender, queue) = mpsc::channel(QUEUE_LEN);
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..WRITERS {
        tokio::spawn(serve(Arc::clone(server), Arc::clone(&queue)));
    }
    sender
}

async fn serve(server: Arc<Server>, queue: Queue) {
    while let Some(group) = next_group(&queue).await {
        for job in server.write_together(group).await {
            server.write_together(vec![job]).await;
        }
    }
}

async fn next_group(queue: &Queue) -> Option<Group> {
    let mut queue = queue.lock().await;
    let mut group = vec![queue.recv().await?];
    while group.len() < GROUP_LEN
        && let Ok(next) = queue.try_recv()
    {
        group.push(next);
    }
    Some(group)
}

fn answer(group: Group, verdict: &Result<(), StoreError>) {
    for job in group {
        job.finish(verdict.clone());
    }
}

impl Server {
    /// Runs closures in one transaction and answers them; gives them back if one of several spoilt it.
    async fn write_together(self: &Arc<Self>, mut group: Group) -> Group {
        for attempt in 1..=ATTEMPTS {
            let (shared, alone) = if attempt <= CROWDED_ATTEMPTS {
                (Some(Arc::clone(&self.turn).read_owned().await), None)
            } else {
                (None, Some(Arc::clone(&self.turn).write_owned().await))
            };
            let client = match self.client().await {
                Ok(client) => client,
                Err(error) => {
                    answer(group, &Err(error));
                    return Group::new();
                }
            };
            let server = Arc::clone(self);
            let handle = Handle::current();
            // The turn moves into the thread: if this task is dropped, the transaction still runs in it.
            let task = tokio::task::spawn_blocking(move || {
                let attempt = server.attempt(&handle, client, group);
                drop((shared, alone));
                attempt
            });
            match task.await {
                Ok(Attempt::Conflict(lost)) => group = lost,
                Ok(Attempt::Spoilt(group)) => return group,
                // An error is a panic outside the closures: it dropped them, which their callers see.
                Ok(Attempt::Answered) | Err(_) => return Group::new(),
            }
            tokio::time::sleep(Duration::from_millis(u64::from(attempt))).await;
        }
        answer(group, &Err(StoreError::Contention { attempts: ATTEMPTS }));
        Group::new()
    }

    fn attempt(&self, handle: &Handle, client: Object, mut group: Group) -> Attempt {
        if let Err(error) = begin(handle, &client, self.owner.epoch()) {
            roll_back(handle, client);
            answer(group, &Err(error));
            return Attempt::Answered;
        }
        let alone = group.len() == 1;
        let mut kept = 0;
        for job in &mut group {
            let mut tx = PostgresTx::new(handle, &client);
            let keep = job.run(&mut tx);
            kept += u64::from(keep);
            match tx.into_end() {
                End { conflict: true, .. } => {
                    roll_back(handle, client);
                    return Attempt::Conflict(group);
                }
                End {
                    failure: Some(first), ..
                } => {
                    roll_back(handle, client);
                    // Nobody needs to ask a server that is gone once more for each.
                    let verdict = match first {
                        gone @ StoreError::Unavailable { .. } if !alone => gone,
                        _ if !alone => return Attempt::Spoilt(group),
                        first => StoreError::Aborted {
                            first: first.to_string(),
                        },
                    };
                    answer(group, &Err(verdict));
                    return Attempt::Answered;
                }
                // Its own error is its answer, once the others' changes that it has seen are durable.
                End { changed, .. } if !keep && changed && !alone => {
                    roll_back(handle, client);
                    return Attempt::Spoilt(group);
                }
                End { .. } => {}
            }
        }
        if kept == 0 && alone {
            roll_back(handle, client);
            answer(group, &Ok(()));
            return Attempt::Answered;
        }
        self.commit(handle, client, group, kept)
    }

    fn commit(&self, handle: &Handle, client: Object, group: Group, kept: u64) -> Attempt {
        let error = match handle.block_on(client.batch_execute("COMMIT")) {
            Ok(()) => {
                // Counted before the first answer, so that whoever has one finds his own write in the counters.
                self.writes.fetch_add(kept, Ordering::Relaxed);
                self.commits.fetch_add(1, Ordering::Relaxed);
                answer(group, &Ok(()));
                return Attempt::Answered;
            }
            Err(error) => error,
        };
        roll_back(handle, client);
        if is_conflict(&error) {
            return Attempt::Conflict(group);
        }
        let verdict = match error.as_db_error() {
            Some(_) if group.len() > 1 => return Attempt::Spoilt(group),
            Some(_) => from_postgres(&error, "COMMIT"),
            None => StoreError::CommitUnknown,
        };
        answer(group, &Err(verdict));
        Attempt::Answered
    }
}

/// Opens the transaction and checks, in the same round trip, that this server still owns the database.
fn begin(handle: &Handle, client: &Object, epoch: i64) -> Result<(), StoreError> {
    const BEGIN: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE metastore_owner IN ROW SHARE MODE;
        SELECT epoch FROM metastore_owner WHERE id = 1";
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
