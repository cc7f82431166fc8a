//! One run of a diamond, told plan by plan, so that a change of the decision shows as a change of a story.

use corliss_policy_pipeline::{
    Attempt, AttemptState, Cached, FailureClass, Release, RetryBudget, RunView, StepState, StepView, decide,
};
use corliss_types::Timestamp;

const NAMES: [&str; 4] = ["split", "train", "report", "evaluate"];

fn diamond() -> RunView {
    let step = |needs: &[usize]| StepView {
        needs: needs.to_vec(),
        state: StepState::Waiting,
        budget: RetryBudget {
            infrastructure: 1,
            user: 0,
        },
        attempt: None,
        failures: RetryBudget::default(),
        cached: Cached::No,
    };
    RunView {
        now: Timestamp::from_millis(0),
        cancel_requested: false,
        live_limit: 8,
        steps: vec![step(&[]), step(&[0]), step(&[0]), step(&[1, 2])],
        release: Release::Pending,
    }
}

fn set(view: &mut RunView, step: usize, state: StepState, number: u32, attempt: AttemptState) {
    view.steps[step].state = state;
    view.steps[step].attempt = Some(Attempt {
        number,
        state: attempt,
    });
}

/// The plan as text with names for indices.
fn told(view: &RunView) -> String {
    let plan = decide(view);
    let mut text = format!(
        "{:?} | {:?} | {:?}",
        plan.actions,
        plan.waiting,
        plan.wake_at.map(Timestamp::as_millis)
    );
    for (index, name) in NAMES.iter().enumerate() {
        text = text
            .replace(&format!("step: {index}"), name)
            .replace(&format!("({index}, "), &format!("({name}, "));
        text = text.replace(&format!("Some({index}) }}"), &format!("Some({name}) }}"));
    }
    text
}

#[test]
fn a_diamond_with_a_lost_worker() {
    use StepState::{Publishing, Queued, Succeeded, Waiting};
    let mut view = diamond();
    let waits = "[(train, WaitsFor { split }), (report, WaitsFor { split }), (evaluate, WaitsFor { train })]";
    assert_eq!(
        told(&view),
        format!("[Start {{ split, attempt: 1 }}] | {waits} | None")
    );
    set(&mut view, 0, Queued, 1, AttemptState::Live);
    assert_eq!(told(&view), format!("[] | {waits} | None"));
    set(&mut view, 0, Publishing, 1, AttemptState::JobSucceeded);
    assert_eq!(
        told(&view),
        format!("[Publish {{ split, attempt: 1 }}] | {waits} | None")
    );
    set(&mut view, 0, Succeeded, 1, AttemptState::Published);
    view.steps[2].cached = Cached::Yes;
    let waits = "[(evaluate, WaitsFor { train })]";
    assert_eq!(
        told(&view),
        format!("[Start {{ train, attempt: 1 }}, Reuse {{ report }}] | {waits} | None")
    );
    view.steps[2].state = StepState::Reused;
    // The first lost worker is replaced at once.
    view.now = Timestamp::from_millis(5_000);
    view.steps[1].failures.add(FailureClass::Infrastructure);
    let lost = AttemptState::Failed {
        class: FailureClass::Infrastructure,
        at: view.now,
    };
    set(&mut view, 1, Waiting, 1, lost);
    assert_eq!(
        told(&view),
        format!("[Start {{ train, attempt: 2 }}] | {waits} | None")
    );
    set(&mut view, 1, Succeeded, 2, AttemptState::Published);
    assert_eq!(told(&view), "[Start { evaluate, attempt: 1 }] | [] | None");
    set(&mut view, 3, Succeeded, 1, AttemptState::Published);
    assert_eq!(told(&view), "[Release] | [] | None");
    view.release = Release::Done;
    assert_eq!(
        told(&view),
        "[Finish { state: Succeeded, because: None }] | [] | None"
    );
}

#[test]
fn a_failure_lets_its_siblings_finish_and_skips_the_rest() {
    use StepState::{Failed, Queued, Skipped, Succeeded, Waiting};
    let mut view = diamond();
    set(&mut view, 0, Succeeded, 1, AttemptState::Published);
    set(&mut view, 2, Queued, 1, AttemptState::Live);
    view.steps[1].failures.add(FailureClass::User);
    let broken = AttemptState::Failed {
        class: FailureClass::User,
        at: view.now,
    };
    set(&mut view, 1, Waiting, 1, broken);
    assert_eq!(
        told(&view),
        "[Fail { train, reason: RetriesSpent { class: User, budget: 0 } }, \
         Skip { evaluate, reason: UpstreamFailed { train } }] | [] | None"
    );
    view.steps[1].state = Failed;
    view.steps[3].state = Skipped;
    assert_eq!(told(&view), "[] | [] | None");
    set(&mut view, 2, StepState::Publishing, 1, AttemptState::JobSucceeded);
    assert_eq!(told(&view), "[Publish { report, attempt: 1 }] | [] | None");
    view.steps[2].state = Succeeded;
    assert_eq!(
        told(&view),
        "[Finish { state: Failed, because: Some(train) }] | [] | None"
    );
}

#[test]
fn a_second_lost_worker_waits_and_names_the_time() {
    let mut view = diamond();
    view.steps[0].budget.infrastructure = 5;
    view.steps[0].failures.infrastructure = 3;
    let lost = AttemptState::Failed {
        class: FailureClass::Infrastructure,
        at: view.now,
    };
    set(&mut view, 0, StepState::Waiting, 3, lost);
    view.steps.truncate(1);
    assert_eq!(
        told(&view),
        "[] | [(split, RetriesAt { at: Timestamp(2000), class: Infrastructure, failures: 3 })] | Some(2000)"
    );
    view.cancel_requested = true;
    assert_eq!(
        told(&view),
        "[Cancel { split, reason: CancelRequested }] | [] | None"
    );
}

#[test]
fn a_step_that_lost_its_worker_while_the_run_stops_has_failed_and_was_not_skipped() {
    let mut view = diamond();
    set(&mut view, 0, StepState::Succeeded, 1, AttemptState::Published);
    let failed = |class| AttemptState::Failed {
        class,
        at: Timestamp::from_millis(0),
    };
    set(
        &mut view,
        1,
        StepState::Queued,
        1,
        failed(FailureClass::Infrastructure),
    );
    view.steps[1].failures.infrastructure = 1;
    set(&mut view, 2, StepState::Queued, 1, failed(FailureClass::User));
    view.steps[2].failures.user = 1;
    assert_eq!(
        told(&view),
        "[Fail { train, reason: RunStopped { report } }, \
         Fail { report, reason: RetriesSpent { class: User, budget: 0 } }, \
         Skip { evaluate, reason: UpstreamFailed { report } }] | [] | None"
    );
    view.steps[1].state = StepState::Failed;
    view.steps[2].state = StepState::Failed;
    view.steps[3].state = StepState::Skipped;
    assert_eq!(
        told(&view),
        "[Finish { state: Failed, because: Some(report) }] | [] | None",
        "the step that was stopped is not the one that stopped"
    );
}

#[test]
fn a_fan_out_is_let_in_up_to_the_limit() {
    let mut view = diamond();
    view.live_limit = 1;
    set(&mut view, 0, StepState::Succeeded, 1, AttemptState::Published);
    let waits = "[(report, LiveLimit { limit: 1 }), (evaluate, WaitsFor { train })]";
    assert_eq!(
        told(&view),
        format!("[Start {{ train, attempt: 1 }}] | {waits} | None")
    );
}
