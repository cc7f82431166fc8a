//! The loop around a reconciler: wait, pass, record; slower after errors.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_diagnostics::{Diagnose, ErrorReport};
use futures_util::FutureExt;
use tokio::task::JoinHandle;

use crate::{Shutdown, Wake, WorkerBoard, WorkerState};

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Any error that can explain itself.
pub type BoxedDiagnose = Box<dyn Diagnose + Send + Sync>;

/// What a pass did.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// A few words for the board; empty keeps the last ones.
    pub progress: String,
    /// When to look again without a signal, if sooner than the period.
    pub wake_after: Option<Duration>,
}

impl Outcome {
    /// Nothing to do until the next signal or period.
    #[must_use]
    pub fn idle() -> Self {
        Self::default()
    }

    /// Something was done.
    #[must_use]
    pub fn progress(progress: impl Into<String>) -> Self {
        Self { progress: progress.into(), wake_after: None }
    }

    /// Looks again after this time at the latest.
    #[must_use]
    pub fn wake_after(mut self, wake_after: Option<Duration>) -> Self {
        self.wake_after = wake_after;
        self
    }
}

/// Brings one kind of thing from what is to what should be.
#[async_trait]
pub trait Reconciler: Send + Sync + 'static {
    /// A stable name, such as `jobs.admission`.
    fn name(&self) -> &'static str;

    /// One idempotent pass over everything.
    ///
    /// # Errors
    /// Whatever stopped the pass; it is shown on the board and the pass is tried again.
    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose>;
}

/// Runs a reconciler until shutdown: at once, then on every signal and at least once a period.
///
/// A pass that has begun is finished before the worker stops.
pub fn spawn(
    reconciler: Arc<dyn Reconciler>,
    period: Duration,
    wake: Wake,
    shutdown: Shutdown,
    board: &WorkerBoard,
) -> JoinHandle<()> {
    let worker = Worker { reconciler, period, board: board.clone() };
    worker.board.update(worker.reconciler.name(), |_| {});
    tokio::spawn(worker.run(wake, shutdown))
}

struct Worker {
    reconciler: Arc<dyn Reconciler>,
    period: Duration,
    board: WorkerBoard,
}

impl Worker {
    async fn run(self, wake: Wake, shutdown: Shutdown) {
        let mut failures = 0;
        while !shutdown.is_triggered() {
            let pause = match self.pass().await {
                Ok(wake_after) => {
                    failures = 0;
                    wake_after.map_or(self.period, |after| after.min(self.period))
                }
                Err(()) => {
                    failures += 1;
                    backoff(failures)
                }
            };
            // After a failure a signal must not skip the back-off, or a busy room would spin on its error.
            let signalled = async {
                if failures > 0 {
                    tokio::time::sleep(FIRST_BACKOFF).await;
                }
                wake.signalled().await;
            };
            tokio::select! {
                () = shutdown.triggered() => break,
                () = tokio::time::sleep(pause) => {}
                () = signalled => {}
            }
        }
        self.board.update(self.reconciler.name(), |row| row.state = WorkerState::Stopped);
    }

    /// One pass, recorded; a panic inside is an error like any other.
    async fn pass(&self) -> Result<Option<Duration>, ()> {
        let name = self.reconciler.name();
        self.board.update(name, |row| row.state = WorkerState::Working);
        let result = AssertUnwindSafe(self.reconciler.reconcile()).catch_unwind().await;
        let report = match result {
            Ok(Ok(outcome)) => {
                self.board.update(name, |row| {
                    row.passes += 1;
                    row.state = WorkerState::Idle;
                    row.last_error = None;
                    row.failures_in_a_row = 0;
                    if !outcome.progress.is_empty() {
                        row.progress.clone_from(&outcome.progress);
                    }
                });
                return Ok(outcome.wake_after);
            }
            Ok(Err(error)) => ErrorReport::of(error.as_ref()),
            Err(panic) => panicked(panic.as_ref()),
        };
        tracing::warn!(worker = name, code = %report.code, "pass failed: {}", report.message);
        self.board.update(name, |row| {
            row.passes += 1;
            row.state = WorkerState::BackingOff;
            row.last_error = Some(report);
            row.failures_in_a_row += 1;
        });
        Err(())
    }
}

fn backoff(failures: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_BACKOFF)
}

fn panicked(panic: &(dyn Any + Send)) -> ErrorReport {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ErrorReport {
        code: "worker_panicked".to_owned(),
        message: format!("the pass ended in a bug of ours: {}", text.unwrap_or("no text")),
        field: None,
        hint: None,
        retryable: true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use corliss_diagnostics::Meaning;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the third pass fails")]
    struct Third;

    impl Diagnose for Third {
        fn code(&self) -> &'static str {
            "third"
        }
        fn meaning(&self) -> Meaning {
            Meaning::Internal
        }
    }

    #[derive(Default)]
    struct Counting {
        passes: AtomicU32,
    }

    #[async_trait]
    impl Reconciler for Counting {
        fn name(&self) -> &'static str {
            "test.counting"
        }
        async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
            match self.passes.fetch_add(1, Ordering::SeqCst) + 1 {
                2 => panic!("second"),
                3 => Err(Box::new(Third)),
                pass => Ok(Outcome::progress(format!("pass {pass}"))),
            }
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    async fn until(counting: &Counting, passes: u32) {
        while counting.passes.load(Ordering::SeqCst) < passes {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::task::yield_now().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_gives_a_pass_and_no_failure_ends_the_worker() {
        let (counting, wake, shutdown, board) =
            (Arc::new(Counting::default()), Wake::new(), Shutdown::new(), WorkerBoard::new());
        let handle = spawn(counting.clone(), HOUR, wake.clone(), shutdown.clone(), &board);
        until(&counting, 1).await;
        assert_eq!(board.list()[0].progress, "pass 1");
        wake.signal();
        until(&counting, 2).await;
        assert_eq!(board.list()[0].last_error.as_ref().unwrap().code, "worker_panicked");
        // The panic and the error after it are each retried without any signal.
        until(&counting, 4).await;
        let row = board.list().remove(0);
        assert_eq!((row.state, row.last_error, row.passes), (WorkerState::Idle, None, 4));
        shutdown.trigger();
        handle.await.unwrap();
        assert_eq!(board.list()[0].state, WorkerState::Stopped);
    }

    #[tokio::test(start_paused = true)]
    async fn without_signals_the_period_gives_passes() {
        let counting = Arc::new(Counting { passes: AtomicU32::new(10) });
        let (shutdown, board) = (Shutdown::new(), WorkerBoard::new());
        let handle = spawn(counting.clone(), HOUR, Wake::new(), shutdown.clone(), &board);
        tokio::time::sleep(HOUR * 3 + Duration::from_secs(1)).await;
        assert_eq!(counting.passes.load(Ordering::SeqCst), 14);
        shutdown.trigger();
        handle.await.unwrap();
    }

    #[test]
    fn waiting_after_failures_grows_to_a_bound() {
        assert_eq!(backoff(1), FIRST_BACKOFF);
        assert_eq!(backoff(2), FIRST_BACKOFF * 2);
        assert_eq!(backoff(100), LONGEST_BACKOFF);
    }
}
