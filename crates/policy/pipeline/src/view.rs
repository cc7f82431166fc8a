//! What a decision is made from: one run, its steps and their attempts, now.

use corliss_types::{AttemptNumber, Timestamp};

use crate::{FailureClass, StepState};

/// A run. Steps refer to each other by their index in `steps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunView {
    /// Time of the decision.
    pub now: Timestamp,
    /// Someone asked for the run to stop.
    pub cancel_requested: bool,
    /// Most attempts in progress at once. Bounds work folders on disk and the run's share of the queue.
    pub live_limit: u32,
    /// The steps. Their graph has no cycle: who builds the view has checked that.
    pub steps: Vec<StepView>,
    /// What happens after the steps: models, endpoints.
    pub release: Release,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepView {
    /// Indices of the steps that must be done first.
    pub needs: Vec<usize>,
    /// State as recorded.
    pub state: StepState,
    /// Retries allowed.
    pub budget: RetryBudget,
    /// The newest attempt.
    pub attempt: Option<Attempt>,
    /// Failed attempts so far, by class.
    pub failures: RetryBudget,
    /// What is known of an earlier result that could stand in.
    pub cached: Cached,
}

/// Counts by class of failure: of retries allowed, or of failures seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryBudget {
    /// Of the machine.
    pub infrastructure: u32,
    /// Of the step itself.
    pub user: u32,
}

impl RetryBudget {
    /// The count of a class. Who made room for others is tried again however often that was.
    #[must_use]
    pub const fn of(&self, class: FailureClass) -> u32 {
        match class {
            FailureClass::Infrastructure => self.infrastructure,
            FailureClass::User => self.user,
            FailureClass::Preempted => u32::MAX,
        }
    }

    /// Counts one more of a class.
    pub const fn add(&mut self, class: FailureClass) {
        match class {
            FailureClass::Infrastructure => self.infrastructure = self.infrastructure.saturating_add(1),
            FailureClass::User => self.user = self.user.saturating_add(1),
            FailureClass::Preempted => {}
        }
    }
}

/// The newest attempt of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: AttemptNumber,
    /// What is recorded of it.
    pub state: AttemptState,
}

/// What is recorded of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptState {
    /// Recorded; its job is being submitted, waits or runs.
    Live,
    /// Its job succeeded, its outputs are not recorded yet.
    JobSucceeded,
    /// It is over, and its outputs are recorded.
    Published,
    /// It failed.
    Failed {
        /// Whose fault.
        class: FailureClass,
        /// When.
        at: Timestamp,
    },
    /// Its job was cancelled.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

impl AttemptState {
    /// Whether the attempt may still have effects: a second one must not start.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::JobSucceeded)
    }
}

/// What is known of an earlier result with the same command, code, inputs and environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {
    /// Not looked for yet: its inputs were not known.
    Unknown,
    /// There is none, or it must not be used.
    No,
    /// There is one, and all its outputs still exist.
    Yes,
}

/// What follows the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Not done yet.
    Pending,
    /// Models are registered or gated, endpoints are desired.
    Done,
    /// A model could not be registered for a reason that will not pass.
    Failed,
}
