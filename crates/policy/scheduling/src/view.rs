//! What a decision is made from: nodes, queues, what runs, what was promised, what waits.

use corliss_types::{JobId, Timestamp};

use crate::Plan;
use crate::cluster::{Seat, Wanted};
use crate::nodes::Spot;
use crate::place::{Mix, Placement};
use crate::queues::Queue;

/// Everything the decision may look at.
#[derive(Debug, Clone)]
pub struct View {
    /// The time.
    pub now: Timestamp,
    /// How to decide.
    pub rules: Rules,
    /// Nodes; places are told by their index here.
    pub nodes: Vec<Seat>,
    /// Queues, in any order.
    pub queues: Vec<Queue>,
    /// What was held and is not any more, as far as it still counts for shares.
    pub past: Vec<Past>,
    /// Gangs that hold resources, whether starting, running or stopping.
    pub running: Vec<Running>,
    /// Gangs that start as soon as those have ended whose places they take.
    pub promised: Vec<Promised>,
    /// Gangs that wait, in any order.
    pub queued: Vec<Gang>,
}

/// How to decide.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Where workers go.
    pub placement: Placement,
    /// What is usually asked for; [`Placement::Fgd`] keeps room for it.
    pub usual: Mix,
    /// After how many milliseconds what was had counts half for shares; none: only what is held counts.
    pub half_life_ms: Option<u64>,
    /// A gang that has run for less is not stopped for another.
    pub least_run_ms: u64,
    /// One that does not fit is overtaken for so long at most.
    pub patience_ms: u64,
    /// Gangs of queues that have had more than their share that may be stopped for others.
    pub favoured: Rate,
    /// What [`Placement::Random`] draws from.
    pub seed: u64,
}

/// So many in any so many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub most: u32,
    /// In how long.
    pub per_ms: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            placement: Placement::BestFit,
            usual: Mix::default(),
            half_life_ms: None,
            least_run_ms: 0,
            patience_ms: 3_600_000,
            favoured: Rate {
                most: 10,
                per_ms: 60_000,
            },
            seed: 0,
        }
    }
}

/// A gang: workers that run together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gang {
    /// Its job.
    pub job: JobId,
    /// The queue that it is in, by name.
    pub queue: String,
    /// Whose it is.
    pub user: String,
    /// When it came; kept when it is put back into the queue.
    pub submitted: Timestamp,
    /// Before when it is not started.
    pub not_before: Option<Timestamp>,
    /// Higher goes first, within a queue.
    pub priority: i32,
    /// Whether it may be stopped for another.
    pub is_preemptible: bool,
    /// What it asks for.
    pub wanted: Wanted,
    /// How long it runs in all, in milliseconds, as far as that is known.
    pub run_ms: Option<u64>,
    /// How long it has run before, in milliseconds.
    pub served_ms: u64,
    /// When it has to be done.
    pub deadline: Option<Timestamp>,
}

impl Gang {
    /// How long it still runs, in milliseconds, as far as that is known.
    #[must_use]
    pub fn left_ms(&self) -> Option<u64> {
        Some(self.run_ms?.saturating_sub(self.served_ms))
    }
}

/// A gang that holds resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// What it is.
    pub gang: Gang,
    /// Where its workers are, by rank.
    pub spots: Vec<Spot>,
    /// Since when.
    pub since: Timestamp,
    /// Whether it is being ended already.
    pub is_ending: bool,
}

/// A gang that starts as soon as those have ended whose places it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promised {
    /// What it is.
    pub gang: Gang,
    /// Where its workers will be, by rank.
    pub spots: Vec<Spot>,
}

/// Something that was held by a gang which has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// What it was.
    pub gang: Gang,
    /// Its workers, by rank.
    pub spots: Vec<Spot>,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl View {
    /// The view after a plan was carried out: what starts runs, what was promised something is, what is stopped is ending.
    pub fn follow(&mut self, plan: &Plan) {
        for start in &plan.starts {
            if let Some(gang) = self.withdraw(&start.job) {
                self.running.push(Running {
                    gang,
                    spots: start.spots.clone(),
                    since: self.now,
                    is_ending: false,
                });
            }
        }
        for promise in &plan.promises {
            if let Some(gang) = self.withdraw(&promise.job) {
                let spots = promise.spots.clone();
                self.promised.push(Promised { gang, spots });
            }
        }
        for refusal in &plan.refusals {
            self.withdraw(&refusal.job);
        }
        for stopped in &plan.preemptions {
            if let Some(victim) = self.running.iter_mut().find(|one| one.gang.job == stopped.job) {
                victim.is_ending = true;
            }
        }
    }

    /// The view after a node has closed: what was promised there is promised no more.
    pub fn close(&mut self, node: u32) {
        if let Some(seat) = self.nodes.get_mut(node as usize) {
            seat.is_open = false;
        }
        let is_there = |one: &mut Promised| one.spots.iter().any(|spot| spot.node == node);
        let withdrawn = self.promised.extract_if(.., is_there);
        self.queued.extend(withdrawn.map(|one| one.gang));
    }

    /// The view after a node has opened.
    pub fn open(&mut self, node: u32) {
        if let Some(seat) = self.nodes.get_mut(node as usize) {
            seat.is_open = true;
        }
    }

    fn withdraw(&mut self, job: &JobId) -> Option<Gang> {
        if let Some(place) = self.queued.iter().position(|gang| gang.job == *job) {
            return Some(self.queued.remove(place));
        }
        let place = self.promised.iter().position(|one| one.gang.job == *job)?;
        Some(self.promised.remove(place).gang)
    }
}
