//! Releases over the same stand-ins: what is stored, what runs, what the gateway is told, and what a restart keeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A helper of a test may fail it.

mod world;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use corliss_metastore::Metastore;
use corliss_policy_serving::release::{ReleasePlan, Split, Strategy};
use corliss_serving::{
    DeployRequest, EndpointPhase, MIGRATIONS, ReleaseState, ReleaseView, ReplicaPhase, RouteRelease, Word,
};
use corliss_testkit::metastore::for_each_backend;
use corliss_types::Resources;

use world::World;

fn request(model: &str, replicas: u32, release: Option<ReleasePlan>) -> DeployRequest {
    DeployRequest {
        model: model.to_owned(),
        replicas: Some(replicas),
        resources: Some(Resources::default()),
        allow_pickle: false,
        batching: Default::default(),
        release,
    }
}

fn canary(steps: &[u32]) -> ReleasePlan {
    ReleasePlan {
        strategy: Strategy::Canary,
        steps: Some(steps.to_vec()),
        step_ms: Some(1),
        min_requests: Some(20),
        ..ReleasePlan::default()
    }
}

fn plan(strategy: Strategy) -> ReleasePlan {
    ReleasePlan {
        strategy,
        ..ReleasePlan::default()
    }
}

/// Two replicas serve version 1 of `model`.
async fn serving(store: Metastore, model: &str) -> World {
    let world = World::start(store);
    world
        .serving
        .deploy("digits", request(model, 2, None), "ana")
        .await
        .unwrap();
    world
        .until("digits", |endpoint| {
            endpoint.state == EndpointPhase::Ready && endpoint.replicas_ready == 2
        })
        .await;
    world
}

async fn newest(world: &World) -> ReleaseView {
    world.serving.releases("digits").await.unwrap().remove(0)
}

async fn until(world: &World, wanted: impl Fn(&ReleaseView) -> bool) -> ReleaseView {
    let started = Instant::now();
    loop {
        let release = newest(world).await;
        if wanted(&release) {
            return release;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{release:?}");
        world.serving.wake().signal();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn told(world: &World) -> Option<RouteRelease> {
    world.serving.route_table().borrow().endpoints[0].release.clone()
}

/// Ready replicas of each of these versions.
async fn ready(world: &World, versions: [u32; 2]) -> [usize; 2] {
    let endpoint = world.serving.get("digits").await.unwrap();
    versions.map(|version| {
        let replicas = endpoint.replicas.iter();
        replicas
            .filter(|replica| replica.version == version && replica.state == ReplicaPhase::Ready)
            .count()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_goes_through_its_steps_and_takes_the_place() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = serving(store, "digits/1").await;
        let deploy = || {
            world
                .serving
                .deploy("digits", request("digits/2", 2, Some(canary(&[10, 100]))), "bo")
        };
        let endpoint = deploy().await.unwrap();
        assert_eq!(
            (endpoint.desired_version, endpoint.model.as_str()),
            (1, "digits/1")
        );
        let first = until(&world, |release| release.begun_ms.is_some()).await;
        assert_eq!(
            (first.step, first.percent, first.started_by.as_deref()),
            (0, 10, Some("bo"))
        );
        assert_eq!(ready(&world, [1, 2]).await, [2, 1]);
        let route = told(&world).unwrap();
        assert_eq!(
            (route.version, route.split.percent, route.id),
            (2, 10, first.id.clone())
        );
        // Said again it goes on where it is.
        assert_eq!(deploy().await.unwrap().release.unwrap().id, first.id);
        // Without requests it stays, however long.
        for _ in 0..20 {
            world.serving.wake().signal();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(newest(&world).await.step, 0);

        world.traffic.add(1, 180, 0);
        world.traffic.add(2, 20, 0);
        let second = until(&world, |release| release.step == 1 && release.begun_ms.is_some()).await;
        assert_eq!((second.percent, second.steps.len()), (100, 1));
        assert_eq!(
            (second.steps[0].new.requests, second.steps[0].old.requests),
            (20, 180)
        );
        assert_eq!(second.versions[1].seen.requests, 0, "a step counts its own");
        assert_eq!(ready(&world, [1, 2]).await, [2, 2]);
        world.traffic.add(2, 20, 0);
        let done = until(&world, |release| release.state == ReleaseState::Completed).await;
        assert_eq!(done.steps.len(), 2);
        let endpoint = world
            .until("digits", |endpoint| {
                endpoint.state == EndpointPhase::Ready && endpoint.serving_version == Some(2)
            })
            .await;
        assert_eq!(
            (endpoint.model.as_str(), endpoint.deployed_by.as_deref()),
            ("digits/2", Some("bo"))
        );
        assert_eq!(told(&world), None);
        assert!(world.jobs.fewest_ready.load(Ordering::SeqCst) >= 2);
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_with_errors_is_taken_back_and_not_tried_again() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = serving(store, "digits@champion").await;
        let again = request("digits@champion", 2, Some(canary(&[10])));
        // How versions get out is set; nothing is let out by that.
        let endpoint = world
            .serving
            .deploy("digits", again.clone(), "ana")
            .await
            .unwrap();
        assert_eq!((endpoint.release, endpoint.release_plan), (None, canary(&[10])));
        world.models.champion.store(2, Ordering::SeqCst);
        let release = loop {
            world.serving.wake().signal();
            if let Some(release) = world.serving.get("digits").await.unwrap().release {
                break release;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(release.started_by, None, "nobody but the alias");
        until(&world, |release| release.begun_ms.is_some()).await;
        world.traffic.add(1, 100, 0);
        world.traffic.add(2, 12, 12);
        let ended = until(&world, |release| release.state.has_ended()).await;
        assert_eq!(ended.state, ReleaseState::RolledBack);
        let reason = ended.reason.unwrap();
        assert!(
            reason.starts_with("12 of 12 requests got no answer, where 1 % are allowed"),
            "{reason}"
        );
        world
            .until("digits", |endpoint| {
                let gone = endpoint
                    .replicas
                    .iter()
                    .all(|replica| replica.version == 1 || replica.state == ReplicaPhase::Stopped);
                gone && endpoint.state == EndpointPhase::Ready && endpoint.replicas_ready == 2
            })
            .await;
        for _ in 0..20 {
            world.serving.wake().signal();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(
            world.serving.releases("digits").await.unwrap().len(),
            1,
            "it is not tried again"
        );
        let told = world.serving.get("digits").await.unwrap().reason.unwrap();
        assert!(
            told.contains("not tried again") && told.contains("12 of 12"),
            "{told}"
        );
        // Until somebody says so.
        world.serving.deploy("digits", again, "ana").await.unwrap();
        assert_eq!(newest(&world).await.state, ReleaseState::Running);
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_is_taken_back_in_the_engines_words() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = serving(store, "digits/1").await;
        world.jobs.cannot_start(2);
        let wanted = request("digits/2", 2, Some(plan(Strategy::BlueGreen)));
        world.serving.deploy("digits", wanted, "ana").await.unwrap();
        let ended = until(&world, |release| release.state.has_ended()).await;
        assert_eq!(
            (ended.state, ended.reason.as_deref(), ended.begun_ms),
            (
                ReleaseState::RolledBack,
                Some("3 starts of version 2 failed in a row: the model needs an operator that is not there"),
                None
            )
        );
        let endpoint = world.serving.get("digits").await.unwrap();
        assert_eq!(
            (endpoint.state, endpoint.replicas_ready, endpoint.desired_version),
            (EndpointPhase::Ready, 2, 1)
        );
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_step_and_counts_it_anew() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = serving(store, "digits/1").await;
        let wanted = request("digits/2", 2, Some(canary(&[10, 50])));
        world.serving.deploy("digits", wanted, "ana").await.unwrap();
        until(&world, |release| release.begun_ms.is_some()).await;
        world.traffic.add(2, 20, 0);
        let before = until(&world, |release| release.step == 1 && release.begun_ms.is_some()).await;
        let started = world.jobs.started();
        let world = world.restart().await;
        // A whole pass: what is counted from here on is counted by this server.
        let mut table = world.serving.route_table();
        table.wait_for(|table| table.generation > 0).await.unwrap();
        let after = newest(&world).await;
        assert_eq!(
            (after.id.clone(), after.step, after.begun_ms),
            (before.id, 1, before.begun_ms)
        );
        assert_eq!((after.versions[1].seen.requests, after.percent), (0, 50));
        assert_eq!(world.jobs.started(), started, "a replica was started again");
        world.traffic.add(2, 20, 0);
        until(&world, |release| release.state == ReleaseState::Completed).await;
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_and_a_switch_back_at_once() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let world = serving(store, "digits/1").await;
        let deploy = |model| {
            world.serving.deploy(
                "digits",
                request(model, 2, Some(plan(Strategy::BlueGreen))),
                "ana",
            )
        };
        deploy("digits/2").await.unwrap();
        let release = until(&world, |release| release.begun_ms.is_some()).await;
        assert_eq!((release.percent, ready(&world, [1, 2]).await), (100, [2, 2]));
        let tell = |id: String, word: Word| {
            let serving = world.serving.clone();
            async move { serving.tell_release("digits", &id, word, "bo").await }
        };
        let id = release.id.to_string();
        assert_eq!(
            tell(id.clone(), Word::Pause).await.unwrap().state,
            ReleaseState::Paused
        );
        assert_eq!(
            tell(id.clone(), Word::Resume).await.unwrap().state,
            ReleaseState::Running
        );
        let back = tell(id.clone(), Word::RollBack).await.unwrap();
        assert_eq!(
            (back.state, back.reason.as_deref()),
            (ReleaseState::RolledBack, Some("rolled back by bo"))
        );
        // Said again it changes nothing, and what has ended is not brought back.
        tell(id.clone(), Word::RollBack).await.unwrap();
        let refused = tell(id, Word::Promote).await.unwrap_err().to_string();
        assert!(
            refused.contains("is rolled back and cannot be changed"),
            "{refused}"
        );
        let missing = tell("rel_1".to_owned(), Word::Promote)
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(missing, "endpoint 'digits' has no release 'rel_1'");
        world
            .until("digits", |endpoint| {
                endpoint
                    .replicas
                    .iter()
                    .all(|replica| replica.version == 1 || replica.state == ReplicaPhase::Stopped)
            })
            .await;

        deploy("digits/3").await.unwrap();
        let third = until(&world, |release| release.begun_ms.is_some()).await;
        tell(third.id.to_string(), Word::Promote).await.unwrap();
        world
            .until("digits", |endpoint| {
                endpoint.state == EndpointPhase::Ready && endpoint.serving_version == Some(3)
            })
            .await;
        assert!(world.jobs.fewest_ready.load(Ordering::SeqCst) >= 2);
        world.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rolled_back_and_deployed_all_the_same_rolls_like_any_other() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let world = serving(store, "digits/1").await;
    let deploy = |model, plan| world.serving.deploy("digits", request(model, 2, plan), "ana");
    deploy("digits/2", Some(plan(Strategy::Ab))).await.unwrap();
    let release = until(&world, |release| release.begun_ms.is_some()).await;
    let id = release.id.to_string();
    world
        .serving
        .tell_release("digits", &id, Word::RollBack, "bo")
        .await
        .unwrap();
    for model in ["digits/2", "digits/1"] {
        deploy(model, Some(ReleasePlan::default())).await.unwrap();
        world
            .until("digits", |endpoint| {
                endpoint.state == EndpointPhase::Ready && endpoint.model == model
            })
            .await;
    }
    assert!(
        world.jobs.fewest_ready.load(Ordering::SeqCst) >= 2,
        "fewer replicas than wanted while rolling"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_deployment_takes_the_place_of_a_release() {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let world = serving(store, "digits/1").await;
    let deploy = |model, plan| world.serving.deploy("digits", request(model, 2, plan), "ana");
    deploy("digits/2", Some(plan(Strategy::Shadow))).await.unwrap();
    let shadow = until(&world, |release| release.begun_ms.is_some()).await;
    assert_eq!((shadow.percent, shadow.copies), (0, 10));
    let split = Split {
        percent: 0,
        copies: 10,
        by_caller: false,
    };
    assert_eq!(told(&world).unwrap().split, split);
    // What was not said stays as it was said: the next one is shadowed, too.
    deploy("digits/3", None).await.unwrap();
    let old = world.serving.release("digits", shadow.id.as_str()).await.unwrap();
    assert_eq!(
        (old.state, old.reason.as_deref()),
        (ReleaseState::Superseded, Some("ana released version 3"))
    );
    deploy("digits/3", Some(ReleasePlan::default())).await.unwrap();
    world
        .until("digits", |endpoint| {
            endpoint.state == EndpointPhase::Ready && endpoint.serving_version == Some(3)
        })
        .await;
    let all = world.serving.releases("digits").await.unwrap();
    assert!(
        all.iter()
            .all(|release| release.state == ReleaseState::Superseded)
    );
    let refused = deploy("other/3", Some(plan(Strategy::Ab)))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.starts_with("model is version 3 too"), "{refused}");
    let wrong = ReleasePlan {
        percent: Some(0),
        ..plan(Strategy::Ab)
    };
    let refused = deploy("digits/4", Some(wrong)).await.unwrap_err().to_string();
    assert_eq!(refused, "release.percent must lie between 1 and 100");
    world.serving.remove("digits").await.unwrap();
    world.until_gone("digits").await;
    assert_eq!(world.jobs.running(), 0);
    world.stop().await;
}
