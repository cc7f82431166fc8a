//! What is remembered of each request: who answered it and why, how long each part took, how it ended.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use corliss_engine::protocol::Timing;
use corliss_policy_serving::router::Reason;
use corliss_types::{ReplicaId, Timestamp};
use serde::Serialize;

/// Requests that an endpoint remembers, the newest ones.
const RECORDS_MAX: usize = 1_000;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With an answer.
    Answered,
    /// Without one, by no fault of its own.
    Failed,
    /// Without one: it is wrong in itself.
    Invalid,
    /// Its client went away.
    Cancelled,
}

/// One request, or one of the several answers that a request asked for. Times are in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestRecord {
    /// As `x-request-id` has it.
    pub id: String,
    /// When it came.
    pub at_ms: Timestamp,
    /// Who sent it.
    pub caller: String,
    /// The endpoint that its client named, if another one answered: by a rule, or as its fallback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// The rule that decided where it may go, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// The replica that was asked last.
    pub replica: Option<ReplicaId>,
    /// Why that one.
    pub reason: Option<Reason>,
    /// The version of the model that it serves.
    pub version: Option<u32>,
    /// Whether it is a copy, whose answer nobody got.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// Replicas that were asked, hedges included.
    pub attempts: u32,
    /// Whether a second replica was asked because the first one took long.
    pub hedged: bool,
    /// From its coming to the first piece of its answer.
    pub first_us: Option<u64>,
    /// From its coming to its end.
    pub total_us: u64,
    /// Tokens of its prompt.
    pub prompt_tokens: u32,
    /// Those of them that were in the replica's cache.
    pub cached_tokens: u32,
    /// Tokens of its answer.
    pub completion_tokens: u32,
    /// What the engine spent on it, as the engine tells it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Timing>,
    /// How it ended.
    pub outcome: Outcome,
    /// The code of the error that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

/// The newest records, oldest first.
#[derive(Default)]
pub(crate) struct Records(Mutex<VecDeque<RequestRecord>>);

impl Records {
    pub(crate) fn push(&self, record: RequestRecord) {
        let mut records = self.lock();
        if records.len() == RECORDS_MAX {
            records.pop_front();
        }
        records.push_back(record);
    }

    /// The newest ones, newest first.
    pub(crate) fn newest(&self, limit: usize) -> Vec<RequestRecord> {
        self.lock().iter().rev().take(limit).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<RequestRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
