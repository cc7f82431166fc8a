//! Queues, priorities, quotas and jobs that make room for others, live, on every database.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Room, local, spec};
use corliss_clock::Sources;
use corliss_diagnostics::Diagnose;
use corliss_executor::{Executor, FakeExecutor};
use corliss_jobs::{ExitClass, JobSpec, JobState, Jobs, MIGRATIONS, QueueSettings, StopCause};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::{DurationMs, JobId};
use serde_json::json;

fn fake() -> Arc<dyn Executor> {
    Arc::new(FakeExecutor::new(Sources::system().clock))
}

fn queues(value: serde_json::Value) -> QueueSettings {
    serde_json::from_value(json!({ "queues": value })).unwrap()
}

/// A job of this queue that asks for so many of the four CPUs and does not end by itself.
fn of_queue(root: &Path, queue: &str, cpus: u64) -> JobSpec {
    let mut spec = spec(root, "sleep 600");
    spec.terms.queue = queue.to_owned();
    spec.resources.cpu_milli = cpus * 1_000;
    spec.grace_ms = 1_000;
    spec
}

async fn submit(jobs: &Jobs, name: &str, spec: JobSpec) -> JobId {
    let spec = JobSpec {
        name: name.to_owned(),
        ..spec
    };
    jobs.submit(name, spec).await.unwrap()
}

async fn runs(room: &Room, id: &JobId) {
    room.until(id, "it runs", |job| job.state == JobState::Running)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn higher_priorities_go_first_and_a_queue_that_is_not_there_is_told() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let room = Room::over(&store, &fake(), root.path()).running();
        let first = submit(&room.jobs, "first", of_queue(root.path(), "default", 4)).await;
        runs(&room, &first).await;
        let low = submit(&room.jobs, "low", of_queue(root.path(), "default", 4)).await;
        let mut urgent = of_queue(root.path(), "default", 4);
        urgent.terms.priority = 7;
        let urgent = submit(&room.jobs, "urgent", urgent).await;
        assert_eq!(room.jobs.why(&urgent).await.unwrap().position, Some(1));
        let why = room.jobs.why(&low).await.unwrap();
        assert_eq!(why.position, Some(2));
        assert!(
            why.summary.starts_with("It waits behind 'urgent'"),
            "{}",
            why.summary
        );
        room.jobs.cancel(&first).await.unwrap();
        runs(&room, &urgent).await;

        let unknown = of_queue(root.path(), "defualt", 1);
        let error = room.jobs.submit("x", unknown).await.unwrap_err();
        assert_eq!(
            (error.code(), error.field().as_deref()),
            ("queue_not_found", Some("queue"))
        );
        assert_eq!(error.hint().unwrap(), "did you mean 'default'?");
        let mut beyond = of_queue(root.path(), "default", 1);
        beyond.terms.priority = 5_000;
        let error = room.jobs.submit("y", beyond).await.unwrap_err();
        assert!(error.to_string().contains("-1000 to 1000"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_borrowed_and_given_back_and_who_made_room_keeps_its_turn() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let room = Room::over(&store, &local(), root.path()).running();
        let settings = queues(json!({
            "all": {},
            "a": {"parent": "all", "quota": {"cpu_milli": 2000}, "preempt": ["borrowers"]},
            "b": {"parent": "all", "quota": {"cpu_milli": 2000}, "preemptible": true},
        }));
        room.jobs.set_queues(settings).await.unwrap();
        let own = submit(&room.jobs, "own", of_queue(root.path(), "b", 2)).await;
        runs(&room, &own).await;
        let mut borrows = of_queue(root.path(), "b", 2);
        borrows.run_id = Some("run_01k0000000000000000000000a".parse().unwrap());
        borrows.step = Some("train".to_owned());
        let borrowing = submit(&room.jobs, "borrows", borrows.clone()).await;
        runs(&room, &borrowing).await;
        let reclaims = submit(&room.jobs, "reclaims", of_queue(root.path(), "a", 2)).await;
        runs(&room, &reclaims).await;
        let stopped = room.ended(&borrowing).await;
        assert_eq!(
            (stopped.state, stopped.class, stopped.stop_cause),
            (
                JobState::Failed,
                Some(ExitClass::Preempted),
                Some(StopCause::Preempted)
            )
        );
        let told = stopped.reason.unwrap();
        assert_eq!(
            told,
            format!("it was stopped to make room for 'reclaims' ({reclaims})")
        );

        // The next attempt counts as waiting since the first was submitted, and so goes before who came in between.
        let between = submit(&room.jobs, "between", of_queue(root.path(), "b", 2)).await;
        borrows.attempt = 2;
        let again = submit(&room.jobs, "again", borrows).await;
        let terms = room.jobs.get(&again).await.unwrap().spec.terms;
        assert_eq!(terms.since, Some(stopped.created));
        assert_eq!(
            terms.served_ms,
            Some(stopped.ended.unwrap().since(stopped.admitted.unwrap()).0)
        );
        let why = room.jobs.why(&again).await.unwrap();
        assert_eq!(
            (why.position, why.reasons[0].code.as_str()),
            (Some(1), "over_quota"),
            "{why:?}"
        );
        assert_eq!(room.jobs.why(&between).await.unwrap().position, Some(2));
        room.jobs.cancel(&reclaims).await.unwrap();
        runs(&room, &again).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_queues_would_do_is_told_before_it_is_done() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let room = Room::over(&store, &fake(), root.path()).running();
        let limited = |cpus: u64| {
            queues(json!({"small": {"quota": {"cpu_milli": cpus * 1000}, "borrow": {"cpu_milli": 0}}}))
        };
        room.jobs.set_queues(limited(2)).await.unwrap();
        let first = submit(&room.jobs, "first", of_queue(root.path(), "small", 2)).await;
        runs(&room, &first).await;
        let second = submit(&room.jobs, "second", of_queue(root.path(), "small", 2)).await;
        let why = room.jobs.why(&second).await.unwrap();
        assert_eq!(why.reasons[0].code, "over_quota");
        assert_eq!(
            why.summary,
            "Queue 'small' uses all that it may, of a quota of 2 CPUs, and it needs 2 CPUs."
        );

        let effect = room.jobs.preview_queues(limited(4)).await.unwrap();
        assert_eq!(
            effect
                .starts
                .iter()
                .map(|one| one.name.as_str())
                .collect::<Vec<_>>(),
            ["second"]
        );
        assert_eq!(
            room.jobs.get(&second).await.unwrap().state,
            JobState::Queued,
            "nothing is changed"
        );
        let effect = room.jobs.preview_queues(limited(1)).await.unwrap();
        assert_eq!(effect.refusals[0].job_id, second);
        let gone = room.jobs.set_queues(QueueSettings::default()).await.unwrap_err();
        assert_eq!(gone.code(), "queue_in_use");
        let error = room
            .jobs
            .submit("z", of_queue(root.path(), "small", 3))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "job_too_large");
        assert!(
            error.to_string().contains("its queue may use 2 CPUs at most"),
            "{error}"
        );

        room.jobs.set_queues(limited(4)).await.unwrap();
        runs(&room, &second).await;
        let view = room.jobs.queues().await.unwrap();
        assert_eq!(
            (view.usage["small"].running, view.usage["small"].held.cpu_milli),
            (2, 4_000)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_job_starts_is_told_where_time_limits_say_so() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let room = Room::over(&store, &fake(), root.path()).running();
        let lasting = |seconds: u64| JobSpec {
            timeout_ms: Some(seconds * 1_000),
            ..of_queue(root.path(), "default", 4)
        };
        let first = submit(&room.jobs, "first", lasting(600)).await;
        runs(&room, &first).await;
        let second = submit(&room.jobs, "second", of_queue(root.path(), "default", 4)).await;
        let third = submit(&room.jobs, "third", lasting(60)).await;
        let admitted = room.jobs.get(&first).await.unwrap().admitted.unwrap();
        let why = room.jobs.why(&second).await.unwrap();
        assert_eq!(why.starts_ms, Some(admitted.as_millis() + 600_000));
        assert_eq!(why.starts_after, Some(first.clone()));
        assert!(
            why.summary
                .ends_with(&format!("it starts when 'first' ({first}) ends.")),
            "{}",
            why.summary
        );
        assert_eq!(
            room.jobs.why(&third).await.unwrap().starts_ms,
            None,
            "'second' has no time limit"
        );
    })
    .await;
}

/// A promise and who makes room for it outlive the server.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_is_carried_on_by_the_next_server() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let executor = local();
        let settings = queues(json!({"default": {"preempt": ["lower"], "preemptible": true}}));
        let (victim, urgent);
        {
            let room = Room::over(&store, &executor, root.path()).running();
            room.jobs.set_queues(settings).await.unwrap();
            let mut stubborn = of_queue(root.path(), "default", 4);
            stubborn.command = corliss_jobs::Command::Argv(
                ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
                    .map(str::to_owned)
                    .to_vec(),
            );
            stubborn.grace_ms = 3_000;
            victim = submit(&room.jobs, "victim", stubborn).await;
            runs(&room, &victim).await;
            // Its trap has to be set.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let mut spec = of_queue(root.path(), "default", 3);
            spec.terms.priority = 5;
            urgent = submit(&room.jobs, "urgent", spec).await;
            room.until(&victim, "it is told to end", |job| job.stop_cause.is_some())
                .await;
            assert_eq!(room.jobs.why(&urgent).await.unwrap().reasons[0].code, "promised");
        }
        let room = Room::over(&store, &executor, root.path());
        // Somebody of the same priority comes first to the new server, and would fit beside nobody.
        let mut spec = of_queue(root.path(), "default", 2);
        spec.terms.priority = 5;
        let late = submit(&room.jobs, "late", spec).await;
        let room = room.running();
        runs(&room, &urgent).await;
        assert_eq!(room.ended(&victim).await.class, Some(ExitClass::Preempted));
        assert_eq!(room.jobs.get(&late).await.unwrap().state, JobState::Queued);
        room.jobs.cancel(&urgent).await.unwrap();
        runs(&room, &late).await;
        room.jobs.cancel(&late).await.unwrap();
        room.ended(&late).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_order_a_queue_and_one_that_cannot_be_kept_is_refused() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let room = Room::over(&store, &fake(), root.path()).running();
        room.jobs
            .set_queues(queues(json!({"due": {"order": "edf"}})))
            .await
            .unwrap();
        let now = Sources::system().clock.now();
        let due = |expected_h: u64, deadline_h: u64| {
            let mut spec = of_queue(root.path(), "due", 4);
            spec.terms.expected_ms = Some(expected_h * 3_600_000);
            spec.terms.deadline = Some(now + DurationMs(deadline_h * 3_600_000));
            spec
        };
        let first = submit(&room.jobs, "first", due(2, 3)).await;
        runs(&room, &first).await;
        let late = submit(&room.jobs, "late", due(1, 9)).await;
        let early = submit(&room.jobs, "early", due(1, 5)).await;
        assert_eq!(room.jobs.why(&early).await.unwrap().position, Some(1));
        assert_eq!(room.jobs.why(&late).await.unwrap().position, Some(2));
        let error = room.jobs.submit("never", due(2, 3)).await.unwrap_err();
        assert_eq!(
            (error.code(), error.field().as_deref()),
            ("deadline_too_early", Some("deadline"))
        );
        // The same is welcome where nobody goes by deadlines, and a start that is put off is told.
        let mut later = due(2, 3);
        later.terms.queue = "default".to_owned();
        later.terms.not_before = Some(now + DurationMs(3_600_000));
        let later = submit(&room.jobs, "later", later).await;
        let why = room.jobs.why(&later).await.unwrap();
        assert_eq!(why.reasons[0].code, "not_before");
        assert!(
            why.summary.starts_with("It is not to start before 20"),
            "{}",
            why.summary
        );
        let mut wrong = due(2, 3);
        wrong.terms.not_before = wrong.terms.deadline;
        let error = room.jobs.submit("wrong", wrong).await.unwrap_err();
        assert_eq!(error.field().as_deref(), Some("deadline"));
    })
    .await;
}
