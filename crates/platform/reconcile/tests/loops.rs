//! Loops under a paused clock: what wakes them, what delays them, how they end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use corliss_clock::Sources;
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_reconcile::{
    BoxedDiagnose, Outcome, Reconciler, Shutdown, Wake, WorkerBoard, WorkerState, WorkerStatus, spawn,
};
use tokio::sync::Notify;

#[derive(Debug, thiserror::Error)]
#[error("the moon is in the way")]
struct MoonError;

impl Diagnose for MoonError {
    fn code(&self) -> &'static str {
        "moon"
    }
    fn meaning(&self) -> Meaning {
        Meaning::Unavailable
    }
}

#[derive(Default)]
struct Probe {
    rounds: AtomicU32,
    fail: AtomicU32,
    panic: AtomicU32,
    /// While set, rounds wait here.
    gate: Option<Arc<Notify>>,
    wake_after: Option<Duration>,
}

fn take(counter: &AtomicU32) -> bool {
    counter
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
        .is_ok()
}

#[async_trait]
impl Reconciler for Probe {
    fn name(&self) -> &'static str {
        "test.probe"
    }
    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let round = self.rounds.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        if take(&self.fail) {
            Err(MoonError)?;
        }
        assert!(!take(&self.panic), "stumbled");
        Ok(Outcome {
            progress: format!("round {round}"),
            wake_after: self.wake_after,
        })
    }
}

struct Bench {
    probe: Arc<Probe>,
    wake: Wake,
    shutdown: Shutdown,
    board: WorkerBoard,
}

const PERIOD: Duration = Duration::from_secs(60);

impl Bench {
    fn start(probe: Probe) -> Self {
        let bench = Self {
            probe: Arc::new(probe),
            wake: Wake::new(),
            shutdown: Shutdown::new(),
            board: WorkerBoard::new(&Sources::system()),
        };
        let probe: Arc<dyn Reconciler> = Arc::clone(&bench.probe) as _;
        spawn(
            probe,
            PERIOD,
            bench.wake.clone(),
            bench.shutdown.clone(),
            &bench.board,
        );
        bench
    }

    fn rounds(&self) -> u32 {
        self.probe.rounds.load(Ordering::SeqCst)
    }

    fn status(&self) -> WorkerStatus {
        self.board.list().remove(0)
    }

    /// Lets the loop come to rest; with the clock paused, sleeping less than any pause costs no time.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn signals_and_periods_wake_a_loop() {
    let bench = Bench::start(Probe::default());
    bench.settle().await;
    assert_eq!(bench.rounds(), 1, "at once");
    bench.wake.signal();
    bench.wake.signal();
    bench.settle().await;
    assert_eq!(bench.rounds(), 2, "two signals, one round");
    tokio::time::sleep(PERIOD).await;
    bench.settle().await;
    assert_eq!(bench.rounds(), 3, "period");
    assert_eq!(bench.status().progress, "round 3");
    assert_eq!(bench.status().state, WorkerState::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_signal_during_a_round_is_not_lost() {
    let gate = Arc::new(Notify::new());
    let bench = Bench::start(Probe {
        gate: Some(Arc::clone(&gate)),
        ..Probe::default()
    });
    bench.settle().await;
    assert_eq!(bench.status().state, WorkerState::Running);
    bench.wake.signal();
    gate.notify_one();
    bench.settle().await;
    assert_eq!(bench.rounds(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_signal_wakes_every_loop_that_shares_it() {
    let bench = Bench::start(Probe::default());
    let other = Arc::new(Probe::default());
    spawn(
        Arc::clone(&other) as _,
        PERIOD,
        bench.wake.clone(),
        bench.shutdown.clone(),
        &bench.board,
    );
    bench.settle().await;
    bench.wake.signal();
    bench.settle().await;
    assert_eq!((bench.rounds(), other.rounds.load(Ordering::SeqCst)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_round_can_ask_for_an_earlier_one() {
    let bench = Bench::start(Probe {
        wake_after: Some(Duration::from_secs(1)),
        ..Probe::default()
    });
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert_eq!(bench.rounds(), 4);
}

#[tokio::test(start_paused = true)]
async fn errors_and_panics_delay_a_loop_and_are_shown() {
    let bench = Bench::start(Probe {
        fail: 1.into(),
        panic: 1.into(),
        ..Probe::default()
    });
    bench.settle().await;
    assert_eq!(bench.status().state, WorkerState::BackingOff);
    assert_eq!(
        bench.status().last_error.as_deref(),
        Some("the moon is in the way")
    );
    bench.wake.signal();
    bench.settle().await;
    assert_eq!(bench.rounds(), 1, "a signal does not cut a backoff short");
    tokio::time::sleep(Duration::from_millis(101)).await;
    assert_eq!(bench.status().last_error.as_deref(), Some("panicked: stumbled"));
    assert_eq!(bench.status().failures, 2);
    tokio::time::sleep(Duration::from_millis(201)).await;
    assert_eq!(bench.status().state, WorkerState::Idle);
    assert_eq!(bench.status().failures, 0);
    assert!(bench.status().last_success_ms.is_some());
    assert_eq!(
        bench.status().last_error.as_deref(),
        Some("panicked: stumbled"),
        "kept for people"
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_the_round_under_way() {
    let gate = Arc::new(Notify::new());
    let bench = Bench::start(Probe {
        gate: Some(Arc::clone(&gate)),
        ..Probe::default()
    });
    bench.settle().await;
    bench.shutdown.trigger();
    let board = bench.board.clone();
    let drained = tokio::spawn(async move { board.drain(Duration::from_secs(10)).await });
    bench.settle().await;
    assert!(!drained.is_finished());
    gate.notify_one();
    assert_eq!(drained.await.unwrap(), Vec::<String>::new());
    assert_eq!(bench.status().state, WorkerState::Stopped);
    assert_eq!(bench.rounds(), 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_names_a_loop_that_does_not_end() {
    let bench = Bench::start(Probe {
        gate: Some(Arc::new(Notify::new())),
        ..Probe::default()
    });
    bench.settle().await;
    bench.shutdown.trigger();
    assert_eq!(
        bench.board.drain(Duration::from_secs(10)).await,
        vec!["test.probe".to_owned()]
    );
}
