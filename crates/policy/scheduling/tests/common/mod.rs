//! Views in few words.
#![allow(dead_code, clippy::unwrap_used)] // Each test takes what it needs; a failed unwrap is a failed test.

use std::collections::BTreeSet;

use corliss_policy_scheduling::cluster::{Seat, Topology, Wanted};
use corliss_policy_scheduling::nodes::{Ask, Node, Share, Spot, WHOLE};
use corliss_policy_scheduling::queues::{Dimension, Overtaking, Preempts, Queue, Quota};
use corliss_policy_scheduling::{Gang, Rules, Running, View};
use corliss_types::{IdSeed, JobId, Timestamp};

pub const SECOND: i64 = 1_000;
pub const HOUR: i64 = 3_600_000;

pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

pub fn job(number: u32) -> JobId {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&number.to_be_bytes());
    JobId::new(IdSeed { at: at(0), random })
}

/// A node with 64 CPUs and so many accelerators.
pub fn node(accelerators: usize) -> Seat {
    Seat::of(Node {
        model: 0,
        cpu_milli: 64_000,
        memory: 512,
        accelerators: vec![WHOLE; accelerators],
        is_spot: false,
    })
}

pub fn in_rack(rack: &str, accelerators: usize) -> Seat {
    Seat {
        domains: vec![rack.to_owned()],
        ..node(accelerators)
    }
}

/// A gang of the queue `q` with so many workers of so many accelerators, which came in that millisecond.
pub fn gang(number: u32, workers: u32, accelerators: u32) -> Gang {
    Gang {
        job: job(number),
        queue: "q".to_owned(),
        user: "ann".to_owned(),
        submitted: at(number.into()),
        not_before: None,
        priority: 0,
        is_preemptible: false,
        wanted: Wanted {
            ask: Ask {
                cpu_milli: 1_000,
                memory: 1,
                share: match accelerators {
                    0 => Share::None,
                    count => Share::Whole(count),
                },
                models: BTreeSet::new(),
                avoids_spot: false,
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

pub fn of(queue: &str, gang: Gang) -> Gang {
    Gang {
        queue: queue.to_owned(),
        ..gang
    }
}

pub fn preemptible(gang: Gang) -> Gang {
    Gang {
        is_preemptible: true,
        ..gang
    }
}

/// It runs since 0, its workers on these nodes with these accelerators.
pub fn runs(gang: Gang, spots: &[(u32, &[u32])]) -> Running {
    let spot = |(node, accelerators): &(u32, &[u32])| Spot {
        node: *node,
        accelerators: accelerators.to_vec(),
    };
    Running {
        gang,
        spots: spots.iter().map(spot).collect(),
        since: at(0),
        is_ending: false,
    }
}

pub fn queue(name: &str) -> Queue {
    Queue {
        overtaking: Overtaking::Backfill,
        ..Queue::named(name)
    }
}

/// A queue below `all` with so many accelerators of its own, that takes them back.
pub fn with_quota(name: &str, accelerators: i64) -> Queue {
    Queue {
        parent: Some("all".to_owned()),
        quotas: vec![Quota {
            dimension: Dimension::Accelerators,
            nominal: accelerators * i64::from(WHOLE),
            borrows: None,
            lends: None,
        }],
        preempts: Preempts {
            borrowers: true,
            ..Preempts::default()
        },
        ..queue(name)
    }
}

/// One queue `q`, at a time when everybody has come.
pub fn view(nodes: Vec<Seat>, running: Vec<Running>, queued: Vec<Gang>) -> View {
    View {
        now: at(SECOND),
        rules: Rules::default(),
        nodes,
        queues: vec![queue("q")],
        past: Vec::new(),
        running,
        promised: Vec::new(),
        queued,
    }
}
