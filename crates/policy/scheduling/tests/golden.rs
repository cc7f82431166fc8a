//! A few whole decisions, kept as files: a changed plan is a changed file in a review.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

use corliss_policy_scheduling::{Machine, QueuedGang, RunningGang, View, decide, invariants};
use corliss_types::{IdSeed, JobId, Resources, Timestamp};

const GIB: u64 = 1 << 30;

fn job(number: u8) -> JobId {
    JobId::new(IdSeed {
        at: Timestamp::from_millis(i64::from(number)),
        random: [number; 10],
    })
}

fn ask(cpu_milli: u64, memory_gib: u64, accelerators: u32) -> Resources {
    Resources {
        cpu_milli,
        memory_bytes: memory_gib * GIB,
        accelerators,
    }
}

fn queued(number: u8, workers: u32, per_worker: Resources) -> QueuedGang {
    QueuedGang {
        job: job(number),
        submitted: Timestamp::from_millis(i64::from(number)),
        workers,
        per_worker,
    }
}

fn running(number: u8, workers: u32, per_worker: Resources, accelerators: &[u32]) -> RunningGang {
    RunningGang {
        job: job(number),
        workers,
        per_worker,
        accelerators: accelerators.to_vec(),
    }
}

fn machine() -> Machine {
    Machine {
        cpu_milli: 8000,
        memory_bytes: 32 * GIB,
        accelerators: vec![0, 1, 2, 3],
    }
}

fn golden(view: &View, expected: &str) {
    let plan = decide(view);
    assert_eq!(invariants::check(view, &plan), None);
    let text = serde_json::to_string_pretty(&plan).unwrap() + "\n";
    assert_eq!(text, expected, "the plan is now:\n{text}");
}

#[test]
fn an_empty_machine_takes_gangs_in_order_and_deals_out_accelerators() {
    let queued = vec![
        queued(2, 2, ask(1000, 4, 1)),
        queued(1, 1, ask(2000, 8, 2)),
        queued(3, 1, ask(500, 1, 0)),
    ];
    golden(
        &View {
            machine: machine(),
            running: vec![],
            queued,
        },
        include_str!("golden/empty_machine.json"),
    );
}

#[test]
fn a_large_gang_at_the_head_holds_back_what_would_fit() {
    let held = vec![running(9, 2, ask(2000, 4, 1), &[0, 2])];
    let queued = vec![
        queued(1, 3, ask(2000, 2, 1)),
        queued(2, 1, ask(1000, 1, 0)),
        queued(3, 1, ask(1000, 1, 1)),
    ];
    golden(
        &View {
            machine: machine(),
            running: held,
            queued,
        },
        include_str!("golden/head_of_line.json"),
    );
}

#[test]
fn what_can_never_run_is_refused_and_the_next_starts() {
    let queued = vec![queued(1, 4, ask(1000, 16, 2)), queued(2, 1, ask(1000, 1, 1))];
    golden(
        &View {
            machine: machine(),
            running: vec![],
            queued,
        },
        include_str!("golden/refused.json"),
    );
}
