//! Which replica takes the next request: the hot variant of a policy, a plain struct without locks.
//!
//! Problem: n replicas of one endpoint, each with a number of requests in flight that we count ourselves.
//! Give the next request to one with the fewest. Among equals, take turns: "the first of the equals" would
//! send everything to one replica whenever the load is low, which is most of the time.
//!
//! Exact least-in-flight is affordable because an endpoint has few replicas and one router sees all its
//! requests; sampling two at random (P2C) is for routers that share replicas without seeing each other.
//!
//! A replica that refused a connection is set aside for a while that doubles with each refusal; it is still
//! taken when every other one is set aside too, because trying is better than refusing.

use corliss_types::{DurationMs, ReplicaId, Timestamp};

/// First time that a replica is set aside for.
const ASIDE_MIN: DurationMs = DurationMs(250);
/// Longest time that a replica is set aside for.
const ASIDE_MAX: DurationMs = DurationMs(8_000);

/// What the router is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouterEvent<'a> {
    /// These replicas take requests from now on; counts of those that stay are kept.
    Replicas(&'a [ReplicaId]),
    /// A request was given to this replica.
    Started(&'a ReplicaId),
    /// A request ended, well or not.
    Finished(&'a ReplicaId),
    /// The replica answered.
    Answered(&'a ReplicaId),
    /// The replica could not be reached, or said that it takes no requests.
    Refused(&'a ReplicaId, Timestamp),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    id: ReplicaId,
    in_flight: u64,
    refusals: u32,
    aside_until: Timestamp,
}

/// The replicas of one endpoint and what is in flight to each.
#[derive(Debug, Clone, Default)]
pub struct Router {
    /// Ordered by id.
    slots: Vec<Slot>,
    /// Where the turn begins among equals.
    turn: usize,
}

impl Router {
    /// A router that knows no replica.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note. Events about unknown replicas (gone since) change nothing.
    pub fn on_event(&mut self, event: RouterEvent<'_>) {
        match event {
            RouterEvent::Replicas(ids) => self.replace(ids),
            RouterEvent::Started(id) => {
                self.with(id, |slot| slot.in_flight = slot.in_flight.saturating_add(1))
            }
            RouterEvent::Finished(id) => {
                self.with(id, |slot| slot.in_flight = slot.in_flight.saturating_sub(1))
            }
            RouterEvent::Answered(id) => self.with(id, |slot| {
                slot.refusals = 0;
                slot.aside_until = Timestamp::default();
            }),
            RouterEvent::Refused(id, now) => self.with(id, |slot| {
                let factor = 1_u64 << slot.refusals.min(16);
                let aside = DurationMs(ASIDE_MIN.0.saturating_mul(factor).min(ASIDE_MAX.0));
                slot.refusals = slot.refusals.saturating_add(1);
                slot.aside_until = now + aside;
            }),
        }
    }

    /// The replica for the next request, other than those in `tried`; `None` if there is none.
    ///
    /// The caller reports [`RouterEvent::Started`] before it picks again.
    pub fn pick(&mut self, now: Timestamp, tried: &[ReplicaId]) -> Option<ReplicaId> {
        let count = self.slots.len();
        let order = |index: usize| (index + count - self.turn % count.max(1)) % count.max(1);
        let (index, slot) = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| !tried.contains(&slot.id))
            .min_by_key(|(index, slot)| {
                let aside = if slot.aside_until > now {
                    slot.aside_until
                } else {
                    Timestamp::default()
                };
                (aside, slot.in_flight, order(*index))
            })?;
        self.turn = (index + 1) % count;
        Some(slot.id.clone())
    }

    /// Requests in flight to each replica, by id.
    #[must_use]
    pub fn in_flight(&self) -> Vec<(ReplicaId, u64)> {
        self.slots
            .iter()
            .map(|slot| (slot.id.clone(), slot.in_flight))
            .collect()
    }

    /// How many replicas take requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no replica takes requests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn with(&mut self, id: &ReplicaId, change: impl FnOnce(&mut Slot)) {
        if let Ok(index) = self.slots.binary_search_by(|slot| slot.id.cmp(id))
            && let Some(slot) = self.slots.get_mut(index)
        {
            change(slot);
        }
    }

    fn replace(&mut self, ids: &[ReplicaId]) {
        let mut ids: Vec<&ReplicaId> = ids.iter().collect();
        ids.sort();
        ids.dedup();
        let slots = ids
            .into_iter()
            .map(|id| match self.slots.binary_search_by(|slot| slot.id.cmp(id)) {
                Ok(index) => self.slots[index].clone(),
                Err(_) => Slot {
                    id: id.clone(),
                    in_flight: 0,
                    refusals: 0,
                    aside_until: Timestamp::default(),
                },
            })
            .collect();
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use corliss_types::IdSeed;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn id(n: u8) -> ReplicaId {
        ReplicaId::new(IdSeed {
            at: Timestamp::from_millis(i64::from(n)),
            random: [n; 10],
        })
    }

    fn router(count: u8) -> Router {
        let ids: Vec<_> = (0..count).map(id).collect();
        let mut router = Router::new();
        router.on_event(RouterEvent::Replicas(&ids));
        router
    }

    fn start(router: &mut Router, now: Timestamp) -> ReplicaId {
        let picked = router.pick(now, &[]).unwrap();
        router.on_event(RouterEvent::Started(&picked));
        picked
    }

    #[test]
    fn one_client_after_another_is_spread_evenly() {
        let mut router = router(3);
        let mut counts = [0_u32; 3];
        for _ in 0..300 {
            let picked = start(&mut router, NOW);
            router.on_event(RouterEvent::Finished(&picked));
            counts[(0..3).position(|n| id(n) == picked).unwrap()] += 1;
        }
        assert_eq!(counts, [100, 100, 100]);
    }

    #[test]
    fn the_least_loaded_is_picked() {
        let mut router = router(3);
        for _ in 0..2 {
            router.on_event(RouterEvent::Started(&id(0)));
            router.on_event(RouterEvent::Started(&id(2)));
        }
        assert_eq!(start(&mut router, NOW), id(1));
        assert_eq!(start(&mut router, NOW), id(1));
    }

    #[test]
    fn a_replica_that_refused_rests_and_returns() {
        let mut router = router(2);
        router.on_event(RouterEvent::Refused(&id(0), NOW));
        for _ in 0..4 {
            assert_eq!(start(&mut router, NOW), id(1));
        }
        assert_eq!(start(&mut router, NOW + ASIDE_MIN), id(0));
        router.on_event(RouterEvent::Refused(&id(0), NOW));
        assert_eq!(start(&mut router, NOW + ASIDE_MIN), id(1));
        router.on_event(RouterEvent::Answered(&id(0)));
        assert_eq!(start(&mut router, NOW), id(0));
        // When nobody else is there, it is tried all the same; a second try within a request is not.
        router.on_event(RouterEvent::Refused(&id(0), NOW));
        router.on_event(RouterEvent::Refused(&id(1), NOW));
        assert!(router.pick(NOW, &[]).is_some());
        assert_eq!(router.pick(NOW, &[id(0), id(1)]), None);
    }

    #[test]
    fn counts_survive_a_change_of_replicas() {
        let mut router = router(2);
        router.on_event(RouterEvent::Started(&id(0)));
        router.on_event(RouterEvent::Replicas(&[id(2), id(0)]));
        assert_eq!(router.in_flight(), [(id(0), 1), (id(2), 0)]);
        router.on_event(RouterEvent::Finished(&id(1)));
        router.on_event(RouterEvent::Replicas(&[]));
        assert_eq!(router.pick(NOW, &[]), None);
    }

    proptest! {
        /// Whatever the order of arrivals and departures, the picked one had the fewest in flight.
        #[test]
        fn never_a_busier_one(count in 1_u8..9, steps in proptest::collection::vec(any::<(bool, u8)>(), 0..200)) {
            let mut router = router(count);
            let mut running: Vec<ReplicaId> = Vec::new();
            for (arrives, which) in steps {
                if arrives || running.is_empty() {
                    let least = router.in_flight().into_iter().map(|(_, n)| n).min().unwrap();
                    let picked = router.pick(NOW, &[]).unwrap();
                    let load = router.in_flight().into_iter().find(|(id, _)| *id == picked).unwrap().1;
                    prop_assert_eq!(load, least);
                    router.on_event(RouterEvent::Started(&picked));
                    running.push(picked);
                } else {
                    let done = running.swap_remove(usize::from(which) % running.len());
                    router.on_event(RouterEvent::Finished(&done));
                }
                let total: u64 = router.in_flight().into_iter().map(|(_, n)| n).sum();
                prop_assert_eq!(total, running.len() as u64);
            }
        }
    }
}
