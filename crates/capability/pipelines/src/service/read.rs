//! Runs as people see them.

use corliss_policy_pipeline::{FailureClass, Reason, RunState, decide};
use corliss_types::{RunId, VersionId};

use super::Pipelines;
use crate::drive::{view_of, waiting_reason};
use crate::error::PipelinesError;
use crate::project_file::{self, ProjectFile, Step};
use crate::store::{self, LoadedRun, RunRow, StepRow};
use crate::types::{
    AttemptView, EndpointView, InputView, ModelView, OutputView, RunDetail, RunSummary, StepView,
};

impl Pipelines {
    /// Every version of data that a run refers to, for whoever collects what nothing refers to.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn versions_in_use(&self) -> Result<Vec<VersionId>, PipelinesError> {
        self.context
            .store
            .read::<_, PipelinesError, _>(|tx| Ok(store::versions_in_use(tx)?))
            .await
    }

    /// Runs, newest first; `before` is the last of the page before.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn runs(
        &self,
        state: Option<RunState>,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<RunSummary>, PipelinesError> {
        self.context
            .store
            .read::<_, PipelinesError, _>(move |tx| {
                let mut found = Vec::new();
                for run in store::list(tx, state, before.as_ref(), limit)? {
                    let done = store::step_counts(tx, &run.id)?;
                    found.push(summary(&run, done));
                }
                Ok(found)
            })
            .await
    }

    /// A run with everything in it.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn run(&self, id: &RunId) -> Result<RunDetail, PipelinesError> {
        let wanted = id.clone();
        let loaded = self
            .context
            .store
            .read::<_, PipelinesError, _>(move |tx| Ok(store::load(tx, &wanted)?))
            .await?;
        let Some(loaded) = loaded else {
            return Err(PipelinesError::RunNotFound { run: id.to_string() });
        };
        let spec = project_file::parse(&loaded.run.project_file, None)
            .map_err(|problems| PipelinesError::ProjectFile { problems })?;
        Ok(detail(&loaded, &spec, self.waiting(&loaded, &spec)))
    }

    /// Why each step waits, as the driver would decide now. Empty for an ended run.
    fn waiting(&self, loaded: &LoadedRun, spec: &ProjectFile) -> Vec<(usize, Reason)> {
        if loaded.run.state.is_ended() {
            return Vec::new();
        }
        let now = self.context.sources.clock.now();
        decide(&view_of(loaded, spec, self.context.config.live_limit, now)).waiting
    }
}

fn summary(run: &RunRow, steps_done: u64) -> RunSummary {
    RunSummary {
        id: run.id.clone(),
        project: run.project.clone(),
        state: run.state,
        created_ms: run.created,
        started_ms: run.started,
        ended_ms: run.ended,
        steps_total: run.steps_total,
        steps_done,
        submitted_by: run.submitted_by.clone(),
        rerun_of: run.rerun_of.clone(),
        reason: run.reason.clone(),
    }
}

fn detail(loaded: &LoadedRun, spec: &ProjectFile, waiting: Vec<(usize, Reason)>) -> RunDetail {
    let done = loaded.steps.iter().filter(|step| step.state.is_done()).count();
    let steps = loaded
        .steps
        .iter()
        .zip(&spec.steps)
        .map(|(row, step)| step_view(loaded, spec, row, step));
    let mut steps: Vec<StepView> = steps.collect();
    for (index, reason) in &waiting {
        let said = waiting_reason(spec, reason);
        if let Some(step) = steps.get_mut(*index) {
            step.reason = Some(match step.reason.take() {
                Some(last) if step.attempt > 0 => format!("{said} ({last})"),
                _ => said,
            });
        }
    }
    let models = loaded.models.iter().map(|model| ModelView {
        name: model.name.clone(),
        version: model.version,
        state: model.state,
        reason: model.reason.clone(),
    });
    let endpoints = loaded.endpoints.iter().map(|endpoint| EndpointView {
        name: endpoint.name.clone(),
        state: endpoint.state,
        reason: endpoint.reason.clone(),
    });
    RunDetail {
        summary: summary(&loaded.run, done as u64),
        project_file: loaded.run.project_file.clone(),
        file_name: loaded.run.file_name.clone(),
        source: loaded.run.source.clone(),
        data: loaded.data.clone(),
        params: serde_json::from_str(&loaded.run.params).unwrap_or_default(),
        cancel_requested: loaded.run.cancel_requested,
        steps,
        models: models.collect(),
        endpoints: endpoints.collect(),
    }
}

fn step_view(loaded: &LoadedRun, spec: &ProjectFile, row: &StepRow, step: &Step) -> StepView {
    let needs = step
        .upstream
        .iter()
        .filter_map(|need| spec.steps.get(*need))
        .map(|need| need.name.clone());
    let inputs = step.inputs.iter().map(|input| {
        let producer = input
            .producer
            .and_then(|index| Some((spec.steps.get(index)?, loaded.steps.get(index)?)));
        let (from, version) = match producer {
            Some((step, row)) => (step.name.clone(), row.outputs.get(&input.name)),
            None => ("data".to_owned(), loaded.data.get(&input.name)),
        };
        InputView {
            name: input.name.clone(),
            from,
            version: version.cloned(),
        }
    });
    let outputs = step.outputs.iter().map(|name| OutputView {
        name: name.clone(),
        version: row.outputs.get(name).cloned(),
    });
    let newest = row.attempts.last();
    StepView {
        name: row.name.clone(),
        needs: needs.collect(),
        state: row.state,
        reason: row.reason.clone(),
        attempt: row.attempt,
        job_id: newest.and_then(|attempt| attempt.job.clone()),
        tracking_run_id: (row.attempt > 0 || row.cached_from.is_some()).then(|| row.tracking_run.clone()),
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        workers: step.workers,
        launcher: step.launcher.map(|launcher| launcher.as_str().to_owned()),
        cached_from: row.cached_from.clone(),
        started_ms: row.started,
        ended_ms: row.ended,
        attempts: row.attempts.iter().map(attempt_view).collect(),
    }
}

fn attempt_view(attempt: &store::AttemptRow) -> AttemptView {
    AttemptView {
        attempt: attempt.attempt,
        job_id: attempt.job.clone(),
        state: attempt.state.clone(),
        class: attempt.class.map(|class: FailureClass| class.as_str().to_owned()),
        reason: attempt.reason.clone(),
        started_ms: attempt.started,
        ended_ms: attempt.ended,
    }
}
