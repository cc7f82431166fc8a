//! What a decision of the scheduler costs, on the shapes that peers publish, and how much of a cluster's time it uses. It is
//! run by `benches/scheduler.py`; each figure is a line of JSON.
#![allow(clippy::unwrap_used)] // A benchmark that cannot be set up ends.

use std::collections::BTreeSet;
use std::time::Instant;

use corliss_policy_scheduling::cluster::{Seat, Topology, Wanted};
use corliss_policy_scheduling::nodes::{Ask, Node, Share, WHOLE};
use corliss_policy_scheduling::queues::{Dimension, Overtaking, Preempts, Queue, Quota};
use corliss_policy_scheduling::{Event, Gang, Rules, Scheduler, View};
use corliss_sim_cluster::{Arrival, Outages, Saves, Schedule, schedule};
use corliss_types::{IdSeed, JobId, Timestamp};

fn main() {
    armada();
    many_running();
    kueue();
    month();
}

fn report(figure: &str, value: f64, unit: &str, bar: &str) {
    println!("{{\"figure\": \"{figure}\", \"value\": {value}, \"unit\": \"{unit}\", \"bar\": \"{bar}\"}}");
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn job(number: u32) -> JobId {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&number.to_be_bytes());
    JobId::new(IdSeed { at: at(0), random })
}

fn gang(number: u32, queue: String, cpu_milli: i64, share: Share) -> Gang {
    Gang {
        job: job(number),
        queue,
        user: "user".to_owned(),
        submitted: at(number.into()),
        not_before: None,
        priority: 0,
        is_preemptible: true,
        wanted: Wanted {
            ask: Ask {
                cpu_milli,
                memory: 4,
                share,
                models: BTreeSet::new(),
                avoids_spot: false,
            },
            least: 1,
            most: 1,
            topology: Topology::Anywhere,
        },
        run_ms: None,
        served_ms: 0,
        deadline: None,
    }
}

fn node(cpus: i64, accelerators: usize) -> Seat {
    Seat::of(Node {
        model: 0,
        cpu_milli: cpus * 1_000,
        memory: 1 << 20,
        accelerators: vec![WHOLE; accelerators],
        is_spot: false,
    })
}

fn queue(name: String) -> Queue {
    Queue {
        overtaking: Overtaking::Backfill,
        preempts: Preempts {
            lower: true,
            borrowers: true,
            favoured: false,
        },
        ..Queue::named(&name)
    }
}

fn view(nodes: Vec<Seat>, queues: Vec<Queue>) -> View {
    View {
        now: at(0),
        rules: Rules::default(),
        nodes,
        queues,
        past: Vec::new(),
        running: Vec::new(),
        promised: Vec::new(),
        queued: Vec::new(),
    }
}

/// Armada's: 1,000 nodes of 32 CPUs, 10 queues with 32,000 jobs of one CPU each.
fn armada() {
    let mut view = view(
        vec![node(32, 0); 1_000],
        (0..10).map(|index| queue(format!("q{index}"))).collect(),
    );
    view.queued = (0..320_000)
        .map(|number| gang(number, format!("q{}", number % 10), 1_000, Share::None))
        .collect();
    let mut scheduler = Scheduler::of(&view);
    let begin = Instant::now();
    let plan = scheduler.decide(at(1_000_000));
    let first = begin.elapsed();
    assert_eq!(plan.starts.len(), 32_000);
    report(
        "1,000 nodes, 10 queues, 320,000 jobs: first decision",
        first.as_secs_f64(),
        "s",
        "under 0.5; Armada 1.27 to 1.34",
    );
    let begin = Instant::now();
    for ended in &plan.starts[..100] {
        scheduler.on_event(Event::Ended(ended.job.clone()), at(1_000_001));
    }
    assert_eq!(scheduler.decide(at(1_000_001)).starts.len(), 100);
    report(
        "of these 100 end: next decision",
        begin.elapsed().as_secs_f64() * 1e3,
        "ms",
        "",
    );
    let begin = Instant::now();
    scheduler.on_event(
        Event::Submitted(gang(320_000, "q1".to_owned(), 1_000, Share::None)),
        at(1_000_002),
    );
    assert_eq!(scheduler.decide(at(1_000_002)).starts.len(), 0);
    report(
        "one comes: next decision",
        begin.elapsed().as_secs_f64() * 1e6,
        "us",
        "",
    );
    report("memory, at most", memory_mib(), "MiB", "under 1024; Armada 1690");
}

/// 10,000 nodes of 8 accelerators with a gang each, and as many that wait.
fn many_running() {
    let mut view = view(
        vec![node(64, 8); 10_000],
        (0..10).map(|index| queue(format!("q{index}"))).collect(),
    );
    let waiting = |number: u32| {
        gang(
            number,
            format!("q{}", number % 10),
            4_000,
            Share::Whole(number % 4 + 5),
        )
    };
    view.queued = (0..20_000).map(waiting).collect();
    let mut scheduler = Scheduler::of(&view);
    let plan = scheduler.decide(at(100_000));
    assert_eq!(plan.starts.len(), 10_000);
    view.now = at(100_000);
    let places: std::collections::BTreeMap<_, _> = plan
        .starts
        .into_iter()
        .map(|start| (start.job, start.spots))
        .collect();
    let (running, queued): (Vec<Gang>, Vec<Gang>) = std::mem::take(&mut view.queued)
        .into_iter()
        .partition(|gang| places.contains_key(&gang.job));
    view.queued = queued;
    let runs = |gang: Gang| corliss_policy_scheduling::Running {
        spots: places[&gang.job].clone(),
        gang,
        since: at(100_000),
        is_ending: false,
    };
    view.running = running.into_iter().map(runs).collect();
    let begin = Instant::now();
    let plan = corliss_policy_scheduling::decide(&view);
    let took = begin.elapsed();
    assert_eq!(plan.starts.len(), 0);
    report(
        "10,000 nodes, 10,000 gangs run, 10,000 wait: from nothing",
        took.as_secs_f64(),
        "s",
        "under 1",
    );
    let ended = view.running[5_000].gang.job.clone();
    let begin = Instant::now();
    scheduler.on_event(Event::Ended(ended), at(100_001));
    assert_eq!(scheduler.decide(at(100_001)).starts.len(), 1);
    report(
        "one of these ends: next decision",
        begin.elapsed().as_secs_f64() * 1e6,
        "us",
        "",
    );
}

/// Kueue's own load (test/performance/scheduler): 5 cohorts of 6 queues with a quota of 20, each with 350 small, 100 medium
/// and 50 large workloads.
fn kueue() {
    const CLASSES: [(u32, i64, i64, u64, i32); 3] = [
        (350, 100, 1, 200, 50),
        (100, 500, 5, 500, 100),
        (50, 1_200, 20, 1_000, 200),
    ];
    let mut queues = Vec::new();
    let mut arrivals = Vec::new();
    let mut number = 0;
    for cohort in 0..5 {
        queues.push(Queue::named(&format!("cohort{cohort}")));
        for index in 0..6 {
            let name = format!("cohort{cohort}-queue{index}");
            let quota = Quota {
                dimension: Dimension::Cpu,
                nominal: 20_000,
                borrows: Some(100_000),
                lends: None,
            };
            queues.push(Queue {
                parent: Some(format!("cohort{cohort}")),
                quotas: vec![quota],
                ..queue(name.clone())
            });
            for (count, every_ms, cpus, runs_ms, priority) in CLASSES {
                for one in 0..count {
                    let came = i64::from(one) * every_ms;
                    arrivals.push(Arrival {
                        gang: Gang {
                            priority,
                            run_ms: Some(runs_ms),
                            submitted: at(came),
                            ..gang(number, name.clone(), cpus * 1_000, Share::None)
                        },
                        runs_ms,
                    });
                    number += 1;
                }
            }
        }
    }
    arrivals.sort_by_key(|one| one.gang.submitted);
    for (what, preempts) in [("as Kueue preempts", true), ("without preemption", false)] {
        let mut queues = queues.clone();
        for queue in &mut queues {
            queue.preempts.lower = preempts;
            queue.preempts.borrowers = preempts;
        }
        let setup = Schedule {
            view: view(vec![node(1_000_000, 0)], queues),
            grace_ms: 0,
            saves: Saves::Never,
            outages: Outages::Never,
            check: false,
        };
        let begin = Instant::now();
        let played = schedule(&arrivals, &setup).unwrap();
        assert_eq!(played.jobs, 15_000);
        report(
            &format!("Kueue's load, {what}: makespan"),
            played.makespan_s,
            "s",
            "at most 72.6: the bound is 66, Kueue 351",
        );
        report(
            &format!("Kueue's load, {what}: stopped"),
            as_f64(played.preemptions),
            "times",
            "",
        );
        report(
            &format!("Kueue's load, {what}: simulated in"),
            begin.elapsed().as_secs_f64(),
            "s",
            "",
        );
    }
}

/// A month of 100,000 jobs on 64 nodes of 8 accelerators.
fn month() {
    const MONTH_MS: u64 = 30 * 86_400_000;
    let mut state = 7_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut arrivals: Vec<Arrival> = (0..100_000)
        .map(|number| {
            let came = i64::try_from(random() * 1_000 % MONTH_MS).unwrap();
            let size = [1, 1, 1, 1, 2, 4, 8, 8][usize::try_from(random() % 8).unwrap()];
            let runs_ms = 60_000 << (random() % 9);
            let mut gang = gang(number, format!("q{}", random() % 10), 4_000, Share::Whole(size));
            gang.submitted = at(came);
            gang.run_ms = Some(runs_ms * 3 / 2);
            gang.priority = i32::try_from(random() % 3).unwrap();
            if size == 8 {
                (gang.wanted.least, gang.wanted.most) = (2, 2);
            }
            Arrival { gang, runs_ms }
        })
        .collect();
    arrivals.sort_by_key(|one| (one.gang.submitted, one.gang.job.clone()));
    let setup = Schedule {
        view: view(
            vec![node(64, 8); 64],
            (0..10).map(|index| queue(format!("q{index}"))).collect(),
        ),
        grace_ms: 30_000,
        saves: Saves::Every(600_000),
        outages: Outages::Never,
        check: false,
    };
    let begin = Instant::now();
    let played = schedule(&arrivals, &setup).unwrap();
    report(
        "a month of 100,000 jobs: simulated in",
        begin.elapsed().as_secs_f64(),
        "s",
        "under 10",
    );
    report(
        "a month of 100,000 jobs: decisions",
        as_f64(played.decisions),
        "",
        "",
    );
    report(
        "a month of 100,000 jobs: accelerators in use",
        played.utilisation_percent,
        "%",
        "",
    );
}

#[expect(clippy::cast_precision_loss, reason = "counts are told")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The most memory that this process has had.
fn memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap_or("VmHWM: 0 kB");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}
