//! A request from its coming to its end: which replicas were asked for it, what came back, and one record of it
//! all, whatever way it ends.

use std::sync::Arc;
use std::time::Duration;

use corliss_clock::Sources;
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_engine::protocol::{FinishReason, Timing};
use corliss_policy_serving::router::Reason;
use corliss_types::{ReplicaId, Timestamp};

use crate::error::GatewayError;
use crate::service::call::Call;
use crate::service::endpoint::{Endpoint, Lease};
use crate::service::record::{Outcome, RequestRecord};
use crate::service::stats::Counters;
use crate::service::versions::VersionCounters;

/// The prompt of a generation, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PromptTokens {
    pub(crate) all: u32,
    /// Those of them that were in the replica's cache.
    pub(crate) cached: u32,
}

/// Times a request and records its end exactly once; one that is dropped before its end was cancelled.
pub(crate) struct Watch {
    pub(crate) sources: Sources,
    pub(crate) call: Call,
    at: Timestamp,
    started: Duration,
    open: bool,
    tried: Vec<ReplicaId>,
    hedged: bool,
    asked: Option<(ReplicaId, Reason, u32)>,
    /// The version that this counts for.
    version: Option<Arc<VersionCounters>>,
    first: Option<Duration>,
    prompt: PromptTokens,
    completion_tokens: u32,
    finish: Option<FinishReason>,
    engine: Option<Timing>,
}

impl Watch {
    pub(crate) fn new(sources: Sources, call: Call) -> Self {
        Self {
            at: sources.clock.now(),
            started: sources.clock.monotonic(),
            sources,
            call,
            open: true,
            tried: Vec::new(),
            hedged: false,
            asked: None,
            version: None,
            first: None,
            prompt: PromptTokens::default(),
            completion_tokens: 0,
            finish: None,
            engine: None,
        }
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.call.endpoint
    }

    /// What its endpoint did; a copy is no part of that.
    fn counters(&self) -> Option<&Counters> {
        (!self.call.shadow).then_some(&self.call.endpoint.counters)
    }

    /// Replicas that were asked.
    pub(crate) fn tried(&self) -> &[ReplicaId] {
        &self.tried
    }

    fn elapsed(&self) -> Duration {
        self.sources.clock.monotonic().saturating_sub(self.started)
    }

    /// A replica is asked.
    pub(crate) fn asks(&mut self, lease: &Lease) {
        self.tried.push(lease.replica.clone());
        self.answers(lease);
    }

    /// A second replica is asked beside the first.
    pub(crate) fn hedges(&mut self, replica: &ReplicaId) {
        self.hedged = true;
        self.tried.push(replica.clone());
    }

    /// This is the replica whose answer is heard.
    pub(crate) fn answers(&mut self, lease: &Lease) {
        self.asked = Some((lease.replica.clone(), lease.reason, lease.version));
        self.version = Some(lease.counters.clone());
    }

    /// The first of the answer is there, and with it the count of its prompt.
    pub(crate) fn first(&mut self, prompt: PromptTokens) {
        self.began();
        self.prompt(prompt);
    }

    /// The first of the answer is there.
    pub(crate) fn began(&mut self) {
        let after = self.elapsed();
        self.first = Some(after);
        if let Some(version) = &self.version {
            version.first_token(after);
        }
        if let Some(counters) = self.counters() {
            counters.first_token(after);
        }
    }

    fn prompt(&mut self, prompt: PromptTokens) {
        self.prompt = prompt;
        if let Some(counters) = self.counters() {
            counters.prompt_tokens(prompt);
        }
    }

    /// So many tokens were written until now: what is recorded of an answer that never comes to its end.
    pub(crate) fn wrote(&mut self, tokens: u32) {
        if self.open {
            self.completion_tokens = tokens;
        }
    }

    /// How many that are.
    pub(crate) fn written(&self) -> u32 {
        self.completion_tokens
    }

    /// An answer is complete that told only now how many tokens its prompt had. Said again it changes nothing.
    pub(crate) fn complete(&mut self, prompt: PromptTokens, completion_tokens: u32, finish: FinishReason) {
        if self.open {
            self.prompt(prompt);
            self.generated(completion_tokens, finish, None);
        }
    }

    /// A generation is complete.
    pub(crate) fn generated(&mut self, completion_tokens: u32, finish: FinishReason, timing: Option<Timing>) {
        self.completion_tokens = completion_tokens;
        self.finish = Some(finish);
        self.engine = timing;
        if let Some(version) = &self.version {
            version.generated(completion_tokens);
        }
        if let Some(counters) = self.counters() {
            counters.generated(self.prompt, completion_tokens, finish, timing);
        }
        self.ended(None);
    }

    /// After a failed attempt: goes on if another replica may do better and there is one that may be asked. What a version
    /// does not answer that is being released, for whatever reason, is asked of one that has proven itself, out of no budget:
    /// without the release that one had the request anyway.
    ///
    /// # Errors
    /// The failure, if not.
    pub(crate) fn again(&mut self, lease: &Lease, error: GatewayError) -> Result<(), GatewayError> {
        let now = self.sources.clock.now();
        lease.blamed(&error, now);
        let goes_on = if self.call.falls_back_from(lease.version) {
            self.endpoint().has_proven(&self.tried)
        } else {
            error.elsewhere() && self.may_ask_another(now)
        };
        if !goes_on {
            return Err(error);
        }
        lease.counters.failed_attempt();
        self.endpoint().counters.retried();
        Ok(())
    }

    /// Whether one more replica is there that may be asked; takes it out of the endpoint's budget of attempts.
    pub(crate) fn may_ask_another(&self, now: Timestamp) -> bool {
        let attempts = self.call.routing.retry.attempts as usize;
        self.tried.len() < attempts
            && self.endpoint().has_other(&self.call, &self.tried)
            && self.endpoint().withdraw_attempt(now)
    }

    /// That nobody answered within this time, which is noted of the replica that was asked last.
    pub(crate) fn out_of_time(&self, allowed: Duration) -> GatewayError {
        let error = GatewayError::deadline(self.endpoint().name().to_owned(), allowed);
        if let Some((replica, ..)) = &self.asked {
            self.endpoint().silent(replica, &error);
        }
        error
    }

    /// It ended. Said again it changes nothing.
    pub(crate) fn ended(&mut self, error: Option<&GatewayError>) {
        let outcome = match error.map(Diagnose::meaning) {
            None => Outcome::Answered,
            Some(Meaning::InvalidInput | Meaning::NotFound | Meaning::TooLarge) => Outcome::Invalid,
            Some(_) => Outcome::Failed,
        };
        self.record(outcome, error.map(Diagnose::code));
    }

    fn record(&mut self, outcome: Outcome, error: Option<&'static str>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let total = self.elapsed();
        if let Some(version) = &self.version {
            version.ended(outcome, total);
        }
        if let Some(counters) = self.counters() {
            counters.ended(outcome, total);
        }
        let (replica, reason, version) = match self.asked.take() {
            Some((replica, reason, version)) => (Some(replica), Some(reason), Some(version)),
            None => (None, None, None),
        };
        let record = RequestRecord {
            id: self.call.origin.request.clone(),
            at_ms: self.at,
            caller: self.call.origin.caller.clone(),
            instead_of: self.call.instead_of.clone(),
            rule: self.call.rule,
            replica,
            reason,
            version,
            shadow: self.call.shadow,
            attempts: u32::try_from(self.tried.len()).unwrap_or(u32::MAX),
            hedged: self.hedged,
            first_us: self.first.map(micros),
            total_us: micros(total),
            prompt_tokens: self.prompt.all,
            cached_tokens: self.prompt.cached,
            completion_tokens: self.completion_tokens,
            engine: self.engine,
            outcome,
            error,
        };
        // Of a copy its client knows nothing.
        if let Some(trace) = self.call.origin.trace.as_ref().filter(|_| !record.shadow) {
            trace.ended(self.endpoint().name(), &record, self.finish);
        }
        self.endpoint().records.push(record);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.record(Outcome::Cancelled, None);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
