//! The decision. One pass over the steps, O(steps + needs); no allocation beyond the plan.
//!
//! After a failure for good nothing new starts, attempts in progress are let finish and are published: their
//! results serve the rerun. (Rejected: stopping them, which wastes work; starting independent steps, which
//! spends a machine on a run that has failed already.)

use corliss_types::{AttemptNumber, Timestamp};

use crate::plan::{Action, Plan, Reason};
use crate::view::{Attempt, AttemptState, Cached, Release, RunView, StepView};
use crate::{FailureClass, RunState, StepState, retry_delay};

/// What to do next for a run. Total: every view has a plan.
#[must_use]
pub fn decide(view: &RunView) -> Plan {
    let mut pass = Pass::new(view);
    for (index, step) in view.steps.iter().enumerate() {
        pass.step(index, step);
    }
    pass.finish()
}

struct Pass<'a> {
    view: &'a RunView,
    plan: Plan,
    /// Attempts in progress, those of this plan included.
    live: u32,
    /// Steps that have not ended and that this plan does not end.
    open: usize,
    /// The first step that failed for good; nothing new starts.
    failed: Option<usize>,
    /// The first step that was cancelled, which also ends the run.
    cancelled: Option<usize>,
    /// The first step that was skipped; only a step that failed or was cancelled should lead to one.
    skipped: Option<usize>,
}

impl<'a> Pass<'a> {
    fn new(view: &'a RunView) -> Self {
        let steps = || view.steps.iter().enumerate();
        let live = steps().filter(|(_, step)| is_live(step)).count();
        // A step is as good as failed as soon as its retries are spent, so that a step before it in the
        // order of the file does not start in the same plan.
        // A step that failed because the run was stopping is not what stopped it.
        let decides = |step: &StepView| step.state == StepState::Failed || !step.state.is_ended();
        let failed = steps()
            .find(|(_, step)| decides(step) && has_spent_its_retries(step))
            .or_else(|| steps().find(|(_, step)| step.state == StepState::Failed));
        let cancelled = steps().find(|(_, step)| step.state == StepState::Cancelled || lost_its_job(step));
        Self {
            view,
            plan: Plan::default(),
            live: u32::try_from(live).unwrap_or(u32::MAX),
            open: 0,
            failed: failed.map(|(index, _)| index),
            cancelled: cancelled.map(|(index, _)| index),
            skipped: view
                .steps
                .iter()
                .position(|step| step.state == StepState::Skipped),
        }
    }

    fn act(&mut self, action: Action) {
        self.plan.actions.push(action);
    }

    fn wait(&mut self, step: usize, reason: Reason) {
        self.open += 1;
        self.plan.waiting.push((step, reason));
    }

    fn step(&mut self, index: usize, step: &StepView) {
        if step.state.is_ended() {
            return;
        }
        match step.attempt {
            Some(Attempt {
                number,
                state: AttemptState::JobSucceeded,
            }) => {
                // Published even if the run is being cancelled: the work is done, and a rerun reuses it.
                self.open += 1;
                self.act(Action::Publish {
                    step: index,
                    attempt: number,
                });
            }
            Some(Attempt {
                number,
                state: AttemptState::Live,
            }) => {
                self.open += 1;
                if self.view.cancel_requested {
                    self.act(Action::CancelJob {
                        step: index,
                        attempt: number,
                    });
                }
            }
            Some(Attempt {
                state: AttemptState::Cancelled { .. },
                ..
            }) => {
                let asked = self.view.cancel_requested;
                let reason = if asked {
                    Reason::CancelRequested
                } else {
                    Reason::JobCancelled
                };
                self.act(Action::Cancel { step: index, reason });
            }
            Some(Attempt {
                state: AttemptState::Failed { class, at },
                number,
            }) => {
                self.failed_attempt(index, step, class, at, number);
            }
            // A published attempt belongs to an ended step; if the record says otherwise, it starts no other.
            Some(Attempt {
                state: AttemptState::Published,
                ..
            }) => self.open += 1,
            None => self.unstarted(index, step),
        }
    }

    fn failed_attempt(
        &mut self,
        index: usize,
        step: &StepView,
        class: FailureClass,
        at: Timestamp,
        number: AttemptNumber,
    ) {
        let (failures, budget) = (step.failures.of(class), step.budget.of(class));
        if failures > budget {
            return self.act(Action::Fail {
                step: index,
                reason: Reason::RetriesSpent { class, budget },
            });
        }
        if self.view.cancel_requested {
            return self.act(Action::Cancel {
                step: index,
                reason: Reason::CancelRequested,
            });
        }
        // It ran and failed, so it is not skipped: it ends as what ended the run.
        if let Some(step) = self.failed {
            let reason = Reason::RunStopped { step };
            return self.act(Action::Fail { step: index, reason });
        }
        if let Some(reason) = self.stopped_by() {
            return self.act(Action::Cancel { step: index, reason });
        }
        // It started once, so what it needs was done; checked again because a start must never rest on trust.
        if let Some(step) = self.undone(step) {
            return self.wait(index, Reason::WaitsFor { step });
        }
        let due = at + retry_delay(class, failures);
        if due > self.view.now {
            self.wake_at(due);
            return self.wait(
                index,
                Reason::RetriesAt {
                    at: due,
                    class,
                    failures,
                },
            );
        }
        self.start(index, number.saturating_add(1));
    }

    fn unstarted(&mut self, index: usize, step: &StepView) {
        if self.view.cancel_requested {
            return self.act(Action::Skip {
                step: index,
                reason: Reason::CancelRequested,
            });
        }
        let mut waits_for = None;
        for need in &step.needs {
            match self.view.steps.get(*need).map(|step| step.state) {
                Some(state) if state.is_done() => {}
                Some(state) if state.is_ended() => {
                    return self.act(Action::Skip {
                        step: index,
                        reason: Reason::UpstreamFailed { step: *need },
                    });
                }
                // An index that is not there never gets done; the run then waits, visibly, for ever.
                Some(_) | None => waits_for = waits_for.or(Some(*need)),
            }
        }
        if let Some(reason) = self.stopped_by() {
            // Its own need fails in this very plan: say that, rather than that the run stops.
            let own = self.failed.filter(|failed| step.needs.contains(failed));
            let reason = own.map_or(reason, |step| Reason::UpstreamFailed { step });
            return self.act(Action::Skip { step: index, reason });
        }
        if let Some(step) = waits_for {
            return self.wait(index, Reason::WaitsFor { step });
        }
        match step.cached {
            Cached::Unknown => {
                self.open += 1;
                self.act(Action::ConsultCache { step: index });
            }
            Cached::Yes => {
                self.open += 1;
                self.act(Action::Reuse { step: index });
            }
            Cached::No => self.start(index, 1),
        }
    }

    fn undone(&self, step: &StepView) -> Option<usize> {
        let done = |need: &usize| {
            self.view
                .steps
                .get(*need)
                .is_some_and(|step| step.state.is_done())
        };
        step.needs.iter().copied().find(|need| !done(need))
    }

    fn stopped_by(&self) -> Option<Reason> {
        let by = self.failed.or(self.cancelled).or(self.skipped);
        by.map(|step| Reason::RunStopped { step })
    }

    fn start(&mut self, step: usize, attempt: AttemptNumber) {
        let limit = self.view.live_limit;
        if self.live >= limit {
            return self.wait(step, Reason::LiveLimit { limit });
        }
        self.live += 1;
        self.open += 1;
        self.act(Action::Start { step, attempt });
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.plan.wake_at = Some(self.plan.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    fn finish(mut self) -> Plan {
        // The end of a run is decided on recorded states only, never together with the end of a step.
        if self.open > 0 || !self.plan.actions.is_empty() {
            return self.plan;
        }
        let end = |state, because| Action::Finish { state, because };
        let last = if self.failed.is_some() {
            end(RunState::Failed, self.failed)
        } else if !self.view.steps.iter().all(|step| step.state.is_done()) {
            end(RunState::Cancelled, self.cancelled)
        } else {
            match self.view.release {
                Release::Pending if self.view.cancel_requested => end(RunState::Cancelled, None),
                Release::Pending => Action::Release,
                Release::Done => end(RunState::Succeeded, None),
                Release::Failed => end(RunState::Failed, None),
            }
        };
        self.act(last);
        self.plan
    }
}

fn is_live(step: &StepView) -> bool {
    !step.state.is_ended() && step.attempt.is_some_and(|attempt| attempt.state.is_live())
}

fn has_spent_its_retries(step: &StepView) -> bool {
    match step.attempt.map(|attempt| attempt.state) {
        Some(AttemptState::Failed { class, .. }) => step.failures.of(class) > step.budget.of(class),
        _ => false,
    }
}

fn lost_its_job(step: &StepView) -> bool {
    let cancelled = matches!(
        step.attempt.map(|attempt| attempt.state),
        Some(AttemptState::Cancelled { .. })
    );
    cancelled && !step.state.is_ended()
}
