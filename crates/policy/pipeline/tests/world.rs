//! Random runs in a small world: graphs, scripted endings, caches, cancellation. Every plan must keep the
//! invariants, every run must end, and how it ends must agree with a reference that knows the script.
#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use corliss_policy_pipeline::{
    Action, Attempt, AttemptState, Cached, FailureClass, Release, RetryBudget, RunState, RunView, StepState,
    StepView, decide, invariants,
};
use corliss_types::{DurationMs, Timestamp};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ends {
    Well,
    Lost,
    Badly,
    Cancelled,
}

#[derive(Debug, Clone)]
struct Script {
    needs: Vec<prop::sample::Index>,
    budget: (u32, u32),
    /// How attempt 1, 2, … end; those beyond end well.
    endings: Vec<Ends>,
    cached: bool,
}

#[derive(Debug, Clone)]
struct World {
    steps: Vec<Script>,
    live_limit: u32,
    cancel_at: Option<u32>,
    /// Which live attempt ends next, and whether several plans are made in between.
    luck: Vec<prop::sample::Index>,
}

fn ends() -> impl Strategy<Value = Ends> {
    prop_oneof![
        4 => Just(Ends::Well),
        3 => Just(Ends::Lost),
        2 => Just(Ends::Badly),
        1 => Just(Ends::Cancelled),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let needs = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    let endings = prop::collection::vec(ends(), 0..4);
    (needs, (0_u32..3, 0_u32..2), endings, prop::bool::weighted(0.2)).prop_map(
        |(needs, budget, endings, cached)| Script {
            needs,
            budget,
            endings,
            cached,
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    (
        prop::collection::vec(script(), 1..12),
        1_u32..5,
        prop::option::weighted(0.3, 0_u32..20),
        prop::collection::vec(any::<prop::sample::Index>(), 64),
    )
        .prop_map(|(steps, live_limit, cancel_at, luck)| World {
            steps,
            live_limit,
            cancel_at,
            luck,
        })
}

fn view_of(world: &World) -> RunView {
    let step = |(index, script): (usize, &Script)| {
        let mut needs: Vec<usize> = match index {
            0 => Vec::new(),
            _ => script.needs.iter().map(|need| need.index(index)).collect(),
        };
        needs.sort_unstable();
        needs.dedup();
        StepView {
            needs,
            state: StepState::Waiting,
            budget: RetryBudget {
                infrastructure: script.budget.0,
                user: script.budget.1,
            },
            attempt: None,
            failures: RetryBudget::default(),
            cached: Cached::Unknown,
        }
    };
    RunView {
        now: Timestamp::from_millis(1_000),
        cancel_requested: false,
        live_limit: world.live_limit,
        steps: world.steps.iter().enumerate().map(step).collect(),
        release: Release::Pending,
    }
}

/// Applies what an applier would record at once; jobs end later, in `end_one`.
fn apply(view: &mut RunView, action: &Action, world: &World) -> Option<RunState> {
    let set = |view: &mut RunView, step: usize, state| view.steps[step].state = state;
    match *action {
        Action::ConsultCache { step } => {
            view.steps[step].cached = if world.steps[step].cached {
                Cached::Yes
            } else {
                Cached::No
            };
        }
        Action::Reuse { step } => set(view, step, StepState::Reused),
        Action::Start { step, attempt } => {
            set(view, step, StepState::Queued);
            view.steps[step].attempt = Some(Attempt {
                number: attempt,
                state: AttemptState::Live,
            });
        }
        Action::Publish { step, attempt } => {
            set(view, step, StepState::Succeeded);
            view.steps[step].attempt = Some(Attempt {
                number: attempt,
                state: AttemptState::Published,
            });
        }
        Action::CancelJob { step, attempt } => {
            set(view, step, StepState::Waiting);
            let state = AttemptState::Cancelled { at: view.now };
            view.steps[step].attempt = Some(Attempt {
                number: attempt,
                state,
            });
        }
        Action::Fail { step, .. } => set(view, step, StepState::Failed),
        Action::Cancel { step, .. } => set(view, step, StepState::Cancelled),
        Action::Skip { step, .. } => set(view, step, StepState::Skipped),
        Action::Release => view.release = Release::Done,
        Action::Finish { state, .. } => return Some(state),
    }
    None
}

/// One live job ends as its script says. False if none is live.
fn end_one(view: &mut RunView, world: &World, luck: &prop::sample::Index) -> bool {
    let is_live = |step: &StepView| {
        !step.state.is_ended()
            && step
                .attempt
                .is_some_and(|attempt| attempt.state == AttemptState::Live)
    };
    let live: Vec<usize> = (0..view.steps.len())
        .filter(|index| is_live(&view.steps[*index]))
        .collect();
    if live.is_empty() {
        return false;
    }
    let position = live[luck.index(live.len())];
    let now = view.now;
    let step = &mut view.steps[position];
    let number = step.attempt.unwrap().number;
    let tried = usize::try_from(number).unwrap() - 1;
    let ending = world.steps[position]
        .endings
        .get(tried)
        .copied()
        .unwrap_or(Ends::Well);
    let fail = |class| AttemptState::Failed { class, at: now };
    let state = match ending {
        Ends::Well => AttemptState::JobSucceeded,
        Ends::Lost => fail(FailureClass::Infrastructure),
        Ends::Badly => fail(FailureClass::User),
        Ends::Cancelled => AttemptState::Cancelled { at: now },
    };
    if let AttemptState::Failed { class, .. } = state {
        step.failures.add(class);
    }
    step.state = if ending == Ends::Well {
        StepState::Publishing
    } else {
        StepState::Waiting
    };
    step.attempt = Some(Attempt { number, state });
    true
}

/// The reference: how a step ends if it is let run to its end, from its script alone.
fn scripted_end(script: &Script) -> Ends {
    if script.cached {
        return Ends::Well;
    }
    let (mut infrastructure, mut user) = (0, 0);
    for ending in &script.endings {
        match ending {
            Ends::Well | Ends::Cancelled => return *ending,
            Ends::Lost => infrastructure += 1,
            Ends::Badly => user += 1,
        }
        if infrastructure > script.budget.0 || user > script.budget.1 {
            return *ending;
        }
    }
    Ends::Well
}

/// Runs the world to its end; how it ended, and the final view.
fn run(world: &World) -> Result<(RunState, RunView), TestCaseError> {
    let mut view = view_of(world);
    for tick in 0..2_000_u32 {
        if world.cancel_at == Some(tick) {
            view.cancel_requested = true;
        }
        let plan = decide(&view);
        prop_assert_eq!(
            &plan,
            &decide(&view),
            "a decision depends on something outside its view"
        );
        if let Err(violation) = invariants::check(&view, &plan) {
            return Err(TestCaseError::fail(format!(
                "{violation:?} by {plan:?} in {view:?}"
            )));
        }
        for action in &plan.actions {
            if let Some(state) = apply(&mut view, action, world) {
                return Ok((state, view));
            }
        }
        if plan.actions.is_empty() {
            let luck = &world.luck[usize::try_from(tick).unwrap() % world.luck.len()];
            let ended = end_one(&mut view, world, luck);
            match plan.wake_at {
                Some(at) if !ended => view.now = at,
                _ => view.now = view.now + DurationMs(1),
            }
        }
    }
    Err(TestCaseError::fail("the run does not end"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_as_its_script_says(world in world()) {
        let (state, view) = run(&world)?;
        let all_well = world.steps.iter().all(|script| scripted_end(script) == Ends::Well);
        if world.cancel_at.is_none() {
            prop_assert_eq!(state == RunState::Succeeded, all_well);
        }
        match state {
            RunState::Succeeded => {
                prop_assert!(all_well);
                prop_assert!(view.steps.iter().all(|step| step.state.is_done()));
            }
            RunState::Failed => {
                let [Action::Finish { because: Some(step), .. }] = decide(&view).actions[..] else {
                    return Err(TestCaseError::fail("a failed run has no step that decided it"));
                };
                prop_assert_eq!(view.steps[step].state, StepState::Failed);
                prop_assert!(matches!(scripted_end(&world.steps[step]), Ends::Lost | Ends::Badly));
                for step in view.steps.iter().filter(|step| step.state == StepState::Skipped) {
                    prop_assert!(step.attempt.is_none(), "what ran is not skipped");
                }
            }
            _ => prop_assert!(
                world.cancel_at.is_some()
                    || world.steps.iter().any(|script| scripted_end(script) == Ends::Cancelled)
            ),
        }
    }

    #[test]
    fn any_view_has_a_plan_that_keeps_the_invariants(world in world(), seed in any::<u64>()) {
        // Views that no history leads to: the decision is total and keeps its safety rules even there.
        let mut view = view_of(&world);
        let mut state = seed;
        let mut draw = |bound: u64| { state = state.wrapping_mul(6364136223846793005).wrapping_add(1); (state >> 33) % bound };
        for step in &mut view.steps {
            step.state = StepState::ALL[usize::try_from(draw(9)).unwrap()];
            step.cached = [Cached::Unknown, Cached::No, Cached::Yes][usize::try_from(draw(3)).unwrap()];
            let class = if draw(2) == 0 { FailureClass::User } else { FailureClass::Infrastructure };
            let at = view.now;
            step.attempt = [
                None,
                Some(AttemptState::Live),
                Some(AttemptState::JobSucceeded),
                Some(AttemptState::Failed { class, at }),
                Some(AttemptState::Cancelled { at }),
            ][usize::try_from(draw(5)).unwrap()].map(|state| Attempt { number: 1, state });
        }
        view.cancel_requested = draw(3) == 0;
        let plan = decide(&view);
        if let Err(violation) = invariants::check(&view, &plan) {
            return Err(TestCaseError::fail(format!("{violation:?} by {plan:?} in {view:?}")));
        }
    }
}
