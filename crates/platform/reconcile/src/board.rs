//! The board on which every loop shows what it does, and from which shutdown waits for all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use corliss_clock::Sources;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

/// What a loop is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// Waits for a signal or its period.
    Idle,
    /// In the middle of a round.
    Running,
    /// Waits longer, since its last round failed.
    BackingOff,
    /// Ended by shutdown.
    Stopped,
}

/// One loop, as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: WorkerState,
    /// What its last successful round said.
    pub progress: String,
    /// Its last error, also after it has recovered.
    pub last_error: Option<String>,
    /// When that was, Unix milliseconds.
    pub last_error_ms: Option<i64>,
    /// When a round last succeeded, Unix milliseconds.
    pub last_success_ms: Option<i64>,
    /// Rounds that failed since then.
    pub failures: u32,
}

/// All loops of this process; cheap to clone.
#[derive(Clone)]
pub struct WorkerBoard {
    pub(crate) sources: Sources,
    entries: Arc<Mutex<Vec<Entry>>>,
}

struct Entry {
    status: WorkerStatus,
    task: Option<JoinHandle<()>>,
}

impl WorkerBoard {
    /// An empty board; the clock dates what it shows.
    #[must_use]
    pub fn new(sources: &Sources) -> Self {
        Self {
            sources: sources.clone(),
            entries: Arc::default(),
        }
    }

    /// Every loop, in the order they were started.
    #[must_use]
    pub fn list(&self) -> Vec<WorkerStatus> {
        self.lock().iter().map(|entry| entry.status.clone()).collect()
    }

    /// Waits until every loop has ended after [`crate::Shutdown::trigger`]; those still in a round after
    /// `timeout` are cut off (they are idempotent) and named in the answer.
    pub async fn drain(&self, timeout: Duration) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + timeout;
        let tasks: Vec<(String, JoinHandle<()>)> = self
            .lock()
            .iter_mut()
            .filter_map(|entry| Some((entry.status.name.clone(), entry.task.take()?)))
            .collect();
        let mut cut_off = Vec::new();
        for (name, mut task) in tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
                // Waits until the round is really gone, so that nothing it uses is closed under it.
                let _ = task.await;
                cut_off.push(name);
            }
        }
        cut_off
    }

    pub(crate) fn add(&self, name: &str) -> usize {
        let mut entries = self.lock();
        entries.push(Entry {
            status: WorkerStatus {
                name: name.to_owned(),
                state: WorkerState::Idle,
                progress: String::new(),
                last_error: None,
                last_error_ms: None,
                last_success_ms: None,
                failures: 0,
            },
            task: None,
        });
        entries.len() - 1
    }

    pub(crate) fn attach(&self, index: usize, task: JoinHandle<()>) {
        if let Some(entry) = self.lock().get_mut(index) {
            entry.task = Some(task);
        }
    }

    pub(crate) fn update(&self, index: usize, change: impl FnOnce(&mut WorkerStatus)) {
        if let Some(entry) = self.lock().get_mut(index) {
            change(&mut entry.status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
