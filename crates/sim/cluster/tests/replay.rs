//! What a replay must be, whatever the trace.

#![allow(clippy::unwrap_used)]

use corliss_policy_scheduling::order::Order;
use corliss_sim_cluster::trace::{Cluster, Job};
use corliss_sim_cluster::{Replay, Replayed, replay};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;

fn job(submitted_s: u64, work_s: u64, accelerators: u32) -> Job {
    Job {
        submitted_us: submitted_s * SECOND,
        work_us: work_s * SECOND,
        accelerators,
        start_us: 5 * SECOND,
    }
}

fn on(nodes: u32, order: Order, jobs: &[Job]) -> Replayed {
    let setup = Replay {
        order,
        cluster: Cluster {
            nodes,
            accelerators_per_node: 8,
        },
        start_at_every_event: false,
    };
    replay(jobs, &setup).unwrap()
}

#[test]
fn a_short_job_takes_the_place_of_a_long_one_and_gives_it_back() {
    let jobs = [job(0, 100, 8), job(10, 20, 8)];
    let first = on(1, Order::Fifo, &jobs);
    assert_eq!((first.jct_s.mean, first.preemptions), ((100.0 + 110.0) / 2.0, 0));
    let shortest = on(1, Order::Srtf, &jobs);
    assert_eq!(
        (shortest.jct_s.mean, shortest.preemptions),
        ((120.0 + 20.0) / 2.0, 1)
    );
    assert_eq!(
        (shortest.makespan_s, shortest.utilisation_percent),
        (120.0, 100.0)
    );
}

#[test]
fn fifo_lets_nobody_pass_and_sjf_does() {
    // Half of the node is held; the next wants all of it, the last would fit.
    let jobs = [job(0, 100, 4), job(1, 10, 8), job(2, 10, 4)];
    assert_eq!(on(1, Order::Fifo, &jobs).makespan_s, 120.0);
    assert_eq!(on(1, Order::Sjf, &jobs).makespan_s, 110.0);
}

#[test]
fn a_job_that_is_too_large_is_told_and_blocks_nobody() {
    let replayed = on(1, Order::Fifo, &[job(0, 1, 9), job(0, 1, 8)]);
    assert_eq!(
        (replayed.jobs, replayed.refused, replayed.makespan_s),
        (1, 1, 1.0)
    );
    let setup = Replay {
        order: Order::Fifo,
        cluster: Cluster {
            nodes: 1,
            accelerators_per_node: 8,
        },
        start_at_every_event: false,
    };
    assert!(replay(&[job(0, 1, 9)], &setup).is_err());
}

proptest! {
    #[test]
    fn every_job_ends_once_and_nobody_is_faster_than_its_work(
        mut jobs in prop::collection::vec((0_u64..500, 1_u64..100, 1_u32..20), 1..60),
        nodes in 1_u32..5,
    ) {
        jobs.sort_unstable();
        let jobs: Vec<Job> = jobs.into_iter().map(|(at, work, count)| job(at, work, count)).collect();
        let able = jobs.iter().filter(|job| job.accelerators <= nodes * 8);
        let work_s = able.clone().map(|job| job.work_us as f64 / 1e6 * f64::from(job.accelerators)).sum::<f64>();
        prop_assume!(able.clone().count() > 0);
        for order in Order::ALL {
            let replayed = on(nodes, order, &jobs);
            prop_assert_eq!(replayed.jobs + replayed.refused, jobs.len() as u64);
            // What was held is what was to be done, no more and no less.
            prop_assert!((replayed.gpu_hours * 3600.0 - work_s).abs() < 1e-3);
            prop_assert!(replayed.utilisation_percent <= 100.0 + 1e-9);
            prop_assert!(order.preempts() || replayed.preemptions == 0);
            prop_assert_eq!(&replayed, &on(nodes, order, &jobs));
        }
    }
}
