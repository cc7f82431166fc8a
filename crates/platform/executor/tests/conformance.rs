//! The suite that every executor passes: the local one and its twin without processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{ended, local, log_texts, spec};
use corliss_clock::SystemClock;
use corliss_executor::{Executor, ExitKind, FakeExecutor, TaskState};

async fn both(suite: impl AsyncFn(&dyn Executor, &Path)) {
    for executor in [
        local() as Arc<dyn Executor>,
        Arc::new(FakeExecutor::new(Arc::new(SystemClock::new()))),
    ] {
        let root = tempfile::tempdir().unwrap();
        suite(executor.as_ref(), root.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_code_is_told_and_stays() {
    both(async |executor, root| {
        let spec = spec(root, "echo hello; exit 3");
        assert_eq!(
            executor.inspect(&spec.task()).await.unwrap(),
            TaskState::NotStarted
        );
        executor.start(&spec).await.unwrap();
        let exit = ended(executor, &spec.task()).await;
        assert_eq!((exit.kind, exit.code), (ExitKind::Exited, Some(3)));
        assert!(exit.started_ms.unwrap() <= exit.ended_ms);
        assert_eq!(log_texts(&spec.task()), ["hello"]);
        assert_eq!(
            executor.inspect(&spec.task()).await.unwrap(),
            TaskState::Exited(exit)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_twice_runs_once() {
    both(async |executor, root| {
        let spec = spec(root, "echo once; sleep 0.2; exit 0");
        let (first, second) = tokio::join!(executor.start(&spec), executor.start(&spec));
        first.unwrap();
        second.unwrap();
        let exit = ended(executor, &spec.task()).await;
        assert!(exit.succeeded());
        let again = executor.start(&spec).await.unwrap();
        assert_eq!(again, TaskState::Exited(exit));
        assert_eq!(log_texts(&spec.task()), ["once"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_task_is_cancelled_even_before_it_began() {
    both(async |executor, root| {
        let running = spec(root, "sleep 600; exit 0");
        executor.start(&running).await.unwrap();
        executor.stop(&running.task(), 20_000).await.unwrap();
        executor.stop(&running.task(), 20_000).await.unwrap();
        assert_eq!(ended(executor, &running.task()).await.kind, ExitKind::Cancelled);

        let never = spec(root, "echo never; exit 0");
        executor.stop(&never.task(), 0).await.unwrap();
        let state = executor.start(&never).await.unwrap();
        assert!(matches!(state, TaskState::Exited(exit) if exit.kind == ExitKind::Cancelled));
        assert_eq!(log_texts(&never.task()), Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_ignores_sigterm_is_killed_after_its_grace() {
    both(async |executor, root| {
        let spec = spec(root, "trap '' TERM; echo deaf; sleep 600; sleep 600; exit 0");
        executor.start(&spec).await.unwrap();
        common::until("the trap is set", || log_texts(&spec.task()) == ["deaf"]).await;
        executor.stop(&spec.task(), 20_000).await.unwrap();
        // Who asks again at every change must come to rest.
        let mut changes = executor.changes();
        changes.mark_unchanged();
        executor.stop(&spec.task(), 20_000).await.unwrap();
        assert!(!changes.has_changed().unwrap(), "nothing is new");
        executor.stop(&spec.task(), 300).await.unwrap();
        assert!(changes.has_changed().unwrap(), "the grace is shorter");
        assert_eq!(ended(executor, &spec.task()).await.kind, ExitKind::Cancelled);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_out_and_signal_are_told_apart() {
    both(async |executor, root| {
        let mut slow = spec(root, "sleep 600; exit 0");
        slow.timeout_ms = Some(300);
        let killed = spec(root, "kill -KILL $$");
        executor.start(&slow).await.unwrap();
        executor.start(&killed).await.unwrap();
        assert_eq!(ended(executor, &slow.task()).await.kind, ExitKind::TimedOut);
        let exit = ended(executor, &killed.task()).await;
        assert_eq!((exit.kind, exit.signal), (ExitKind::Signaled, Some(9)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_ended_task_can_be_removed() {
    both(async |executor, root| {
        let spec = spec(root, "sleep 600; exit 0");
        executor.start(&spec).await.unwrap();
        assert!(executor.remove(&spec.task()).await.is_err());
        executor.stop(&spec.task(), 0).await.unwrap();
        ended(executor, &spec.task()).await;
        executor.remove(&spec.task()).await.unwrap();
        executor.remove(&spec.task()).await.unwrap();
        assert!(!spec.dir.exists());
        assert_eq!(
            executor.inspect(&spec.task()).await.unwrap(),
            TaskState::NotStarted
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_command_is_refused() {
    both(async |executor, root| {
        let mut spec = spec(root, "");
        spec.argv.clear();
        assert!(executor.start(&spec).await.is_err());
    })
    .await;
}
