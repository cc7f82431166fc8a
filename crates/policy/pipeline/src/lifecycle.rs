//! The states of runs and steps as stored and shown, and which may follow which.

use serde::{Deserialize, Serialize};

/// State of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Accepted; no step has been looked at.
    Pending,
    /// Its steps are being carried out.
    Running,
    /// Every step succeeded; models and endpoints were dealt with.
    Succeeded,
    /// A step, or the registration of a model, failed for good.
    Failed,
    /// Someone asked for it.
    Cancelled,
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether nothing changes any more.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// State of a step within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// For other steps, for a retry's delay, or for its turn.
    Waiting,
    /// Its job is submitted.
    Queued,
    /// Its job runs.
    Running,
    /// Its job succeeded; its outputs are being stored.
    Publishing,
    /// Its outputs are recorded.
    Succeeded,
    /// An earlier result stands in for it.
    Reused,
    /// Its retries are spent.
    Failed,
    /// It was stopped because the run was cancelled.
    Cancelled,
    /// It never ran, because of another step or of the cancellation.
    Skipped,
}

impl StepState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Queued,
        Self::Running,
        Self::Publishing,
        Self::Succeeded,
        Self::Reused,
        Self::Failed,
        Self::Cancelled,
        Self::Skipped,
    ];

    /// The name as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Publishing => "publishing",
            Self::Succeeded => "succeeded",
            Self::Reused => "reused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether nothing changes any more.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Reused | Self::Failed | Self::Cancelled | Self::Skipped
        )
    }

    /// Whether its outputs are there for other steps.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Succeeded | Self::Reused)
    }

    /// Whether an attempt of it is in progress.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Queued | Self::Running | Self::Publishing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_states_are_of_one_sort() {
        for state in StepState::ALL {
            assert_eq!(StepState::from_name(state.as_str()), Some(state));
            let sorts = [state == StepState::Waiting, state.is_live(), state.is_ended()];
            assert_eq!(sorts.iter().filter(|is| **is).count(), 1, "{state:?}");
        }
        for state in RunState::ALL {
            assert_eq!(RunState::from_name(state.as_str()), Some(state));
        }
    }
}
