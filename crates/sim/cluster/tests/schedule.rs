//! Jobs under the whole scheduler: every decision keeps the rules, everybody gets done, and each way to run a queue does what
//! it is for.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

use corliss_policy_scheduling::cluster::Seat;
use corliss_policy_scheduling::nodes::{Node, WHOLE};
use corliss_policy_scheduling::order::Order;
use corliss_policy_scheduling::{Rules, View};
use corliss_sim_cluster::trace::listed;
use corliss_sim_cluster::{Arrival, Discipline, Outage, Outages, Saves, Schedule, Scheduled, schedule};
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
        saves: Saves::WhenStopped,
        outages: Outages::Never,
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
    let with = |saves| {
        let setup = Schedule {
            saves,
            ..setup(Discipline::By(Order::Las), 1)
        };
        schedule(&jobs(lines), &setup).unwrap()
    };
    let (all, some, none) = (
        with(Saves::WhenStopped),
        with(Saves::Every(60_000)),
        with(Saves::Never),
    );
    let makespans = [all.makespan_s, some.makespan_s, none.makespan_s];
    assert_eq!(makespans, [105.0, 135.0, 195.0]);
    assert!((none.gpu_hours_lost - 90.0 * 4.0 / 3600.0).abs() < 1e-9);
}

/// A node and when it is down, in seconds.
fn down(node: u32, from_s: i64, until_s: i64) -> Outage {
    Outage {
        node,
        from_ms: from_s * 1_000,
        until_ms: until_s * 1_000,
    }
}

#[test]
fn what_falls_with_a_node_is_done_again_and_goes_first() {
    // The first is on node 0, the second needs both.
    let lines = "0,100,4,,,\n1,50,8,,,\n";
    let with = |saves, outages: &[Outage]| {
        let setup = Schedule {
            saves,
            outages: Outages::These(outages.to_vec()),
            ..setup(Discipline::Fifo, 2)
        };
        schedule(&jobs(lines), &setup).unwrap()
    };
    // What the first did in 40 s is lost. It goes on at once on node 1, until 140, and then the second, until 190.
    let once = [down(0, 40, 100)];
    for saves in [Saves::Never, Saves::WhenStopped] {
        let came = with(saves, &once);
        assert_eq!((came.makespan_s, came.jct_s.mean), (190.0, (140.0 + 189.0) / 2.0));
        assert_eq!((came.failures, came.gangs_lost, came.preemptions), (1, 1, 0));
        assert!(
            (came.gpu_hours_lost - 40.0 * 4.0 / 3600.0).abs() < 1e-9,
            "{came:?}"
        );
        assert!((came.gpu_hours - (140.0 * 4.0 + 50.0 * 8.0) / 3600.0).abs() < 1e-9);
    }
    // Of the 40 s 30 were saved.
    let some = with(Saves::Every(30_000), &once);
    assert_eq!(some.makespan_s, 160.0);
    assert!(
        (some.gpu_hours_lost - 10.0 * 4.0 / 3600.0).abs() < 1e-9,
        "{some:?}"
    );
    // The second falls with one of its nodes and waits until that is repaired; the other could not help it.
    let twice = with(Saves::Never, &[once[0], down(1, 150, 160)]);
    assert_eq!((twice.makespan_s, twice.gangs_lost), (210.0, 2));
    assert!((twice.gpu_hours_lost - (40.0 * 4.0 + 10.0 * 8.0) / 3600.0).abs() < 1e-9);
    // A node on which nothing runs takes nobody along; after the last end nobody looks.
    let idle = with(Saves::Never, &[down(1, 10, 20), down(0, 1_000, 1_001)]);
    assert_eq!((idle.makespan_s, idle.failures, idle.gangs_lost), (150.0, 1, 0));
}

#[test]
fn where_no_node_fails_nothing_is_otherwise() {
    let lines = "0,100,4,,,\n1,400,4,1000,,\n2,50,8,160,,\n3,50,2,210,,\n4,50,1,,,\n";
    for discipline in Discipline::ALL {
        let with = |outages| {
            let setup = Schedule {
                outages,
                ..setup(discipline, 2)
            };
            schedule(&jobs(lines), &setup).unwrap()
        };
        let never = with(Outages::Never);
        assert_eq!((never.failures, never.gangs_lost), (0, 0));
        let never_here = Outages::Drawn {
            mtbf_ms: u64::MAX,
            repair_ms: 1,
            seed: 1,
        };
        assert_eq!(never, with(never_here), "{discipline}");
    }
}

#[test]
fn who_can_never_end_is_told_of() {
    let setup = Schedule {
        saves: Saves::Never,
        outages: Outages::Drawn {
            mtbf_ms: 1_000,
            repair_ms: 1,
            seed: 1,
        },
        check: false,
        ..setup(Discipline::Fifo, 1)
    };
    let told = schedule(&jobs("0,1000,4,,,\n"), &setup).unwrap_err().to_string();
    assert!(told.contains("jobs are still left"), "{told}");
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

    /// Whatever falls with which node, everybody gets done, and what was held is what was to be done and what was lost.
    #[test]
    fn where_nodes_fail_every_decision_keeps_the_rules_and_everybody_gets_done(
        jobs in prop::collection::vec((0_u32..200, 1_u32..100, 1_u32..9, any::<bool>()), 1..30),
        mtbf_ms in 50_000_u64..500_000,
        (repair_ms, seed, every) in (1_u64..100_000, any::<u64>(), prop::option::of(1_000_u64..20_000)),
    ) {
        let lines: String = jobs.iter().map(|(came, runs, gpus, queue)| {
            format!("{came},{runs},{gpus},,{},ann\n", if *queue { "other" } else { "" })
        }).collect();
        let arrivals = self::jobs(&lines);
        let work: u32 = jobs.iter().map(|(_, runs, gpus, _)| runs * gpus).sum();
        for discipline in Discipline::ALL {
            let setup = Schedule {
                saves: every.map_or(Saves::WhenStopped, Saves::Every),
                outages: Outages::Drawn { mtbf_ms, repair_ms, seed },
                ..setup(discipline, 2)
            };
            let came = schedule(&arrivals, &setup);
            let came = came.map_err(|error| TestCaseError::fail(format!("{discipline}: {error}")))?;
            prop_assert_eq!(came.jobs, arrivals.len() as u64, "{}", discipline);
            prop_assert!((came.gpu_hours - came.gpu_hours_lost - f64::from(work) / 3600.0).abs() < 1e-3, "{:?}", came);
            prop_assert_eq!(&came, &schedule(&arrivals, &setup).unwrap());
        }
    }
}
