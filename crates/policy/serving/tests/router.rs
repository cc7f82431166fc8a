//! What every choice of a replica must satisfy, over random histories of requests, answers and failures.
#![allow(clippy::unwrap_used)] // A helper of a test may fail it.

use corliss_policy_serving::router::{
    Among, Profile, Reason, Request, Router, RouterEvent, Settings, Strategy, mix,
};
use corliss_types::{DurationMs, IdSeed, ReplicaId, Timestamp};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn id(n: u8) -> ReplicaId {
    ReplicaId::new(IdSeed {
        at: Timestamp::from_millis(i64::from(n)),
        random: [n; 10],
    })
}

fn ids(count: u8) -> Vec<ReplicaId> {
    (0..count).map(id).collect()
}

fn router(strategy: Strategy, count: u8) -> Router {
    let mut router = Router::with(strategy, Settings::default());
    router.on_event(RouterEvent::Replicas(&ids(count)));
    router
}

fn request(random: u64) -> Request<'static> {
    Request {
        random: mix(random),
        ..Request::new(NOW, &[])
    }
}

fn strategies() -> impl Generator<Value = Strategy> {
    prop::sample::select(Strategy::ALL.to_vec())
}

/// What may happen to one replica.
#[derive(Debug, Clone, Copy)]
enum Event {
    Picks,
    Answers,
    Fails,
    Refuses,
    Ends,
    Waits(u64),
}

fn events() -> impl Generator<Value = Vec<(Event, u8)>> {
    let event = prop_oneof![
        6 => Just(Event::Picks),
        2 => Just(Event::Answers),
        6 => Just(Event::Fails),
        1 => Just(Event::Refuses),
        2 => Just(Event::Ends),
        1 => (0_u64..20_000).prop_map(Event::Waits),
    ];
    prop::collection::vec((event, any::<u8>()), 0..400)
}

fn aside(router: &Router, now: Timestamp) -> Vec<ReplicaId> {
    let aside = router.aside(now).into_iter();
    aside.map(|(id, _)| id).collect()
}

#[test]
fn who_waits_behind_no_more_than_a_hit_saves_goes_where_it_is() {
    let mut settings = Settings::default();
    settings.prefix.slack_tokens = 100;
    settings.prefix.block_tokens = 64;
    let mut router = Router::with(Strategy::PrefixAware, settings);
    router.on_event(RouterEvent::Replicas(&[id(0), id(1)]));
    let short: Vec<u64> = (0..2).collect();
    let long: Vec<u64> = (100..200).collect();
    router.on_event(RouterEvent::Cached(&id(0), &short));
    router.on_event(RouterEvent::Cached(&id(0), &long));
    let mut pick = |blocks: &[u64], tokens: u64| {
        router.on_event(RouterEvent::Charged(&id(0), tokens));
        let picked = router.pick(&Request { blocks, ..request(7) }).unwrap();
        router.on_event(RouterEvent::Settled(&id(0), tokens));
        (picked.replica, picked.reason)
    };
    let hit = |blocks| (id(0), Reason::PrefixHit { blocks });
    assert_eq!(pick(&short, 228), hit(2));
    assert_eq!(pick(&short, 229), (id(1), Reason::ImbalanceBound { blocks: 2 }));
    assert_eq!(pick(&long, 6_500), hit(100));
    assert_eq!(pick(&long, 6_501).0, id(1));
}

proptest! {
    /// Nobody who is aside or ejected is picked while another is free; the share of ejected ones is bounded;
    /// there is a pick as long as there is a replica.
    #[test]
    fn never_one_that_is_aside_while_another_is_free(
        strategy in strategies(), count in 1_u8..9, history in events(),
    ) {
        let mut router = router(strategy, count);
        let mut now = NOW;
        let mut count = count;
        for (step, (event, which)) in history.into_iter().enumerate() {
            let replica = id(which % count);
            match event {
                Event::Picks => {
                    let blocks = [u64::from(which % 7), u64::from(which)];
                    let request = Request {
                        now,
                        session: Some(u64::from(which)),
                        blocks: &blocks,
                        ..request(step as u64)
                    };
                    let before = aside(&router, now);
                    let pick = router.pick(&request).unwrap();
                    let free = usize::from(count) - before.len();
                    // The end of a window may have ejected some between the two looks.
                    let after = router.ejected(now);
                    if free > after.len() {
                        prop_assert!(!after.contains(&pick.replica), "{pick:?}");
                        prop_assert!(!before.contains(&pick.replica), "{pick:?}");
                    }
                    router.on_event(RouterEvent::Started(&pick.replica));
                    router.on_event(RouterEvent::Charged(&pick.replica, u64::from(which)));
                    router.on_event(RouterEvent::Cached(&pick.replica, &blocks));
                }
                Event::Answers => {
                    router.on_event(RouterEvent::Answered(&replica));
                    router.on_event(RouterEvent::Measured(&replica, u64::from(which) * 1000, now));
                }
                Event::Fails => router.on_event(RouterEvent::Failed(&replica, now)),
                Event::Refuses => router.on_event(RouterEvent::Refused(&replica, now)),
                Event::Ends if which == 0 && count > 1 => {
                    count -= 1;
                    router.on_event(RouterEvent::Replicas(&ids(count)));
                }
                Event::Ends => router.on_event(RouterEvent::Finished(&replica)),
                Event::Waits(millis) => now = now + DurationMs(millis),
            }
            let most = (usize::from(count) / 2).max(1).min(usize::from(count) - 1);
            prop_assert!(router.ejected(now).len() <= most);
        }
    }

    /// In turn, and so even: after any number of requests no replica has two more than another.
    #[test]
    fn round_robin_is_even(count in 1_u8..9, requests in 1_u64..200) {
        let mut router = router(Strategy::RoundRobin, count);
        let mut taken = vec![0_u64; usize::from(count)];
        for _ in 0..requests {
            let pick = router.pick(&request(0)).unwrap();
            prop_assert_eq!(pick.reason, Reason::Turn);
            taken[(0..count).position(|n| id(n) == pick.replica).unwrap()] += 1;
        }
        prop_assert!(taken.iter().max().unwrap() - taken.iter().min().unwrap() <= 1);
    }

    /// Over as many requests as the weights add up to, each replica gets exactly its weight.
    #[test]
    fn weights_are_exact_over_a_cycle(weights in prop::collection::vec(0_u32..20, 1..8)) {
        let total: u32 = weights.iter().sum();
        prop_assume!(total > 0);
        let count = u8::try_from(weights.len()).unwrap();
        let mut router = router(Strategy::Weighted, count);
        for (n, weight) in (0_u8..).zip(&weights) {
            let profile = Profile { weight: *weight, ..Profile::default() };
            router.on_event(RouterEvent::Profile(&id(n), profile));
        }
        for _ in 0..3 {
            let mut taken = vec![0_u32; weights.len()];
            for _ in 0..total {
                let pick = router.pick(&request(0)).unwrap();
                taken[(0..count).position(|n| id(n) == pick.replica).unwrap()] += 1;
            }
            prop_assert_eq!(&taken, &weights);
        }
    }

    /// Whoever is picked for having the fewest tokens has them.
    #[test]
    fn least_tokens_never_picks_a_busier_one(
        count in 1_u8..9, charges in prop::collection::vec((0_u64..5_000, any::<bool>()), 1..200),
    ) {
        let mut router = router(Strategy::LeastTokens, count);
        let mut running: Vec<(ReplicaId, u64)> = Vec::new();
        for (tokens, ends) in charges {
            let loads = router.tokens();
            let least = loads.iter().map(|(_, tokens)| *tokens).min().unwrap();
            let pick = router.pick(&request(0)).unwrap();
            prop_assert_eq!(pick.reason, Reason::FewestTokens { tokens: least });
            prop_assert!(loads.contains(&(pick.replica.clone(), least)));
            router.on_event(RouterEvent::Started(&pick.replica));
            router.on_event(RouterEvent::Charged(&pick.replica, tokens));
            running.push((pick.replica, tokens));
            if ends {
                let (replica, tokens) = running.swap_remove(0);
                router.on_event(RouterEvent::Settled(&replica, tokens));
                router.on_event(RouterEvent::Finished(&replica));
            }
            let outstanding: u64 = running.iter().map(|(_, tokens)| tokens).sum();
            prop_assert_eq!(router.tokens().iter().map(|(_, tokens)| tokens).sum::<u64>(), outstanding);
        }
    }

    /// A hit is taken only within the bound, and never a shorter one where a longer one is within it.
    #[test]
    fn affinity_to_a_prefix_never_exceeds_the_imbalance_bound(
        count in 1_u8..9,
        prompts in prop::collection::vec((0_u64..6, 0_u64..60_000), 1..200),
    ) {
        let limits = Settings::default().prefix;
        let mut router = router(Strategy::PrefixAware, count);
        let mut at: Vec<Option<ReplicaId>> = vec![None; 6];
        for (step, (topic, tokens)) in prompts.into_iter().enumerate() {
            let blocks = [topic * 10, topic * 10 + 1];
            let loads = router.tokens();
            let load = |id: &ReplicaId| loads.iter().find(|(other, _)| other == id).unwrap().1;
            let bound = limits.bound(loads.iter().map(|(_, tokens)| *tokens).min().unwrap());
            let pick = router.pick(&Request { blocks: &blocks, ..request(step as u64) }).unwrap();
            let last = at[usize::try_from(topic).unwrap()].replace(pick.replica.clone());
            match pick.reason {
                Reason::PrefixHit { blocks } => {
                    prop_assert_eq!(blocks, 2);
                    prop_assert!(load(&pick.replica) <= bound);
                }
                Reason::ImbalanceBound { .. } => prop_assert!(load(&last.unwrap()) > bound),
                reason => {
                    let miss = if count == 1 { Reason::OnlyOne } else { Reason::PrefixMiss };
                    prop_assert_eq!(reason, miss);
                    prop_assert_eq!(last, None);
                }
            }
            router.on_event(RouterEvent::Started(&pick.replica));
            router.on_event(RouterEvent::Charged(&pick.replica, tokens));
            router.on_event(RouterEvent::Cached(&pick.replica, &blocks));
        }
    }

    /// One more replica takes sessions from the others, about its share, and nothing moves between those.
    #[test]
    fn a_new_replica_moves_only_its_share_of_sessions(count in 1_u8..9, seed in any::<u64>()) {
        let mut router = router(Strategy::SessionAffinity, count);
        let owner = |router: &mut Router, session: u64| {
            let request = Request { session: Some(mix(seed ^ session)), ..request(0) };
            let pick = router.pick(&request).unwrap();
            assert_eq!(pick.reason, Reason::AffinityKept);
            pick.replica
        };
        let sessions = 600;
        let before: Vec<ReplicaId> = (0..sessions).map(|session| owner(&mut router, session)).collect();
        router.on_event(RouterEvent::Replicas(&ids(count + 1)));
        let mut moved = 0;
        for (session, before) in (0..sessions).zip(before) {
            let after = owner(&mut router, session);
            if after != before {
                prop_assert_eq!(after, id(count));
                moved += 1;
            }
        }
        // Five standard deviations around the share.
        let share = f64::from(u32::try_from(sessions).unwrap()) / f64::from(count + 1);
        let spread = 5.0 * share.sqrt();
        prop_assert!((f64::from(moved) - share).abs() < spread, "{} of {}", moved, sessions);
    }
}

#[test]
fn a_replica_whose_weight_becomes_nothing_takes_no_more() {
    let mut router = router(Strategy::Weighted, 2);
    assert_eq!(router.pick(&request(0)).unwrap().replica, id(0));
    let none = Profile {
        weight: 0,
        ..Profile::default()
    };
    // Its turn was due.
    router.on_event(RouterEvent::Profile(&id(1), none));
    for _ in 0..3 {
        assert_eq!(router.pick(&request(0)).unwrap().replica, id(0));
    }
    router.on_event(RouterEvent::Profile(&id(0), none));
    let turns = [(); 2].map(|()| router.pick(&request(0)).unwrap().replica);
    assert!(turns.contains(&id(1)), "where all have none, they take turns");
}

#[test]
fn a_session_finds_its_way_back() {
    let mut router = router(Strategy::SessionAffinity, 3);
    let of_session = Request {
        session: Some(7),
        ..request(0)
    };
    let own = router.pick(&of_session).unwrap().replica;
    router.on_event(RouterEvent::Refused(&own, NOW));
    let moved = router.pick(&of_session).unwrap();
    assert_eq!(moved.reason, Reason::AffinityMoved);
    assert_ne!(moved.replica, own);
    assert_eq!(
        router.pick(&of_session).unwrap(),
        moved,
        "always the same second one"
    );
    let later = Request {
        now: NOW + DurationMs(250),
        ..of_session
    };
    assert_eq!(router.pick(&later).unwrap().replica, own);
    assert!(matches!(
        router.pick(&request(0)).unwrap().reason,
        Reason::FewestInFlight { .. }
    ));
}

#[test]
fn a_slow_replica_gets_little_and_is_tried_again_when_the_news_is_old() {
    let mut router = router(Strategy::LeastResponseTime, 2);
    router.on_event(RouterEvent::Measured(&id(0), 900_000, NOW));
    router.on_event(RouterEvent::Measured(&id(1), 10_000, NOW));
    for step in 0..50 {
        let pick = router.pick(&request(step)).unwrap();
        assert_eq!(pick.replica, id(1));
        assert_eq!(pick.reason, Reason::FasterOfTwo { cost_us: 10_000 });
    }
    for _ in 0..99 {
        router.on_event(RouterEvent::Started(&id(1)));
    }
    assert_eq!(
        router.pick(&request(0)).unwrap().replica,
        id(0),
        "a hundred wait there"
    );
    for _ in 0..99 {
        router.on_event(RouterEvent::Finished(&id(1)));
    }
    let later = NOW + DurationMs(200_000);
    router.on_event(RouterEvent::Measured(&id(1), 10_000, later));
    let much_later = Request {
        now: later,
        ..request(0)
    };
    assert_eq!(router.pick(&much_later).unwrap().replica, id(0));
}

#[test]
fn a_new_replica_is_not_flooded_before_its_first_answer() {
    let mut router = router(Strategy::LeastResponseTime, 2);
    router.on_event(RouterEvent::Measured(&id(0), 10_000, NOW));
    let mut taken = 0;
    for step in 0..100 {
        let pick = router.pick(&request(step)).unwrap();
        router.on_event(RouterEvent::Started(&pick.replica));
        taken += u32::from(pick.replica == id(1));
    }
    assert_eq!(taken, 50);
}

#[test]
fn a_system_prompt_that_all_share_does_not_bind_all_to_one_replica() {
    let mut router = router(Strategy::PrefixAware, 4);
    let mut taken = [0_u32; 4];
    for n in 0..400_u64 {
        // One shared block of twenty.
        let blocks: Vec<u64> = std::iter::once(1)
            .chain((0..19).map(|block| 1_000 * (n + 1) + block))
            .collect();
        let request = Request {
            blocks: &blocks,
            ..request(n)
        };
        let pick = router.pick(&request).unwrap();
        assert_eq!(pick.reason, Reason::PrefixMiss);
        router.on_event(RouterEvent::Cached(&pick.replica, &blocks));
        taken[(0..4).position(|n| id(n) == pick.replica).unwrap()] += 1;
    }
    // At low load, which is when an earlier choice of a fixed one among equals fed a single replica.
    assert!(taken.iter().all(|count| *count > 60), "{taken:?}");
}

#[test]
fn only_those_that_the_request_may_go_to() {
    let mut router = router(Strategy::RoundRobin, 3);
    let beta = Profile {
        version: 2,
        weight: 1,
    };
    router.on_event(RouterEvent::Profile(&id(1), beta));
    let second = Request {
        among: Among::Version(2),
        ..request(0)
    };
    for _ in 0..3 {
        assert_eq!(router.pick(&second).unwrap().replica, id(1));
    }
    let tried = [id(1)];
    assert_eq!(
        router.pick(&Request {
            tried: &tried,
            ..second
        }),
        None
    );
    let listed = [id(2)];
    let third = Request {
        among: Among::These(&listed),
        ..request(0)
    };
    assert_eq!(router.pick(&third).unwrap().replica, id(2));
    // A rest does not open what the request may not go to.
    router.on_event(RouterEvent::Refused(&id(1), NOW));
    let rest = router.pick(&second).unwrap();
    assert_eq!((rest.replica, rest.reason), (id(1), Reason::LastResort));
}

/// Lets each of `bad` fail and the others answer, `rounds` times.
fn rounds(router: &mut Router, count: u8, bad: &[u8], rounds: u32, now: Timestamp) {
    for _ in 0..rounds {
        for n in 0..count {
            if bad.contains(&n) {
                // An answer now and then: no eight failures in a row.
                router.on_event(RouterEvent::Failed(&id(n), now));
                router.on_event(RouterEvent::Failed(&id(n), now));
            }
            router.on_event(RouterEvent::Answered(&id(n)));
        }
    }
}

#[test]
fn a_replica_that_fails_more_often_than_its_peers_is_ejected_and_returns() {
    let mut router = router(Strategy::RoundRobin, 4);
    router.pick(&request(0)).unwrap();
    rounds(&mut router, 4, &[2], 20, NOW);
    assert_eq!(router.ejected(NOW), []);
    let at = |seconds: u64| NOW + DurationMs::from_secs(seconds);
    let pick = |router: &mut Router, seconds| {
        let request = Request {
            now: at(seconds),
            ..request(0)
        };
        router.pick(&request).unwrap().replica
    };
    for _ in 0..8 {
        assert_ne!(pick(&mut router, 10), id(2));
    }
    assert_eq!(router.ejected(at(10)), [id(2)]);
    assert_eq!(router.ejected(at(40)), []);
    // The second time is twice as long.
    rounds(&mut router, 4, &[2], 20, at(45));
    pick(&mut router, 51);
    assert_eq!(router.ejected(at(110)), [id(2)]);
    assert_eq!(router.ejected(at(111)), []);
}

#[test]
fn comparing_ejects_no_more_than_the_bound() {
    let mut router = router(Strategy::RoundRobin, 4);
    router.pick(&request(0)).unwrap();
    rounds(&mut router, 4, &[1, 2, 3], 20, NOW);
    let later = NOW + DurationMs::from_secs(10);
    let pick = router.pick(&Request {
        now: later,
        ..request(0)
    });
    assert_eq!(router.ejected(later), [id(1), id(2)]);
    assert!(!router.ejected(later).contains(&pick.unwrap().replica));
}

#[test]
fn a_clean_window_takes_an_ejection_back() {
    let mut router = router(Strategy::RoundRobin, 4);
    let at = |seconds: u64| NOW + DurationMs::from_secs(seconds);
    let fail = |router: &mut Router, seconds| {
        for _ in 0..8 {
            router.on_event(RouterEvent::Failed(&id(2), at(seconds)));
        }
    };
    router.pick(&request(0)).unwrap();
    fail(&mut router, 0);
    assert_eq!(router.aside(at(29)), [(id(2), at(30))]);
    for seconds in [31, 41] {
        router.on_event(RouterEvent::Answered(&id(2)));
        let now = at(seconds);
        router.pick(&Request { now, ..request(0) }).unwrap();
    }
    fail(&mut router, 42);
    assert_eq!(
        router.aside(at(71)),
        [(id(2), at(72))],
        "thirty seconds again, not sixty"
    );
}

#[test]
fn nobody_is_ejected_when_all_fail_alike() {
    let mut router = router(Strategy::RoundRobin, 4);
    router.pick(&request(0)).unwrap();
    rounds(&mut router, 4, &[0, 1, 2, 3], 20, NOW);
    let later = NOW + DurationMs::from_secs(10);
    router
        .pick(&Request {
            now: later,
            ..request(0)
        })
        .unwrap();
    assert_eq!(router.ejected(later), []);
}

#[test]
fn failures_in_a_row_eject_up_to_the_bound() {
    let mut router = router(Strategy::RoundRobin, 4);
    for n in 0..4 {
        for _ in 0..8 {
            router.on_event(RouterEvent::Failed(&id(n), NOW));
        }
    }
    assert_eq!(router.ejected(NOW), [id(0), id(1)]);
    // Fewer replicas, fewer may be ejected: the one that returns first is back.
    router.on_event(RouterEvent::Replicas(&[id(0), id(1)]));
    assert_eq!(router.ejected(NOW).len(), 1);
    router.on_event(RouterEvent::Replicas(&[id(1)]));
    assert_eq!(router.ejected(NOW), [], "the only one is never ejected");
}

#[test]
fn one_probe_after_a_rest() {
    let mut router = router(Strategy::RoundRobin, 2);
    router.on_event(RouterEvent::Refused(&id(0), NOW));
    let rested = Request {
        now: NOW + DurationMs(250),
        ..request(0)
    };
    let probe = router.pick(&rested).unwrap().replica;
    assert_eq!(probe, id(0));
    router.on_event(RouterEvent::Started(&probe));
    for _ in 0..3 {
        assert_eq!(router.pick(&rested).unwrap().replica, id(1));
    }
    router.on_event(RouterEvent::Answered(&probe));
    assert_eq!(router.pick(&rested).unwrap().replica, id(0));
    // One that ends without a word about the replica makes room for the next.
    router.on_event(RouterEvent::Refused(&id(0), rested.now));
    let rested = Request {
        now: rested.now + DurationMs(250),
        ..rested
    };
    for _ in 0..2 {
        let picks: Vec<ReplicaId> = (0..2).map(|_| router.pick(&rested).unwrap().replica).collect();
        assert!(picks.contains(&id(0)), "{picks:?}");
        router.on_event(RouterEvent::Started(&id(0)));
        assert_eq!(router.pick(&rested).unwrap().replica, id(1));
        router.on_event(RouterEvent::Finished(&id(0)));
    }
}
