//! What would become of jobs if they were submitted now. Nothing is.

use std::collections::BTreeMap;

use corliss_policy_scheduling::Event;
use corliss_types::{JobId, Resources};
use serde::Serialize;

use super::queue::Outlook;
use super::queues::Affected;
use super::{Jobs, blocking};
use crate::{JobsError, Terms, store, text};

/// Jobs of which it is told when they would start: each is many decisions.
const FORECASTS_MAX: usize = 32;

/// A job that somebody may submit.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What it is called.
    pub name: String,
    /// Processes that start together or not at all.
    pub workers: u32,
    /// What each of them holds.
    pub resources: Resources,
    /// Longest run in milliseconds.
    pub timeout_ms: Option<u64>,
    /// How it would stand in the queue.
    pub terms: Terms,
}

/// What would become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Foreseen {
    /// Whether it would start at once.
    pub starts_now: bool,
    /// One sentence.
    pub summary: String,
    /// Jobs that would be stopped for it.
    pub stops: Vec<Affected>,
    /// Place in its queue, if it would wait; the first is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// When it would start if everybody runs as long as was said, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_ms: Option<i64>,
}

impl Jobs {
    /// What would become of these jobs if they were submitted now, all of them; in their order.
    ///
    /// # Errors
    /// The store failed.
    pub async fn foresee(&self, wishes: Vec<Wish>) -> Result<Vec<Foreseen>, JobsError> {
        let settings = self.store.read(store::declared).await?.queues;
        let mut outlook = self.outlook().await?;
        let now = self.sources.clock.now();
        let mut ids = Vec::with_capacity(wishes.len());
        for wish in &wishes {
            let id = JobId::new(self.sources.id_seed());
            let mut terms = wish.terms.clone();
            let by_queue = settings.is_preemptible(&terms.queue);
            terms.is_preemptible.get_or_insert(by_queue);
            let gang = outlook.floor.gang(&store::Asked {
                job: id.clone(),
                created: now,
                workers: wish.workers,
                each: wish.resources,
                run_ms: terms.run_ms(wish.timeout_ms),
                terms,
            });
            outlook.scheduler.on_event(Event::Submitted(gang), now);
            outlook.names.insert(id.clone(), format!("'{}'", wish.name));
            ids.push(id);
        }
        let (waits, mut scheduler) = (ids.clone(), outlook.scheduler.clone());
        let (plan, starts, scheduler) = blocking(move || {
            let plan = scheduler.decide(now);
            let starts: BTreeMap<JobId, i64> = waits
                .into_iter()
                .take(FORECASTS_MAX)
                .filter_map(|id| Some((id.clone(), scheduler.forecast(&id)?.at.as_millis())))
                .collect();
            Ok((plan, starts, scheduler))
        })
        .await?;
        outlook.scheduler = scheduler;
        outlook.refusals.extend(plan.refusals.iter().cloned());
        let mut foreseen = Vec::with_capacity(wishes.len());
        for (id, wish) in ids.iter().zip(&wishes) {
            let victims = plan.preemptions.iter().filter(|stopped| stopped.for_job == *id);
            let victims = victims.map(|stopped| (stopped.job.clone(), None)).collect();
            let starts_now = plan.starts.iter().any(|start| start.job == *id);
            foreseen.push(Foreseen {
                starts_now,
                summary: summary(&outlook, id, wish, starts_now),
                stops: self.affected(victims).await?,
                position: outlook.scheduler.ahead(id).map(|_| outlook.position(id)),
                starts_ms: starts.get(id).copied(),
            });
        }
        Ok(foreseen)
    }
}

fn summary(outlook: &Outlook, id: &JobId, wish: &Wish, starts_now: bool) -> String {
    if starts_now {
        return "It starts at once.".to_owned();
    }
    text::sentence(&outlook.reason(id, &wish.terms))
}
