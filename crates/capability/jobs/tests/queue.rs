//! Submission, order, explanation and cancelling, on every database and with the executor's twin.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Room, spec};
use corliss_clock::Sources;
use corliss_diagnostics::Diagnose;
use corliss_executor::{Executor, FakeExecutor, TaskRef};
use corliss_jobs::{Job, JobFilter, JobState, MIGRATIONS};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::Resources;

fn fake() -> (Arc<FakeExecutor>, Arc<dyn Executor>) {
    let fake = Arc::new(FakeExecutor::new(Sources::system().clock));
    (fake.clone(), fake)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_job_and_it_runs_once() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let (fake, executor) = fake();
        let room = Room::over(&store, &executor, root.path()).running();
        let first = room
            .jobs
            .submit("run/step/1", spec(root.path(), "exit 0"))
            .await
            .unwrap();
        let again = room
            .jobs
            .submit("run/step/1", spec(root.path(), "exit 1"))
            .await
            .unwrap();
        assert_eq!(first, again);
        let job = room.ended(&first).await;
        assert_eq!(job.state, JobState::Succeeded);
        assert!(job.started.is_some() && job.ended.is_some());
        let task = TaskRef {
            id: job.tasks[0].id.clone(),
            dir: root.path().join("tasks").join(job.tasks[0].id.as_str()),
        };
        assert_eq!(fake.starts(&task), 1);
        assert_eq!(room.jobs.find("run/step/1").await.unwrap().unwrap().id, first);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gangs_start_whole_in_order_and_waits_are_explained() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let (_, executor) = fake();
        let room = Room::over(&store, &executor, root.path()).running();
        let mut wide = spec(root.path(), "sleep 600");
        wide.workers = 3;
        let holder = room.jobs.submit("a", wide.clone()).await.unwrap();
        wide.name = "wide".to_owned();
        wide.workers = 2;
        let second = room.jobs.submit("b", wide).await.unwrap();
        let small = room.jobs.submit("c", spec(root.path(), "exit 0")).await.unwrap();
        room.until(&holder, "the first runs", |job| job.state == JobState::Running)
            .await;

        let why = room.jobs.why(&second).await.unwrap();
        assert_eq!(
            why.summary,
            "It is first in the queue and needs 2 CPUs, of which 1 is free."
        );
        assert_eq!(
            (why.position, why.reasons[0].code.as_str()),
            (Some(1), "not_enough_free")
        );
        let why = room.jobs.why(&small).await.unwrap();
        assert!(
            why.summary.starts_with("It waits behind 'wide' (job_"),
            "{}",
            why.summary
        );
        assert_eq!((why.position, why.reasons[0].code.as_str()), (Some(2), "behind"));
        let queue = room.jobs.queue().await.unwrap();
        assert_eq!(queue.free.cpu_milli, 1000);
        assert_eq!(
            queue
                .waiting
                .iter()
                .map(|item| item.job.id.clone())
                .collect::<Vec<_>>(),
            [second.clone(), small.clone()]
        );
        assert_eq!(queue.running.len(), 1);

        room.jobs.cancel(&holder).await.unwrap();
        assert_eq!(room.ended(&holder).await.state, JobState::Cancelled);
        room.until(&second, "the second starts whole", |job| {
            job.state == JobState::Running
        })
        .await;
        assert_eq!(room.ended(&small).await.state, JobState::Succeeded);
        assert!(
            room.jobs
                .why(&small)
                .await
                .unwrap()
                .summary
                .starts_with("It succeeded")
        );
        room.jobs
            .give_up(&second, "its model cannot be loaded")
            .await
            .unwrap();
        let given_up = room.ended(&second).await;
        assert_eq!(
            (given_up.state, given_up.reason.as_deref()),
            (JobState::Failed, Some("its model cannot be loaded"))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_run_is_refused_with_numbers_and_a_fix() {
    let store = corliss_metastore::Metastore::in_memory(&[MIGRATIONS])
        .await
        .unwrap();
    let root = tempfile::tempdir().unwrap();
    let (_, executor) = fake();
    let room = Room::over(&store, &executor, root.path());
    let mut large = spec(root.path(), "exit 0");
    large.workers = 2;
    large.resources = Resources {
        cpu_milli: 3000,
        memory_bytes: 0,
        accelerators: 2,
    };
    let error = room.jobs.submit("k", large).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the job can never start here: it needs 6 CPUs and this machine has 4 CPUs; \
         it needs 4 accelerators and this machine has 2 accelerators"
    );
    assert_eq!(
        (error.code(), error.field().as_deref()),
        ("job_too_large", Some("resources"))
    );
    assert!(error.hint().is_some());
}

/// Node and accelerators of each rank.
fn held(job: &Job) -> Vec<(&str, &[u32])> {
    let places = job.placement.iter();
    places
        .map(|place| (place.node.as_str(), place.accelerators.as_slice()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn accelerators_are_handed_out_by_index_and_hidden_from_the_rest() {
    let store = corliss_metastore::Metastore::in_memory(&[MIGRATIONS])
        .await
        .unwrap();
    let root = tempfile::tempdir().unwrap();
    let (_, executor) = fake();
    let room = Room::over(&store, &executor, root.path()).running();
    let mut one = spec(root.path(), "sleep 600");
    one.resources.accelerators = 1;
    let first = room.jobs.submit("a", one.clone()).await.unwrap();
    let second = room.jobs.submit("b", one.clone()).await.unwrap();
    let third = room.jobs.submit("c", one).await.unwrap();
    let first = room
        .until(&first, "runs", |job| job.state == JobState::Running)
        .await;
    let second = room
        .until(&second, "runs", |job| job.state == JobState::Running)
        .await;
    assert_eq!(
        (held(&first), held(&second)),
        (vec![("local", [0].as_slice())], vec![("local", [1].as_slice())])
    );
    let why = room.jobs.why(&third).await.unwrap();
    assert!(
        why.summary.contains("1 accelerator, and none is free"),
        "{}",
        why.summary
    );
    room.jobs.interrupt_all(common::DEADLINE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_can_be_cancelled_and_lists_page() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let (fake, executor) = fake();
        // Not running: everything stays in the queue.
        let room = Room::over(&store, &executor, root.path());
        let mut ids = Vec::new();
        for key in ["a", "b", "c"] {
            ids.push(room.jobs.submit(key, spec(root.path(), "exit 0")).await.unwrap());
        }
        let job = room.jobs.cancel(&ids[1]).await.unwrap();
        assert_eq!(
            (job.state, job.reason.as_deref()),
            (JobState::Cancelled, Some("it was cancelled while it waited"))
        );
        // Who looks again at every change and asks again at every look must come to rest.
        let mut changes = room.jobs.changed().listen();
        changes.forget();
        room.jobs.cancel(&ids[1]).await.unwrap();
        let told = tokio::time::timeout(Duration::from_millis(50), changes.wait()).await;
        assert!(told.is_err(), "nothing has changed");
        let page = room.jobs.list(JobFilter::default(), 2).await.unwrap();
        assert_eq!(page.jobs.len(), 2);
        let rest = JobFilter {
            before: page.next.clone(),
            ..JobFilter::default()
        };
        assert_eq!(room.jobs.list(rest, 2).await.unwrap().jobs.len(), 1);
        let queued = JobFilter {
            state: Some(JobState::Queued),
            ..JobFilter::default()
        };
        assert_eq!(room.jobs.list(queued, 10).await.unwrap().jobs.len(), 2);
        assert_eq!(fake.running(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_down_with_its_tasks_says_so() {
    let store = corliss_metastore::Metastore::in_memory(&[MIGRATIONS])
        .await
        .unwrap();
    let root = tempfile::tempdir().unwrap();
    let (fake, executor) = fake();
    let room = Room::over(&store, &executor, root.path()).running();
    let id = room
        .jobs
        .submit("a", spec(root.path(), "sleep 600"))
        .await
        .unwrap();
    room.until(&id, "runs", |job| job.state == JobState::Running)
        .await;
    assert_eq!(room.jobs.interrupt_all(common::DEADLINE).await.unwrap(), 0);
    let job = room.jobs.get(&id).await.unwrap();
    assert_eq!(
        (job.state, job.class),
        (JobState::Failed, Some(corliss_jobs::ExitClass::Infrastructure))
    );
    assert_eq!(fake.running(), 0);
    // Nothing new is admitted on the way down.
    let late = room.jobs.submit("b", spec(root.path(), "exit 0")).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(room.jobs.get(&late).await.unwrap().state, JobState::Queued);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_boot_admitted_is_lost_and_not_started_again() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let (fake, executor) = fake();
        let id = {
            let room = Room::over(&store, &executor, root.path());
            room.jobs.submit("k", spec(root.path(), "exit 0")).await.unwrap()
        };
        let job = id.clone();
        store
            .write(move |tx| {
                let sql = "UPDATE jobs_jobs SET state = 'starting', boot_id = 'an earlier one' WHERE id = $1";
                tx.execute(sql, corliss_metastore::params![&job])?;
                let sql = "INSERT INTO jobs_tasks (id, job_id, rank, phase) VALUES ($1, $2, 0, 'pending')";
                tx.execute(
                    sql,
                    corliss_metastore::params!["task_00000000000000000000000000", &job],
                )?;
                Ok::<_, corliss_metastore::StoreError>(())
            })
            .await
            .unwrap();
        let room = Room::over(&store, &executor, root.path()).running();
        let job = room.ended(&id).await;
        assert_eq!(
            (job.state, job.class),
            (JobState::Failed, Some(corliss_jobs::ExitClass::Infrastructure))
        );
        assert!(job.reason.unwrap().contains("the machine restarted"));
        let task = TaskRef {
            id: job.tasks[0].id.clone(),
            dir: root.path().join("tasks").join(job.tasks[0].id.as_str()),
        };
        assert_eq!(fake.starts(&task), 0);
    })
    .await;
}
