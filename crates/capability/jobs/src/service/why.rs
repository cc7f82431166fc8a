//! Why a job is as it is: one sentence, and the numbers behind it.

use corliss_policy_scheduling::{Never, Shortage, Wait};
use corliss_types::JobId;
use serde::Serialize;

use super::queue::Outlook;
use super::{Jobs, blocking};
use crate::{Job, JobState, JobsError, text};

/// Why a job is as it is.
#[derive(Debug, Clone, Serialize)]
pub struct Why {
    /// One sentence.
    pub summary: String,
    /// The parts of it.
    pub reasons: Vec<WhyReason>,
    /// Place in its queue, while it waits; the first is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// When it starts if everybody runs as long as was said and nobody comes who goes before it, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_ms: Option<i64>,
    /// The job whose end it then waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_after: Option<JobId>,
    /// How long it waits or has waited, in milliseconds.
    pub waiting_ms: u64,
}

/// One part of the answer.
#[derive(Debug, Clone, Serialize)]
pub struct WhyReason {
    /// Stable: `not_enough_free`, `behind`, `kept_free`, `over_quota`, `promised`, `not_before`, `larger_than_machine`, `ready`, or the
    /// job's state.
    pub code: String,
    /// In words.
    pub message: String,
    /// What is short, where something is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shortages: Vec<Shortage>,
    /// The job that this one waits behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<JobId>,
    /// How many jobs are before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u32>,
}

impl Jobs {
    /// Why a job waits, runs or has ended as it has.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn why(&self, id: &JobId) -> Result<Why, JobsError> {
        let job = self.load(id).await?;
        let now = self.sources.clock.now();
        let waiting_ms = job.admitted.or(job.ended).unwrap_or(now).since(job.created).0;
        if job.state != JobState::Queued {
            let message = standing(&job);
            let code = job.state.as_str().to_owned();
            let reason = WhyReason {
                code,
                message: message.clone(),
                shortages: vec![],
                behind: None,
                ahead: None,
            };
            return Ok(Why {
                summary: message,
                reasons: vec![reason],
                position: None,
                starts_ms: None,
                starts_after: None,
                waiting_ms,
            });
        }
        let outlook = self.outlook().await?;
        let reason = waiting(&outlook, &job);
        let (scheduler, waits) = (outlook.scheduler.clone(), id.clone());
        let forecast = blocking(move || Ok(scheduler.forecast(&waits))).await?;
        let after = forecast.as_ref().and_then(|told| told.after.as_ref());
        let message = match after {
            Some(after) => format!("{}; it starts when {} ends", reason.message, outlook.named(after)),
            None => reason.message.clone(),
        };
        Ok(Why {
            summary: text::sentence(&message),
            reasons: vec![reason],
            position: outlook.scheduler.ahead(id).map(|_| outlook.position(id)),
            starts_ms: forecast.as_ref().map(|told| told.at.as_millis()),
            starts_after: after.cloned(),
            waiting_ms,
        })
    }
}

fn waiting(outlook: &Outlook, job: &Job) -> WhyReason {
    let message = outlook.reason(&job.id, &job.spec.terms);
    let mut reason = WhyReason {
        code: "ready".to_owned(),
        message,
        shortages: vec![],
        behind: None,
        ahead: None,
    };
    if let Some(refusal) = outlook.refusals.iter().find(|refusal| refusal.job == job.id) {
        reason.code = "larger_than_machine".to_owned();
        if let Never::TooLarge { shortages } = &refusal.reason {
            reason.shortages.clone_from(shortages);
        }
    }
    match outlook.scheduler.wait(&job.id) {
        Some(Wait::NotEnoughFree { shortages, .. }) => {
            reason.code = "not_enough_free".to_owned();
            reason.shortages = shortages;
        }
        Some(Wait::Behind { job: first }) => {
            reason.code = "behind".to_owned();
            reason.shortages = outlook.shortages(&first);
            reason.behind = Some(first);
            let ahead = outlook.scheduler.ahead(&job.id);
            reason.ahead = ahead.and_then(|ahead| u32::try_from(ahead).ok());
        }
        Some(Wait::KeptFree { job: other, .. }) => {
            reason.code = "kept_free".to_owned();
            reason.behind = Some(other);
        }
        Some(Wait::OverQuota { .. }) => reason.code = "over_quota".to_owned(),
        Some(Wait::Promised { victims }) => {
            reason.code = "promised".to_owned();
            reason.behind = victims.first().cloned();
        }
        Some(Wait::NotBefore { .. }) => reason.code = "not_before".to_owned(),
        Some(Wait::Undecided) | None => {}
    }
    reason
}

fn standing(job: &Job) -> String {
    let sentence = match (job.state, &job.reason) {
        (JobState::Starting, None) => "it was admitted and its tasks are being started".to_owned(),
        (JobState::Running, None) => {
            let holds = text::amounts(&job.spec.resources.times(job.spec.workers.max(1)));
            format!("it runs and holds {holds}")
        }
        (JobState::Stopping, None) => "its tasks are being ended".to_owned(),
        (JobState::Succeeded, _) => "it succeeded".to_owned(),
        (_, Some(reason)) => reason.clone(),
        (state, None) => format!("it is {}", state.as_str()),
    };
    text::sentence(&sentence)
}
