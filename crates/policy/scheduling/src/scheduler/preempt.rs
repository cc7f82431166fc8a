//! Stopping gangs for another: the fewest whose places let it start, those first that have the least right to them.
//!
//! What they hold is promised to the other: nobody else gets it when it becomes free.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::round::Round;
use super::{Held, Scheduler, Stage, demand};
use crate::cluster::Wanted;
use crate::nodes::{Node, Spot};
use crate::plan::{Preemption, Right};

/// Most gangs that are stopped for one.
const VICTIMS_MAX: usize = 256;

/// Somebody who may be stopped; the first in this order is stopped first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    right: Right,
    priority: i32,
    since: Reverse<i64>,
    number: Reverse<u64>,
}

impl Scheduler {
    /// Stops others for a gang that waits, and promises it their places; false if that cannot be.
    pub(super) fn preempt(&mut self, number: u64, wanted: &Wanted, round: &mut Round) -> bool {
        let Some((queue, user)) = self
            .gangs
            .get(&number)
            .and_then(|entry| Some((entry.queue?, entry.gang.user.clone())))
        else {
            return false;
        };
        let candidates = self.candidates(number, queue, wanted);
        if !self.would_make_room(&candidates, wanted) {
            return false;
        }
        let mut victims: Vec<Candidate> = Vec::new();
        let mut spots = None;
        for candidate in candidates.into_iter().take(VICTIMS_MAX) {
            if !self.has_right_still(queue, wanted, &candidate, &victims) {
                continue;
            }
            self.let_go(candidate.number.0);
            victims.push(candidate);
            spots = self.try_place(number, queue, &user, wanted);
            if spots.is_some() {
                break;
            }
        }
        if spots.is_none() {
            for victim in &victims {
                self.hold_again(victim.number.0);
            }
            return false;
        }
        let (needed, spots) = self.fewest(number, queue, &user, wanted, victims, spots.unwrap_or_default());
        self.promise(number, spots, &needed, round);
        true
    }

    /// Whether there would be room for enough workers if all of these were gone; where it would be is not looked at.
    fn would_make_room(&self, candidates: &[Candidate], wanted: &Wanted) -> bool {
        let mut room = self.cluster.room_for(&wanted.ask);
        let mut nodes: BTreeMap<u32, Node> = BTreeMap::new();
        for candidate in candidates {
            if let Some((ask, spots)) = self.places(candidate.number.0) {
                for spot in spots {
                    room = self.with_room_of(&mut nodes, spot, ask, wanted, room);
                }
            }
        }
        !candidates.is_empty() && room >= u64::from(wanted.least)
    }

    /// Who could be stopped for this gang, by right.
    fn candidates(&mut self, number: u64, queue: usize, wanted: &Wanted) -> Vec<Candidate> {
        let Some(preempts) = self
            .queues
            .spec(queue)
            .map(|spec| spec.preempts)
            .filter(|preempts| preempts.any())
        else {
            return Vec::new();
        };
        // Nobody is stopped in the moment in which it starts.
        let least_run = i64::try_from(self.rules.least_run_ms.max(1)).unwrap_or(i64::MAX);
        let asked = demand(&wanted.ask, wanted.least.into(), None);
        let may_reclaim = preempts.borrowers && self.queues.stays_within(queue, &asked);
        let parts = self.parts(&asked);
        let mut candidates = Vec::new();
        let mut soonest: Option<i64> = None;
        for (of, ranks) in self.afoot.stoppable() {
            let is_here = of == queue;
            let may_reclaim = may_reclaim && !is_here && self.queues.root(of) == self.queues.root(queue);
            let may_reclaim = may_reclaim && self.queues.borrows_any(of);
            let may_favour = preempts.favoured && !is_here && self.is_favoured(of, 0, queue, parts);
            if !(may_reclaim || may_favour || (is_here && preempts.lower)) {
                continue;
            }
            let first = candidates.len();
            for (priority, since, other) in ranks {
                if candidates.len() - first == VICTIMS_MAX || (is_here && self.outranks(*priority, number)) {
                    break;
                }
                let Some((_, held)) = self.held_by(other.0) else {
                    continue;
                };
                let right = if is_here {
                    self.goes_before(number, other.0).then_some(Right::Order)
                } else if may_reclaim && self.queues.borrows(of, &held.demand) {
                    Some(Right::Quota)
                } else {
                    (may_favour && self.is_favoured(of, held.parts, queue, parts)).then_some(Right::Share)
                };
                let Some(right) = right else {
                    continue;
                };
                let may_stop = since.0.saturating_add(least_run);
                if may_stop > self.now_ms {
                    soonest = Some(soonest.map_or(may_stop, |at| at.min(may_stop)));
                    continue;
                }
                candidates.push(Candidate {
                    right,
                    priority: *priority,
                    since: *since,
                    number: *other,
                });
            }
        }
        if let Some(at) = soonest {
            self.look_again_at(at);
        }
        candidates.sort_unstable();
        candidates
    }

    /// Whether gangs of this priority are out of a gang's reach, in its own queue.
    fn outranks(&self, priority: i32, number: u64) -> bool {
        let Some(entry) = self.gangs.get(&number) else {
            return true;
        };
        let spec = entry.queue.and_then(|queue| self.queues.spec(queue));
        let by_order = spec.is_some_and(|spec| spec.order.preempts());
        priority > entry.gang.priority || (priority == entry.gang.priority && !by_order)
    }

    /// Whether the first goes before the second by what takes places: priority, or an order that preempts.
    fn goes_before(&self, first: u64, second: u64) -> bool {
        let (Some(first), Some(second)) = (self.gangs.get(&first), self.gangs.get(&second)) else {
            return false;
        };
        let Some(order) = first
            .queue
            .and_then(|queue| self.queues.spec(queue))
            .map(|spec| spec.order)
        else {
            return false;
        };
        if first.gang.priority != second.gang.priority || !order.preempts() {
            return first.gang.priority > second.gang.priority;
        }
        let mut running = second.gang.clone();
        if let Stage::Running { since_ms, .. } = &second.stage {
            running.served_ms += u64::try_from(self.now_ms - since_ms).unwrap_or(0);
        }
        let turn = |gang| order.turn(&super::work(gang, self.now_ms, super::latest_start(gang)));
        turn(&first.gang) < turn(&running)
    }

    /// Whether a queue would have at least as much for its weight without these parts as the other would have with them.
    fn is_favoured(&self, of: usize, parts: u64, queue: usize, more: u64) -> bool {
        let above: Vec<usize> = self.queues.path(of).collect();
        if above.contains(&queue) || self.queues.path(queue).any(|at| at == of) {
            return false;
        }
        let common = self.queues.path(queue).find(|at| above.contains(at));
        let (Some(theirs), Some(ours)) = (self.queues.below(common, of), self.queues.below(common, queue))
        else {
            return false;
        };
        let ((theirs, their_weight), (ours, our_weight)) = (self.queues.held(theirs), self.queues.held(ours));
        let ours = u128::from(ours.saturating_add(more)) * u128::from(their_weight);
        ours <= u128::from(theirs.saturating_sub(parts)) * u128::from(our_weight)
    }

    /// Whether there still is a right to it, after others have been let go.
    fn has_right_still(
        &mut self,
        queue: usize,
        wanted: &Wanted,
        candidate: &Candidate,
        victims: &[Candidate],
    ) -> bool {
        let Some((of, held)) = self.held_by(candidate.number.0) else {
            return false;
        };
        match candidate.right {
            Right::Order => true,
            Right::Quota => self.queues.borrows(of, &held.demand),
            Right::Share => {
                let parts = self.parts(&demand(&wanted.ask, wanted.least.into(), None));
                let already = victims
                    .iter()
                    .filter(|victim| victim.right == Right::Share)
                    .count();
                self.is_favoured(of, held.parts, queue, parts) && self.may_favour(already)
            }
        }
    }

    /// Whether one more gang may be stopped now because others have had less.
    fn may_favour(&mut self, already: usize) -> bool {
        let rate = self.rules.favoured;
        let since = self
            .now_ms
            .saturating_sub(i64::try_from(rate.per_ms).unwrap_or(i64::MAX));
        while self.favoured_ms.front().is_some_and(|at| *at <= since) {
            self.favoured_ms.pop_front();
        }
        let may = self.favoured_ms.len() + already < rate.most as usize;
        if let (false, Some(first)) = (may, self.favoured_ms.front().copied()) {
            self.look_again_at(first.saturating_add(i64::try_from(rate.per_ms).unwrap_or(i64::MAX)));
        }
        may
    }

    fn held_by(&self, number: u64) -> Option<(usize, Held)> {
        let entry = self.gangs.get(&number)?;
        match &entry.stage {
            Stage::Running { held, .. } => Some((entry.queue?, *held)),
            _ => None,
        }
    }

    fn let_go(&mut self, number: u64) {
        let Some(entry) = self.gangs.get(&number).cloned() else {
            return;
        };
        if let Stage::Running { spots, held, .. } = &entry.stage {
            self.release(&entry.gang, entry.queue, spots, held);
        }
    }

    fn hold_again(&mut self, number: u64) {
        let Some(entry) = self.gangs.get(&number) else {
            return;
        };
        if let Stage::Running { spots, held, .. } = &entry.stage {
            let (spots, held) = (spots.clone(), *held);
            self.hold(number, &spots, &held, self.now_ms);
        }
    }

    fn try_place(&mut self, number: u64, queue: usize, user: &str, wanted: &Wanted) -> Option<Vec<Spot>> {
        let variants = self.within_quota(queue, Some(user), wanted).ok()?;
        self.place(number, &variants, &BTreeSet::new())
    }

    /// Keeps those victims that are not needed; `spots` are taken, and are given back for others that are taken.
    fn fewest(
        &mut self,
        number: u64,
        queue: usize,
        user: &str,
        wanted: &Wanted,
        victims: Vec<Candidate>,
        mut spots: Vec<Spot>,
    ) -> (Vec<Candidate>, Vec<Spot>) {
        let give_back = |scheduler: &mut Self, spots: &[Spot]| {
            for spot in spots {
                scheduler.cluster.give(&wanted.ask, spot);
            }
        };
        let mut needed = Vec::new();
        let last = victims.len().saturating_sub(1);
        for (index, victim) in victims.into_iter().enumerate() {
            if index == last {
                needed.push(victim);
                break;
            }
            give_back(self, &spots);
            self.hold_again(victim.number.0);
            match self.try_place(number, queue, user, wanted) {
                Some(without) => spots = without,
                None => {
                    self.let_go(victim.number.0);
                    needed.push(victim);
                    spots = self.try_place(number, queue, user, wanted).unwrap_or_default();
                }
            }
        }
        (needed, spots)
    }

    /// The gang gets these spots, which are taken, when its victims have ended; until then they hold them too.
    fn promise(&mut self, number: u64, spots: Vec<Spot>, victims: &[Candidate], round: &mut Round) {
        let held = self.charge(number, &spots);
        let Some(job) = self.gangs.get(&number).map(|entry| entry.gang.job.clone()) else {
            return;
        };
        for victim in victims {
            if victim.right == Right::Share {
                self.favoured_ms.push_back(self.now_ms);
            }
            let Some(entry) = self.gangs.get_mut(&victim.number.0) else {
                continue;
            };
            self.afoot.remove(victim.number.0, entry, victim.since.0);
            self.ending.insert(victim.number.0);
            if let Stage::Running { spots, is_ending, .. } = &mut entry.stage {
                // It is there until it has ended, and nobody is charged for that.
                *is_ending = true;
                for spot in spots.iter() {
                    self.cluster.take(&entry.gang.wanted.ask, spot);
                }
            }
            round.plan.preemptions.push(Preemption {
                job: entry.gang.job.clone(),
                for_job: job.clone(),
                right: victim.right,
            });
        }
        let Some(entry) = self.gangs.get_mut(&number) else {
            return;
        };
        if let Stage::Waiting(line, turn) = &entry.stage {
            self.lines.leave(*line, turn, entry.gang.left_ms());
        }
        entry.stage = Stage::Promised {
            spots,
            held,
            victims: victims.iter().map(|victim| victim.number.0).collect(),
        };
        self.promised.insert(number);
        round.plan.promises.extend(self.start(number));
    }
}
