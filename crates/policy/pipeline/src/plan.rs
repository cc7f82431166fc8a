//! What is decided: actions with their reasons, reasons for what waits, and when to look again.

use corliss_types::{AttemptNumber, Timestamp};

use crate::{FailureClass, RunState};

/// One thing to do. The applier chooses nothing; it may find the world changed and then does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Look for an earlier result of this step, whose inputs are now known.
    ConsultCache {
        /// Step.
        step: usize,
    },
    /// Record the earlier result as this step's.
    Reuse {
        /// Step.
        step: usize,
    },
    /// Start an attempt.
    Start {
        /// Step.
        step: usize,
        /// One more than the newest.
        attempt: AttemptNumber,
    },
    /// Store the outputs of an attempt whose job succeeded, and record success.
    Publish {
        /// Step.
        step: usize,
        /// The attempt.
        attempt: AttemptNumber,
    },
    /// Stop the job of an attempt.
    CancelJob {
        /// Step.
        step: usize,
        /// The attempt.
        attempt: AttemptNumber,
    },
    /// Record that the step failed for good.
    Fail {
        /// Step.
        step: usize,
        /// Why.
        reason: Reason,
    },
    /// Record that the step was cancelled after it had started.
    Cancel {
        /// Step.
        step: usize,
        /// Why.
        reason: Reason,
    },
    /// Record that the step will not run.
    Skip {
        /// Step.
        step: usize,
        /// Why.
        reason: Reason,
    },
    /// Register models and deploy endpoints: every step is done.
    Release,
    /// Record the end of the run.
    Finish {
        /// How it ended.
        state: RunState,
        /// The step that decided it, if one did.
        because: Option<usize>,
    },
}

/// Why something is done, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A step that must be done first is not.
    WaitsFor {
        /// The first such step.
        step: usize,
    },
    /// A failed attempt will be tried again.
    RetriesAt {
        /// When.
        at: Timestamp,
        /// Class of the failure.
        class: FailureClass,
        /// How many failures of this class there were.
        failures: u32,
    },
    /// As many attempts as allowed are in progress.
    LiveLimit {
        /// The limit.
        limit: u32,
    },
    /// The retries of a class are spent.
    RetriesSpent {
        /// Class of the last failure.
        class: FailureClass,
        /// Retries that were allowed.
        budget: u32,
    },
    /// A step that must be done first failed or was skipped.
    UpstreamFailed {
        /// That step.
        step: usize,
    },
    /// Another step ended the run, so nothing new starts.
    RunStopped {
        /// That step.
        step: usize,
    },
    /// Someone cancelled the run.
    CancelRequested,
    /// Someone cancelled the step's job.
    JobCancelled,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What to do; at most one action per step, in the order of steps.
    pub actions: Vec<Action>,
    /// Why steps wait, in the order of steps.
    pub waiting: Vec<(usize, Reason)>,
    /// When something will be due though nothing changes.
    pub wake_at: Option<Timestamp>,
}
