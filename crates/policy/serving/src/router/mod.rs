//! Which replica takes the next request: the hot variant of a policy, a plain struct without locks.
//!
//! Problem: n replicas of one endpoint, of which we know what we were told in events: what is in flight, what
//! was cached, how fast and how well they answered. Say who takes the next request, and why. How they are
//! weighed is the [`Strategy`]; who may be picked at all is the same for every strategy:
//!
//! 1. Never one that was tried for this request already, nor one outside of what the request may go [`Among`].
//! 2. Never one that has all the requests that it holds, as far as its refusals told.
//! 3. Never one that is aside, by its [`breaker`] or [`ejection`], while another is not.
//! 4. If all are aside, the one that returns first: trying is better than refusing.
//!
//! A pick is O(n) in the replicas; under [`Strategy::PrefixAware`] times the logarithm of the prompt's blocks.

pub mod breaker;
mod budget;
mod choice;
pub mod ejection;
mod hash;
mod peak_ewma;
mod prefix;
mod reason;
mod room;
pub mod rules;
mod slot;
mod strategy;

use corliss_types::{ReplicaId, Timestamp};

pub use budget::RetryBudget;
pub use hash::{mix, stable_hash};
pub use reason::{Pick, Reason};
pub use slot::Profile;
use slot::Slot;
pub use strategy::{PrefixLimits, Settings, Strategy, UnknownStrategy};

/// What the router is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouterEvent<'a> {
    /// These replicas take requests from now on; what is known of those that stay is kept.
    Replicas(&'a [ReplicaId]),
    /// What an operator says of a replica.
    Profile(&'a ReplicaId, Profile),
    /// A request was given to this replica.
    Started(&'a ReplicaId),
    /// So many tokens are to be computed there: those of the prompt, less those of a [`Reason::PrefixHit`],
    /// and those that the answer is expected to have.
    Charged(&'a ReplicaId, u64),
    /// So many of the tokens that were charged are computed, or will never be.
    Settled(&'a ReplicaId, u64),
    /// A prompt of these blocks was sent there. A block's number stands for its tokens and all before them.
    Cached(&'a ReplicaId, &'a [u64]),
    /// A request ended, well or not.
    Finished(&'a ReplicaId),
    /// The replica answered.
    Answered(&'a ReplicaId),
    /// It took so many microseconds until the replica answered.
    Measured(&'a ReplicaId, u64, Timestamp),
    /// The replica failed a request by its own fault: an error of the server's kind, a time-out, a cut answer.
    Failed(&'a ReplicaId, Timestamp),
    /// The replica could not be reached, or said that it takes no requests.
    Refused(&'a ReplicaId, Timestamp),
    /// The replica said that it has all the requests that it can line up, the one that it was given aside.
    Full(&'a ReplicaId, Timestamp),
}

/// Which replicas a request may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Among<'a> {
    /// Any.
    #[default]
    All,
    /// Those of one version of the model.
    Version(u32),
    /// Those listed.
    These(&'a [ReplicaId]),
}

impl Among<'_> {
    fn admits(&self, slot: &Slot) -> bool {
        match self {
            Self::All => true,
            Self::Version(version) => slot.profile.version == *version,
            Self::These(ids) => ids.contains(&slot.id),
        }
    }
}

/// What is to be known of a request to pick its replica.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// When it is picked.
    pub now: Timestamp,
    /// Who was tried for it already.
    pub tried: &'a [ReplicaId],
    /// Who may take it.
    pub among: Among<'a>,
    /// The session that it belongs to, as the [`stable_hash`] of its key.
    pub session: Option<u64>,
    /// The prompt's blocks, first one first; each stands for its tokens and all before them.
    pub blocks: &'a [u64],
    /// 64 random bits, drawn for this pick.
    pub random: u64,
}

impl<'a> Request<'a> {
    /// A request of which nothing else is known. Its ties are broken by turns where the strategy has them;
    /// one that draws at random needs [`Request::random`].
    #[must_use]
    pub const fn new(now: Timestamp, tried: &'a [ReplicaId]) -> Self {
        Self {
            now,
            tried,
            among: Among::All,
            session: None,
            blocks: &[],
            random: 0,
        }
    }
}

/// The replicas of one endpoint and what is known of them.
#[derive(Debug, Clone, Default)]
pub struct Router {
    strategy: Strategy,
    settings: Settings,
    /// Ordered by id.
    slots: Vec<Slot>,
    /// Picks so far.
    picks: u64,
    /// When the window began in which successes are counted; `None` before the first pick.
    window_since: Option<Timestamp>,
    /// Places of the slots that a pick is made among; kept so that a pick allocates nothing.
    candidates: Vec<usize>,
}

impl Router {
    /// A router that knows no replica and sends each request to the one with the fewest in flight.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A router that knows no replica.
    #[must_use]
    pub fn with(strategy: Strategy, settings: Settings) -> Self {
        Self {
            strategy,
            settings,
            ..Self::default()
        }
    }

    /// By what it picks.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Picks by another strategy and other bounds from now on; what is known of the replicas is kept.
    pub fn set(&mut self, strategy: Strategy, settings: Settings) {
        self.strategy = strategy;
        self.settings = settings;
    }

    /// Takes note. Events about unknown replicas (gone since) change nothing.
    pub fn on_event(&mut self, event: RouterEvent<'_>) {
        let settings = self.settings;
        match event {
            RouterEvent::Replicas(ids) => self.replace(ids),
            RouterEvent::Profile(id, profile) => self.with_slot(id, |slot| slot.profile = profile),
            RouterEvent::Started(id) => self.with_slot(id, |slot| {
                slot.in_flight = slot.in_flight.saturating_add(1);
                slot.breaker.started();
            }),
            RouterEvent::Charged(id, tokens) => {
                self.with_slot(id, |slot| slot.tokens = slot.tokens.saturating_add(tokens))
            }
            RouterEvent::Settled(id, tokens) => {
                self.with_slot(id, |slot| slot.tokens = slot.tokens.saturating_sub(tokens))
            }
            RouterEvent::Cached(id, blocks) => self.with_slot(id, |slot| {
                slot.cached.used(blocks, settings.prefix.blocks_per_replica)
            }),
            RouterEvent::Finished(id) => self.with_slot(id, |slot| {
                slot.in_flight = slot.in_flight.saturating_sub(1);
                slot.breaker.finished();
            }),
            RouterEvent::Answered(id) => self.with_slot(id, |slot| {
                slot.breaker.answered();
                slot.outlier.answered();
            }),
            RouterEvent::Measured(id, latency_us, now) => self.with_slot(id, |slot| {
                slot.latency.measured(latency_us, now, settings.latency_half_life)
            }),
            RouterEvent::Failed(id, now) => self.failed(id, now),
            RouterEvent::Refused(id, now) => {
                self.with_slot(id, |slot| slot.breaker.refused(now, &settings.breaker))
            }
            RouterEvent::Full(id, now) => self.with_slot(id, |slot| {
                slot.room.refused(slot.in_flight.saturating_sub(1), now);
            }),
        }
    }

    /// The replica for the next request, and why; `None` if there is none.
    ///
    /// The caller reports [`RouterEvent::Started`] before it picks again.
    pub fn pick(&mut self, request: &Request<'_>) -> Option<Pick> {
        self.end_window(request.now);
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let free = |slot: &Slot| slot.aside_until(request.now).is_none();
        let may = |slot: &Slot| may(slot, request);
        let admitted = self.slots.iter().enumerate();
        candidates.extend(
            admitted
                .filter(|(_, slot)| free(slot) && may(slot))
                .map(|(index, _)| index),
        );
        let chosen = if candidates.is_empty() {
            self.last_resort(request)
        } else {
            choice::choose(
                self.strategy,
                &mut self.slots,
                &candidates,
                request,
                &self.settings,
            )
        };
        self.candidates = candidates;
        let (index, reason) = chosen?;
        self.picks += 1;
        let slot = self.slots.get_mut(index)?;
        slot.picked = self.picks;
        slot.breaker.picked(request.now);
        Some(Pick {
            replica: slot.id.clone(),
            reason,
        })
    }

    /// Whether replicas may take the request, and all of them are full.
    #[must_use]
    pub fn is_full_for(&self, request: &Request<'_>) -> bool {
        let mut others = self
            .slots
            .iter()
            .filter(|slot| eligible(slot, request))
            .peekable();
        others.peek().is_some() && others.all(|slot| !slot.room.is_for(slot.in_flight, request.now))
    }

    /// Requests in flight to each replica, by id.
    #[must_use]
    pub fn in_flight(&self) -> Vec<(ReplicaId, u64)> {
        let loads = self.slots.iter();
        loads.map(|slot| (slot.id.clone(), slot.in_flight)).collect()
    }

    /// Tokens still to be computed by each replica, by id.
    #[must_use]
    pub fn tokens(&self) -> Vec<(ReplicaId, u64)> {
        let loads = self.slots.iter();
        loads.map(|slot| (slot.id.clone(), slot.tokens)).collect()
    }

    /// The replicas that are aside and until when, by id: their breaker is open, or they are ejected.
    #[must_use]
    pub fn aside(&self, now: Timestamp) -> Vec<(ReplicaId, Timestamp)> {
        let aside = self.slots.iter();
        aside
            .filter_map(|slot| Some((slot.id.clone(), slot.aside_until(now)?)))
            .collect()
    }

    /// The replicas that are ejected as outliers, by id.
    #[must_use]
    pub fn ejected(&self, now: Timestamp) -> Vec<ReplicaId> {
        let ejected = self.slots.iter();
        ejected
            .filter(|slot| slot.outlier.ejected_until(now).is_some())
            .map(|slot| slot.id.clone())
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

    /// The one that returns first of those that may take it.
    fn last_resort(&self, request: &Request<'_>) -> Option<(usize, Reason)> {
        let aside = self.slots.iter().enumerate();
        let (index, _) = aside
            .filter(|(_, slot)| may(slot, request))
            .min_by_key(|(_, slot)| (slot.aside_until(request.now), slot.in_flight, slot.picked))?;
        Some((index, Reason::LastResort))
    }

    fn failed(&mut self, id: &ReplicaId, now: Timestamp) {
        let Ok(index) = self.slots.binary_search_by(|slot| slot.id.cmp(id)) else {
            return;
        };
        if let Some(slot) = self.slots.get_mut(index) {
            slot.breaker.failed(now, &self.settings.breaker);
            slot.outlier.failed();
        }
        ejection::after_failure(&mut self.slots, index, now, &self.settings.ejection);
    }

    fn end_window(&mut self, now: Timestamp) {
        let since = *self.window_since.get_or_insert(now);
        if now >= since + self.settings.ejection.window {
            ejection::end_window(&mut self.slots, now, &self.settings.ejection);
            self.window_since = Some(now);
        }
    }

    fn with_slot(&mut self, id: &ReplicaId, change: impl FnOnce(&mut Slot)) {
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
        let mut known = std::mem::take(&mut self.slots).into_iter().peekable();
        for id in ids {
            while known.next_if(|slot| slot.id < *id).is_some() {}
            let kept = known.next_if(|slot| slot.id == *id);
            self.slots.push(kept.unwrap_or_else(|| Slot::new(id.clone())));
        }
        ejection::keep_bound(&mut self.slots, &self.settings.ejection);
    }
}

/// Whether the request may go there, were there room.
fn eligible(slot: &Slot, request: &Request<'_>) -> bool {
    request.among.admits(slot) && !request.tried.contains(&slot.id)
}

fn may(slot: &Slot, request: &Request<'_>) -> bool {
    eligible(slot, request) && slot.room.is_for(slot.in_flight, request.now)
}

#[cfg(test)]
mod tests {
    use corliss_types::{DurationMs, IdSeed};
    use proptest::prelude::*;

    use super::*;

    const ASIDE_MIN: DurationMs = DurationMs(250);

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
        let picked = router.pick(&Request::new(now, &[])).unwrap().replica;
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
    fn requests_that_may_go_to_some_only_do_not_skew_the_others() {
        let mut router = router(3);
        let some = [id(0), id(1)];
        let mut counts = [0_u32; 3];
        for round in 0..300 {
            let last = [id(2)];
            let among = Among::These(if round % 2 == 0 { &some } else { &last });
            let request = Request {
                among,
                ..Request::new(NOW, &[])
            };
            let picked = router.pick(&request).unwrap().replica;
            counts[(0..3).position(|n| id(n) == picked).unwrap()] += 1;
        }
        assert_eq!(counts, [75, 75, 150]);
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
        assert!(router.pick(&Request::new(NOW, &[])).is_some());
        assert_eq!(router.pick(&Request::new(NOW, &[id(0), id(1)])), None);
    }

    #[test]
    fn a_full_replica_takes_no_more_until_something_of_it_has_ended() {
        let mut router = router(2);
        for _ in 0..4 {
            router.on_event(RouterEvent::Started(&id(0)));
            router.on_event(RouterEvent::Started(&id(1)));
        }
        router.on_event(RouterEvent::Full(&id(0), NOW));
        router.on_event(RouterEvent::Finished(&id(0)));
        let request = Request::new(NOW, &[]);
        assert!(!router.is_full_for(&request));
        for _ in 0..3 {
            assert_eq!(start(&mut router, NOW), id(1), "busier, but not full");
        }
        router.on_event(RouterEvent::Full(&id(1), NOW));
        router.on_event(RouterEvent::Finished(&id(1)));
        assert!(router.is_full_for(&request));
        assert_eq!(router.pick(&request), None);
        router.on_event(RouterEvent::Finished(&id(0)));
        assert_eq!(start(&mut router, NOW), id(0));
        assert!(
            !router.is_full_for(&Request::new(NOW, &[id(0), id(1)])),
            "there is none at all"
        );
    }

    #[test]
    fn counts_survive_a_change_of_replicas() {
        let mut router = router(2);
        router.on_event(RouterEvent::Started(&id(0)));
        router.on_event(RouterEvent::Replicas(&[id(2), id(0)]));
        assert_eq!(router.in_flight(), [(id(0), 1), (id(2), 0)]);
        router.on_event(RouterEvent::Finished(&id(1)));
        router.on_event(RouterEvent::Replicas(&[]));
        assert_eq!(router.pick(&Request::new(NOW, &[])), None);
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
                    let picked = router.pick(&Request::new(NOW, &[])).unwrap().replica;
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
