//! Jobs and queues as the policy sees them, on a floor of nodes.

use corliss_policy_scheduling::{Past, Promised, Running, View};
use corliss_types::{Resources, Timestamp};

use crate::nodes::Floor;
use crate::store::{Asked, Open};
use crate::{JobState, QueueSettings};

/// What the policy decides from: these nodes, these queues, and nobody yet.
pub(crate) fn empty(floor: &Floor, settings: &QueueSettings, now: Timestamp) -> View {
    View {
        now,
        rules: settings.rules(),
        nodes: floor.seats(),
        queues: settings.queues(),
        past: Vec::new(),
        running: Vec::new(),
        promised: Vec::new(),
        queued: Vec::new(),
    }
}

/// Adds a job that is not over.
pub(crate) fn add(view: &mut View, floor: &Floor, job: &Open) {
    let gang = floor.gang(&job.asked);
    let spots = |places| floor.spots(places, job.asked.workers);
    match (job.state, &job.promise) {
        (JobState::Queued, Some(promise)) => {
            let spots = spots(&promise.placement);
            match spots.len() == gang.wanted.least as usize {
                true => view.promised.push(Promised { gang, spots }),
                // A node that was promised is not there any more.
                false => view.queued.push(gang),
            }
        }
        (JobState::Queued, None) => view.queued.push(gang),
        _ => view.running.push(Running {
            spots: spots(&job.placement),
            since: job.admitted.unwrap_or(gang.submitted),
            gang,
            is_ending: job.is_ending,
        }),
    }
}

/// Adds a job that is over, for what it held.
pub(crate) fn add_past(view: &mut View, floor: &Floor, job: &Open) {
    let (Some(from), Some(until)) = (job.admitted, job.ended) else {
        return;
    };
    view.past.push(Past {
        spots: floor.spots(&job.placement, job.asked.workers),
        gang: floor.gang(&job.asked),
        from,
        until,
    });
}

pub(crate) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// What a job holds, all workers together.
pub(crate) fn held(asked: &Asked) -> Resources {
    asked.each.times(asked.workers.max(1))
}
