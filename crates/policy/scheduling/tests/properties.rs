//! Random clusters, queues and gangs: every plan keeps the rules, is the same for the same view, and everybody is served.
#![allow(clippy::unwrap_used)] // A helper of a test may fail it.

mod common;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::*;
use corliss_policy_scheduling::cluster::{Seat, Topology};
use corliss_policy_scheduling::nodes::{Node, Share, WHOLE};
use corliss_policy_scheduling::order::Order;
use corliss_policy_scheduling::place::Placement;
use corliss_policy_scheduling::queues::{Cap, Dimension, Overtaking, Preempts, Queue, Quota};
use corliss_policy_scheduling::{Event, Gang, Rate, Rules, Running, Scheduler, View, decide, invariants};
use corliss_types::JobId;
use proptest::prelude::*;
use proptest::sample::select;

fn a_node() -> impl Strategy<Value = Seat> {
    let flags = (prop::bool::weighted(0.9), prop::bool::weighted(0.2));
    (0_u16..2, 1_i64..5, 0_usize..5, 0_u8..3, flags).prop_map(
        |(model, cpus, accelerators, rack, (is_open, is_spot))| Seat {
            node: Node {
                model,
                cpu_milli: cpus * 4_000,
                memory: cpus * 8,
                accelerators: vec![WHOLE; accelerators],
                is_spot,
            },
            domains: vec![format!("rack {rack}")],
            is_open,
        },
    )
}

fn a_queue(name: &'static str) -> impl Strategy<Value = Queue> {
    let quota = prop::option::of((0_i64..6, prop::option::of(0_i64..4), prop::option::of(0_i64..4)));
    let kinds = (
        select(Order::ALL.to_vec()),
        select(vec![Overtaking::Never, Overtaking::Backfill, Overtaking::Free]),
    );
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (quota, kinds, flags, 1_u32..4, prop::option::of(1_i64..6)).prop_map(
        move |(quota, kinds, flags, weight, cap)| Queue {
            name: name.to_owned(),
            parent: Some("all".to_owned()),
            weight,
            order: kinds.0,
            is_fair: flags.0,
            overtaking: kinds.1,
            quotas: quota
                .map(|(nominal, borrows, lends)| Quota {
                    dimension: Dimension::Accelerators,
                    nominal: nominal * 1_000,
                    borrows: borrows.map(|most| most * 1_000),
                    lends: lends.map(|most| most * 1_000),
                })
                .into_iter()
                .collect(),
            per_user: cap
                .map(|most| Cap {
                    dimension: Dimension::Cpu,
                    most: most * 4_000,
                })
                .into_iter()
                .collect(),
            preempts: Preempts {
                lower: flags.1,
                borrowers: flags.2,
                favoured: flags.3,
            },
        },
    )
}

fn a_gang() -> impl Strategy<Value = Gang> {
    let share = prop_oneof![
        Just(Share::None),
        (100_i16..1_000).prop_map(Share::Part),
        (1_u32..4).prop_map(Share::Whole)
    ];
    let topology = select(vec![
        Topology::Anywhere,
        Topology::Within(0),
        Topology::Near(0),
        Topology::Spread,
    ]);
    let size = (0_i64..6_000, 0_i64..8, share, 1_u32..4, 0_u32..3, topology);
    let person = (
        select(vec!["a", "b", "nowhere"]),
        select(vec!["ann", "bob"]),
        0_i32..3,
        any::<bool>(),
    );
    let times = (
        0_i64..1_000,
        prop::option::of(1_u64..100_000),
        prop::option::of(0_i64..200_000),
        prop::option::of(0_i64..5_000),
    );
    (size, person, times).prop_map(|(size, person, times)| {
        let mut gang = gang(0, size.3, 0);
        gang.wanted.ask.cpu_milli = size.0;
        gang.wanted.ask.memory = size.1;
        gang.wanted.ask.share = size.2;
        gang.wanted.ask.avoids_spot = !person.3;
        gang.wanted.most = size.3 + size.4;
        gang.wanted.topology = size.5;
        Gang {
            queue: person.0.to_owned(),
            user: person.1.to_owned(),
            priority: person.2,
            is_preemptible: person.3,
            submitted: at(times.0),
            run_ms: times.1,
            deadline: times.2.map(at),
            not_before: times.3.map(at),
            ..gang
        }
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let rate = (0_u32..3, 1_000_u64..20_000);
    (
        select(Placement::ALL.to_vec()),
        prop::option::of(1_000_u64..100_000),
        0_u64..10_000,
        0_u64..60_000,
        rate,
        any::<u64>(),
    )
        .prop_map(
            |(placement, half_life_ms, least_run_ms, patience_ms, rate, seed)| Rules {
                placement,
                half_life_ms,
                least_run_ms,
                patience_ms,
                favoured: Rate {
                    most: rate.0,
                    per_ms: rate.1,
                },
                seed,
                ..Rules::default()
            },
        )
}

fn a_view() -> impl Strategy<Value = View> {
    let nodes = prop::collection::vec(a_node(), 1..6);
    let gangs = prop::collection::vec(a_gang(), 1..60);
    (rules(), nodes, a_queue("a"), a_queue("b"), gangs).prop_map(|(rules, nodes, a, b, gangs)| View {
        now: at(1_000),
        rules,
        nodes,
        queues: vec![Queue::named("all"), a, b],
        past: Vec::new(),
        running: Vec::new(),
        promised: Vec::new(),
        queued: gangs
            .into_iter()
            .zip(0..)
            .map(|(gang, number)| Gang {
                job: job(number),
                ..gang
            })
            .collect(),
    })
}

/// Something that befalls a node.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// It fails, and all that is on it with it.
    Fails,
    /// It takes no more; what is on it goes on.
    Drains,
    Opens,
}

/// Nodes that fail or are drained for a while: when, which and what.
fn outages() -> impl Strategy<Value = Vec<(i64, u32, Outage)>> {
    let one = (1_000_i64..60_000, 0_u32..6, any::<bool>(), 0_i64..20_000);
    prop::collection::vec(one, 0..8).prop_map(|all| {
        let mut outages = Vec::new();
        for (at, node, fails, lasts) in all {
            let what = if fails { Outage::Fails } else { Outage::Drains };
            outages.extend([(at, node, what), (at + lasts, node, Outage::Opens)]);
        }
        outages.sort_by_key(|(at, ..)| *at);
        outages
    })
}

/// A world in which plans are carried out, gangs end and nodes fail; it checks every plan against what it knows itself.
struct World {
    view: View,
    /// When each ends that runs.
    ends: BTreeMap<JobId, i64>,
    outages: VecDeque<(i64, u32, Outage)>,
    refused: BTreeSet<JobId>,
    done: BTreeSet<JobId>,
}

impl World {
    /// Nodes that take nothing at first do in the end, so that everybody can be served.
    fn of(view: View, outages: Vec<(i64, u32, Outage)>) -> Self {
        let mut outages = VecDeque::from(outages);
        let closed = view.nodes.iter().zip(0..).filter(|(seat, _)| !seat.is_open);
        outages.extend(closed.map(|(_, node)| (100_000, node, Outage::Opens)));
        Self {
            view,
            ends: BTreeMap::new(),
            outages,
            refused: BTreeSet::new(),
            done: BTreeSet::new(),
        }
    }

    fn carry_out(&mut self, plan: &corliss_policy_scheduling::Plan) -> Result<(), TestCaseError> {
        prop_assert_eq!(invariants::check(&self.view, plan), None);
        let now = self.view.now;
        self.view.follow(plan);
        for start in &plan.starts {
            let gang = &self
                .view
                .running
                .iter()
                .find(|one| one.gang.job == start.job)
                .unwrap()
                .gang;
            // Half of those who say how long they run are right.
            let runs = gang.run_ms.unwrap_or(7_000) / (1 + u64::from(gang.wanted.least) % 2);
            self.ends.insert(
                start.job.clone(),
                now.as_millis() + i64::try_from(runs.max(1)).unwrap(),
            );
        }
        self.refused
            .extend(plan.refusals.iter().map(|refusal| refusal.job.clone()));
        for stopped in &plan.preemptions {
            self.ends.insert(stopped.job.clone(), now.as_millis() + 500);
        }
        Ok(())
    }

    /// What befalls nodes until now, and whom with them.
    fn befall(&mut self, events: &mut Vec<Event>) {
        let now = self.view.now.as_millis();
        while let Some((_, node, what)) = self.outages.pop_front_if(|(at, ..)| *at <= now) {
            if matches!(what, Outage::Opens) {
                self.view.open(node);
                events.push(Event::Opened(node));
                continue;
            }
            self.view.close(node);
            events.push(Event::Closed(node));
            if matches!(what, Outage::Fails) {
                let is_there = |one: &mut Running| one.spots.iter().any(|spot| spot.node == node);
                let lost: Vec<Running> = self.view.running.extract_if(.., is_there).collect();
                for Running { gang, .. } in lost {
                    self.ends.remove(&gang.job);
                    events.push(Event::PutBack(gang.clone()));
                    self.view.queued.push(gang);
                }
            }
        }
    }

    /// On to the next that ends, or to when the scheduler wants to be asked; what has happened until then.
    fn go_on(&mut self, wake_at: Option<i64>) -> Option<Vec<Event>> {
        let next = self
            .ends
            .values()
            .copied()
            .chain(self.outages.front().map(|(at, ..)| *at))
            .chain(wake_at)
            .filter(|at| *at > self.view.now.as_millis())
            .min()?;
        self.view.now = at(next);
        let over: Vec<JobId> = self
            .ends
            .iter()
            .filter(|(_, ends)| **ends <= next)
            .map(|(job, _)| job.clone())
            .collect();
        let mut events = Vec::new();
        for job in over {
            self.ends.remove(&job);
            let place = self
                .view
                .running
                .iter()
                .position(|one| one.gang.job == job)
                .unwrap();
            let ended = self.view.running.remove(place);
            if ended.is_ending {
                let mut gang = ended.gang;
                gang.served_ms += self.view.now.since(ended.since).0;
                // Whoever was stopped says anew how long it takes, and is not stopped again: everybody gets done.
                gang.is_preemptible = false;
                events.push(Event::PutBack(gang.clone()));
                self.view.queued.push(gang);
            } else {
                events.push(Event::Ended(job.clone()));
                self.done.insert(job);
            }
        }
        self.befall(&mut events);
        Some(events)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { ..ProptestConfig::default() })]

    /// Rule by rule at every step; and whoever is not refused gets done, at the latest when all nodes are open.
    #[test]
    fn every_plan_keeps_the_rules_and_everybody_is_served(view in a_view(), outages in outages()) {
        let all = view.queued.len();
        let mut scheduler = Scheduler::of(&view);
        let mut world = World::of(view, outages);
        for _ in 0..2_000 {
            let plan = scheduler.decide(world.view.now);
            world.carry_out(&plan)?;
            let waiting: Vec<JobId> = world.view.queued.iter().map(|gang| gang.job.clone()).collect();
            for job in &waiting {
                prop_assert!(scheduler.wait(job).is_some_and(|wait| wait != corliss_policy_scheduling::Wait::Undecided), "{} waits for no reason", job);
            }
            let Some(events) = world.go_on(plan.wake_at.map(|at| at.as_millis())) else {
                break;
            };
            for event in events {
                scheduler.on_event(event, world.view.now);
            }
        }
        prop_assert_eq!(world.done.len() + world.refused.len(), all, "left: {:?}", world.view.queued);
    }

    /// What is known from a view is what was known from events.
    #[test]
    fn the_same_view_gives_the_same_plan(view in a_view()) {
        let plan = decide(&view);
        prop_assert_eq!(&plan, &decide(&view));
        let mut reversed = view.clone();
        reversed.queued.reverse();
        prop_assert_eq!(&plan, &decide(&reversed));
    }

    /// A scheduler that was told of everything as it happened decides as one that sees it for the first time.
    #[test]
    fn events_lead_where_a_view_leads(view in a_view(), outages in outages()) {
        let mut view = view;
        // Shares depend on when it was looked at, and so does who is first among those that do not fit; here nobody shares.
        view.rules.half_life_ms = None;
        view.rules.placement = Placement::BestFit;
        view.queues.truncate(2);
        view.queues[1].is_fair = false;
        view.queues[1].overtaking = Overtaking::Never;
        view.queues[1].preempts = Preempts::default();
        let mut scheduler = Scheduler::of(&view);
        let mut world = World::of(view, outages);
        for _ in 0..200 {
            let afresh = decide(&world.view);
            let plan = scheduler.decide(world.view.now);
            prop_assert_eq!(&plan.starts, &afresh.starts);
            prop_assert_eq!(plan.refusals.len(), afresh.refusals.len());
            world.carry_out(&plan)?;
            let Some(events) = world.go_on(plan.wake_at.map(|at| at.as_millis())) else {
                break;
            };
            for event in events {
                scheduler.on_event(event, world.view.now);
            }
        }
    }
}
