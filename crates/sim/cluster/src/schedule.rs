//! Jobs under the queue's own scheduler: they come, wait, run, are stopped for others or fall with a node, lose what they have
//! not saved, and end.
//!
//! The clock jumps from one event to the next. At each the scheduler is told what has happened and decides; what it decides is
//! carried out at once.

use std::collections::{BTreeMap, BTreeSet};

use corliss_policy_scheduling::{Event, Gang, Plan, Scheduler, View, invariants};
use corliss_sim_trace::SimError;
use corliss_types::{JobId, Timestamp};
use serde::Serialize;

use crate::outages::{Course, Outages, Turn};
use crate::spread::{Spread, ascending, spread};

/// Most decisions of a simulation, for each job; as often may each fall with a node, on the mean.
const DECISIONS_PER_JOB: u64 = 1_000;
/// And so many more where nodes fail, which they do whether there are jobs or not.
const DECISIONS_OF_OUTAGES: u64 = 1_000_000;

/// A job that comes.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// What it asks for, and what the scheduler is told of it.
    pub gang: Gang,
    /// How long it really runs on the fewest workers that it can do with, in milliseconds.
    pub runs_ms: u64,
}

/// When jobs save what they have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saves {
    /// When they are stopped: they lose nothing then, and with a node all since they last started.
    WhenStopped,
    /// After so many milliseconds of their work each, and then only.
    Every(u64),
    /// Never.
    Never,
}

/// How jobs are played.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Nodes, queues and rules; what runs and what waits in it is passed over.
    pub view: View,
    /// How long it takes to end a gang that is stopped, in milliseconds.
    pub grace_ms: u64,
    /// When jobs save what they have done.
    pub saves: Saves,
    /// Which nodes fail.
    pub outages: Outages,
    /// Whether every decision is held against the invariants, which costs more than deciding.
    pub check: bool,
}

/// What came of it. Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scheduled {
    /// Jobs that ended.
    pub jobs: u64,
    /// Jobs that could never have run.
    pub refused: u64,
    /// From arrival to end.
    pub jct_s: Spread,
    /// The same of each job, in milliseconds, ascending.
    #[serde(skip)]
    pub jct_ms: Vec<u64>,
    /// From arrival to the first place.
    pub waiting_s: Spread,
    /// From the first arrival to the last end.
    pub makespan_s: f64,
    /// Of the accelerators' time until then that was held, in percent; of the CPUs' where there are no accelerators.
    pub utilisation_percent: f64,
    /// How often a job was stopped for another.
    pub preemptions: u64,
    /// Jobs with a deadline that ended before it, of those with one, in percent; none where none has one.
    pub deadlines_met_percent: Option<f64>,
    /// Hours of accelerators that jobs held.
    pub gpu_hours: f64,
    /// Hours of them whose work was lost because a job was stopped, or fell with a node.
    pub gpu_hours_lost: f64,
    /// How often a node failed, as long as there were jobs to do.
    pub failures: u64,
    /// How often a gang fell with a node.
    pub gangs_lost: u64,
    /// How often it was decided.
    pub decisions: u64,
}

struct State {
    done_ms: u64,
    first_ms: Option<i64>,
    ended_ms: Option<i64>,
    is_refused: bool,
}

struct Player<'a> {
    arrivals: &'a [Arrival],
    setup: &'a Schedule,
    /// What the invariants are held against; kept only if they are.
    view: View,
    scheduler: Scheduler,
    by_job: BTreeMap<&'a JobId, usize>,
    states: Vec<State>,
    /// When those end that run, and since when with how many workers they do.
    ends: BTreeSet<(i64, usize)>,
    running: BTreeMap<usize, Held>,
    course: Course,
    now_ms: i64,
    next: usize,
    /// Jobs that have neither ended nor were refused.
    left: usize,
    preemptions: u64,
    failures: u64,
    gangs_lost: u64,
    decisions: u64,
    /// Thousandths of accelerators (of CPUs, where there are none) × milliseconds.
    held: u128,
    lost: u128,
    accelerators_held: u128,
}

#[derive(Debug, Clone)]
struct Held {
    since_ms: i64,
    ends_ms: i64,
    /// The node of each worker.
    nodes: Vec<u32>,
    is_stopped: bool,
}

/// What a gang did between a start and an end.
struct Ran {
    /// In milliseconds on the fewest workers that it can do with.
    worked_ms: u64,
    /// Thousandths of accelerators × milliseconds.
    accelerators: u128,
}

/// Plays the jobs, which are in order of arrival.
///
/// # Errors
/// If there is nothing to play, a decision breaks a rule, or no end is in sight.
pub fn schedule(arrivals: &[Arrival], setup: &Schedule) -> Result<Scheduled, SimError> {
    let Some(first) = arrivals.first() else {
        return Err(SimError::setup(
            "trace",
            "there are no jobs",
            "name another trace",
        ));
    };
    let mut view = setup.view.clone();
    view.now = first.gang.submitted;
    (view.running, view.promised, view.queued) = (Vec::new(), Vec::new(), Vec::new());
    let mut player = Player {
        scheduler: Scheduler::of(&view),
        view,
        by_job: arrivals
            .iter()
            .zip(0..)
            .map(|(arrival, index)| (&arrival.gang.job, index))
            .collect(),
        states: arrivals
            .iter()
            .map(|_| State {
                done_ms: 0,
                first_ms: None,
                ended_ms: None,
                is_refused: false,
            })
            .collect(),
        ends: BTreeSet::new(),
        running: BTreeMap::new(),
        course: Course::of(
            &setup.outages,
            u32::try_from(setup.view.nodes.len()).unwrap_or(u32::MAX),
            first.gang.submitted.as_millis(),
        ),
        now_ms: first.gang.submitted.as_millis(),
        next: 0,
        left: arrivals.len(),
        preemptions: 0,
        failures: 0,
        gangs_lost: 0,
        decisions: 0,
        held: 0,
        lost: 0,
        accelerators_held: 0,
        arrivals,
        setup,
    };
    player.play()?;
    Ok(player.report())
}

impl Player<'_> {
    fn play(&mut self) -> Result<(), SimError> {
        let of_outages = self.course.next_ms().map_or(0, |_| DECISIONS_OF_OUTAGES);
        let of_jobs = DECISIONS_PER_JOB.saturating_mul(self.arrivals.len() as u64);
        let most = of_jobs.saturating_add(of_outages);
        let mut wake_at: Option<i64> = None;
        loop {
            let arrival = self
                .arrivals
                .get(self.next)
                .map(|arrival| arrival.gang.submitted.as_millis());
            let end = self.ends.first().map(|(at, _)| *at);
            let outage = self.course.next_ms().filter(|_| self.left > 0);
            let next = arrival.into_iter().chain(end).chain(wake_at).chain(outage);
            let Some(at) = next.min() else {
                return Ok(());
            };
            self.now_ms = self.now_ms.max(at);
            while self.ends.first().is_some_and(|(at, _)| *at <= self.now_ms) {
                if let Some((_, index)) = self.ends.pop_first() {
                    self.end(index);
                }
            }
            while let Some((turn, node)) = self.course.until(self.now_ms).filter(|_| self.left > 0) {
                match turn {
                    Turn::Down => self.fail(node),
                    Turn::Up => self.tell(Event::Opened(node)),
                }
            }
            while let Some(arrival) = self
                .arrivals
                .get(self.next)
                .filter(|one| one.gang.submitted.as_millis() <= self.now_ms)
            {
                self.tell(Event::Submitted(arrival.gang.clone()));
                self.next += 1;
            }
            self.decisions += 1;
            if self.decisions > most || self.gangs_lost > of_jobs {
                let problem = format!("{} decisions were made and jobs are still left", self.decisions);
                let hint = match of_outages {
                    0 => "let gangs run longer before they are stopped",
                    _ => "let nodes fail less often, be repaired sooner, or jobs save more often",
                };
                return Err(SimError::setup("policy", problem, hint));
            }
            let plan = self.scheduler.decide(Timestamp::from_millis(self.now_ms));
            self.carry_out(&plan)?;
            wake_at = plan
                .wake_at
                .map(Timestamp::as_millis)
                .filter(|at| *at > self.now_ms);
        }
    }

    fn tell(&mut self, event: Event) {
        let now = Timestamp::from_millis(self.now_ms);
        if self.setup.check {
            self.view.now = now;
            match &event {
                Event::Submitted(gang) => self.view.queued.push(gang.clone()),
                Event::Ended(job) => self.view.running.retain(|one| one.gang.job != *job),
                Event::PutBack(gang) => {
                    self.view.running.retain(|one| one.gang.job != gang.job);
                    self.view.queued.push(gang.clone());
                }
                Event::Ending(_) => {}
                Event::Closed(node) => self.view.close(*node),
                Event::Opened(node) => self.view.open(*node),
            }
        }
        self.scheduler.on_event(event, now);
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<(), SimError> {
        if self.setup.check {
            self.view.now = Timestamp::from_millis(self.now_ms);
            if let Some(broken) = invariants::check(&self.view, plan) {
                return Err(SimError::setup(
                    "policy",
                    broken,
                    "this is a mistake in Corliss: report it with the trace",
                ));
            }
            self.view.follow(plan);
        }
        for refusal in &plan.refusals {
            if let Some(index) = self.by_job.get(&refusal.job) {
                self.states[*index].is_refused = true;
                self.left -= 1;
            }
        }
        for start in &plan.starts {
            if let Some(index) = self.by_job.get(&start.job).copied() {
                self.begin(index, start.spots.iter().map(|spot| spot.node).collect());
            }
        }
        for stopped in &plan.preemptions {
            self.preemptions += 1;
            let Some(index) = self.by_job.get(&stopped.job).copied() else {
                continue;
            };
            if let Some(held) = self.running.get_mut(&index) {
                let gone = self
                    .now_ms
                    .saturating_add(i64::try_from(self.setup.grace_ms).unwrap_or(i64::MAX));
                // Whoever is done before is done.
                if gone < held.ends_ms {
                    self.ends.remove(&(held.ends_ms, index));
                    (held.ends_ms, held.is_stopped) = (gone, true);
                    self.ends.insert((gone, index));
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, index: usize, nodes: Vec<u32>) {
        let (arrival, state) = (&self.arrivals[index], &mut self.states[index]);
        state.first_ms.get_or_insert(self.now_ms);
        let left = arrival.runs_ms.saturating_sub(state.done_ms);
        // More workers are as much faster; perfect scaling is the best that elastic jobs can do.
        let left = left
            .saturating_mul(arrival.gang.wanted.least.into())
            .div_ceil((nodes.len() as u64).max(1));
        let ends_ms = self
            .now_ms
            .saturating_add(i64::try_from(left).unwrap_or(i64::MAX / 4));
        let held = Held {
            since_ms: self.now_ms,
            ends_ms,
            nodes,
            is_stopped: false,
        };
        self.running.insert(index, held);
        self.ends.insert((ends_ms, index));
    }

    /// A gang has ended, because it is done or was stopped.
    fn end(&mut self, index: usize) {
        let Some(held) = self.running.remove(&index) else {
            return;
        };
        let ran = self.let_go(index, &held);
        if held.is_stopped {
            self.put_back(index, ran, false);
        } else {
            self.states[index].ended_ms = Some(self.now_ms);
            self.left -= 1;
            self.tell(Event::Ended(self.arrivals[index].gang.job.clone()));
        }
    }

    /// A node fails, and every gang on it falls.
    fn fail(&mut self, node: u32) {
        self.failures += 1;
        self.tell(Event::Closed(node));
        let there = self.running.extract_if(.., |_, held| held.nodes.contains(&node));
        for (index, held) in there.collect::<Vec<_>>() {
            self.ends.remove(&(held.ends_ms, index));
            self.gangs_lost += 1;
            let ran = self.let_go(index, &held);
            self.put_back(index, ran, true);
        }
    }

    /// A gang holds no more what it held; what it did with it.
    fn let_go(&mut self, index: usize, held: &Held) -> Ran {
        let arrival = &self.arrivals[index];
        let ran_ms = u64::try_from(self.now_ms - held.since_ms).unwrap_or(0);
        let ask = &arrival.gang.wanted.ask;
        let workers = held.nodes.len() as u64;
        let of = |each: i64| u128::try_from(each).unwrap_or(0) * u128::from(workers) * u128::from(ran_ms);
        let accelerators = of(ask.share.milli());
        self.accelerators_held += accelerators;
        self.held += if self.has_accelerators() {
            accelerators
        } else {
            of(ask.cpu_milli)
        };
        Ran {
            worked_ms: ran_ms.saturating_mul(workers) / u64::from(arrival.gang.wanted.least.max(1)),
            accelerators,
        }
    }

    /// A gang that is not done waits again, with its age, and goes on from what it has saved.
    fn put_back(&mut self, index: usize, ran: Ran, fell: bool) {
        let state = &mut self.states[index];
        let done = state.done_ms + ran.worked_ms;
        let saved = match self.setup.saves {
            Saves::WhenStopped if !fell => done,
            Saves::Every(every) => done - done % every.max(1),
            Saves::WhenStopped | Saves::Never => 0,
        };
        state.done_ms = saved.max(state.done_ms);
        let lost = done - state.done_ms;
        self.lost += ran.accelerators * u128::from(lost) / u128::from(ran.worked_ms.max(1));
        let mut gang = self.arrivals[index].gang.clone();
        gang.served_ms = state.done_ms;
        self.tell(Event::PutBack(gang));
    }

    fn has_accelerators(&self) -> bool {
        self.scheduler.cluster().models().next().is_some()
    }

    fn report(&self) -> Scheduled {
        let pairs = || self.arrivals.iter().zip(&self.states);
        let came = |arrival: &Arrival| arrival.gang.submitted.as_millis();
        let first = self.arrivals.first().map_or(0, came);
        let last = self
            .states
            .iter()
            .filter_map(|state| state.ended_ms)
            .max()
            .unwrap_or(first);
        let makespan = u128::try_from(last - first).unwrap_or(0);
        let has_accelerators = self.has_accelerators();
        let each = self.setup.view.nodes.iter().map(|seat| {
            let whole = if has_accelerators {
                seat.node.accelerator_milli()
            } else {
                seat.node.cpu_milli
            };
            u128::try_from(whole).unwrap_or(0)
        });
        let since = |at: Option<i64>, arrival: &Arrival| {
            Some(u64::try_from(at? - came(arrival)).unwrap_or(0) * 1_000)
        };
        let due: Vec<bool> = pairs()
            .filter_map(|(arrival, state)| {
                let deadline = arrival.gang.deadline?.as_millis();
                Some(state.ended_ms.is_some_and(|at| at <= deadline))
            })
            .collect();
        let met = due.iter().filter(|met| **met).count();
        Scheduled {
            jobs: self
                .states
                .iter()
                .filter(|state| state.ended_ms.is_some())
                .count() as u64,
            refused: self.states.iter().filter(|state| state.is_refused).count() as u64,
            jct_s: spread(pairs().filter_map(|(arrival, state)| since(state.ended_ms, arrival))),
            jct_ms: ascending(pairs().filter_map(|(arrival, state)| since(state.ended_ms, arrival))),
            waiting_s: spread(pairs().filter_map(|(arrival, state)| since(state.first_ms, arrival))),
            makespan_s: seconds(makespan),
            utilisation_percent: percent(self.held, makespan * each.sum::<u128>()),
            preemptions: self.preemptions,
            deadlines_met_percent: (!due.is_empty()).then(|| percent(met as u128, due.len() as u128)),
            gpu_hours: seconds(self.accelerators_held) / 1_000.0 / 3_600.0,
            gpu_hours_lost: seconds(self.lost) / 1_000.0 / 3_600.0,
            failures: self.failures,
            gangs_lost: self.gangs_lost,
            decisions: self.decisions,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds are told, not counted")]
fn seconds(ms: u128) -> f64 {
    ms as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a share is told, not counted")]
fn percent(part: u128, all: u128) -> f64 {
    if all == 0 {
        0.0
    } else {
        100.0 * part as f64 / all as f64
    }
}
