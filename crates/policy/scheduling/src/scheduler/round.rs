//! One decision: queues by what they have had, in each the lines by their turn, and of each line the first is asked.

use std::collections::BTreeSet;

use corliss_types::Timestamp;

use super::lines::{LineId, News, Turn};
use super::reserve::Reservation;
use super::{Held, Scheduler, Stage, Timer, demand, shortages};
use crate::cluster::Wanted;
use crate::nodes::{Share, Spot};
use crate::plan::{Never, Plan, Refusal, Wait};
use crate::queues::{OverQuota, Overtaking};

/// What is found out in the course of a decision.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub plan: Plan,
    /// For the head; computed when it first matters.
    reservation: Option<Reservation>,
}

impl Scheduler {
    /// Decides who starts now, who is stopped for whom, and who could never run; afterwards [`Self::wait`] says of all
    /// others why they wait. The scheduler takes it that the plan is carried out.
    pub fn decide(&mut self, now: Timestamp) -> Plan {
        self.now_ms = self.now_ms.max(now.as_millis());
        let mut round = Round::default();
        let all = self.ring();
        if self.is_changed || all {
            self.reopen(all);
            self.refuse_strays(&mut round);
            self.keep_promises(&mut round);
            loop {
                while let Some(line) = self.next_line() {
                    self.ask(line, &mut round);
                }
                if !self.is_headless() {
                    break;
                }
                // It starts: room is kept for another from here on, and who that is depends on all.
                self.reopen(true);
            }
            self.freed.clear();
            self.is_changed = false;
        }
        let next = self.timers.first().map(|(at, _)| *at);
        let wake_at = next.into_iter().chain(self.again_ms).min();
        round.plan.wake_at = wake_at.map(Timestamp::from_millis);
        round.plan
    }

    /// Sees to what is due; whether everything has to be looked at again.
    fn ring(&mut self) -> bool {
        while let Some((at, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= self.now_ms) {
            self.timers.remove(&(at, timer));
            self.is_changed = true;
            match timer {
                Timer::Due(number) => self.line_up(number),
                Timer::Late(number) => {
                    let entry = self.gangs.get(&number);
                    let left = entry.and_then(|entry| entry.gang.left_ms());
                    if let Some(Stage::Waiting(line, turn)) = entry.map(|entry| &entry.stage) {
                        self.lines.leave(*line, turn, left);
                        self.line_up(number);
                    }
                }
            }
        }
        let is_due = self.again_ms.is_some_and(|at| at <= self.now_ms);
        if is_due {
            self.again_ms = None;
        }
        is_due | self.is_headless()
    }

    /// Whether the one that room was kept for needs it no more.
    fn is_headless(&mut self) -> bool {
        let is_headless = self.head.is_some_and(|head| !self.is_blocked(head));
        if is_headless {
            self.head = None;
        }
        is_headless
    }

    /// Whether a gang waits because too little is free.
    fn is_blocked(&self, number: u64) -> bool {
        let stage = self.gangs.get(&number).map(|entry| &entry.stage);
        let Some(Stage::Waiting(line, turn)) = stage else {
            return false;
        };
        self.lines.first(*line) == Some(*turn)
            && matches!(self.lines.reason(*line), Some(Wait::NotEnoughFree { .. }) | None)
    }

    fn reopen(&mut self, all: bool) {
        let Self {
            lines,
            queues,
            cluster,
            freed,
            ..
        } = self;
        let fits = |wanted: &Wanted| {
            let free = freed.iter().filter_map(|node| cluster.node(*node));
            free.into_iter().any(|(_, free)| free.fits(&wanted.ask))
        };
        lines.reopen(&News {
            all,
            is_more_free: !freed.is_empty(),
            root_of: &|queue| queues.root(queue),
            may_preempt: &|queue| queues.spec(queue).is_some_and(|spec| spec.preempts.any()),
            fits: &fits,
        });
    }

    fn refuse_strays(&mut self, round: &mut Round) {
        for number in self.lines.strays() {
            let Some(entry) = self.gangs.get(&number) else {
                continue;
            };
            let queue = entry.gang.queue.clone();
            self.refuse(number, Never::NoQueue { queue }, round);
        }
    }

    fn refuse(&mut self, number: u64, reason: Never, round: &mut Round) {
        let Some(entry) = self.gangs.get(&number) else {
            return;
        };
        let job = entry.gang.job.clone();
        self.end(&job);
        round.plan.refusals.push(Refusal { job, reason });
    }

    /// Starts gangs whose places have become free.
    fn keep_promises(&mut self, round: &mut Round) {
        for number in self.promised.clone() {
            let stage = self.gangs.get(&number).map(|entry| &entry.stage);
            let Some(Stage::Promised { spots, held, .. }) = stage else {
                continue;
            };
            let is_settled = |spot: &Spot| {
                self.cluster
                    .node(spot.node)
                    .is_none_or(|(_, free)| free.is_settled())
            };
            if !spots.iter().all(is_settled) {
                continue;
            }
            let (spots, held) = (spots.clone(), *held);
            self.promised.remove(&number);
            self.runs(number, spots, held, self.now_ms);
            round.plan.starts.extend(self.start(number));
        }
    }

    /// The line to ask next: down the tree to whoever has had least for its weight, and there the first in turn.
    fn next_line(&self) -> Option<LineId> {
        let open: BTreeSet<usize> = self.lines.open_queues().collect();
        let active: BTreeSet<usize> = open.iter().flat_map(|queue| self.queues.path(*queue)).collect();
        let mut at = None;
        loop {
            if let Some(queue) = at.filter(|queue| open.contains(queue)) {
                return self.first_in(queue);
            }
            let children = self.queues.children(at).iter().copied();
            let charged = |queue: usize| self.queues.charged(queue, &self.decay, self.now_ms);
            let next = children
                .filter(|queue| active.contains(queue))
                .map(|queue| (charged(queue), queue));
            at = Some(next.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?.1);
        }
    }

    fn first_in(&self, queue: usize) -> Option<LineId> {
        let mut lines = self.lines.open_in(queue);
        if !self.queues.spec(queue).is_some_and(|spec| spec.is_fair) {
            return lines.next().map(|(_, line)| line);
        }
        let charged = |line: LineId| {
            let user = &self.lines.get(line).user;
            self.queues.user_charged(queue, user, &self.decay, self.now_ms)
        };
        let ranked = lines.map(|(turn, line)| (turn, charged(line), line));
        let first = ranked.min_by(|a, b| {
            let by_priority = a.0.behind.cmp(&b.0.behind);
            by_priority.then(a.1.total_cmp(&b.1)).then(a.0.cmp(&b.0))
        });
        first.map(|(_, _, line)| line)
    }

    /// Asks the first of a line; it starts, is refused, or the line is parked with the reason.
    fn ask(&mut self, id: LineId, round: &mut Round) {
        let Some(turn) = self.lines.first(id) else {
            return;
        };
        let line = self.lines.get(id);
        let (queue, user, wanted, is_possible) = (
            line.queue,
            line.user.clone(),
            line.wanted.clone(),
            line.is_possible,
        );
        if !is_possible {
            if let Some(never) = self.never(queue, &wanted) {
                self.refuse(turn.number, never, round);
                return;
            }
            self.lines.possible(id);
        }
        if let Some(before) = self.behind(queue, &turn) {
            if let Some(entry) = self.gangs.get(&before) {
                let job = entry.gang.job.clone();
                self.lines.park(id, Wait::Behind { job });
            }
            return;
        }
        let variants = match self.within_quota(queue, Some(&user), &wanted) {
            Ok(variants) => variants,
            Err(over) => {
                if !self.preempt(turn.number, &wanted, round) {
                    self.look_again_when_patience_ends(turn.submitted_ms);
                    self.lines.park(id, Wait::OverQuota { over });
                }
                return;
            }
        };
        let barred = self.barred(&turn, queue, round);
        if let Some(spots) = self.place(turn.number, &variants, &barred) {
            self.begin(turn.number, spots, round);
            return;
        }
        if !barred.is_empty() && self.would_fit(turn.number, &variants) {
            let head = self.head.and_then(|head| self.gangs.get(&head));
            if let Some(job) = head.map(|entry| entry.gang.job.clone()) {
                self.fill_in(id, &variants, round);
                let at = round.reservation.as_ref().and_then(Reservation::at);
                self.lines.park(id, Wait::KeptFree { job, at });
                return;
            }
        }
        if self.preempt(turn.number, &wanted, round) {
            return;
        }
        let needed = demand(&wanted.ask, wanted.least.into(), None);
        let shortages = shortages(&needed, self.cluster.free_together());
        self.lines.park(id, Wait::NotEnoughFree { shortages, at: None });
        self.keep_room_for(&turn, queue, round);
    }

    /// Who of the queue has to go before this turn; none if nobody.
    fn behind(&self, queue: usize, turn: &Turn) -> Option<u64> {
        let spec = self.queues.spec(queue)?;
        let is_before = |blocker: &Turn| match spec.is_fair {
            true => blocker.behind <= turn.behind,
            false => blocker < turn,
        };
        let holds = |blocker: &Turn, reason: &Wait| match spec.overtaking {
            Overtaking::Never => true,
            // Room is kept on nodes; what is kept of a quota is the whole queue.
            Overtaking::Backfill | Overtaking::Free => {
                matches!(reason, Wait::OverQuota { .. }) && self.is_out_of_patience(blocker.submitted_ms)
            }
        };
        let mut blockers = self.lines.blockers(queue);
        let first = blockers.find(|(blocker, reason)| is_before(blocker) && holds(blocker, reason));
        first.map(|(blocker, _)| blocker.number)
    }

    pub(super) fn is_out_of_patience(&self, submitted_ms: i64) -> bool {
        self.patience_ends(submitted_ms) <= self.now_ms
    }

    fn patience_ends(&self, submitted_ms: i64) -> i64 {
        submitted_ms.saturating_add(i64::try_from(self.rules.patience_ms).unwrap_or(i64::MAX))
    }

    fn look_again_when_patience_ends(&mut self, submitted_ms: i64) {
        self.look_again_at(self.patience_ends(submitted_ms));
    }

    pub(super) fn look_again_at(&mut self, at_ms: i64) {
        if at_ms > self.now_ms {
            self.again_ms = Some(self.again_ms.map_or(at_ms, |again| again.min(at_ms)));
        }
    }

    /// Makes the first gang that does not fit the one for which room is kept.
    fn keep_room_for(&mut self, turn: &Turn, queue: usize, round: &mut Round) {
        let is_free = self
            .queues
            .spec(queue)
            .is_some_and(|spec| spec.overtaking == Overtaking::Free);
        self.look_again_when_patience_ends(turn.submitted_ms);
        if is_free && !self.is_out_of_patience(turn.submitted_ms) {
            return;
        }
        if self.head.is_none_or(|head| self.precedes(turn, queue, head)) {
            self.head = Some(turn.number);
            round.reservation = None;
        }
    }

    /// Whether a turn is before that of the head, of the same queue.
    fn precedes(&self, turn: &Turn, queue: usize, head: u64) -> bool {
        let head = self.gangs.get(&head).filter(|entry| entry.queue == Some(queue));
        matches!(head.map(|entry| &entry.stage), Some(Stage::Waiting(_, of_head)) if turn < of_head)
    }

    /// Nodes that are kept for the head and this gang would hold for too long.
    fn barred(&mut self, turn: &Turn, queue: usize, round: &mut Round) -> BTreeSet<u32> {
        let number = turn.number;
        let is_kept_from =
            |head: u64| head != number && self.is_blocked(head) && !self.precedes(turn, queue, head);
        let Some(head) = self.head.filter(|head| is_kept_from(*head)) else {
            return BTreeSet::new();
        };
        if round.reservation.is_none() {
            round.reservation = self.reserve(head);
        }
        let run = self
            .gangs
            .get(&number)
            .and_then(|entry| i64::try_from(entry.gang.left_ms()?).ok());
        let ends = run.map(|run| self.now_ms.saturating_add(run));
        round
            .reservation
            .as_ref()
            .map(|kept| kept.barred(ends))
            .unwrap_or_default()
    }

    /// Of a line whose first would make the head wait longer, those start that end in time.
    fn fill_in(&mut self, id: LineId, variants: &[Wanted], round: &mut Round) {
        let is_strict = |queue: usize| {
            self.queues
                .spec(queue)
                .is_some_and(|spec| spec.overtaking == Overtaking::Never)
        };
        if is_strict(self.lines.get(id).queue) {
            return;
        }
        let leaves = round
            .reservation
            .as_ref()
            .and_then(|kept| kept.leaves_ms(self.now_ms));
        while let Some(turn) = leaves.and_then(|leaves| self.lines.first_within(id, leaves)) {
            let line = self.lines.get(id);
            let (queue, user) = (line.queue, line.user.clone());
            if self.within_quota(queue, Some(&user), &variants[0]).is_err() {
                return;
            }
            match self.place(turn.number, variants, &BTreeSet::new()) {
                Some(spots) => self.begin(turn.number, spots, round),
                None => return,
            }
        }
    }

    /// What may be placed with what quotas leave beside all that is held (or, without a user, if nothing were), one variant after another; or what of them is too little.
    pub(super) fn within_quota(
        &self,
        queue: usize,
        user: Option<&str>,
        wanted: &Wanted,
    ) -> Result<Vec<Wanted>, OverQuota> {
        let models = self.queues.limited_models(queue);
        if wanted.ask.share == Share::None || models.is_empty() {
            return self.workers_within(queue, user, wanted, None).map(|most| {
                vec![Wanted {
                    most,
                    ..wanted.clone()
                }]
            });
        }
        let mut variants = Vec::new();
        let mut refused = None;
        for model in self
            .cluster
            .models()
            .filter(|model| wanted.ask.models.is_empty() || wanted.ask.models.contains(model))
        {
            match self.workers_within(queue, user, wanted, Some(model)) {
                Ok(most) => {
                    let mut variant = wanted.clone();
                    variant.most = most;
                    variant.ask.models = BTreeSet::from([model]);
                    variants.push(variant);
                }
                Err(over) => refused = Some(over),
            }
        }
        match refused {
            Some(over) if variants.is_empty() => Err(over),
            _ => Ok(variants),
        }
    }

    /// How many workers quotas let in, of one model.
    fn workers_within(
        &self,
        queue: usize,
        user: Option<&str>,
        wanted: &Wanted,
        model: Option<u16>,
    ) -> Result<u32, OverQuota> {
        let refuses = |workers: u32| {
            self.queues
                .refuses(queue, user, &demand(&wanted.ask, workers.into(), model))
        };
        if let Some(over) = refuses(wanted.least) {
            return Err(over);
        }
        let (mut least, mut most) = (wanted.least, wanted.most.max(wanted.least));
        while least < most {
            let middle = most - (most - least) / 2;
            if refuses(middle).is_none() {
                least = middle;
            } else {
                most = middle - 1;
            }
        }
        Ok(least)
    }

    pub(super) fn place(
        &mut self,
        number: u64,
        variants: &[Wanted],
        barred: &BTreeSet<u32>,
    ) -> Option<Vec<Spot>> {
        let random = mixed(self.rules.seed ^ number);
        variants
            .iter()
            .find_map(|wanted| self.cluster.place(wanted, barred, random))
    }

    fn would_fit(&mut self, number: u64, variants: &[Wanted]) -> bool {
        let Some(spots) = self.place(number, variants, &BTreeSet::new()) else {
            return false;
        };
        for spot in &spots {
            // What differs between variants is their model, which is none of what is given back.
            self.cluster.give(&variants[0].ask, spot);
        }
        true
    }

    /// A gang whose spots are taken begins.
    fn begin(&mut self, number: u64, spots: Vec<Spot>, round: &mut Round) {
        let held = self.charge(number, &spots);
        let Some(entry) = self.gangs.get(&number) else {
            return;
        };
        if let Stage::Waiting(line, turn) = &entry.stage {
            self.lines.leave(*line, turn, entry.gang.left_ms());
        }
        self.runs(number, spots, held, self.now_ms);
        round.plan.starts.extend(self.start(number));
    }

    /// Charges a gang's queue for spots that are taken already.
    pub(super) fn charge(&mut self, number: u64, spots: &[Spot]) -> Held {
        let Some(entry) = self.gangs.get(&number) else {
            return Held::default();
        };
        let held = self.held(&entry.gang.wanted.ask, spots);
        if let Some(queue) = entry.queue {
            let user = &entry.gang.user;
            self.queues
                .begin(queue, user, &held.demand, held.parts, &self.decay, self.now_ms);
        }
        held
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).
const fn mixed(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
