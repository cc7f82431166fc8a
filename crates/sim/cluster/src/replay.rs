//! Jobs that arrive, run, lose their places and end, under a virtual clock.
//!
//! The clock jumps from one arrival or end to the next. At each the queue's order decides anew who has a place: under an
//! order that preempts, all jobs are asked in their turn and the cluster is dealt out from the start; under one that does
//! not, those that run stay where they are. Jobs that ask for as many accelerators wait in one line: once the first of a
//! line has not fitted, the rest of it cannot, so a round costs what is placed and not what waits.

use std::collections::{BTreeMap, BTreeSet};

use corliss_policy_scheduling::order::{Order, Work};
use corliss_policy_scheduling::place::consolidated;
use corliss_sim_trace::SimError;
use serde::Serialize;

use crate::spread::{Spread, ascending, spread};
use crate::trace::{Cluster, Job};

/// How jobs are replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Who goes first.
    pub order: Order,
    /// On what.
    pub cluster: Cluster,
    /// Whether whoever runs pays for a start at every event, as Muri's simulator has it; else nobody pays.
    pub start_at_every_event: bool,
}

/// What came of it. Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// The order's name.
    pub policy: &'static str,
    /// Jobs that ended.
    pub jobs: u64,
    /// Jobs that the cluster is too small for.
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
    /// Of the accelerators' time until then, in percent.
    pub utilisation_percent: f64,
    /// How often a job lost its place.
    pub preemptions: u64,
    /// Hours of accelerators that jobs held.
    pub gpu_hours: f64,
}

#[derive(Debug, Clone, Copy)]
struct State {
    remaining_us: u64,
    /// When it was given its first place.
    first_us: Option<u64>,
    ended_us: u64,
}

/// Jobs that wait, in lines of those that ask for as many accelerators; in each by turn, then by arrival.
type Lines = BTreeMap<u32, BTreeSet<(u128, usize)>>;

/// Replays the jobs, which are in order of arrival.
///
/// # Errors
/// If there is nothing to replay.
pub fn replay(jobs: &[Job], setup: &Replay) -> Result<Replayed, SimError> {
    let fits = |job: &&Job| job.accelerators <= setup.cluster.accelerators();
    let able: Vec<Job> = jobs.iter().filter(fits).cloned().collect();
    if able.is_empty() {
        let problem = format!("no job fits {} accelerators", setup.cluster.accelerators());
        return Err(SimError::setup("cluster", problem, "name a larger cluster"));
    }
    let mut clock = Clock::new(&able, setup);
    while clock.step() {}
    Ok(clock.report(jobs.len() - able.len()))
}

struct Clock<'a> {
    jobs: &'a [Job],
    setup: &'a Replay,
    states: Vec<State>,
    now_us: u64,
    /// The next that arrives.
    next: usize,
    lines: Lines,
    /// By turn, those that have places.
    running: Vec<usize>,
    idle: Vec<u32>,
    /// Where jobs that keep their places are.
    places: BTreeMap<usize, Vec<(usize, u32)>>,
    preemptions: u64,
    held_us: u128,
}

impl<'a> Clock<'a> {
    fn new(jobs: &'a [Job], setup: &'a Replay) -> Self {
        let states = jobs.iter().map(|job| State {
            remaining_us: job.work_us,
            first_us: None,
            ended_us: 0,
        });
        Self {
            states: states.collect(),
            now_us: jobs.first().map_or(0, |job| job.submitted_us),
            next: 0,
            lines: Lines::new(),
            running: Vec::new(),
            idle: vec![setup.cluster.accelerators_per_node; setup.cluster.nodes as usize],
            places: BTreeMap::new(),
            preemptions: 0,
            held_us: 0,
            jobs,
            setup,
        }
    }

    /// On to the next event; false when nothing is left.
    fn step(&mut self) -> bool {
        let arrival = self.jobs.get(self.next).map(|job| job.submitted_us);
        let ends = self
            .running
            .iter()
            .map(|job| self.now_us + self.states[*job].remaining_us);
        let Some(at) = arrival.into_iter().chain(ends.min()).min() else {
            return false;
        };
        self.run_until(at);
        while self.jobs.get(self.next).is_some_and(|job| job.submitted_us <= at) {
            self.wait(self.next);
            self.next += 1;
        }
        if self.setup.order.preempts() {
            self.deal_anew();
        } else {
            self.deal();
        }
        true
    }

    /// Time passes: who runs comes on, and who is done ends.
    fn run_until(&mut self, at: u64) {
        let passed = at - self.now_us;
        self.now_us = at;
        let running = std::mem::take(&mut self.running);
        for index in running {
            let (job, state) = (&self.jobs[index], &mut self.states[index]);
            self.held_us += u128::from(passed) * u128::from(job.accelerators);
            if state.remaining_us <= passed {
                (state.remaining_us, state.ended_us) = (0, at);
                for (node, count) in self.places.remove(&index).into_iter().flatten() {
                    self.idle[node] += count;
                }
                continue;
            }
            let start_us = if self.setup.start_at_every_event {
                job.start_us
            } else {
                0
            };
            state.remaining_us -= passed.saturating_sub(start_us);
            self.running.push(index);
        }
    }

    fn turn(&self, index: usize) -> u128 {
        let job = &self.jobs[index];
        self.setup.order.turn(&Work {
            submitted: job.submitted_us,
            total: job.work_us,
            remaining: self.states[index].remaining_us,
            served: job.work_us - self.states[index].remaining_us,
            deadline: None,
            accelerators: job.accelerators,
        })
    }

    fn wait(&mut self, index: usize) {
        let entry = (self.turn(index), index);
        self.lines
            .entry(self.jobs[index].accelerators)
            .or_default()
            .insert(entry);
    }

    /// Deals the cluster out from the start: who runs is asked among those who wait.
    fn deal_anew(&mut self) {
        let before: BTreeSet<usize> = self.running.drain(..).collect();
        for index in &before {
            self.wait(*index);
        }
        self.idle.fill(self.setup.cluster.accelerators_per_node);
        self.places.clear();
        self.deal();
        let lost = before.iter().filter(|index| !self.places.contains_key(*index));
        self.preemptions += lost.count() as u64;
    }

    /// Gives places to those who wait, in their turn.
    fn deal(&mut self) {
        let each = self.setup.cluster.accelerators_per_node;
        // Whoever asks for as much or more than what has not fitted is not asked again: it cannot fit either.
        let mut open: BTreeSet<u32> = self.lines.keys().copied().collect();
        loop {
            let first = |size: &u32| self.lines.get(size)?.first().copied();
            let heads = open.iter().filter_map(|size| Some((first(size)?, *size)));
            let Some(((turn, index), size)) = heads.min() else {
                break;
            };
            match consolidated(&mut self.idle, each, size) {
                Some(places) => {
                    if let Some(line) = self.lines.get_mut(&size) {
                        line.remove(&(turn, index));
                        if line.is_empty() {
                            self.lines.remove(&size);
                        }
                    }
                    self.states[index].first_us.get_or_insert(self.now_us);
                    self.places.insert(index, places);
                    self.running.push(index);
                }
                None if self.setup.order.overtakes() => {
                    open.remove(&size);
                }
                None => break,
            }
        }
    }

    fn report(&self, refused: usize) -> Replayed {
        let pairs = || self.jobs.iter().zip(&self.states);
        let first = self.jobs.first().map_or(0, |job| job.submitted_us);
        let last = self
            .states
            .iter()
            .map(|state| state.ended_us)
            .max()
            .unwrap_or(first);
        let makespan_us = last.saturating_sub(first);
        let all_us = u128::from(makespan_us) * u128::from(self.setup.cluster.accelerators());
        Replayed {
            policy: self.setup.order.name(),
            jobs: self.jobs.len() as u64,
            refused: refused as u64,
            jct_s: spread(pairs().map(|(job, state)| state.ended_us - job.submitted_us)),
            jct_ms: ascending(pairs().map(|(job, state)| state.ended_us - job.submitted_us)),
            waiting_s: spread(
                pairs().map(|(job, state)| state.first_us.unwrap_or(state.ended_us) - job.submitted_us),
            ),
            makespan_s: seconds(u128::from(makespan_us)),
            utilisation_percent: 100.0 * ratio(self.held_us, all_us),
            preemptions: self.preemptions,
            gpu_hours: seconds(self.held_us) / 3600.0,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds are told, not counted")]
fn seconds(us: u128) -> f64 {
    us as f64 / 1e6
}

fn ratio(part: u128, all: u128) -> f64 {
    if all == 0 {
        0.0
    } else {
        seconds(part) / seconds(all)
    }
}
