//! What takes long and runs in the background, until it ends or is cancelled: pushes, pulls, clones, imports,
//! collections and checks.
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
use super::upkeep::{Collected, Examined};
use crate::DataError;
use crate::counters::{Counted, Counters};
use crate::error::shortened;
use crate::remote::RemoteCollected;
use crate::types::{Imported, TransferReport};

/// Operations that are remembered; of those that run none is forgotten.
const KEPT: usize = 100;
/// Transfers and imports at work at once; each has some bodies of pieces in memory. Others wait.
const AT_WORK: usize = 4;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Push,
    Pull,
    Clone,
    Import,
    Collect,
    Check,
}

/// Of what there is one at a time: for each dataset, or in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Out,
    In,
    Import,
    Upkeep,
}

impl Kind {
    const fn lane(self) -> Lane {
        match self {
            Self::Push => Lane::Out,
            Self::Pull | Self::Clone => Lane::In,
            Self::Import => Lane::Import,
            Self::Collect | Self::Check => Lane::Upkeep,
        }
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

/// What an operation is about.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subject {
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Subject {
    /// Something that is done to everything.
    pub const fn of_all(kind: Kind) -> Self {
        Self {
            kind,
            dataset: None,
            remote: None,
            source: None,
        }
    }

    fn running(self, operation: String) -> DataError {
        match self.dataset {
            Some(dataset) => DataError::TransferRunning { dataset, operation },
            None => DataError::UpkeepRunning { operation },
        }
    }
}

/// What came of an operation.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    Transfer(TransferReport),
    Import(Imported),
    Collect(Collected),
    CollectRemote(RemoteCollected),
    Check(Examined),
}

/// An operation as it is shown.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Operation {
    pub id: String,
    #[serde(flatten)]
    subject: Subject,
    state: State,
    started_ms: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_ms: Option<Timestamp>,
    progress: Counted,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Outcome>,
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
    fn end(&self, id: &str, now: Timestamp, how: Option<Result<Outcome, DataError>>) {
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
            Some(Ok(outcome)) => (shown.state, shown.result) = (State::Done, Some(outcome)),
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
    how: Option<Result<Outcome, DataError>>,
}

impl Drop for End {
    fn drop(&mut self) {
        let now = self.service.sources.clock.now();
        self.service.operations.end(&self.id, now, self.how.take());
    }
}

impl DataService {
    /// Starts something in the background.
    ///
    /// # Errors
    /// The same is under way.
    pub(super) fn start<W, F>(&self, subject: Subject, work: W) -> Result<Operation, DataError>
    where
        W: FnOnce(Self, Arc<Counters>) -> F + Send + 'static,
        F: Future<Output = Result<Outcome, DataError>> + Send + 'static,
    {
        let seed = self.sources.id_seed();
        let digits: String = seed.random.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("op_{digits}");
        let mut all = self.operations.lock();
        let same = all.iter().find(|kept| {
            let other = &kept.shown.subject;
            kept.shown.state == State::Running
                && other.dataset == subject.dataset
                && other.kind.lane() == subject.kind.lane()
        });
        if let Some(same) = same {
            return Err(subject.running(same.shown.id.clone()));
        }
        while all.len() >= KEPT
            && let Some(ended) = all.iter().position(|kept| kept.shown.state != State::Running)
        {
            all.remove(ended);
        }
        let counters: Arc<Counters> = Arc::default();
        let shown = Operation {
            id: id.clone(),
            subject: subject.clone(),
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
        let task = tokio::spawn(run(end, subject, work, Arc::clone(&counters)));
        all.push_back(Kept {
            shown: shown.clone(),
            counters,
            task: Some(task.abort_handle()),
        });
        Ok(shown)
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

async fn run<W, F>(mut end: End, subject: Subject, work: W, counters: Arc<Counters>)
where
    W: FnOnce(DataService, Arc<Counters>) -> F,
    F: Future<Output = Result<Outcome, DataError>>,
{
    let service = end.service.clone();
    // There is one of these at a time anyhow.
    let _turn = match subject.kind.lane() {
        Lane::Upkeep => None,
        _ => service.operations.turns.acquire().await.ok(),
    };
    let done = work(service.clone(), counters).await;
    if let Err(error) = &done {
        let Subject { kind, dataset, .. } = subject;
        let dataset = dataset.map(|name| name.to_string());
        tracing::warn!(?kind, dataset, %error, "an operation failed");
    }
    end.how = Some(done);
}
