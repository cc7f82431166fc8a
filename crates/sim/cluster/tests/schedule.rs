//! Jobs under the whole scheduler: every decision keeps the rules, everybody gets done, and each way to run a queue does what
//! it is for.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

use corliss_policy_scheduling::cluster::Seat;
use corliss_policy_scheduling::nodes::{Node, WHOLE};
use corliss_policy_scheduling::order::Order;
use corliss_policy_scheduling::{Rules, View};
use corliss_sim_cluster::trace::listed;
use corliss_sim_cluster::{Arrival, Discipline, Schedule, Scheduled, schedule};
use corliss_types::Timestamp;
use proptest::prelude::*;

fn setup(discipline: Discipline, nodes: usize) -> Schedule {
    let node = Node {
        model: 0,
        cpu_milli: 0,
        memory: 0,
        accelerators: vec![WHOLE; 4],
        is_spot: false,
    };
    Schedule {
        view: View {
            now: Timestamp::from_millis(0),
            rules: Rules {
                half_life_ms: Some(86_400_000),
                ..Rules::default()
            },
            nodes: vec![Seat::of(node); nodes],
            queues: vec![discipline.queue("default"), discipline.queue("other")],
            past: Vec::new(),
            running: Vec::new(),
            promised: Vec::new(),
            queued: Vec::new(),
        },
        grace_ms: 0,
        checkpoint_ms: Some(1),
        check: true,
    }
}

fn jobs(lines: &str) -> Vec<Arrival> {
    listed::jobs(
        &format!("submission_time,duration,num_gpu,deadline,queue,user\n{lines}"),
        4,
    )
    .unwrap()
}

fn played(discipline: Discipline, lines: &str) -> Scheduled {
    schedule(&jobs(lines), &setup(discipline, 1)).unwrap()
}

#[test]
fn a_gang_that_waits_holds_back_all_or_only_who_would_make_it_wait_longer() {
    // Three of four are held for 100 s; the next needs all, and two small ones come after it.
    let lines = "0,100,3,,,\n1,10,4,,,\n2,50,1,,,\n3,500,1,,,\n";
    let fifo = played(Discipline::Fifo, lines);
    assert!((fifo.makespan_s - 610.0).abs() < 0.01, "{fifo:?}");
    let backfill = played(Discipline::Backfill, lines);
    assert!(
        (backfill.waiting_s.mean - (0.0 + 99.0 + 0.0 + 107.0) / 4.0).abs() < 0.01,
        "{backfill:?}"
    );
}

#[test]
fn the_shortest_first_is_sooner_done_and_the_earliest_deadline_keeps_more_of_them() {
    let lines = "0,100,4,,,\n1,400,4,1000,,\n2,50,4,160,,\n3,50,4,210,,\n4,50,4,,,\n";
    let of = |discipline| played(discipline, lines);
    assert!(of(Discipline::By(Order::Sjf)).jct_s.mean < of(Discipline::Backfill).jct_s.mean);
    assert_eq!(of(Discipline::Fifo).deadlines_met_percent, Some(100.0 / 3.0));
    assert_eq!(of(Discipline::By(Order::Edf)).deadlines_met_percent, Some(100.0));
    let srtf = of(Discipline::By(Order::Srtf));
    assert!(srtf.preemptions > 0 && srtf.gpu_hours_lost == 0.0, "{srtf:?}");
}

#[test]
fn what_was_not_saved_is_done_again() {
    let lines = "0,100,4,,,\n90,5,4,,,\n";
    let with = |checkpoint_ms| {
        let setup = Schedule {
            checkpoint_ms,
            ..setup(Discipline::By(Order::Las), 1)
        };
        schedule(&jobs(lines), &setup).unwrap()
    };
    let (all, some, none) = (with(Some(1)), with(Some(60_000)), with(None));
    let makespans = [all.makespan_s, some.makespan_s, none.makespan_s];
    assert_eq!(makespans, [105.0, 135.0, 195.0]);
    assert!((none.gpu_hours_lost - 90.0 * 4.0 / 3600.0).abs() < 1e-9);
}

#[test]
fn users_and_queues_share() {
    // Ann has a hundred jobs before Bob has a short one.
    let mut lines: String = (0..100).map(|_| "0,10,4,,,ann\n").collect();
    lines.push_str("1,1,4,,,bob\n");
    let waiting = |discipline, lines: &str| played(discipline, lines).waiting_s.mean;
    assert!(waiting(Discipline::Fair, &lines) < waiting(Discipline::Fifo, &lines));
    // In a queue of his own he need not wait for all of hers either.
    let elsewhere = lines.replace(",,bob", ",other,bob");
    assert!(waiting(Discipline::Fifo, &elsewhere) < waiting(Discipline::Fifo, &lines));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_keeps_the_rules_and_everybody_gets_done(
        jobs in prop::collection::vec((0_u32..200, 1_u32..100, 0_u32..12, prop::option::of(0_u32..400), any::<bool>(), any::<bool>()), 1..60)
    ) {
        let lines: String = jobs.iter().map(|(came, runs, gpus, deadline, queue, user)| {
            let deadline = deadline.map_or_else(String::new, |deadline| deadline.to_string());
            let (queue, user) = (if *queue { "other" } else { "" }, if *user { "ann" } else { "bob" });
            format!("{came},{runs},{gpus},{deadline},{queue},{user}\n")
        }).collect();
        for discipline in Discipline::ALL {
            let arrivals = self::jobs(&lines);
            let came = schedule(&arrivals, &setup(discipline, 2));
            let came = came.map_err(|error| TestCaseError::fail(format!("{discipline}: {error}")))?;
            prop_assert_eq!(came.jobs + came.refused, arrivals.len() as u64, "{}", discipline);
            let large = arrivals.iter().filter(|one| one.gang.wanted.least * u32::try_from(one.gang.wanted.ask.share.milli() / 1_000).unwrap() > 8);
            prop_assert_eq!(came.refused, large.count() as u64);
        }
    }
}
