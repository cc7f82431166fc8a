//! The loop itself.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::board::WorkerState;
use crate::{Outcome, Reconciler, Shutdown, Wake, WorkerBoard};

/// The pause after a first failure; doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest pause after failures; short enough that nobody has to restart a server to recover it.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// A reconciler that asks for "now" must still let others run.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Starts a loop: a round now, then one on every signal, period, or the time that the last round asked for.
///
/// During a backoff signals are kept but not followed, so that a busy service cannot turn a failing loop into
/// a hot one.
pub fn spawn(
    reconciler: Arc<dyn Reconciler>,
    period: Duration,
    wake: Wake,
    shutdown: Shutdown,
    workers: &WorkerBoard,
) {
    let index = workers.add(reconciler.name());
    let worker = Worker {
        reconciler,
        period,
        index,
        board: workers.clone(),
    };
    let task = tokio::spawn(async move { worker.run(&wake, &shutdown).await });
    workers.attach(index, task);
}

struct Worker {
    reconciler: Arc<dyn Reconciler>,
    period: Duration,
    index: usize,
    board: WorkerBoard,
}

impl Worker {
    async fn run(&self, wake: &Wake, shutdown: &Shutdown) {
        let mut signals = wake.listen();
        let mut failures = 0;
        while !shutdown.is_triggered() {
            // Before the round reads anything: a signal sent from here on is about something it may miss.
            signals.forget();
            self.board
                .update(self.index, |status| status.state = WorkerState::Running);
            let round = AssertUnwindSafe(self.reconciler.reconcile()).catch_unwind().await;
            let pause = match round {
                Ok(Ok(outcome)) => {
                    failures = 0;
                    self.succeeded(outcome)
                }
                Ok(Err(error)) => {
                    failures += 1;
                    self.failed(&error.report().message, failures)
                }
                Err(panic) => {
                    failures += 1;
                    self.failed(&format!("panicked: {}", panic_message(&*panic)), failures)
                }
            };
            tokio::select! {
                () = shutdown.wait() => {}
                () = tokio::time::sleep(pause) => {}
                () = signals.wait(), if failures == 0 => {}
            }
        }
        self.board
            .update(self.index, |status| status.state = WorkerState::Stopped);
    }

    fn succeeded(&self, outcome: Outcome) -> Duration {
        let now = self.board.sources.clock.now().as_millis();
        let pause = outcome
            .wake_after
            .map_or(self.period, |after| after.min(self.period));
        self.board.update(self.index, |status| {
            status.state = WorkerState::Idle;
            status.progress = outcome.progress;
            status.last_success_ms = Some(now);
            status.failures = 0;
        });
        pause.max(SHORTEST_PAUSE)
    }

    fn failed(&self, message: &str, failures: u32) -> Duration {
        let now = self.board.sources.clock.now().as_millis();
        let pause = backoff(failures);
        let name = self.reconciler.name();
        tracing::warn!(
            worker = name,
            failures,
            retry_in_ms = pause.as_millis(),
            error = message,
            "round failed"
        );
        self.board.update(self.index, |status| {
            status.state = WorkerState::BackingOff;
            status.last_error = Some(message.to_owned());
            status.last_error_ms = Some(now);
            status.failures = failures;
        });
        pause
    }
}

fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST_BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_a_bound() {
        assert_eq!(backoff(1), Duration::from_millis(100));
        assert_eq!(backoff(3), Duration::from_millis(400));
        assert_eq!(backoff(u32::MAX), LONGEST_BACKOFF);
    }
}
