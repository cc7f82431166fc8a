//! What must hold of every plan, as functions: property tests and the live applier share them.

use crate::{Action, AttemptState, Cached, Plan, Release, RunState, RunView, StepView};

/// A rule that a plan breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// An action names a step that is not there.
    UnknownStep,
    /// An action is on a step that has ended.
    StepHasEnded,
    /// Two actions on one step.
    TwoActions,
    /// A step starts, or its cache is used, before what it needs is done.
    StartsBeforeItsInputs,
    /// A second attempt while one is live.
    TwoLiveAttempts,
    /// The attempt's number is not the next, or not the one recorded.
    WrongAttempt,
    /// Something starts though the run is cancelled or has failed.
    StartsAfterTheEnd,
    /// More attempts than allowed.
    OverLiveLimit,
    /// An attempt is published that did not succeed.
    PublishesUnfinished,
    /// A result is reused that was not found.
    ReusesNothing,
    /// The run ends, or its models are released, while a step is open.
    EndsTooEarly,
    /// The plan does nothing, waits for nothing and has no live attempt.
    Stuck,
}

/// Checks a plan against the view it was made from.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(view: &RunView, plan: &Plan) -> Result<(), Violation> {
    let mut last = None;
    let mut live = live_attempts(view);
    for action in &plan.actions {
        if let Some(index) = step_of(action) {
            let step = view.steps.get(index).ok_or(Violation::UnknownStep)?;
            if last.is_some_and(|last| last >= index) {
                return Err(Violation::TwoActions);
            }
            last = Some(index);
            check_step(view, step, action)?;
        }
        match action {
            Action::Start { .. } => live += 1,
            Action::Release | Action::Finish { .. } => check_end(view, plan, action)?,
            _ => {}
        }
    }
    if live > live_attempts(view) && live > usize::try_from(view.live_limit).unwrap_or(usize::MAX) {
        return Err(Violation::OverLiveLimit);
    }
    if plan.actions.is_empty() && plan.wake_at.is_none() && live == 0 {
        return Err(Violation::Stuck);
    }
    Ok(())
}

fn live_attempts(view: &RunView) -> usize {
    view.steps.iter().filter(|step| is_live(step)).count()
}

fn is_live(step: &StepView) -> bool {
    !step.state.is_ended() && step.attempt.is_some_and(|attempt| attempt.state.is_live())
}

fn step_of(action: &Action) -> Option<usize> {
    match action {
        Action::ConsultCache { step }
        | Action::Reuse { step }
        | Action::Start { step, .. }
        | Action::Publish { step, .. }
        | Action::CancelJob { step, .. }
        | Action::Fail { step, .. }
        | Action::Cancel { step, .. }
        | Action::Skip { step, .. } => Some(*step),
        Action::Release | Action::Finish { .. } => None,
    }
}

fn check_step(view: &RunView, step: &StepView, action: &Action) -> Result<(), Violation> {
    if step.state.is_ended() {
        return Err(Violation::StepHasEnded);
    }
    let rule = |holds: bool, violation| if holds { Ok(()) } else { Err(violation) };
    let recorded = step.attempt.map_or(0, |attempt| attempt.number);
    match action {
        Action::Start { attempt, .. } => {
            check_start(view, step)?;
            rule(!is_live(step), Violation::TwoLiveAttempts)?;
            rule(*attempt == recorded + 1, Violation::WrongAttempt)
        }
        Action::ConsultCache { .. } => check_start(view, step),
        Action::Reuse { .. } => {
            check_start(view, step)?;
            rule(
                step.cached == Cached::Yes && step.attempt.is_none(),
                Violation::ReusesNothing,
            )
        }
        Action::Publish { attempt, .. } => {
            rule(*attempt == recorded, Violation::WrongAttempt)?;
            let succeeded = step
                .attempt
                .is_some_and(|attempt| attempt.state == AttemptState::JobSucceeded);
            rule(succeeded, Violation::PublishesUnfinished)
        }
        Action::CancelJob { attempt, .. } => {
            rule(*attempt == recorded && is_live(step), Violation::WrongAttempt)
        }
        Action::Fail { .. } | Action::Cancel { .. } | Action::Skip { .. } => {
            rule(!is_live(step), Violation::TwoLiveAttempts)
        }
        Action::Release | Action::Finish { .. } => Ok(()),
    }
}

fn check_start(view: &RunView, step: &StepView) -> Result<(), Violation> {
    let done = |need: &usize| view.steps.get(*need).is_some_and(|step| step.state.is_done());
    if !step.needs.iter().all(done) {
        return Err(Violation::StartsBeforeItsInputs);
    }
    let failed = view
        .steps
        .iter()
        .any(|step| step.state.is_ended() && !step.state.is_done());
    if view.cancel_requested || failed {
        return Err(Violation::StartsAfterTheEnd);
    }
    Ok(())
}

fn check_end(view: &RunView, plan: &Plan, action: &Action) -> Result<(), Violation> {
    let all_ended = view.steps.iter().all(|step| step.state.is_ended());
    let all_done = view.steps.iter().all(|step| step.state.is_done());
    let succeeds = matches!(
        action,
        Action::Release
            | Action::Finish {
                state: RunState::Succeeded,
                ..
            }
    );
    let released = !matches!(
        action,
        Action::Finish {
            state: RunState::Succeeded,
            ..
        }
    ) || view.release == Release::Done;
    if plan.actions.len() == 1 && all_ended && (!succeeds || all_done) && released {
        Ok(())
    } else {
        Err(Violation::EndsTooEarly)
    }
}
