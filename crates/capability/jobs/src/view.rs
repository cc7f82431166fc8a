//! Jobs, queues and this machine as the policy sees them.

use corliss_executor::inventory::Inventory;
use corliss_policy_scheduling::cluster::{Seat, Topology, Wanted};
use corliss_policy_scheduling::nodes::{Ask, Node, Share, Spot, WHOLE};
use corliss_policy_scheduling::{Gang, Past, Promised, Running, View};
use corliss_types::{JobId, Resources, Timestamp};

use crate::store::Open;
use crate::{JobState, QueueSettings, Terms};

/// What the policy decides from: this machine, these queues, and nobody yet.
pub(crate) fn empty(inventory: &Inventory, settings: &QueueSettings, now: Timestamp) -> View {
    let node = Node {
        model: 0,
        cpu_milli: signed(inventory.total.cpu_milli),
        memory: signed(inventory.total.memory_bytes),
        accelerators: vec![WHOLE; inventory.accelerators.len()],
    };
    View {
        now,
        rules: settings.rules(),
        nodes: vec![Seat::of(node)],
        queues: settings.queues(),
        past: Vec::new(),
        running: Vec::new(),
        promised: Vec::new(),
        queued: Vec::new(),
    }
}

/// Adds a job that is not over.
pub(crate) fn add(view: &mut View, inventory: &Inventory, job: &Open) {
    let gang = job.gang.clone();
    match (job.state, &job.promise) {
        (JobState::Queued, Some(promise)) => {
            let spots = spots(inventory, &promise.placement, &gang);
            view.promised.push(Promised { gang, spots });
        }
        (JobState::Queued, None) => view.queued.push(gang),
        _ => view.running.push(Running {
            spots: spots(inventory, &job.placement, &gang),
            since: job.admitted.unwrap_or(gang.submitted),
            gang,
            is_ending: job.is_ending,
        }),
    }
}

/// Adds a job that is over, for what it held.
pub(crate) fn add_past(view: &mut View, inventory: &Inventory, job: &Open) {
    let (Some(from), Some(until)) = (job.admitted, job.ended) else {
        return;
    };
    view.past.push(Past {
        spots: spots(inventory, &job.placement, &job.gang),
        gang: job.gang.clone(),
        from,
        until,
    });
}

/// A job as the policy knows it; `run_ms` is how long it is expected to run.
pub(crate) fn gang(
    job: JobId,
    created: Timestamp,
    workers: u32,
    each: &Resources,
    terms: &Terms,
    run_ms: Option<u64>,
) -> Gang {
    let workers = workers.max(1);
    Gang {
        job,
        queue: terms.queue.clone(),
        user: terms.user.clone(),
        submitted: terms.since.unwrap_or(created),
        not_before: None,
        priority: terms.priority,
        is_preemptible: terms.is_preemptible.unwrap_or(false),
        wanted: Wanted {
            ask: Ask {
                cpu_milli: signed(each.cpu_milli),
                memory: signed(each.memory_bytes),
                share: match each.accelerators {
                    0 => Share::None,
                    count => Share::Whole(count),
                },
                models: std::collections::BTreeSet::new(),
            },
            least: workers,
            most: workers,
            topology: Topology::Anywhere,
        },
        run_ms,
        served_ms: terms.served_ms.unwrap_or(0),
        deadline: None,
    }
}

/// The indices of the accelerators on each spot.
pub(crate) fn placement(inventory: &Inventory, spots: &[Spot]) -> Vec<Vec<u32>> {
    let index = |place: &u32| {
        inventory
            .accelerators
            .get(*place as usize)
            .map(|accelerator| accelerator.index)
    };
    spots
        .iter()
        .map(|spot| spot.accelerators.iter().filter_map(index).collect())
        .collect()
}

fn spots(inventory: &Inventory, placement: &[Vec<u32>], gang: &Gang) -> Vec<Spot> {
    // One that was taken out of the machine since is held no more.
    let place = |index: &u32| {
        let mut known = inventory.accelerators.iter();
        known
            .position(|accelerator| accelerator.index == *index)
            .and_then(|place| u32::try_from(place).ok())
    };
    let ranks = 0..gang.wanted.least as usize;
    let spots = ranks.map(|rank| Spot {
        node: 0,
        accelerators: placement
            .get(rank)
            .into_iter()
            .flatten()
            .filter_map(place)
            .collect(),
    });
    spots.collect()
}

pub(crate) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// What a gang holds, all workers together.
pub(crate) fn held(gang: &Gang) -> Resources {
    let ask = &gang.wanted.ask;
    let amount = |each: i64| u64::try_from(each).unwrap_or(0);
    let each = Resources {
        cpu_milli: amount(ask.cpu_milli),
        memory_bytes: amount(ask.memory),
        accelerators: match ask.share {
            Share::Whole(count) => count,
            Share::None | Share::Part(_) => 0,
        },
    };
    each.times(gang.wanted.least)
}
