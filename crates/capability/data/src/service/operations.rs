//! Pushes, pulls and clones that run in the background, until they end or are cancelled.
//!
//! They are remembered in memory: a restarted server knows none of them, and whoever starts one again goes on where
//! it was broken off.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use corliss_diagnostics::ErrorReport;
use corliss_types::{DatasetName, Timestamp};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::DataService;
use crate::DataError;
use crate::error::shortened;
use crate::remote::{Counted, Counters, RemoteInfo};
use crate::types::{Transfer, TransferReport};

/// Operations that are remembered; of those that run none is forgotten.
const KEPT: usize = 100;
/// Transfers at work at once; each has some bodies of pieces in memory. Others wait.
const AT_WORK: usize = 4;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Push,
    Pull,
    Clone,
}

impl Kind {
    const fn is_out(self) -> bool {
        matches!(self, Self::Push)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Running,
    Done,
    Failed,
    Cancelled,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub kind: Kind,
    pub remote: String,
    pub transfer: Transfer,
    /// The caller's name.
    pub author: String,
}

/// An operation as it is shown.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Operation {
    pub id: String,
    kind: Kind,
    remote: String,
    dataset: DatasetName,
    state: State,
    started_ms: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_ms: Option<Timestamp>,
    progress: Counted,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<TransferReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport>,
}

struct Kept {
    shown: Operation,
    counters: Arc<Counters>,
    task: Option<AbortHandle>,
}

/// The operations of this process, oldest first.
pub(super) struct Operations {
    all: Mutex<VecDeque<Kept>>,
    turns: Semaphore,
}

impl Default for Operations {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            turns: Semaphore::new(AT_WORK),
        }
    }
}

impl Operations {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how an operation ended, unless that is known already.
    fn end(&self, id: &str, now: Timestamp, how: Option<Result<TransferReport, DataError>>) {
        let mut all = self.lock();
        let Some(kept) = all.iter_mut().find(|kept| kept.shown.id == id) else {
            return;
        };
        if kept.shown.state != State::Running {
            return;
        }
        let shown = &mut kept.shown;
        shown.ended_ms = Some(now);
        match how {
            Some(Ok(report)) => (shown.state, shown.result) = (State::Done, Some(report)),
            Some(Err(error)) => {
                (shown.state, shown.error) = (State::Failed, Some(ErrorReport::of(&error)));
            }
            None => shown.state = State::Cancelled,
        }
    }
}

/// Ends an operation however its task does, also by being dropped.
struct End {
    service: DataService,
    id: String,
    how: Option<Result<TransferReport, DataError>>,
}

impl Drop for End {
    fn drop(&mut self) {
        let now = self.service.sources.clock.now();
        self.service.operations.end(&self.id, now, self.how.take());
    }
}

impl DataService {
    /// Starts a transfer in the background.
    ///
    /// # Errors
    /// There is no such remote, or the dataset is being transferred that way already.
    pub(crate) fn start_transfer(&self, start: Start) -> Result<Operation, DataError> {
        self.remotes.check(&start.remote)?;
        let seed = self.sources.id_seed();
        let digits: String = seed.random.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("op_{digits}");
        let mut all = self.operations.lock();
        let same = all.iter().find(|kept| {
            kept.shown.state == State::Running
                && kept.shown.dataset == start.transfer.dataset
                && kept.shown.kind.is_out() == start.kind.is_out()
        });
        if let Some(same) = same {
            return Err(DataError::TransferRunning {
                dataset: start.transfer.dataset,
                operation: same.shown.id.clone(),
            });
        }
        while all.len() >= KEPT
            && let Some(ended) = all.iter().position(|kept| kept.shown.state != State::Running)
        {
            all.remove(ended);
        }
        let counters: Arc<Counters> = Arc::default();
        let shown = Operation {
            id: id.clone(),
            kind: start.kind,
            remote: start.remote.clone(),
            dataset: start.transfer.dataset.clone(),
            state: State::Running,
            started_ms: self.sources.clock.now(),
            ended_ms: None,
            progress: Counted::default(),
            result: None,
            error: None,
        };
        let end = End {
            service: self.clone(),
            id,
            how: None,
        };
        // The lock is held until it is in the list, so it cannot end before.
        let task = tokio::spawn(run(end, start, Arc::clone(&counters)));
        all.push_back(Kept {
            shown: shown.clone(),
            counters,
            task: Some(task.abort_handle()),
        });
        Ok(shown)
    }

    /// The remotes that are configured.
    pub(crate) fn remote_list(&self) -> Vec<RemoteInfo> {
        self.remotes.list()
    }

    /// Datasets of a remote by name.
    ///
    /// # Errors
    /// There is no such remote, or it failed.
    pub(crate) async fn remote_datasets(
        &self,
        remote: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<DatasetName>, DataError> {
        let remote = self.remotes.open(remote).await?;
        remote.datasets(after, limit).await
    }

    /// The operations that are remembered, newest first.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.operations.lock().iter().rev().map(Kept::show).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// None of this id is remembered.
    pub(crate) fn operation(&self, id: &str) -> Result<Operation, DataError> {
        let all = self.operations.lock();
        let kept = all.iter().find(|kept| kept.shown.id == id);
        kept.map(Kept::show)
            .ok_or_else(|| DataError::OperationNotFound { id: shortened(id) })
    }

    /// Breaks one off; one that has ended stays as it is.
    ///
    /// # Errors
    /// None of this id is remembered.
    pub(crate) fn cancel_operation(&self, id: &str) -> Result<Operation, DataError> {
        let now = self.sources.clock.now();
        self.operation(id)?;
        let task = {
            let mut all = self.operations.lock();
            let kept = all.iter_mut().find(|kept| kept.shown.id == id);
            kept.and_then(|kept| kept.task.take())
        };
        if let Some(task) = task {
            task.abort();
        }
        self.operations.end(id, now, None);
        self.operation(id)
    }
}

impl Kept {
    fn show(&self) -> Operation {
        Operation {
            progress: self.counters.read(),
            ..self.shown.clone()
        }
    }
}

async fn run(mut end: End, start: Start, counters: Arc<Counters>) {
    let service = end.service.clone();
    let Start {
        kind,
        remote,
        transfer,
        author,
    } = start;
    let _turn = service.operations.turns.acquire().await;
    let done = match kind {
        Kind::Push => service.push(&remote, &transfer, &counters).await,
        Kind::Pull => service.pull(&remote, &transfer, &author, &counters).await,
        Kind::Clone => {
            service
                .clone_dataset(&remote, &transfer, &author, &counters)
                .await
        }
    };
    if let Err(error) = &done {
        tracing::warn!(remote, dataset = %transfer.dataset, %error, "a transfer failed");
    }
    end.how = Some(done);
}
