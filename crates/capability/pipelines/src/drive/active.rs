//! A run as its driver holds it: the policy's view, and beside it what the policy need not know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use corliss_policy_pipeline::{Attempt, AttemptState, Cached, RetryBudget, RunView, StepView};
use corliss_types::{JobId, RunId, Timestamp, TrackingRunId, VersionId};

use crate::error::PipelinesError;
use crate::project_file::{self, ProjectFile};
use crate::store::{CacheHit, LoadedRun, Record, StepRow};
use crate::types::ShellEnvironment;
use crate::work::SharedFolders;

/// What never changes in a run, shared with its operations.
pub(super) struct Fixed {
    pub(super) id: RunId,
    pub(super) spec: ProjectFile,
    pub(super) source: VersionId,
    pub(super) shell: BTreeMap<String, String>,
    pub(super) params: BTreeMap<String, String>,
    pub(super) data: BTreeMap<String, VersionId>,
    pub(super) submitted_by: String,
    pub(super) created: Timestamp,
    pub(super) begin: Option<Timestamp>,
    pub(super) shared: SharedFolders,
}

pub(super) struct ActiveRun {
    pub(super) fixed: Arc<Fixed>,
    pub(super) view: RunView,
    pub(super) steps: Vec<ActiveStep>,
    /// Steps by the job of their live attempt.
    pub(super) jobs: BTreeMap<JobId, usize>,
    /// Steps that have ended and are not closed, nor being closed.
    pub(super) unclosed: BTreeSet<usize>,
    /// Being closed.
    pub(super) closing: usize,
    pub(super) releasing: bool,
    pub(super) ended: bool,
    /// Decided but not stored yet, in order.
    pub(super) records: Vec<Record>,
}

pub(super) struct ActiveStep {
    pub(super) tracking_run: TrackingRunId,
    pub(super) outputs: BTreeMap<String, VersionId>,
    pub(super) cache_key: Option<String>,
    pub(super) hit: Option<CacheHit>,
    pub(super) job: Option<JobId>,
    /// When the workers of the live attempt started and ended.
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    /// An operation on it is in progress.
    pub(super) busy: bool,
    pub(super) cancel_sent: bool,
    /// Why the last attempt failed.
    pub(super) reason: Option<String>,
    /// Its newest attempt was recorded, but its job perhaps not submitted: found out before anything else.
    pub(super) unsure: bool,
}

/// The policy's view of a stored run; `needs` come from the file.
pub(crate) fn view_of(loaded: &LoadedRun, spec: &ProjectFile, live_limit: u32, now: Timestamp) -> RunView {
    let steps = loaded.steps.iter().zip(&spec.steps).map(|(row, step)| StepView {
        needs: step.upstream.clone(),
        state: row.state,
        budget: RetryBudget {
            infrastructure: step.retries.infrastructure,
            user: step.retries.user,
        },
        attempt: newest_attempt(row),
        failures: RetryBudget {
            infrastructure: row.infrastructure_failures,
            user: row.user_failures,
        },
        cached: if row.use_cache && step.cache {
            Cached::Unknown
        } else {
            Cached::No
        },
    });
    RunView {
        now,
        cancel_requested: loaded.run.cancel_requested,
        live_limit,
        steps: steps.collect(),
        release: loaded.run.release,
    }
}

fn newest_attempt(row: &StepRow) -> Option<Attempt> {
    let last = row.attempts.last()?;
    let at = last.ended.unwrap_or_default();
    let state = match (last.state.as_str(), last.class) {
        ("succeeded", _) => AttemptState::Published,
        ("failed", Some(class)) => AttemptState::Failed { class, at },
        ("cancelled", _) => AttemptState::Cancelled { at },
        _ => AttemptState::Live,
    };
    Some(Attempt {
        number: last.attempt,
        state,
    })
}

impl ActiveRun {
    pub(super) fn new(
        loaded: LoadedRun,
        shared: SharedFolders,
        live_limit: u32,
        now: Timestamp,
    ) -> Result<Self, PipelinesError> {
        let spec = project_file::parse(&loaded.run.project_file, None)
            .map_err(|problems| PipelinesError::ProjectFile { problems })?;
        let view = view_of(&loaded, &spec, live_limit, now);
        let steps: Vec<ActiveStep> = loaded.steps.iter().map(ActiveStep::new).collect();
        let live = |index: usize| view.steps.get(index).is_some_and(|step| step.state.is_live());
        let jobs = steps.iter().enumerate().filter(|(index, _)| live(*index));
        let jobs = jobs
            .filter_map(|(index, step)| Some((step.job.clone()?, index)))
            .collect();
        let unclosed = loaded.steps.iter().enumerate();
        let unclosed = unclosed
            .filter(|(_, row)| row.state.is_ended() && !row.closed)
            .map(|(index, _)| index);
        Ok(Self {
            unclosed: unclosed.collect(),
            fixed: Arc::new(Fixed {
                id: loaded.run.id,
                source: loaded.run.source,
                shell: json::<ShellEnvironment>("environment", &loaded.run.environment)?.variables(),
                params: json("params", &loaded.run.params)?,
                data: loaded.data,
                submitted_by: loaded.run.submitted_by,
                created: loaded.run.created,
                begin: loaded.run.begin,
                shared,
                spec,
            }),
            view,
            steps,
            jobs,
            closing: 0,
            releasing: false,
            ended: false,
            records: Vec::new(),
        })
    }

    pub(super) fn attempt(&self, step: usize) -> Option<Attempt> {
        self.view.steps.get(step)?.attempt
    }

    /// The versions that a step reads, once all are known.
    pub(super) fn inputs(&self, step: usize) -> Option<BTreeMap<String, VersionId>> {
        let inputs = self.fixed.spec.steps.get(step)?.inputs.iter().map(|input| {
            let version = match input.producer {
                None => self.fixed.data.get(&input.name),
                Some(producer) => self.steps.get(producer)?.outputs.get(&input.name),
            };
            Some((input.name.clone(), version?.clone()))
        });
        inputs.collect()
    }
}

fn json<T: serde::de::DeserializeOwned>(column: &str, text: &str) -> Result<T, PipelinesError> {
    serde_json::from_str(text).map_err(|error| {
        let (column, message) = (column.to_owned(), error.to_string());
        corliss_metastore::StoreError::Malformed { column, message }.into()
    })
}

impl ActiveStep {
    fn new(row: &StepRow) -> Self {
        let last = row.attempts.last().filter(|last| last.attempt == row.attempt);
        Self {
            tracking_run: row.tracking_run.clone(),
            outputs: row.outputs.clone(),
            cache_key: None,
            hit: None,
            job: last.and_then(|last| last.job.clone()),
            started: last.and_then(|last| last.started),
            ended: last.and_then(|last| last.ended),
            busy: false,
            cancel_sent: false,
            reason: row.reason.clone(),
            unsure: row.state.is_live() && last.is_some_and(|last| last.state == "preparing"),
        }
    }
}
