//! The scheduler: what is known of nodes, queues and gangs, kept up to date by events, so that a decision costs what has
//! changed and not what there is.
//!
//! Gangs that wait stand in lines: in one line are those of one queue and user that ask for the same. What keeps the first of
//! a line from starting keeps all of it, so a line is asked once, and not again before something has happened that could
//! let it through. [`Scheduler::decide`] takes its own word: afterwards the scheduler is as if its plan were carried out.
//! Whatever of it cannot be is told by [`Event::Ended`].

mod afoot;
mod forecast;
mod lines;
mod preempt;
mod reserve;
mod round;

use std::collections::{BTreeMap, BTreeSet};

use corliss_types::{JobId, Timestamp};

use crate::cluster::{Cluster, Wanted};
use crate::nodes::{Ask, Node, Share, Spot};
use crate::order::Work;
use crate::plan::{Never, Resource, Shortage, Start, Wait};
use crate::queues::{Decay, Demand, Queues};
use crate::view::{Gang, Past, Promised, Rules, Running, View};
use afoot::Afoot;
pub use forecast::Forecast;
use lines::{LineId, Lines, Turn};

/// What share of the whole is told in.
const WHOLE_PARTS: i128 = 1 << 32;

/// Something that has happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A gang has come, or is put back into the queue.
    Submitted(Gang),
    /// A gang is no more: it has ended, or waits no longer, or could not be started.
    Ended(JobId),
    /// A gang that runs is being ended.
    Ending(JobId),
    /// A gang that ran has ended undone and waits again: of those that came in the same moment it goes where it went before.
    PutBack(Gang),
    /// A node takes no new work, by its place in the view. What runs there goes on until it is told that it has ended.
    Closed(u32),
    /// A node takes work again.
    Opened(u32),
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Scheduler {
    rules: Rules,
    decay: Decay,
    cluster: Cluster,
    /// The same nodes with nothing on them, and all of them open.
    empty: Cluster,
    /// What the nodes have together, open or not: CPUs, memory, accelerators.
    totals: (i64, i64, i64),
    queues: Queues,
    gangs: BTreeMap<u64, Entry>,
    by_job: BTreeMap<JobId, u64>,
    next: u64,
    lines: Lines,
    /// Gangs that run and are not being ended.
    afoot: Afoot,
    /// Gangs that are being ended.
    ending: BTreeSet<u64>,
    /// Gangs that others make place for, in order.
    promised: BTreeSet<u64>,
    /// When something becomes of single gangs.
    timers: BTreeSet<(i64, Timer)>,
    /// When everything is looked at again: gangs may be stopped from then on, or have waited too long.
    again_ms: Option<i64>,
    /// The first that does not fit, for which room is kept.
    head: Option<u64>,
    /// Whether anything has happened since the last decision.
    is_changed: bool,
    /// Nodes of which more is free than at the last decision.
    freed: BTreeSet<u32>,
    /// When gangs were last stopped because others had had less.
    favoured_ms: std::collections::VecDeque<i64>,
    now_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A gang may start from now on.
    Due(u64),
    /// A gang can no longer keep its deadline.
    Late(u64),
}

#[derive(Debug, Clone)]
struct Entry {
    gang: Gang,
    /// None if there is no such queue.
    queue: Option<usize>,
    stage: Stage,
}

#[derive(Debug, Clone)]
enum Stage {
    /// It is not to start yet, or never.
    Aside,
    Waiting(LineId, Turn),
    Promised {
        spots: Vec<Spot>,
        held: Held,
        victims: Vec<u64>,
    },
    Running {
        spots: Vec<Spot>,
        held: Held,
        since_ms: i64,
        is_ending: bool,
    },
}

/// What a gang is charged for.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    demand: Demand,
    /// Its dominant share: of what it holds most of, in parts of 2^32.
    parts: u64,
}

impl Scheduler {
    /// A scheduler that knows what is in the view.
    #[must_use]
    pub fn of(view: &View) -> Self {
        let cluster = Cluster::new(
            view.rules.placement,
            view.nodes.iter().cloned(),
            view.rules.usual.clone(),
        );
        let mut empty = cluster.clone();
        for node in 0..empty.len() {
            empty.set_open(node, true);
        }
        let now_ms = view.now.as_millis();
        let mut scheduler = Self {
            decay: Decay {
                half_life_ms: view.rules.half_life_ms,
                ahead_ms: 3_600_000,
                since_ms: now_ms,
            },
            rules: view.rules.clone(),
            totals: totals(empty.totals()),
            cluster,
            empty,
            queues: Queues::new(view.queues.iter().cloned()),
            gangs: BTreeMap::new(),
            by_job: BTreeMap::new(),
            next: 0,
            lines: Lines::default(),
            afoot: Afoot::default(),
            ending: BTreeSet::new(),
            promised: BTreeSet::new(),
            timers: BTreeSet::new(),
            again_ms: None,
            head: None,
            is_changed: true,
            freed: BTreeSet::new(),
            favoured_ms: std::collections::VecDeque::new(),
            now_ms,
        };
        for past in &view.past {
            scheduler.remember(past);
        }
        for running in &view.running {
            scheduler.resume(running);
        }
        for promised in &view.promised {
            scheduler.promise_again(promised);
        }
        let mut queued: Vec<&Gang> = view.queued.iter().collect();
        queued.sort_by_key(|gang| (gang.submitted, &gang.job));
        for gang in queued {
            scheduler.submit(gang.clone());
        }
        scheduler
    }

    /// Takes note of something that has happened.
    pub fn on_event(&mut self, event: Event, now: Timestamp) {
        self.now_ms = self.now_ms.max(now.as_millis());
        self.is_changed = true;
        match event {
            Event::Submitted(gang) => self.submit(gang),
            Event::Ended(job) => self.end(&job),
            Event::Ending(job) => self.ending(&job),
            Event::PutBack(gang) => self.put_back(gang),
            Event::Closed(node) => self.close(node),
            Event::Opened(node) => self.open(node),
        }
    }

    /// Why a gang waits; none if it does not.
    #[must_use]
    pub fn wait(&self, job: &JobId) -> Option<Wait> {
        let entry = self.gangs.get(self.by_job.get(job)?)?;
        match &entry.stage {
            Stage::Aside => entry.gang.not_before.map(|at| Wait::NotBefore { at }),
            Stage::Waiting(line, turn) => Some(self.wait_in(*line, turn)),
            Stage::Promised { victims, .. } => Some(Wait::Promised {
                victims: victims
                    .iter()
                    .filter_map(|victim| self.gangs.get(victim))
                    .filter(|victim| matches!(victim.stage, Stage::Running { .. }))
                    .map(|victim| victim.gang.job.clone())
                    .collect(),
            }),
            Stage::Running { .. } => None,
        }
    }

    /// Where too little is free for the first of a line, the others of it wait for those before them.
    fn wait_in(&self, line: LineId, turn: &Turn) -> Wait {
        let first = self.lines.first(line).filter(|first| first < turn);
        let before = first.and_then(|first| self.gangs.get(&first.number));
        match (self.lines.reason(line), before) {
            (Some(Wait::NotEnoughFree { .. }), Some(first)) => Wait::Behind {
                job: first.gang.job.clone(),
            },
            (Some(reason), _) => reason.clone(),
            (None, _) => Wait::Undecided,
        }
    }

    /// How many of its queue go before a gang that waits.
    #[must_use]
    pub fn ahead(&self, job: &JobId) -> Option<usize> {
        let entry = self.gangs.get(self.by_job.get(job)?)?;
        match &entry.stage {
            Stage::Waiting(_, turn) => Some(self.lines.before(entry.queue?, turn)),
            _ => None,
        }
    }

    /// Gangs that wait: of each queue so many whose turn is next.
    #[must_use]
    pub fn first_waiting(&self, most: usize) -> Vec<JobId> {
        let promised = self.promised.iter().copied();
        let waiting = self
            .queues
            .iter()
            .flat_map(|(queue, _)| self.lines.next_of(queue, most));
        promised
            .chain(waiting)
            .filter_map(|number| Some(self.gangs.get(&number)?.gang.job.clone()))
            .collect()
    }

    /// The nodes and what is free of them.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn remember(&mut self, past: &Past) {
        let Some(queue) = self.queues.index(&past.gang.queue) else {
            return;
        };
        let held = self.held(&past.gang.wanted.ask, &past.spots);
        let (user, decay) = (&past.gang.user, &self.decay);
        self.queues.begin(
            queue,
            user,
            &held.demand,
            held.parts,
            decay,
            past.from.as_millis(),
        );
        self.queues.end(
            queue,
            user,
            &held.demand,
            held.parts,
            decay,
            past.until.as_millis(),
        );
    }

    fn resume(&mut self, running: &Running) {
        let held = self.held(&running.gang.wanted.ask, &running.spots);
        let number = self.admit(running.gang.clone());
        self.hold(number, &running.spots, &held, running.since.as_millis());
        self.runs(number, running.spots.clone(), held, running.since.as_millis());
        if running.is_ending {
            self.ending(&running.gang.job);
        }
    }

    /// The gang runs from then on, on spots that are taken and charged.
    fn runs(&mut self, number: u64, spots: Vec<Spot>, held: Held, since_ms: i64) {
        let Some(entry) = self.gangs.get_mut(&number) else {
            return;
        };
        entry.stage = Stage::Running {
            spots,
            held,
            since_ms,
            is_ending: false,
        };
        self.afoot.add(number, entry, since_ms);
    }

    fn promise_again(&mut self, promised: &Promised) {
        // Nodes may have gone since.
        if promised.spots.iter().any(|spot| !self.cluster.is_open(spot.node)) {
            self.submit(promised.gang.clone());
            return;
        }
        let held = self.held(&promised.gang.wanted.ask, &promised.spots);
        let number = self.admit(promised.gang.clone());
        self.hold(number, &promised.spots, &held, self.now_ms);
        self.promised.insert(number);
        if let Some(entry) = self.gangs.get_mut(&number) {
            entry.stage = Stage::Promised {
                spots: promised.spots.clone(),
                held,
                victims: Vec::new(),
            };
        }
    }

    fn admit(&mut self, gang: Gang) -> u64 {
        let number = self.next;
        self.next += 1;
        self.admit_as(number, gang);
        number
    }

    fn admit_as(&mut self, number: u64, gang: Gang) {
        self.by_job.insert(gang.job.clone(), number);
        let queue = self.queues.index(&gang.queue);
        let stage = Stage::Aside;
        self.gangs.insert(number, Entry { gang, queue, stage });
    }

    fn submit(&mut self, gang: Gang) {
        if self.by_job.contains_key(&gang.job) {
            return;
        }
        let number = self.admit(gang);
        self.wait_until_due(number);
    }

    /// A gang holds no more what it held, or was promised, and waits again.
    fn put_back(&mut self, gang: Gang) {
        let number = self.by_job.get(&gang.job).copied();
        let stage = number.and_then(|number| Some(&self.gangs.get(&number)?.stage));
        let held = matches!(stage, Some(Stage::Running { .. } | Stage::Promised { .. }));
        self.end(&gang.job);
        match number.filter(|_| held) {
            Some(number) => {
                self.admit_as(number, gang);
                self.wait_until_due(number);
            }
            None => self.submit(gang),
        }
    }

    fn wait_until_due(&mut self, number: u64) {
        let entry = self.gangs.get(&number);
        let not_before = entry.and_then(|entry| entry.gang.not_before);
        let due = not_before
            .map(Timestamp::as_millis)
            .filter(|at| *at > self.now_ms);
        match due {
            Some(at) => {
                self.timers.insert((at, Timer::Due(number)));
            }
            None => self.line_up(number),
        }
    }

    /// Puts a gang that may start into its line.
    fn line_up(&mut self, number: u64) {
        let Some(entry) = self.gangs.get_mut(&number) else {
            return;
        };
        let Some(queue) = entry.queue else {
            self.lines.stray(number);
            return;
        };
        let Some(spec) = self.queues.spec(queue) else {
            return;
        };
        let gang = &entry.gang;
        let late_ms = latest_start(gang);
        let turn = Turn {
            behind: -i64::from(gang.priority),
            order: spec.order.turn(&work(gang, self.now_ms, late_ms)),
            submitted_ms: gang.submitted.as_millis(),
            number,
        };
        if let Some(at) = late_ms.filter(|at| *at >= self.now_ms) {
            self.timers.insert((at.saturating_add(1), Timer::Late(number)));
        }
        let line = self
            .lines
            .join(queue, &gang.user, &gang.wanted, turn, gang.left_ms());
        entry.stage = Stage::Waiting(line, turn);
    }

    /// A gang is there until it has ended, but is charged no more.
    fn ending(&mut self, job: &JobId) {
        let number = self.by_job.get(job).copied();
        let Some(entry) = number.and_then(|number| self.gangs.get_mut(&number)) else {
            return;
        };
        let Stage::Running {
            held,
            since_ms,
            is_ending,
            ..
        } = &mut entry.stage
        else {
            return;
        };
        let (held, since_ms) = (*held, *since_ms);
        if std::mem::replace(is_ending, true) {
            return;
        }
        if let Some(number) = number {
            self.afoot.remove(number, entry, since_ms);
            self.ending.insert(number);
        }
        if let Some(queue) = entry.queue {
            self.queues.end(
                queue,
                &entry.gang.user,
                &held.demand,
                held.parts,
                &self.decay,
                self.now_ms,
            );
            self.lines.quota_freed(self.queues.root(queue));
        }
    }

    fn end(&mut self, job: &JobId) {
        let Some(number) = self.by_job.remove(job) else {
            return;
        };
        let Some(entry) = self.gangs.remove(&number) else {
            return;
        };
        match entry.stage {
            Stage::Aside => self.lines.forget_stray(number),
            Stage::Waiting(line, turn) => self.lines.leave(line, &turn, entry.gang.left_ms()),
            Stage::Promised { ref spots, held, .. } | Stage::Running { ref spots, held, .. } => {
                self.promised.remove(&number);
                self.ending.remove(&number);
                self.freed.extend(spots.iter().map(|spot| spot.node));
                if matches!(entry.stage, Stage::Running { is_ending: true, .. }) {
                    for spot in spots {
                        self.cluster.give(&entry.gang.wanted.ask, spot);
                    }
                    return;
                }
                if let Stage::Running { since_ms, .. } = entry.stage {
                    self.afoot.remove(number, &entry, since_ms);
                }
                self.release(&entry.gang, entry.queue, spots, &held);
                if let Some(queue) = entry.queue {
                    self.lines.quota_freed(self.queues.root(queue));
                }
            }
        }
    }

    /// A node takes nothing new: what was promised there is promised no more, and whoever it was promised to waits again.
    fn close(&mut self, node: u32) {
        self.cluster.set_open(node, false);
        let promised = self.promised.iter().filter_map(|number| self.gangs.get(number));
        let is_there = |entry: &&Entry| match &entry.stage {
            Stage::Promised { spots, .. } => spots.iter().any(|spot| spot.node == node),
            _ => false,
        };
        let gangs: Vec<Gang> = promised
            .filter(is_there)
            .map(|entry| entry.gang.clone())
            .collect();
        for gang in gangs {
            self.put_back(gang);
        }
        self.look_at_all_again();
    }

    fn open(&mut self, node: u32) {
        self.cluster.set_open(node, true);
        self.freed.insert(node);
        self.look_at_all_again();
    }

    /// For whom room is kept where depends on which nodes there are.
    const fn look_at_all_again(&mut self) {
        self.again_ms = Some(self.now_ms);
    }

    /// What a gang on these spots is charged for.
    fn held(&self, ask: &Ask, spots: &[Spot]) -> Held {
        let workers = i64::try_from(spots.len()).unwrap_or(i64::MAX);
        let node = spots.first().and_then(|spot| self.cluster.node(spot.node));
        let model = node
            .map(|(total, _)| total.model)
            .filter(|_| ask.share != Share::None);
        let demand = demand(ask, workers, model);
        Held {
            parts: self.parts(&demand),
            demand,
        }
    }

    /// The dominant share of what is asked for (Ghodsi et al., NSDI 2011).
    fn parts(&self, demand: &Demand) -> u64 {
        let (cpu, memory, accelerators) = self.totals;
        let part = |amount: i64, total: i64| i128::from(amount) * WHOLE_PARTS / i128::from(total.max(1));
        let parts = part(demand.cpu_milli, cpu)
            .max(part(demand.memory, memory))
            .max(part(demand.accelerator_milli, accelerators));
        u64::try_from(parts).unwrap_or(0)
    }

    fn hold(&mut self, number: u64, spots: &[Spot], held: &Held, now_ms: i64) {
        let Some(entry) = self.gangs.get(&number) else {
            return;
        };
        for spot in spots {
            self.cluster.take(&entry.gang.wanted.ask, spot);
        }
        if let Some(queue) = entry.queue {
            self.queues.begin(
                queue,
                &entry.gang.user,
                &held.demand,
                held.parts,
                &self.decay,
                now_ms,
            );
        }
    }

    fn release(&mut self, gang: &Gang, queue: Option<usize>, spots: &[Spot], held: &Held) {
        for spot in spots {
            self.cluster.give(&gang.wanted.ask, spot);
        }
        if let Some(queue) = queue {
            self.queues.end(
                queue,
                &gang.user,
                &held.demand,
                held.parts,
                &self.decay,
                self.now_ms,
            );
        }
    }

    /// Why a gang of this queue could never run; none if it could.
    fn never(&mut self, queue: usize, wanted: &Wanted) -> Option<Never> {
        let demand = demand(&wanted.ask, wanted.least.into(), None);
        let shortages = shortages(&demand, self.totals);
        if !shortages.is_empty() {
            return Some(Never::TooLarge { shortages });
        }
        let variants = match self.within_quota(queue, None, wanted) {
            Ok(variants) => variants,
            Err(over) => return Some(Never::Quota { over }),
        };
        let place = |variant: &Wanted| self.empty.place(variant, &BTreeSet::new(), 0);
        let Some(spots) = variants.iter().find_map(place) else {
            return Some(Never::NoPlace);
        };
        for spot in &spots {
            self.empty.give(&wanted.ask, spot);
        }
        None
    }

    fn start(&self, number: u64) -> Option<Start> {
        let entry = self.gangs.get(&number)?;
        let (Stage::Promised { spots, .. } | Stage::Running { spots, .. }) = &entry.stage else {
            return None;
        };
        Some(Start {
            job: entry.gang.job.clone(),
            spots: spots.clone(),
        })
    }
}

/// When it has to start at the latest to keep its deadline; none where it has none, or nobody knows how long it runs.
fn latest_start(gang: &Gang) -> Option<i64> {
    let run_ms = i64::try_from(gang.left_ms()?).unwrap_or(i64::MAX);
    Some(gang.deadline?.as_millis().saturating_sub(run_ms))
}

fn work(gang: &Gang, now_ms: i64, late_ms: Option<i64>) -> Work {
    let is_late = late_ms.is_some_and(|at| at < now_ms);
    let positive = |ms: i64| u64::try_from(ms).unwrap_or(0);
    // Who says nothing of how long it runs is taken to run longest.
    let total = gang.run_ms.unwrap_or(u64::MAX);
    Work {
        submitted: positive(gang.submitted.as_millis()),
        total,
        remaining: total.saturating_sub(gang.served_ms),
        served: gang.served_ms,
        accelerators: accelerators(&gang.wanted),
        deadline: gang
            .deadline
            .filter(|_| !is_late)
            .map(|at| positive(at.as_millis())),
    }
}

/// Whole accelerators of all workers; 1 for gangs without, so that their time counts too.
fn accelerators(wanted: &Wanted) -> u32 {
    let milli = wanted.ask.share.milli().saturating_mul(wanted.least.into());
    u32::try_from(milli / 1_000).unwrap_or(u32::MAX).max(1)
}

fn demand(ask: &Ask, workers: i64, model: Option<u16>) -> Demand {
    Demand {
        cpu_milli: ask.cpu_milli.saturating_mul(workers),
        memory: ask.memory.saturating_mul(workers),
        accelerator_milli: ask.share.milli().saturating_mul(workers),
        model,
    }
}

fn totals<'a>(nodes: impl Iterator<Item = &'a Node>) -> (i64, i64, i64) {
    nodes.fold((0, 0, 0), |(cpu, memory, accelerators), node| {
        let (more_cpu, more_memory, more_accelerators) = node.amounts();
        (
            cpu + more_cpu,
            memory + more_memory,
            accelerators + more_accelerators,
        )
    })
}

/// What there is too little of: of CPUs, memory, accelerators.
fn shortages(demand: &Demand, (cpu, memory, accelerators): (i64, i64, i64)) -> Vec<Shortage> {
    let short = |resource, needed: i64, available: i64, unit: i64| {
        let told = |amount: i64| u64::try_from(amount / unit).unwrap_or(0);
        (needed > available).then(|| Shortage {
            resource,
            needed: told(needed.saturating_add(unit - 1)),
            available: told(available),
        })
    };
    let all = [
        short(Resource::CpuMilli, demand.cpu_milli, cpu, 1),
        short(Resource::MemoryBytes, demand.memory, memory, 1),
        short(
            Resource::Accelerators,
            demand.accelerator_milli,
            accelerators,
            1_000,
        ),
    ];
    all.into_iter().flatten().collect()
}
