//! What is decided where it is small enough to see what should be.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

mod common;

use common::*;
use corliss_policy_scheduling::cluster::Topology;
use corliss_policy_scheduling::order::Order;
use corliss_policy_scheduling::queues::{Cap, Dimension, Overtaking, Preempts, Queue, Quota};
use corliss_policy_scheduling::{
    Event, Gang, Never, Plan, Rate, Refusal, Right, Scheduler, View, Wait, decide, invariants,
};
use corliss_types::JobId;

fn decided(view: &View) -> (Plan, Scheduler) {
    let mut scheduler = Scheduler::of(view);
    let plan = scheduler.decide(view.now);
    assert_eq!(invariants::check(view, &plan), None);
    assert_eq!(plan, decide(view));
    (plan, scheduler)
}

fn started(plan: &Plan) -> Vec<JobId> {
    plan.starts.iter().map(|start| start.job.clone()).collect()
}

fn jobs(numbers: &[u32]) -> Vec<JobId> {
    numbers.iter().copied().map(job).collect()
}

fn strict(view: View) -> View {
    View {
        queues: vec![Queue::named("q")],
        ..view
    }
}

#[test]
fn two_gangs_that_each_need_six_of_eight_run_one_after_the_other() {
    let view = view(vec![node(4), node(4)], vec![], vec![gang(1, 6, 1), gang(2, 6, 1)]);
    let (plan, mut scheduler) = decided(&view);
    assert_eq!(started(&plan), jobs(&[1]));
    assert!(
        matches!(scheduler.wait(&job(2)), Some(Wait::NotEnoughFree { shortages, .. }) if shortages[0].available == 2)
    );
    scheduler.on_event(Event::Ended(job(1)), at(2 * SECOND));
    assert_eq!(started(&scheduler.decide(at(2 * SECOND))), jobs(&[2]));
}

#[test]
fn nobody_overtakes_where_nobody_may() {
    let queued = vec![gang(1, 1, 1), gang(2, 1, 4), gang(3, 1, 1)];
    let (plan, mut scheduler) = decided(&strict(view(vec![node(4)], vec![], queued)));
    assert_eq!(started(&plan), jobs(&[1]));
    assert_eq!(scheduler.wait(&job(3)), Some(Wait::Behind { job: job(2) }));
    assert_eq!(scheduler.ahead(&job(3)), Some(1));
    // The one in the way is withdrawn.
    scheduler.on_event(Event::Ended(job(2)), at(2 * SECOND));
    assert_eq!(started(&scheduler.decide(at(2 * SECOND))), jobs(&[3]));
}

#[test]
fn a_gang_that_comes_later_does_not_slip_past_one_that_was_asked_before() {
    let (_, mut scheduler) = decided(&strict(view(
        vec![node(4)],
        vec![runs(gang(1, 1, 1), &[(0, &[0])])],
        vec![gang(2, 1, 4)],
    )));
    scheduler.on_event(Event::Submitted(gang(3, 1, 2)), at(2 * SECOND));
    assert_eq!(started(&scheduler.decide(at(2 * SECOND))), []);
    assert_eq!(scheduler.wait(&job(3)), Some(Wait::Behind { job: job(2) }));
    let urgent = Gang {
        priority: 1,
        ..gang(4, 1, 3)
    };
    scheduler.on_event(Event::Submitted(urgent), at(2 * SECOND));
    assert_eq!(
        started(&scheduler.decide(at(2 * SECOND))),
        jobs(&[4]),
        "a higher priority is before it"
    );
}

#[test]
fn what_could_never_run_is_refused_and_blocks_nobody() {
    let mut within = gang(2, 3, 4);
    within.wanted.topology = Topology::Within(0);
    let mut wide = gang(3, 1, 0);
    wide.wanted.ask.cpu_milli = 100_000;
    let queued = vec![
        gang(1, 1, 9),
        within,
        wide,
        of("nowhere", gang(4, 1, 1)),
        gang(5, 1, 1),
    ];
    let nodes = vec![in_rack("r1", 4), in_rack("r1", 4), in_rack("r2", 8)];
    let (plan, _) = decided(&strict(view(nodes, vec![], queued)));
    assert_eq!(started(&plan), jobs(&[5]));
    let reason = |number| {
        &plan
            .refusals
            .iter()
            .find(|refusal| refusal.job == job(number))
            .unwrap()
            .reason
    };
    assert_eq!(*reason(1), Never::NoPlace);
    assert_eq!(*reason(2), Never::NoPlace, "no rack has twelve");
    assert_eq!(*reason(3), Never::NoPlace);
    assert_eq!(
        *reason(4),
        Never::NoQueue {
            queue: "nowhere".to_owned()
        }
    );
    let (plan, _) = decided(&view(vec![node(4)], vec![], vec![gang(1, 5, 1)]));
    assert!(
        matches!(&plan.refusals[0].reason, Never::TooLarge { shortages } if (shortages[0].needed, shortages[0].available) == (5, 4))
    );
}

#[test]
fn what_no_quota_of_its_model_suffices_for_is_refused_and_blocks_nobody() {
    let quota = |model, accelerators: i64| Quota {
        dimension: Dimension::Model(model),
        nominal: accelerators * 1_000,
        borrows: None,
        lends: None,
    };
    let mut other = node(4);
    other.node.model = 1;
    let mut view = strict(view(
        vec![node(4), other],
        vec![],
        vec![gang(1, 1, 4), gang(2, 1, 3)],
    ));
    view.queues[0].quotas = vec![quota(0, 2), quota(1, 3)];
    let (plan, _) = decided(&view);
    assert!(
        matches!(
            plan.refusals[..],
            [Refusal {
                reason: Never::Quota { .. },
                ..
            }]
        ),
        "{plan:?}"
    );
    assert_eq!(started(&plan), jobs(&[2]));
    assert_eq!(
        plan.starts[0].spots[0].node, 1,
        "of the other model it may have three"
    );
}

#[test]
fn who_ends_in_time_is_filled_in() {
    let running = Gang {
        run_ms: Some(100_000),
        ..gang(1, 1, 4)
    };
    let long = |number, run_ms| Gang {
        run_ms,
        ..gang(number, 1, 2)
    };
    let queued = vec![
        gang(2, 2, 4),
        long(3, Some(200_000)),
        long(4, None),
        long(5, Some(60_000)),
    ];
    let (plan, scheduler) = decided(&view(
        vec![node(4), node(4)],
        vec![runs(running, &[(0, &[0, 1, 2, 3])])],
        queued,
    ));
    assert_eq!(started(&plan), jobs(&[5]));
    assert!(
        matches!(scheduler.wait(&job(2)), Some(Wait::NotEnoughFree { at: Some(when), .. }) if when == at(100_000))
    );
    assert_eq!(
        scheduler.wait(&job(4)),
        Some(Wait::KeptFree {
            job: job(2),
            at: Some(at(100_000))
        })
    );
}

#[test]
fn nobody_is_overtaken_for_ever() {
    let nodes = vec![node(4)];
    let running = vec![runs(gang(1, 1, 1), &[(0, &[0])])];
    let mut free = view(nodes, running, vec![gang(2, 1, 4), gang(3, 1, 1), gang(4, 1, 1)]);
    free.queues[0].overtaking = Overtaking::Free;
    let (plan, mut scheduler) = decided(&free);
    assert_eq!(started(&plan), jobs(&[3, 4]));
    assert_eq!(plan.wake_at, Some(at(HOUR + 2)));
    scheduler.on_event(Event::Ended(job(3)), at(2 * HOUR));
    scheduler.on_event(Event::Submitted(gang(5, 1, 1)), at(2 * HOUR));
    assert_eq!(started(&scheduler.decide(at(2 * HOUR))), []);
    assert_eq!(
        scheduler.wait(&job(5)),
        Some(Wait::KeptFree {
            job: job(2),
            at: None
        })
    );
    for ended in [1, 4] {
        scheduler.on_event(Event::Ended(job(ended)), at(3 * HOUR));
    }
    assert_eq!(started(&scheduler.decide(at(3 * HOUR))), jobs(&[2]));
}

#[test]
fn what_was_lent_is_taken_back_and_kept_for_who_took_it() {
    let queues = vec![Queue::named("all"), with_quota("a", 4), with_quota("b", 4)];
    let borrower = |number| of("b", preemptible(gang(number, 1, 2)));
    let running = vec![
        runs(borrower(1), &[(0, &[0, 1])]),
        runs(borrower(2), &[(0, &[2, 3])]),
        runs(borrower(3), &[(1, &[0, 1])]),
        runs(borrower(4), &[(1, &[2, 3])]),
    ];
    let queued = vec![of("a", gang(5, 1, 3)), of("b", gang(6, 1, 1))];
    let view = View {
        queues,
        ..view(vec![node(4), node(4)], running, queued)
    };
    let (plan, mut scheduler) = decided(&view);
    assert_eq!(started(&plan), []);
    let stopped: Vec<_> = plan
        .preemptions
        .iter()
        .map(|one| (one.job.clone(), one.right))
        .collect();
    assert_eq!(
        stopped,
        [(job(4), Right::Quota), (job(3), Right::Quota)],
        "the two latest, on one node"
    );
    assert_eq!(plan.promises[0].job, job(5));
    assert!(matches!(
        scheduler.wait(&job(6)),
        Some(Wait::NotEnoughFree { .. })
    ));
    // One is gone: of its places nobody gets what was promised, and the other's are still held.
    scheduler.on_event(Event::Ended(job(4)), at(2 * SECOND));
    assert_eq!(
        started(&scheduler.decide(at(2 * SECOND))),
        jobs(&[6]),
        "it needs one that is not promised"
    );
    scheduler.on_event(Event::Ended(job(3)), at(3 * SECOND));
    assert_eq!(started(&scheduler.decide(at(3 * SECOND))), jobs(&[5]));
    // Whoever was stopped comes back and waits: nobody stops anybody for it.
    scheduler.on_event(Event::Submitted(borrower(3)), at(4 * SECOND));
    assert_eq!(scheduler.decide(at(4 * SECOND)).preemptions, []);
}

#[test]
fn a_higher_priority_stops_no_more_than_it_needs_and_nobody_too_soon() {
    let running = vec![
        runs(preemptible(gang(1, 1, 1)), &[(0, &[0])]),
        runs(preemptible(gang(2, 1, 3)), &[(0, &[1, 2, 3])]),
    ];
    let urgent = Gang {
        priority: 5,
        ..gang(3, 1, 3)
    };
    let mut view = view(vec![node(4)], running, vec![urgent]);
    view.queues[0].preempts.lower = true;
    view.rules.least_run_ms = 10_000;
    let (plan, mut scheduler) = decided(&view);
    assert_eq!((plan.preemptions.len(), plan.wake_at), (0, Some(at(10_000))));
    let plan = scheduler.decide(at(10_000));
    assert_eq!(
        plan.preemptions
            .iter()
            .map(|one| one.job.clone())
            .collect::<Vec<_>>(),
        jobs(&[2])
    );
    assert_eq!(
        scheduler.wait(&job(3)),
        Some(Wait::Promised { victims: jobs(&[2]) })
    );
}

#[test]
fn shares_are_evened_out_and_not_too_often() {
    let both = |name: &str| Queue {
        preempts: Preempts {
            favoured: true,
            ..Preempts::default()
        },
        ..queue(name)
    };
    let spots: [(u32, &[u32]); 4] = [(0, &[0]), (0, &[1]), (0, &[2]), (0, &[3])];
    let running = (1..=4)
        .zip(spots)
        .map(|(number, spot)| runs(of("a", preemptible(gang(number, 1, 1))), &[spot]));
    let view = View {
        queues: vec![both("a"), both("b")],
        ..view(
            vec![node(4)],
            running.collect(),
            (5..=8).map(|number| of("b", gang(number, 1, 1))).collect(),
        )
    };
    let (plan, mut scheduler) = decided(&view);
    assert_eq!(plan.preemptions.len(), 2, "half is theirs");
    for stopped in &plan.preemptions {
        assert_eq!(stopped.right, Right::Share);
        scheduler.on_event(Event::Ended(stopped.job.clone()), at(2 * SECOND));
    }
    let plan = scheduler.decide(at(2 * SECOND));
    assert_eq!((plan.starts.len(), plan.preemptions.len()), (2, 0));
    let mut view = view;
    view.rules.favoured = Rate {
        most: 1,
        per_ms: 60_000,
    };
    let (plan, _) = decided(&view);
    assert_eq!((plan.preemptions.len(), plan.wake_at), (1, Some(at(61_000))));
}

#[test]
fn queues_get_what_their_weights_say_and_users_take_turns() {
    let mut heavy = queue("heavy");
    heavy.weight = 3;
    let mut view = view(vec![node(8)], vec![], vec![]);
    view.queues = vec![heavy, queue("light")];
    view.queued = (0..16)
        .map(|number| of(if number < 8 { "heavy" } else { "light" }, gang(number, 1, 1)))
        .collect();
    let (plan, _) = decided(&view);
    let heavy = plan
        .starts
        .iter()
        .filter(|start| jobs(&[0, 1, 2, 3, 4, 5, 6, 7]).contains(&start.job))
        .count();
    assert_eq!(heavy, 6);
    view.queues = vec![Queue {
        is_fair: true,
        ..queue("q")
    }];
    view.nodes = vec![node(4)];
    view.queued = (0..8)
        .map(|number| Gang {
            user: if number < 6 { "ann" } else { "bob" }.to_owned(),
            ..gang(number, 1, 1)
        })
        .collect();
    let (plan, _) = decided(&view);
    assert_eq!(started(&plan), jobs(&[0, 6, 1, 7]));
}

#[test]
fn who_has_had_less_is_first_and_what_was_long_ago_counts_little() {
    let mut view = view(
        vec![node(1)],
        vec![],
        vec![of("a", gang(1, 1, 1)), of("b", gang(2, 1, 1))],
    );
    view.queues = vec![queue("a"), queue("b")];
    view.rules.half_life_ms = Some(u64::try_from(HOUR).unwrap());
    view.now = at(100 * HOUR);
    let past = |queue: &str, from: i64, until: i64| corliss_policy_scheduling::Past {
        gang: of(queue, gang(9, 1, 1)),
        spots: runs(gang(9, 1, 1), &[(0, &[0])]).spots,
        from: at(from),
        until: at(until),
    };
    view.past = vec![past("a", 99 * HOUR, 100 * HOUR)];
    assert_eq!(started(&decide(&view)), jobs(&[2]));
    view.past.push(past("b", 0, 90 * HOUR));
    assert_eq!(
        started(&decide(&view)),
        jobs(&[2]),
        "ninety hours, ten half-lives ago"
    );
    view.past.push(past("b", 98 * HOUR, 100 * HOUR));
    assert_eq!(started(&decide(&view)), jobs(&[1]));
}

#[test]
fn racks_are_required_or_preferred_and_the_fullest_that_has_room_is_taken() {
    let nodes = || {
        vec![
            in_rack("r1", 4),
            in_rack("r1", 4),
            in_rack("r2", 4),
            in_rack("r2", 4),
        ]
    };
    let busy = || vec![runs(gang(1, 1, 2), &[(2, &[0, 1])])];
    let placed = |topology, workers| {
        let mut wanted = gang(2, workers, 2);
        wanted.wanted.topology = topology;
        let (plan, scheduler) = decided(&view(nodes(), busy(), vec![wanted]));
        let nodes = plan
            .starts
            .first()
            .map(|start| start.spots.iter().map(|spot| spot.node).collect::<Vec<_>>());
        (nodes, scheduler.wait(&job(2)))
    };
    assert_eq!(
        placed(Topology::Within(0), 3).0.unwrap().iter().max(),
        Some(&3),
        "r2 has room for three and r1 for four"
    );
    assert_eq!(placed(Topology::Within(0), 4).0, Some(vec![0, 0, 1, 1]));
    assert!(matches!(placed(Topology::Near(0), 5).0, Some(nodes) if nodes.len() == 5));
    let mut spread = placed(Topology::Spread, 4).0.unwrap();
    spread.sort_unstable();
    assert_eq!(spread, [0, 1, 2, 3]);
    let mut both = nodes();
    both[0].is_open = false;
    let mut wanted = gang(2, 4, 2);
    wanted.wanted.topology = Topology::Within(0);
    let (_, scheduler) = decided(&view(both, busy(), vec![wanted]));
    assert!(
        scheduler
            .wait(&job(2))
            .is_none_or(|wait| matches!(wait, Wait::NotEnoughFree { .. }))
    );
}

#[test]
fn what_needs_a_closed_node_waits_until_it_opens() {
    let mut nodes = vec![node(4), node(4)];
    nodes[1].is_open = false;
    let (plan, mut scheduler) = decided(&strict(view(nodes, vec![], vec![gang(1, 2, 4), gang(2, 1, 1)])));
    assert_eq!((started(&plan), plan.refusals), (vec![], vec![]));
    assert!(matches!(
        scheduler.wait(&job(1)),
        Some(Wait::NotEnoughFree { shortages, .. }) if shortages[0].available == 4
    ));
    scheduler.on_event(Event::Opened(1), at(2 * HOUR));
    assert_eq!(started(&scheduler.decide(at(2 * HOUR))), jobs(&[1]));
}

#[test]
fn room_is_kept_elsewhere_when_a_node_closes() {
    let within = |hours: i64, gang: Gang| Gang {
        run_ms: u64::try_from(hours * HOUR).ok(),
        ..gang
    };
    let whole: &[u32] = &[0, 1, 2, 3];
    let running = vec![
        runs(within(1, gang(1, 1, 4)), &[(0, whole)]),
        runs(within(2, gang(2, 2, 4)), &[(2, whole), (3, whole)]),
    ];
    let mut large = within(1, gang(3, 2, 4));
    large.wanted.topology = Topology::Within(0);
    let nodes = ["r1", "r1", "r2", "r2"].map(|rack| in_rack(rack, 4)).to_vec();
    let (plan, mut scheduler) = decided(&view(nodes, running, vec![large, within(9, gang(4, 1, 4))]));
    assert_eq!(started(&plan), []);
    assert!(
        matches!(scheduler.wait(&job(4)), Some(Wait::KeptFree { .. })),
        "the large one will be in r1"
    );
    scheduler.on_event(Event::Closed(0), at(2 * SECOND));
    assert_eq!(started(&scheduler.decide(at(2 * SECOND))), jobs(&[4]));
    assert!(matches!(
        scheduler.wait(&job(3)),
        Some(Wait::NotEnoughFree { .. })
    ));
}

#[test]
fn what_was_promised_on_a_node_that_closes_is_promised_no_more() {
    let running = vec![
        runs(preemptible(gang(1, 1, 4)), &[(0, &[0, 1, 2, 3])]),
        runs(gang(2, 1, 4), &[(1, &[0, 1, 2, 3])]),
    ];
    let urgent = Gang {
        priority: 5,
        ..gang(3, 1, 4)
    };
    let mut view = view(vec![node(4), node(4)], running, vec![urgent]);
    view.queues[0].preempts.lower = true;
    let (plan, mut scheduler) = decided(&view);
    assert_eq!(plan.promises[0].spots[0].node, 0);
    view.follow(&plan);
    view.close(0);
    assert_eq!((view.promised.len(), view.queued.len()), (0, 1));
    scheduler.on_event(Event::Closed(0), at(2 * SECOND));
    scheduler.on_event(Event::Ended(job(1)), at(2 * SECOND));
    assert_eq!(started(&scheduler.decide(at(2 * SECOND))), []);
    assert!(matches!(
        scheduler.wait(&job(3)),
        Some(Wait::NotEnoughFree { .. })
    ));
    // It is not held to where it would have been.
    scheduler.on_event(Event::Ended(job(2)), at(3 * SECOND));
    let plan = scheduler.decide(at(3 * SECOND));
    assert_eq!((started(&plan), plan.starts[0].spots[0].node), (jobs(&[3]), 1));
    // Its queue is charged for what it holds, and for no promise beside.
    scheduler.on_event(Event::Opened(0), at(4 * SECOND));
    scheduler.on_event(Event::Submitted(gang(4, 1, 4)), at(4 * SECOND));
    assert_eq!(started(&scheduler.decide(at(4 * SECOND))), jobs(&[4]));
}

#[test]
fn elastic_gangs_take_what_there_is_between_their_bounds() {
    let elastic = |least, most| {
        let mut gang = gang(2, least, 1);
        gang.wanted.most = most;
        gang
    };
    let workers = |view: &View| decided(view).0.starts.first().map(|start| start.spots.len());
    let busy = vec![runs(gang(1, 1, 1), &[(0, &[0])])];
    assert_eq!(
        workers(&view(vec![node(4)], busy.clone(), vec![elastic(2, 8)])),
        Some(3)
    );
    assert_eq!(
        workers(&view(vec![node(4)], busy.clone(), vec![elastic(4, 8)])),
        None
    );
    let mut capped = view(vec![node(4)], vec![], vec![elastic(1, 8)]);
    capped.queues[0].per_user = vec![Cap {
        dimension: Dimension::Accelerators,
        most: 2_000,
    }];
    assert_eq!(workers(&capped), Some(2), "a user has no more");
}

#[test]
fn nothing_starts_before_its_time_and_late_gangs_keep_nobody_from_a_deadline() {
    let later = Gang {
        not_before: Some(at(5 * SECOND)),
        ..gang(1, 1, 1)
    };
    let (plan, mut scheduler) = decided(&view(vec![node(1)], vec![], vec![later]));
    assert_eq!((plan.starts.len(), plan.wake_at), (0, Some(at(5 * SECOND))));
    assert_eq!(
        scheduler.wait(&job(1)),
        Some(Wait::NotBefore { at: at(5 * SECOND) })
    );
    assert_eq!(started(&scheduler.decide(at(5 * SECOND))), jobs(&[1]));

    let due = |number, deadline| Gang {
        run_ms: Some(10_000),
        deadline: Some(at(deadline)),
        ..gang(number, 1, 1)
    };
    let mut edf = view(
        vec![node(1)],
        vec![],
        vec![due(1, 5_000), due(2, 90_000), due(3, 50_000)],
    );
    edf.queues[0].order = Order::Edf;
    let (plan, _) = decided(&edf);
    assert_eq!(started(&plan), jobs(&[3]), "the first can no longer be in time");
}

#[test]
fn the_least_served_takes_the_place_of_who_has_had_most() {
    let mut las = view(
        vec![node(1)],
        vec![runs(preemptible(gang(1, 1, 1)), &[(0, &[0])])],
        vec![gang(2, 1, 1)],
    );
    las.queues[0].order = Order::Las;
    las.queues[0].preempts.lower = true;
    let (plan, _) = decided(&las);
    assert_eq!(plan.preemptions.len(), 1);
    las.queued[0].served_ms = 900;
    assert_eq!(decided(&las).0.preemptions, [], "about as much");
}

#[test]
fn when_a_gang_starts_is_known_where_it_is_known_how_long_the_others_run() {
    let lasting = |number, seconds: u64| Gang {
        run_ms: Some(seconds * 1_000),
        ..gang(number, 1, 3)
    };
    let view = strict(view(
        vec![node(4)],
        vec![runs(lasting(1, 60), &[(0, &[0, 1, 2])])],
        vec![lasting(2, 30), lasting(3, 10), gang(4, 1, 3), lasting(5, 1)],
    ));
    let (_, scheduler) = decided(&view);
    let start = |number| {
        scheduler
            .forecast(&job(number))
            .map(|told| (told.at.since(view.now).0, told.after))
    };
    assert_eq!(scheduler.forecast(&job(1)), None, "it runs");
    let since = view.running[0].since;
    let left = since.since(view.now).0 + 60_000 - view.now.since(since).0;
    assert_eq!(start(2), Some((left, Some(job(1)))));
    assert_eq!(start(3), Some((left + 30_000, Some(job(2)))));
    assert_eq!(start(4), Some((left + 40_000, Some(job(3)))));
    assert_eq!(start(5), None, "nobody knows how long the one before it runs");
}

#[test]
fn who_is_not_to_be_sent_away_is_not_put_on_a_node_that_may_go() {
    let mut spot = node(4);
    spot.node.is_spot = true;
    let steady = |number, accelerators| {
        let mut gang = gang(number, 1, accelerators);
        gang.wanted.ask.avoids_spot = true;
        gang
    };
    let queued = vec![steady(1, 1), gang(2, 1, 3), steady(3, 4)];
    let (plan, _) = decided(&view(vec![spot, node(2)], vec![], queued));
    let placed: Vec<_> = plan
        .starts
        .iter()
        .map(|start| (&start.job, start.spots[0].node))
        .collect();
    assert_eq!(placed, [(&job(1), 1), (&job(2), 0)]);
    assert_eq!(plan.refusals[0].reason, Never::NoPlace);
}
