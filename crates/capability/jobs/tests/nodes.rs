//! One machine as several nodes: where gangs are put, what is drained, what may be sent away.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{Room, local, spec};
use corliss_clock::Sources;
use corliss_diagnostics::Diagnose;
use corliss_executor::logs::LogStart;
use corliss_executor::{Executor, FakeExecutor};
use corliss_jobs::{
    Command, ExitClass, Job, JobSpec, JobState, Launcher, LogRequest, MIGRATIONS, NodeSettings, Terms,
};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::Nearness;
use serde_json::json;

fn fake() -> Arc<dyn Executor> {
    Arc::new(FakeExecutor::new(Sources::system().clock))
}

/// Four nodes of a CPU in two racks; `a` and `c` have an accelerator each, `d` is a spot node.
fn four() -> NodeSettings {
    serde_json::from_value(json!({"levels": ["rack"], "nodes": {
        "a": {"cpu_milli": 1000, "memory_bytes": 1 << 30, "accelerators": [0], "in": {"rack": "r1"}},
        "b": {"cpu_milli": 1000, "memory_bytes": 1 << 30, "in": {"rack": "r1"}},
        "c": {"cpu_milli": 1000, "memory_bytes": 1 << 30, "accelerators": [1], "in": {"rack": "r2"}},
        "d": {"cpu_milli": 1000, "memory_bytes": 1 << 30, "in": {"rack": "r2"}, "spot": true},
    }}))
    .unwrap()
}

fn gang(root: &Path, workers: u32, near: Option<Nearness>) -> JobSpec {
    let mut spec = spec(root, "sleep 600");
    spec.workers = workers;
    spec.grace_ms = 1_000;
    spec.terms = Terms {
        is_preemptible: Some(true),
        ..Terms::default()
    };
    spec.terms.placing.near = near;
    spec
}

fn nodes(job: &Job) -> Vec<&str> {
    job.placement.iter().map(|place| place.node.as_str()).collect()
}

async fn running(room: &Room, id: &corliss_types::JobId) -> Job {
    room.until(id, "it runs", |job| job.state == JobState::Running)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn gangs_stay_within_a_rack_and_wait_for_one() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let room = Room::over(&store, &fake(), root.path()).running();
        room.jobs.set_nodes(four()).await.unwrap();
        let within = || Some(Nearness::Within("rack".to_owned()));
        let one = room.jobs.submit("one", gang(root.path(), 1, None)).await.unwrap();
        let first = running(&room, &one).await;
        let two = room
            .jobs
            .submit("two", gang(root.path(), 2, within()))
            .await
            .unwrap();
        let second = running(&room, &two).await;
        let (mine, theirs) = match nodes(&first)[0] {
            "a" | "b" => (["c", "d"], "r2"),
            _ => (["a", "b"], "r1"),
        };
        let mut places = nodes(&second);
        places.sort_unstable();
        assert_eq!(places, mine, "{theirs}");

        let third = room
            .jobs
            .submit("three", gang(root.path(), 2, within()))
            .await
            .unwrap();
        let why = room.jobs.why(&third).await.unwrap();
        let free = "It is first in the queue and needs 2 CPUs, of which 1 is free";
        assert!(why.summary.starts_with(free), "{}", why.summary);
        let spread = room
            .jobs
            .submit("four", gang(root.path(), 5, Some(Nearness::Spread)))
            .await
            .unwrap_err();
        assert!(
            spread
                .to_string()
                .contains("needs 5 CPUs and this machine has 4 CPUs")
        );
        let three = room
            .jobs
            .submit("five", gang(root.path(), 3, within()))
            .await
            .unwrap_err();
        assert_eq!(
            three.to_string(),
            "the job can never start here: no rack has room for all of its workers"
        );
        room.jobs.cancel(&one).await.unwrap();
        let third = running(&room, &third).await;
        let rack = if theirs == "r2" { ["a", "b"] } else { ["c", "d"] };
        let mut places = nodes(&third);
        places.sort_unstable();
        assert_eq!(places, rack);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_is_left_and_its_jobs_start_elsewhere() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let root = tempfile::tempdir().unwrap();
        let room = Room::over(&store, &fake(), root.path()).running();
        room.jobs.set_nodes(four()).await.unwrap();
        let mut wants_card = gang(root.path(), 1, None);
        wants_card.resources.accelerators = 1;
        let first = room.jobs.submit("first", wants_card.clone()).await.unwrap();
        let node = nodes(&running(&room, &first).await)[0].to_owned();
        let other = if node == "a" { "c" } else { "a" };
        room.jobs.drain(other, false).await.unwrap();
        let second = room.jobs.submit("second", wants_card).await.unwrap();
        let why = room.jobs.why(&second).await.unwrap();
        assert!(
            why.summary.contains(&format!("with {other} drained")),
            "{}",
            why.summary
        );

        // Whoever keeps a job's place from it says so; whoever empties a node stops it, to start again elsewhere.
        let error = room.jobs.set_nodes(NodeSettings::default()).await.unwrap_err();
        assert_eq!(error.code(), "node_in_use");
        assert!(
            error
                .to_string()
                .starts_with(&format!("node '{node}' cannot go: 'step'")),
            "{error}"
        );
        let drained = room.jobs.drain(&node, true).await.unwrap();
        assert_eq!((drained.stopped.len(), drained.remaining.len()), (1, 0));
        let ended = room.ended(&first).await;
        assert_eq!(ended.class, Some(ExitClass::Preempted));
        assert_eq!(
            ended.reason.as_deref(),
            Some(format!("it was stopped because node '{node}' was drained").as_str())
        );
        room.jobs.undrain(other).await.unwrap();
        assert_eq!(nodes(&running(&room, &second).await), [other]);
        let error = room.jobs.drain("e", true).await.unwrap_err();
        assert_eq!(
            (error.code(), error.field().as_deref()),
            ("node_not_found", Some("node"))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_who_is_there_are_shown() {
    let store = corliss_metastore::Metastore::in_memory(&[MIGRATIONS])
        .await
        .unwrap();
    let root = tempfile::tempdir().unwrap();
    let room = Room::over(&store, &fake(), root.path()).running();
    let whole = room.jobs.nodes().await.unwrap();
    assert_eq!((whole.nodes.len(), whole.nodes[0].name.as_str()), (1, "local"));
    room.jobs.set_nodes(four()).await.unwrap();
    let mut part = gang(root.path(), 1, None);
    part.terms.placing.accelerator_share = Some(400);
    let ids = [
        room.jobs.submit("a", part.clone()).await.unwrap(),
        room.jobs.submit("b", part.clone()).await.unwrap(),
    ];
    for id in &ids {
        running(&room, id).await;
    }
    let shown = room.jobs.nodes().await.unwrap();
    let cards = shown.nodes.iter().flat_map(|node| &node.accelerators);
    let mut free: Vec<(u32, usize)> = cards.map(|card| (card.free_milli, card.jobs.len())).collect();
    free.sort_unstable();
    assert_eq!(free, [(600, 1), (600, 1)], "each has a CPU for one worker only");
    let steady = JobSpec {
        workers: 4,
        terms: Terms::default(),
        ..part.clone()
    };
    let error = room.jobs.submit("steady", steady).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no node has room for one of its workers"),
        "{error}"
    );
    part.resources.accelerators = 1;
    let error = room.jobs.submit("both", part).await.unwrap_err();
    assert_eq!(error.field().as_deref(), Some("accelerators"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gang_over_nodes_meets_as_under_torchrun() {
    let store = corliss_metastore::Metastore::in_memory(&[MIGRATIONS])
        .await
        .unwrap();
    let root = tempfile::tempdir().unwrap();
    let room = Room::over(&store, &local(), root.path()).running();
    let mut two = four();
    for node in two.nodes.values_mut() {
        node.spot = false;
        node.cpu_milli = 2_000;
    }
    two.nodes.retain(|name, _| name == "a" || name == "c");
    room.jobs.set_nodes(two).await.unwrap();
    let mut wide = gang(root.path(), 4, None);
    let line = "echo $RANK $LOCAL_RANK/$LOCAL_WORLD_SIZE $GROUP_RANK/$GROUP_WORLD_SIZE $CORLISS_NODE";
    wide.command = Command::Shell(line.to_owned());
    wide.launcher = Launcher::Torchrun;
    let id = room.jobs.submit("wide", wide).await.unwrap();
    assert_eq!(room.ended(&id).await.state, JobState::Succeeded);
    let mut said = Vec::new();
    for rank in 0..4 {
        let request = LogRequest {
            rank,
            attempt: None,
            start: LogStart::Offset(0),
            stream: None,
            limit: 10,
        };
        said.push(room.jobs.logs(&id, request).await.unwrap().lines[0].text.clone());
    }
    let second = if said[0].ends_with('a') { "c" } else { "a" };
    let first = if second == "c" { "a" } else { "c" };
    assert_eq!(
        said,
        [
            format!("0 0/2 0/2 {first}"),
            format!("1 1/2 0/2 {first}"),
            format!("2 0/2 1/2 {second}"),
            format!("3 1/2 1/2 {second}"),
        ]
    );
}
