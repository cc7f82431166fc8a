//! Kill -9 at every effect in turn: whatever the point, the next server finishes the run, no attempt runs
//! twice, and each output is recorded once.

use super::world::{Does, World};
use super::*;
use crate::ports::{LineageRelation, TrackingEnd};
use corliss_policy_pipeline::{RunState, StepState};

const FILE: &str = "
project: digits
data:
  raw: ./data
steps:
  split:
    run: python split.py
    inputs: [raw]
    outputs: [train-set, test-set]
  train:
    run: train.py
    launcher: torchrun
    workers: 2
    resources: {cpus: 0.5}
    inputs: [train-set]
    outputs: [model]
    checkpoint: {every: 5s}
  count:
    run: wc
    inputs: [raw]
  evaluate:
    run: python evaluate.py
    inputs: [test-set, model]
    outputs: [report]
models:
  digits: {from: train.model, when: metrics.accuracy >= 0.95, alias: champion}
endpoints:
  digits: {model: digits@champion, replicas: 2}
";

fn world() -> Arc<World> {
    let world = World::new();
    world.script("train", 1, Does::GetsLost);
    world.logs("evaluate", "accuracy", 0.97);
    world
}

fn check(world: &World, run: &RunDetail) {
    assert_eq!(run.summary.state, RunState::Succeeded, "{run:#?}");
    assert!(run.steps.iter().all(|step| step.state == StepState::Succeeded));
    let expected = [
        ("count", 1),
        ("evaluate", 1),
        ("split", 1),
        ("train", 1),
        ("train", 2),
    ];
    assert_eq!(
        world.attempts(),
        expected.map(|(step, attempt)| (step.to_owned(), attempt)),
        "{run:#?}"
    );
    for step in &run.steps {
        assert!(
            step.outputs.iter().all(|output| output.version.is_some()),
            "{step:?}"
        );
        let last = step.attempts.last().unwrap();
        assert_eq!((last.state.as_str(), last.attempt), ("succeeded", step.attempt));
        assert!(
            step.attempts
                .iter()
                .all(|attempt| attempt.job_id.is_some() || attempt.state == "failed")
        );
    }
    assert_eq!(run.models[0].version, Some(1));
    let state = world.state();
    assert_eq!(state.registrations.len(), 1);
    assert_eq!(state.registrations[0].metrics["accuracy"], 0.97);
    assert_eq!(state.aliases["digits@champion"], 1);
    assert_eq!(state.endpoints["digits"].replicas, 2);
    assert!(
        state.tokens.is_empty(),
        "tokens outlive their steps: {:?}",
        state.tokens
    );
    assert!(
        state
            .tracking
            .values()
            .all(|end| *end == Some(TrackingEnd::Finished)),
        "{:?}",
        state.tracking
    );
    assert_eq!(state.tracking.len(), 4);
    let edges = |relation| {
        state
            .lineage
            .iter()
            .filter(|edge| edge.relation == relation)
            .count()
    };
    assert_eq!(
        edges(LineageRelation::Consumed),
        2,
        "not what its own steps wrote"
    );
    assert_eq!(edges(LineageRelation::Produced), 4);
    assert_eq!(edges(LineageRelation::Registered), 1);
}

/// Kills a first server at this effect and lets a second one finish. False if the run ended before it.
async fn killed_at(pass: u64) -> bool {
    let (store, world) = (memory().await, world());
    let first = Server::start(&store, &world, Gate::killing_at(pass));
    let id = first.submit(&world, FILE).await.unwrap();
    if let Some(run) = first.ended(&id).await {
        check(&world, &run);
        return false;
    }
    drop(first);
    let second = Server::start(&store, &world, Gate::default());
    let run = second.ended(&id).await.unwrap();
    check(&world, &run);
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_any_effect_nothing_is_lost_and_nothing_runs_twice() {
    const AT_ONCE: u64 = 8;
    let mut first = 1;
    loop {
        let points = (first..first + AT_ONCE).map(|pass| tokio::spawn(killed_at(pass)));
        let mut killed = Vec::new();
        for point in points.collect::<Vec<_>>() {
            killed.push(point.await.unwrap());
        }
        if killed.contains(&false) {
            assert!(first > 80, "only {first} effects were killed at");
            return;
        }
        first += AT_ONCE;
        assert!(first < 1_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_killed_again_and_again_still_gets_there() {
    let (store, world) = (memory().await, world());
    let id = Server::start(&store, &world, Gate::killing_at(1))
        .submit(&world, FILE)
        .await
        .unwrap();
    // Lives of many lengths: some too short for anything, none long enough for the whole run at first.
    for life in 0..200 {
        let server = Server::start(&store, &world, Gate::killing_at(8 + life % 40));
        if let Some(run) = server.ended(&id).await {
            check(&world, &run);
            return;
        }
    }
    panic!("no life was long enough");
}
