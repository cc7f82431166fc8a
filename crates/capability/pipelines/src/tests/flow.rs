//! What becomes of runs: success, failure, cancellation, reuse, gates, outputs that are not there.

use super::world::{Does, World};
use super::*;
use crate::ports::TrackingEnd;
use crate::types::{EndpointState, ModelState};
use corliss_diagnostics::Diagnose;
use corliss_policy_pipeline::{RunState, StepState};

const PAIR: &str = "
project: pair
data: {raw: ./data}
steps:
  make:
    run: make it
    inputs: [raw]
    outputs: [made]
    env: {LEVEL: 3}
    checkpoint: {every: 1500ms}
  use:
    run: use it
    inputs: [made]
    outputs: [used]
";

fn states(run: &RunDetail) -> Vec<StepState> {
    run.steps.iter().map(|step| step.state).collect()
}

fn reason(run: &RunDetail, step: usize) -> &str {
    run.steps[step].reason.as_deref().unwrap_or("")
}

#[tokio::test]
async fn a_step_gets_its_folders_and_variables_and_nothing_of_the_server() {
    let (server, world) = server().await;
    let mut new = world.new_run(PAIR);
    new.params.insert("learning-rate".to_owned(), "0.1".to_owned());
    let id = server.pipelines.create_run(new, &engineer("ada")).await.unwrap();
    let run = server.ended(&id).await.unwrap();
    assert_eq!(states(&run), [StepState::Succeeded, StepState::Succeeded]);
    let request = {
        let state = world.state();
        let mut requests = state.jobs.values().map(|(request, _)| request);
        requests
            .find(|request| request.key.step == "make")
            .unwrap()
            .clone()
    };
    let expected = [
        ("CORLISS_STEP", "make"),
        ("CORLISS_ATTEMPT", "1"),
        ("CORLISS_RUN_ID", id.as_str()),
        ("CORLISS_TOKEN", "token of make 1"),
        ("CORLISS_PARAM_LEARNING_RATE", "0.1"),
        ("CORLISS_CHECKPOINT_EVERY_S", "2"),
        ("MLFLOW_EXPERIMENT_NAME", "pair"),
        ("LEVEL", "3"),
        ("PATH", "/usr/bin:/bin"),
    ];
    for (name, value) in expected {
        assert_eq!(request.env.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(
        request.env["MLFLOW_RUN_ID"],
        run.steps[0].tracking_run_id.as_ref().unwrap().as_str()
    );
    assert!(
        !request.env.contains_key("CARGO"),
        "the server's environment leaks"
    );
    assert_eq!(request.argv, ["/bin/sh", "-c", "make it"]);
    assert!(request.folder.ends_with("make/attempt-1/code"));
    // The run has succeeded, so its folder goes, and it reads nothing any more.
    let folder = world.home.path().join("work").join(id.as_str());
    for _ in 0..2_000 {
        if !folder.exists() && world.state().held.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!(
        "the work folder stays, or what was held: {:?}",
        world.state().held
    );
}

#[tokio::test]
async fn equal_steps_are_reused_and_changed_ones_are_not() {
    let (server, world) = server().await;
    let first = server.run_to_end(&world, PAIR).await;
    let second = server.run_to_end(&world, PAIR).await;
    assert_eq!(states(&second), [StepState::Reused, StepState::Reused]);
    assert_eq!(second.steps[0].cached_from.as_ref(), Some(&first.summary.id));
    assert_eq!(second.steps[0].tracking_run_id, first.steps[0].tracking_run_id);
    assert_eq!(second.steps[1].outputs, first.steps[1].outputs);
    let changed = server
        .run_to_end(&world, &PAIR.replace("use it", "use it well"))
        .await;
    assert_eq!(states(&changed), [StepState::Reused, StepState::Succeeded]);
    let uncached = PAIR.replace("    run: make it", "    run: make it\n    cache: false");
    let uncached = server.run_to_end(&world, &uncached).await;
    assert_eq!(states(&uncached), [StepState::Succeeded, StepState::Reused]);
    // A result whose version is gone is none.
    let made = first.steps[0].outputs[0].version.clone().unwrap();
    world.state().versions.remove(&made);
    let again = server.run_to_end(&world, PAIR).await;
    assert_eq!(states(&again), [StepState::Succeeded, StepState::Reused]);
}

#[tokio::test]
async fn a_failure_tells_why_and_a_rerun_goes_on_from_it() {
    let (server, world) = server().await;
    world.script("use", 1, Does::Fails);
    let failed = server.run_to_end(&world, PAIR).await;
    assert_eq!(failed.summary.state, RunState::Failed);
    assert_eq!(
        failed.summary.reason.as_deref(),
        Some("step 'use': worker 0 ended with code 1")
    );
    assert_eq!(states(&failed), [StepState::Succeeded, StepState::Failed]);
    assert_eq!(failed.steps[1].attempts[0].class.as_deref(), Some("user"));
    let tracking = failed.steps[1].tracking_run_id.clone().unwrap();
    assert_eq!(world.state().tracking[&tracking], Some(TrackingEnd::Failed));
    world.state().script.clear();
    let id = server
        .pipelines
        .rerun(&failed.summary.id, None, &engineer("bob"))
        .await
        .unwrap();
    let again = server.ended(&id).await.unwrap();
    assert_eq!(states(&again), [StepState::Reused, StepState::Succeeded]);
    assert_eq!(again.summary.rerun_of.as_ref(), Some(&failed.summary.id));
    assert_eq!(again.summary.submitted_by, "bob");
    let nothing = server
        .pipelines
        .rerun(&id, None, &engineer("bob"))
        .await
        .unwrap_err();
    assert!(matches!(nothing, PipelinesError::NothingToRerun { .. }));
    let unknown = server
        .pipelines
        .rerun(&id, Some("mke"), &engineer("bob"))
        .await
        .unwrap_err();
    assert_eq!(
        corliss_diagnostics::Diagnose::hint(&unknown).as_deref(),
        Some("did you mean 'make'?")
    );
    // Named, a step runs whatever results there are; what follows from it may find its own.
    let forced = server
        .pipelines
        .rerun(&id, Some("make"), &engineer("bob"))
        .await
        .unwrap();
    let forced = server.ended(&forced).await.unwrap();
    assert_eq!(states(&forced), [StepState::Succeeded, StepState::Reused]);
}

#[tokio::test]
async fn outputs_that_are_missing_or_lead_out_fail_the_step() {
    for (does, expected) in [
        (
            Does::WritesNothing,
            "output 'made' is empty: the step wrote nothing to $CORLISS_OUTPUT_MADE",
        ),
        (Does::LinksOut, "output 'made' holds a link out of itself: link"),
    ] {
        let (server, world) = server().await;
        world.script("make", 1, does);
        let run = server.run_to_end(&world, PAIR).await;
        assert_eq!(states(&run), [StepState::Failed, StepState::Skipped]);
        assert_eq!(reason(&run, 0), expected);
        assert!(run.steps[0].outputs[0].version.is_none());
    }
}

#[tokio::test]
async fn retries_are_counted_by_class() {
    let (server, world) = server().await;
    for attempt in 1..=2 {
        world.script("make", attempt, Does::GetsLost);
    }
    let file = PAIR.replace(
        "    run: make it",
        "    run: make it\n    retries: {infrastructure: 1}",
    );
    let run = server.run_to_end(&world, &file).await;
    assert_eq!(states(&run), [StepState::Failed, StepState::Skipped]);
    assert_eq!(
        reason(&run, 0),
        "worker 0 was lost (after 1 infrastructure retry)"
    );
    assert_eq!(reason(&run, 1), "step 'make' did not succeed");
    assert_eq!(run.steps[0].attempts.len(), 2);
}

#[tokio::test]
async fn a_cancelled_run_stops_its_jobs_and_skips_the_rest() {
    let (server, world) = server().await;
    world.script("make", 1, Does::Hangs);
    let id = server.submit(&world, PAIR).await.unwrap();
    for _ in 0..2_000 {
        let run = server.pipelines.run(&id).await.unwrap();
        if run.steps[0].state == StepState::Running {
            assert_eq!(reason(&run, 1), "waits for step 'make'");
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.pipelines.cancel_run(&id).await.unwrap();
    let run = server.ended(&id).await.unwrap();
    assert_eq!(run.summary.state, RunState::Cancelled);
    assert_eq!(states(&run), [StepState::Cancelled, StepState::Skipped]);
    assert_eq!(reason(&run, 1), "the run was cancelled");
    server.pipelines.cancel_run(&id).await.unwrap();
    world.state().script.clear();
    let ended = server.run_to_end(&world, PAIR).await;
    let error = server.pipelines.cancel_run(&ended.summary.id).await.unwrap_err();
    assert!(matches!(
        error,
        PipelinesError::RunEnded {
            state: "succeeded",
            ..
        }
    ));
}

const GATED: &str = "
project: gated
steps:
  train: {run: train, outputs: [model]}
  evaluate: {run: evaluate, needs: [train]}
models:
  digits: {from: train.model, when: metrics.accuracy >= 0.95, alias: champion}
  draft: {from: train.model}
endpoints:
  digits: {model: digits@champion}
";

#[tokio::test]
async fn a_gate_holds_a_model_back_and_says_why() {
    let (server, world) = server().await;
    world.logs("train", "accuracy", 0.99);
    world.logs("evaluate", "accuracy", 0.93);
    let run = server.run_to_end(&world, GATED).await;
    assert_eq!(run.summary.state, RunState::Succeeded);
    assert_eq!(run.models[0].state, ModelState::Gated);
    assert_eq!(
        run.models[0].reason.as_deref(),
        Some("accuracy 0.93 is below 0.95")
    );
    assert_eq!(
        (run.models[1].state, run.models[1].version),
        (ModelState::Registered, Some(1))
    );
    assert_eq!(run.endpoints[0].state, EndpointState::Unchanged);
    assert!(world.state().endpoints.is_empty());
}

#[tokio::test]
async fn a_version_that_waits_for_approval_is_registered_and_nothing_moves() {
    let (server, world) = server().await;
    world.logs("evaluate", "accuracy", 0.99);
    world.state().protected = ["digits".parse().unwrap()].into();
    let run = server.run_to_end(&world, GATED).await;
    assert_eq!(
        run.summary.state,
        RunState::Succeeded,
        "the run did what it had to"
    );
    let reason = "alias 'champion' was not moved: it has 0 of the 1 approvals that it needs";
    assert_eq!(
        (
            run.models[0].state,
            run.models[0].version,
            run.models[0].reason.as_deref()
        ),
        (ModelState::Registered, Some(1), Some(reason))
    );
    assert_eq!(
        (run.endpoints[0].state, run.endpoints[0].reason.as_deref()),
        (EndpointState::Unchanged, Some(reason))
    );
    let state = world.state();
    assert!(state.endpoints.is_empty() && state.aliases.is_empty());
    assert!(
        state
            .registrations
            .iter()
            .all(|registration| registration.submitted_by == "ada")
    );
}

#[tokio::test]
async fn a_room_that_is_down_for_a_while_is_waited_for() {
    let (server, world) = server().await;
    let broken = ["publish", "close", "register", "deploy", "lineage", "revoke"];
    world.state().broken = broken.map(|port| (port, 1)).into();
    world.logs("evaluate", "accuracy", 0.99);
    let run = server.run_to_end(&world, GATED).await;
    assert_eq!(run.summary.state, RunState::Succeeded);
    assert!(
        run.steps.iter().all(|step| step.attempts.len() == 1),
        "nothing ran twice"
    );
    assert_eq!(world.state().broken.values().sum::<u32>(), 0);
}

#[tokio::test]
async fn what_cannot_be_prepared_is_tried_again_and_then_told() {
    let (server, world) = server().await;
    world.state().broken = [("open", 1)].into();
    let run = server.run_to_end(&world, GATED).await;
    assert_eq!(run.summary.state, RunState::Succeeded);
    assert_eq!(run.steps[0].attempts.len(), 2);
    assert_eq!(
        run.steps[0].attempts[0].reason.as_deref(),
        Some("it could not be started: open is down")
    );
}

#[tokio::test]
async fn a_submission_names_what_is_wrong_with_it() {
    let (server, world) = server().await;
    let refused = |new: NewRun| {
        let pipelines = server.pipelines.clone();
        async move { pipelines.create_run(new, &engineer("ada")).await.unwrap_err() }
    };
    let error = refused(world.new_run("project: p\nsteps: {a: {rn: x}}")).await;
    assert!(matches!(&error, PipelinesError::ProjectFile { problems } if problems.len() == 2));
    let error = refused(world.new_run("project: p\nsteps: {a: {run: x, resources: {cpus: 5}}}")).await;
    let PipelinesError::ProjectFile { problems } = error else {
        panic!("{error}")
    };
    assert_eq!(problems[0].message, "step 'a' asks for 5 CPUs, the machine has 4");
    let unknown = PAIR.replace("raw", "rows");
    assert_eq!(
        refused(world.new_run(&unknown)).await.to_string(),
        "no version is given for 'rows' and there is no such dataset"
    );
    let mut extra = world.new_run(PAIR);
    extra.data.insert("rw".to_owned(), world.source.clone());
    assert_eq!(
        refused(extra).await.to_string(),
        "the file has no data source 'rw'"
    );
    let mut gone = world.new_run(PAIR);
    gone.source = corliss_types::VersionId::from_digest([9; 32]);
    assert!(matches!(refused(gone).await, PipelinesError::VersionMissing { field, .. } if field == "source"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_alike_on_every_database() {
    corliss_testkit::metastore::for_each_backend(&[MIGRATIONS], |store| async move {
        let world = World::new();
        world.script("train", 1, Does::GetsLost);
        world.logs("evaluate", "accuracy", 0.96);
        let server = Server::start(&store, &world, Gate::default());
        let run = server.run_to_end(&world, GATED).await;
        assert_eq!(run.summary.state, RunState::Succeeded, "{:?}", run.summary.reason);
        assert_eq!(run.steps[0].attempts.len(), 2);
        assert_eq!(
            (run.models[0].state, run.models[0].version),
            (ModelState::Registered, Some(1))
        );
        assert_eq!(run.endpoints[0].state, EndpointState::Deployed);
        let again = server.run_to_end(&world, GATED).await;
        assert_eq!(states(&again), [StepState::Reused, StepState::Reused]);
        assert_eq!(again.models[0].version, Some(2));
        let newest = server
            .pipelines
            .runs(Some(RunState::Succeeded), None, 1)
            .await
            .unwrap();
        assert_eq!(
            (newest.len(), &newest[0].id, newest[0].steps_done),
            (1, &again.summary.id, 2)
        );
        let older = server
            .pipelines
            .runs(None, Some(again.summary.id.clone()), 10)
            .await
            .unwrap();
        assert_eq!(older.len(), 1);
        server.shutdown.trigger();
        server.pipelines.drain().await;
    })
    .await;
}

#[tokio::test]
async fn who_may_not_promote_or_deploy_by_hand_may_not_by_a_file() {
    let (server, world) = server().await;
    let scientist = Principal {
        role: Role::DataScientist,
        ..engineer("ada")
    };
    let step = "project: p\nsteps:\n  a: {run: a, outputs: [m]}\nmodels:\n";
    for (rest, field) in [
        ("  d: {from: a.m, alias: champion}\n", "models.d.alias"),
        (
            "  d: {from: a.m, alias: champion}\nendpoints:\n  d: {model: d@champion}\n",
            "models.d.alias",
        ),
    ] {
        let new = world.new_run(&format!("{step}{rest}"));
        let error = server
            .pipelines
            .create_run(new.clone(), &scientist)
            .await
            .unwrap_err();
        assert_eq!(
            (error.code(), error.field().as_deref()),
            ("permission_denied", Some(field))
        );
        let id = server.pipelines.create_run(new, &engineer("eve")).await.unwrap();
        server.ended(&id).await.unwrap();
        let again = server
            .pipelines
            .rerun(&id, Some("a"), &scientist)
            .await
            .unwrap_err();
        assert_eq!(again.code(), "permission_denied");
    }
    let registers = world.new_run(&format!("{step}  d: {{from: a.m}}\n"));
    let id = server.pipelines.create_run(registers, &scientist).await.unwrap();
    assert_eq!(
        server.ended(&id).await.unwrap().models[0].state.as_str(),
        "registered"
    );
}

#[tokio::test]
async fn what_an_ended_run_still_holds_does_not_fill_the_disk_for_the_next() {
    let (server, world) = server().await;
    world.state().holds_one_run = true;
    let reads = "project: reads\ndata: {raw: raw}\nsteps:\n  read: {run: 'read 1', inputs: [raw]}\n";
    // The sweeper is as fast as the next run sometimes.
    for number in 0..20 {
        let file = reads.replace('1', &number.to_string());
        let run = server.run_to_end(&world, &file).await;
        assert_eq!(run.summary.state, RunState::Succeeded, "run {number}: {run:#?}");
        assert_eq!(run.steps[0].attempts.len(), 1);
    }
}
