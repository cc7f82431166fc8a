//! Reconcilers: background loops that bring the world towards what is desired, and that everyone can see.
//!
//! A loop is level-triggered: it wakes on a signal and on a period, the signal carries nothing, and what it
//! does depends only on what it then reads. So a lost signal costs a period, a doubled one costs nothing.
//!
//! Invariants: one loop never runs twice at once; a signal sent while it runs makes it run again; an error
//! or a panic never ends it, only delays it; after [`Shutdown::trigger`] it finishes the round under way.

mod board;
mod run;
mod shutdown;
mod wake;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use corliss_diagnostics::{Diagnose, ErrorReport};

pub use board::{WorkerBoard, WorkerState, WorkerStatus};
pub use run::spawn;
pub use shutdown::Shutdown;
pub use wake::{Listener, Wake};

/// One background loop's work.
#[async_trait]
pub trait Reconciler: Send + Sync {
    /// A stable name for people, such as `jobs.scheduler`.
    fn name(&self) -> &'static str;

    /// Reads the state of the world and brings it one round closer to the desired one. It must be idempotent:
    /// it may be stopped anywhere by kill -9 and is then run again.
    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose>;
}

/// What a round did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// One short line for people, such as `3 of 5 jobs placed`.
    pub progress: String,
    /// When to wake at the latest, if sooner than the period.
    pub wake_after: Option<Duration>,
}

impl Outcome {
    /// A round that needs nothing before the next signal or period.
    #[must_use]
    pub fn done(progress: impl Into<String>) -> Self {
        Self {
            progress: progress.into(),
            wake_after: None,
        }
    }

    /// A round that wants the next one after `wake_after` at the latest.
    #[must_use]
    pub fn again_after(progress: impl Into<String>, wake_after: Duration) -> Self {
        Self {
            progress: progress.into(),
            wake_after: Some(wake_after),
        }
    }
}

/// Any error of ours, so that `?` works in a reconciler whatever it calls.
pub struct BoxedDiagnose(Box<dyn Diagnose + Send + Sync>);

impl BoxedDiagnose {
    /// The error as shown.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        ErrorReport::of(self.0.as_ref())
    }
}

impl<E: Diagnose + Send + Sync + 'static> From<E> for BoxedDiagnose {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Debug for BoxedDiagnose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for BoxedDiagnose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report().message)
    }
}
