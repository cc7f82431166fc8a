//! The queue as its policy sees it: this machine is one node, and all jobs wait in one line in which nobody overtakes.

use corliss_executor::inventory::Inventory;
use corliss_policy_scheduling::cluster::{Seat, Topology, Wanted};
use corliss_policy_scheduling::nodes::{Ask, Node, Share, Spot, WHOLE};
use corliss_policy_scheduling::queues::Queue;
use corliss_policy_scheduling::{Gang, Rules, Running, View};
use corliss_types::{JobId, Resources, Timestamp};

/// The queue of all jobs.
const QUEUE: &str = "default";

/// A job that holds resources, as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub gang: Gang,
    /// Indices of the accelerators of each rank.
    pub placement: Vec<Vec<u32>>,
    pub since: Timestamp,
}

/// What the policy decides from.
pub(crate) fn view(inventory: &Inventory, now: Timestamp, holders: Vec<Holder>, queued: Vec<Gang>) -> View {
    let node = Node {
        model: 0,
        cpu_milli: signed(inventory.total.cpu_milli),
        memory: signed(inventory.total.memory_bytes),
        accelerators: vec![WHOLE; inventory.accelerators.len()],
    };
    View {
        now,
        rules: Rules::default(),
        nodes: vec![Seat::of(node)],
        queues: vec![Queue::named(QUEUE)],
        past: Vec::new(),
        running: holders
            .into_iter()
            .map(|holder| running(inventory, holder))
            .collect(),
        promised: Vec::new(),
        queued,
    }
}

/// A job as the policy knows it.
pub(crate) fn gang(job: JobId, submitted: Timestamp, workers: u32, each: &Resources) -> Gang {
    let workers = workers.max(1);
    Gang {
        job,
        queue: QUEUE.to_owned(),
        user: String::new(),
        submitted,
        not_before: None,
        priority: 0,
        is_preemptible: false,
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
        run_ms: None,
        served_ms: 0,
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

fn running(inventory: &Inventory, holder: Holder) -> Running {
    // One that was taken out of the machine since is held no more.
    let place = |index: &u32| {
        let mut known = inventory.accelerators.iter();
        known
            .position(|accelerator| accelerator.index == *index)
            .and_then(|place| u32::try_from(place).ok())
    };
    let ranks = 0..holder.gang.wanted.least as usize;
    let spots = ranks.map(|rank| Spot {
        node: 0,
        accelerators: holder
            .placement
            .get(rank)
            .into_iter()
            .flatten()
            .filter_map(place)
            .collect(),
    });
    Running {
        spots: spots.collect(),
        gang: holder.gang,
        since: holder.since,
        is_ending: false,
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
