//! The bounded line between callers and the engine's thread, and the counters both sides keep.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use corliss_diagnostics::ErrorReport;

use super::embedding::EmbedJob;
use super::request::Job;
use crate::EngineError;
use crate::protocol::{GenerateEvent, Stats};

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    embeddings: VecDeque<EmbedJob>,
    stopped: bool,
    failure: Option<String>,
    stats: Stats,
}

/// Requests in order of arrival.
pub(super) struct Queue {
    limit: usize,
    state: Mutex<State>,
    arrived: Condvar,
}

impl Queue {
    /// A line of at most `limit` requests.
    pub fn new(limit: usize, kv_tokens: u32) -> Self {
        let stats = Stats {
            kv_tokens_total: u64::from(kv_tokens),
            ..Stats::default()
        };
        Self {
            limit,
            state: Mutex::new(State {
                stats,
                ..State::default()
            }),
            arrived: Condvar::new(),
        }
    }

    /// Adds a request at the end, or refuses it.
    pub fn push(&self, job: Job) -> Result<(), EngineError> {
        let mut state = self.lock();
        if state.stopped {
            return Err(EngineError::Stopped);
        }
        let State { waiting, stats, .. } = &mut *state;
        make_room(waiting, self.limit, stats, |job| job.events.is_closed())?;
        waiting.push_back(job);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Adds a request for embeddings at the end of their own line, which is as long, or refuses it.
    pub fn push_embedding(&self, job: EmbedJob) -> Result<(), EngineError> {
        let mut state = self.lock();
        if state.stopped {
            return Err(EngineError::Stopped);
        }
        let State {
            embeddings, stats, ..
        } = &mut *state;
        make_room(embeddings, self.limit, stats, |job| job.answer.is_closed())?;
        embeddings.push_back(job);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes the first request for embeddings.
    pub fn pop_embedding(&self) -> Option<EmbedJob> {
        self.lock().embeddings.pop_front()
    }

    /// Waits until there is something to do; false when stopped.
    pub fn wait(&self) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() && state.embeddings.is_empty() && !state.stopped {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.stopped
    }

    /// Whether the engine was told to end.
    pub fn stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Takes the first request if `fits` says so. Requests whose caller left are dropped on the way.
    pub fn pop_if(&self, fits: impl FnOnce(&Job) -> bool) -> Option<Job> {
        let mut state = self.lock();
        while state.waiting.front().is_some_and(|job| job.events.is_closed()) {
            state.waiting.pop_front();
            state.stats.cancelled_total += 1;
        }
        if state.waiting.front().is_some_and(fits) {
            state.waiting.pop_front()
        } else {
            None
        }
    }

    /// Changes the counters.
    pub fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.lock().stats);
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let state = self.lock();
        Stats {
            waiting: (state.waiting.len() + state.embeddings.len()) as u64,
            ..state.stats.clone()
        }
    }

    /// Why the engine's thread ended, if it failed.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Ends the engine; requests that wait are told.
    pub fn stop(&self) {
        self.close(None);
    }

    /// Ends the engine because it cannot go on.
    pub fn fail(&self, reason: String) {
        self.close(Some(reason));
    }

    fn close(&self, failure: Option<String>) {
        let (waiting, embeddings) = {
            let mut state = self.lock();
            state.stopped = true;
            state.failure = state.failure.take().or(failure);
            let state = &mut *state;
            (
                std::mem::take(&mut state.waiting),
                std::mem::take(&mut state.embeddings),
            )
        };
        for job in embeddings {
            let _ = job.answer.send(Err(EngineError::Stopped));
        }
        for job in waiting {
            let error = ErrorReport::of(&EngineError::Stopped);
            let _ = job.events.send(GenerateEvent::Error { error });
        }
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses what a full line cannot take. Callers that went away must not hold places against those that are still there.
fn make_room<J>(
    line: &mut VecDeque<J>,
    limit: usize,
    stats: &mut Stats,
    is_gone: impl Fn(&J) -> bool,
) -> Result<(), EngineError> {
    if line.len() >= limit {
        let before = line.len();
        line.retain(|job| !is_gone(job));
        stats.cancelled_total += (before - line.len()) as u64;
    }
    if line.len() >= limit {
        stats.failed_total += 1;
        return Err(EngineError::QueueFull { limit });
    }
    Ok(())
}
