//! The decision about one release: go on, wait, roll back, or done.

use corliss_types::{DurationMs, Timestamp};
use serde::Serialize;

use super::counts::Counts;
use super::objectives::{Breach, MINIMUM_AT_ONCE, Rigour, breach};
use super::plan::{ReleasePlan, Strategy};

/// A new version whose replicas end by themselves so often in a row is taken back.
pub const CRASHES_UNTIL_ROLLBACK: u32 = 3;
/// Requests are looked at this often while a release goes on.
const LOOK: DurationMs = DurationMs(1_000);

/// At the end of a step, where it is asked once.
const ONCE: Rigour = Rigour {
    deviations: 3,
    heavy: false,
};
/// Where it is asked again and again.
const AGAIN: Rigour = Rigour {
    deviations: 4,
    heavy: false,
};
const HEAVY: Rigour = Rigour {
    deviations: 4,
    heavy: true,
};

/// How far a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The step, counted from 0.
    pub step: u32,
    /// Since when the new version gets what the step gives it; none while its replicas are not ready.
    pub begun: Option<Timestamp>,
    /// Whether somebody said to wait.
    pub paused: bool,
}

/// What a decision about a release is made from.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Time of the decision.
    pub now: Timestamp,
    /// How the version gets out.
    pub plan: &'a ReleasePlan,
    /// How far it is.
    pub progress: Progress,
    /// Replicas that the endpoint should have.
    pub replicas: u32,
    /// Replicas of the new version that take requests.
    pub ready: u32,
    /// Replicas of the new version that ended by themselves in a row.
    pub crashes: u32,
    /// What the old version did since the release began.
    pub old: &'a Counts,
    /// What the new version did since the step began.
    pub new: &'a Counts,
}

/// What is to be done, and when to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub next: Next,
    /// When.
    pub wake_at: Option<Timestamp>,
}

/// What is to be done about a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing yet.
    Wait(Wait),
    /// The step's replicas are ready: the new version gets the step's share.
    Begin,
    /// On to the next step.
    Advance,
    /// The new version takes the old one's place.
    Complete,
    /// The new version goes away.
    RollBack(Breach),
}

/// What a release waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "waits_for", rename_all = "snake_case")]
pub enum Wait {
    /// Replicas of the new version.
    Replicas {
        /// Ready ones.
        ready: u32,
        /// As many as the step needs.
        needed: u32,
    },
    /// A time.
    Time {
        /// Until then.
        until_ms: Timestamp,
    },
    /// Requests to judge the new version by.
    Requests {
        /// So many more.
        missing: u64,
    },
    /// Somebody to promote it or roll it back.
    Decision,
    /// Somebody to let it go on.
    Resume,
}

/// Decides about a release.
#[must_use]
pub fn decide(view: &View<'_>) -> Decision {
    let next = judge(view).map_or_else(|| proceed(view), Next::RollBack);
    let wake_at = match &next {
        Next::Wait(Wait::Replicas { .. }) if view.progress.step == 0 => None,
        Next::Wait(Wait::Time { until_ms }) => Some((*until_ms).min(view.now + LOOK)),
        Next::Wait(_) => Some(view.now + LOOK),
        _ => None,
    };
    Decision { next, wake_at }
}

/// What the new version breaches, whether or not the step is over.
fn judge(view: &View<'_>) -> Option<Breach> {
    if view.crashes >= CRASHES_UNTIL_ROLLBACK {
        return Some(Breach::Crashes {
            crashes: view.crashes,
        });
    }
    let (plan, new) = (view.plan, view.new);
    let asked = |rigour| breach(&plan.objectives, plan.minimum(), view.old, new, rigour);
    if new.requests >= MINIMUM_AT_ONCE.min(plan.minimum())
        && let Some(heavy) = asked(HEAVY)
    {
        return Some(heavy);
    }
    // A step is judged at its end; what has no end, whenever there is enough.
    let has_end = plan.strategy == Strategy::Canary && !view.progress.paused;
    (!has_end && new.requests >= plan.minimum())
        .then(|| asked(AGAIN))
        .flatten()
}

fn proceed(view: &View<'_>) -> Next {
    let (plan, progress) = (view.plan, view.progress);
    if progress.paused {
        return Next::Wait(Wait::Resume);
    }
    let Some(begun) = progress.begun else {
        let needed = plan.replicas(progress.step, view.replicas);
        let ready = view.ready;
        return if ready >= needed {
            Next::Begin
        } else {
            Next::Wait(Wait::Replicas { ready, needed })
        };
    };
    match plan.strategy {
        Strategy::Canary => end_of_step(view, begun + plan.step_time()),
        Strategy::Rolling => Next::Complete,
        Strategy::BlueGreen => {
            let until_ms = begun + plan.keep_time();
            if view.now < until_ms {
                Next::Wait(Wait::Time { until_ms })
            } else {
                Next::Complete
            }
        }
        Strategy::Shadow | Strategy::Ab => Next::Wait(Wait::Decision),
    }
}

fn end_of_step(view: &View<'_>, until_ms: Timestamp) -> Next {
    let (plan, minimum) = (view.plan, view.plan.minimum());
    if view.now < until_ms {
        return Next::Wait(Wait::Time { until_ms });
    }
    if view.new.requests < minimum {
        let missing = minimum - view.new.requests;
        return Next::Wait(Wait::Requests { missing });
    }
    if let Some(breach) = breach(&plan.objectives, minimum, view.old, view.new, ONCE) {
        return Next::RollBack(breach);
    }
    if (view.progress.step as usize) + 1 < plan.shares().len() {
        Next::Advance
    } else {
        Next::Complete
    }
}
