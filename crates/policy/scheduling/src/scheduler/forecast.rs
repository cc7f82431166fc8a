//! When a gang that waits will start: the same decisions, made ahead of time.

use std::collections::BTreeSet;

use corliss_types::{JobId, Timestamp};

use super::{Entry, Event, Scheduler, Stage};

/// Decisions that are made ahead for one answer; what lies behind so many ends is too far off to be told.
const DECISIONS_MAX: usize = 1_000;

/// When a gang starts if everybody runs as long as was said, and nobody else comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// When.
    pub at: Timestamp,
    /// The gang that ends then, if one does.
    pub after: Option<JobId>,
}

impl Scheduler {
    /// When this gang will start; none if that depends on gangs of which nobody knows how long they run, or is too far off
    /// to be told. One that has run for longer than it was said to is not known to end.
    #[must_use]
    pub fn forecast(&self, job: &JobId) -> Option<Forecast> {
        self.wait(job)?;
        let mut ahead = self.clone();
        let mut ends: BTreeSet<(i64, JobId)> = ahead
            .gangs
            .values()
            .filter_map(|entry| ahead.end_of(entry))
            .collect();
        for _ in 0..DECISIONS_MAX {
            let next = ends.first().map(|(at, _)| *at);
            let at_ms = next.into_iter().chain(ahead.next_wake()).min()?;
            let at = Timestamp::from_millis(at_ms);
            let mut after = None;
            while let Some((_, ended)) = ends.first().filter(|(ends, _)| *ends <= at_ms).cloned() {
                ends.pop_first();
                ahead.on_event(Event::Ended(ended.clone()), at);
                after = Some(ended);
            }
            let plan = ahead.decide(at);
            if plan.starts.iter().any(|start| start.job == *job) {
                return Some(Forecast { at, after });
            }
            for stopped in &plan.preemptions {
                ends.retain(|(_, job)| *job != stopped.job);
                ends.insert((at_ms, stopped.job.clone()));
            }
            let started = plan.starts.iter().filter_map(|start| ahead.entry(&start.job));
            ends.extend(started.filter_map(|entry| ahead.end_of(entry)));
            ahead.entry(job)?;
        }
        None
    }

    fn entry(&self, job: &JobId) -> Option<&Entry> {
        self.gangs.get(self.by_job.get(job)?)
    }

    /// When a gang that runs ends, as far as that is known. One that is being ended is taken to be gone at once.
    fn end_of(&self, entry: &Entry) -> Option<(i64, JobId)> {
        let Stage::Running {
            since_ms, is_ending, ..
        } = entry.stage
        else {
            return None;
        };
        let job = entry.gang.job.clone();
        if is_ending {
            return Some((self.now_ms, job));
        }
        let left = i64::try_from(entry.gang.left_ms()?).ok()?;
        let at = since_ms.saturating_add(left);
        (at > self.now_ms).then_some((at, job))
    }

    fn next_wake(&self) -> Option<i64> {
        let timers = self.timers.first().map(|(at, _)| *at);
        let wakes = timers.into_iter().chain(self.again_ms);
        wakes.filter(|at| *at > self.now_ms).min()
    }
}
