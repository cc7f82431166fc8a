//! The scheduler that decides live, kept up to date by the changes of jobs that are noted in the store.
//!
//! It is only ever ahead of the store by one plan, which is applied under every job's generation. Where that fails, because
//! a job has changed in between, the scheduler is thrown away and made anew from the store: what it knows is all there.

use std::collections::BTreeMap;

use corliss_executor::inventory::Inventory;
use corliss_metastore::Tx;
use corliss_policy_scheduling::{Event, Plan, Scheduler, View, invariants};
use corliss_types::{DurationMs, JobId, Timestamp};

use crate::nodes::Floor;
use crate::store::{self, Declared, Load, Open};
use crate::{JobState, view};

/// Changes that are taken note of in one round.
pub(crate) const CHANGES_MAX: u32 = 10_000;
/// Half-lives after which what was held counts for nothing.
const HALF_LIVES: u64 = 10;
/// Ended jobs that still count for shares.
const PAST_MAX: u32 = 100_000;
/// With more jobs than that, a debug build does not check every plan.
const CHECKED_MAX: usize = 2_000;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub scheduler: Scheduler,
    /// The nodes that it decides on.
    pub floor: Floor,
    known: BTreeMap<JobId, Known>,
    /// Of the queues and nodes that it decides by.
    declared_generation: i64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    generation: i64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waits,
    Holds,
    Ends,
}

/// What was read of the store for one round.
pub(crate) struct News {
    declared: Declared,
    /// Every job, where the scheduler has to be made anew; then also those that ended and still count.
    all: Option<(Vec<Open>, Vec<Open>)>,
    changed: Vec<Open>,
    /// Every job, in a debug build that checks each plan.
    audit: Option<Vec<Open>>,
}

impl News {
    /// What has changed since `live` was told last, or everything if there is none or queues or nodes have changed.
    pub fn read(tx: &mut dyn Tx, live: Option<i64>, now: Timestamp) -> Load<Self> {
        let declared = store::declared(tx)?;
        let all = match live {
            Some(generation) if generation == declared.generation => None,
            _ => Some((store::open(tx)?, past(tx, &declared, now)?)),
        };
        let audit = cfg!(debug_assertions).then(|| store::open(tx)).transpose()?;
        Ok(Self {
            changed: store::changed(tx, CHANGES_MAX)?,
            declared,
            all,
            audit: audit.filter(|jobs| jobs.len() <= CHECKED_MAX),
        })
    }

    /// The changes that the queue has taken note of now.
    pub fn seen(&self) -> Vec<(JobId, i64)> {
        let changed = self.changed.iter();
        changed
            .map(|job| (job.asked.job.clone(), job.generation))
            .collect()
    }

    /// Whether there may be more.
    pub fn is_cut(&self) -> bool {
        self.changed.len() >= CHANGES_MAX as usize
    }

    fn view(&self, floor: &Floor, jobs: &[Open], now: Timestamp) -> View {
        let mut view = view::empty(floor, &self.declared.queues, now);
        for job in jobs {
            view::add(&mut view, floor, job);
        }
        view
    }
}

fn past(tx: &mut dyn Tx, declared: &Declared, now: Timestamp) -> Load<Vec<Open>> {
    match declared.queues.half_life_s {
        Some(seconds) => {
            let counts = DurationMs(seconds.saturating_mul(1_000).saturating_mul(HALF_LIVES));
            store::past(tx, now - counts, PAST_MAX)
        }
        None => Ok(Vec::new()),
    }
}

impl Live {
    /// Of the queues and nodes that it decides by.
    pub const fn declared_generation(&self) -> i64 {
        self.declared_generation
    }

    /// The scheduler with the news told to it; none if they do not go together with what it knows.
    pub fn told(live: Option<Self>, news: &News, inventory: &Inventory, now: Timestamp) -> Option<Self> {
        let mut live = match (&news.all, live) {
            (Some((jobs, past)), _) => Self::of(news, jobs, past, inventory, now),
            (None, Some(live)) => live,
            (None, None) => return None,
        };
        news.changed
            .iter()
            .all(|job| live.follow(job, now))
            .then_some(live)
    }

    fn of(news: &News, jobs: &[Open], past: &[Open], inventory: &Inventory, now: Timestamp) -> Self {
        let floor = Floor::of(inventory, &news.declared.nodes);
        let mut view = news.view(&floor, jobs, now);
        for job in past {
            view::add_past(&mut view, &floor, job);
        }
        let known = jobs.iter().map(|job| {
            let (generation, stage) = (job.generation, stage(job));
            (job.asked.job.clone(), Known { generation, stage })
        });
        Self {
            scheduler: Scheduler::of(&view),
            floor,
            known: known.collect(),
            declared_generation: news.declared.generation,
        }
    }

    /// Takes note of a job as it is now; whether that follows from how it was.
    fn follow(&mut self, job: &Open, now: Timestamp) -> bool {
        let id = &job.asked.job;
        if job.state.is_final() {
            if self.known.remove(id).is_some() {
                self.scheduler.on_event(Event::Ended(id.clone()), now);
            }
            return true;
        }
        let (generation, stage) = (job.generation, stage(job));
        let known = self.known.insert(id.clone(), Known { generation, stage });
        match (known.map(|known| known.stage), stage) {
            (None, Stage::Waits) => {
                let gang = self.floor.gang(&job.asked);
                self.scheduler.on_event(Event::Submitted(gang), now);
                true
            }
            (Some(before), after) if before == after => true,
            (Some(Stage::Holds), Stage::Ends) => {
                self.scheduler.on_event(Event::Ending(id.clone()), now);
                true
            }
            _ => false,
        }
    }

    /// What is to be done now. A debug build holds it to what every plan must satisfy.
    pub fn decide(&mut self, news: &News, now: Timestamp) -> Plan {
        let plan = self.scheduler.decide(now);
        if let Some(jobs) = news.audit.as_ref().filter(|_| !news.is_cut()) {
            let view = news.view(&self.floor, jobs, now);
            debug_assert_eq!(invariants::check(&view, &plan), None);
        }
        plan
    }

    /// The generation under which a job is to be changed.
    pub fn generation(&self, job: &JobId) -> i64 {
        self.known.get(job).map_or(0, |known| known.generation)
    }

    /// Takes note that the plan was carried out, which changed each of its jobs once.
    pub fn carried_out(&mut self, plan: &Plan) {
        for start in &plan.starts {
            self.next(&start.job, Stage::Holds);
        }
        for promise in &plan.promises {
            self.next(&promise.job, Stage::Waits);
        }
        for stopped in &plan.preemptions {
            self.next(&stopped.job, Stage::Ends);
        }
        for refusal in &plan.refusals {
            self.known.remove(&refusal.job);
        }
    }

    fn next(&mut self, job: &JobId, stage: Stage) {
        if let Some(known) = self.known.get_mut(job) {
            known.generation += 1;
            known.stage = stage;
        }
    }
}

const fn stage(job: &Open) -> Stage {
    match job.state {
        JobState::Queued => Stage::Waits,
        _ if job.is_ending => Stage::Ends,
        _ => Stage::Holds,
    }
}
