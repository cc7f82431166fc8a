//! Random machines and queues: every plan keeps the rules, is the same for the same view, and drains.
#![allow(clippy::unwrap_used)] // A helper of a test may fail it.

use corliss_policy_scheduling::{Machine, QueuedGang, RunningGang, View, decide, invariants};
use corliss_types::{IdSeed, JobId, Resources, Timestamp};
use proptest::prelude::*;

fn job(number: usize) -> JobId {
    let byte = u8::try_from(number % 256).unwrap();
    JobId::new(IdSeed {
        at: Timestamp::from_millis(i64::try_from(number).unwrap()),
        random: [byte; 10],
    })
}

fn resources() -> impl Strategy<Value = Resources> {
    (0_u64..3000, 0_u64..4, 0_u32..3).prop_map(|(cpu_milli, memory, accelerators)| Resources {
        cpu_milli,
        memory_bytes: memory << 30,
        accelerators,
    })
}

prop_compose! {
    fn views()(
        cpu_milli in 0_u64..8000,
        memory in 0_u64..16,
        accelerators in 0_u32..8,
        queue in prop::collection::vec((0_i64..50, 0_u32..5, resources()), 0..40),
    ) -> View {
        let queued = queue.into_iter().enumerate().map(|(number, (submitted, workers, per_worker))| QueuedGang {
            job: job(number),
            submitted: Timestamp::from_millis(submitted),
            workers,
            per_worker,
        });
        View {
            machine: Machine { cpu_milli, memory_bytes: memory << 30, accelerators: (0..accelerators).collect() },
            running: vec![],
            queued: queued.collect(),
        }
    }
}

/// The view after a plan was applied.
fn apply(view: &View) -> View {
    let plan = decide(view);
    let mut next = view.clone();
    for start in &plan.starts {
        let position = next.queued.iter().position(|gang| gang.job == start.job).unwrap();
        let gang = next.queued.remove(position);
        next.running.push(RunningGang {
            job: gang.job,
            workers: gang.workers,
            per_worker: gang.per_worker,
            accelerators: start
                .placements
                .iter()
                .flat_map(|place| place.accelerators.clone())
                .collect(),
        });
    }
    next.queued
        .retain(|gang| plan.refusals.iter().all(|refusal| refusal.job != gang.job));
    next
}

proptest! {
    #[test]
    fn every_plan_keeps_the_rules(view in views()) {
        prop_assert_eq!(invariants::check(&view, &decide(&view)), None);
        let next = apply(&view);
        prop_assert_eq!(invariants::check(&next, &decide(&next)), None);
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(view in views()) {
        let mut shuffled = view.clone();
        shuffled.queued.reverse();
        prop_assert_eq!(decide(&view), decide(&shuffled));
    }

    #[test]
    fn a_queue_drains(view in views()) {
        let mut view = view;
        for _ in 0..100 {
            view = apply(&view);
            if view.queued.is_empty() {
                break;
            }
            // The oldest running gang ends.
            prop_assert!(!view.running.is_empty(), "nothing runs and yet gangs wait");
            view.running.remove(0);
        }
        prop_assert!(view.queued.is_empty());
    }
}
