//! The tracking run of a pipeline step: made once, reopened by each attempt, ended with the step.

use corliss_types::{RunId, TrackingRunId};

use super::Tracking;
use super::runs::artifact_uri;
use crate::types::{Experiment, KeyValue, LifecycleStage, RunInfo, RunStatus};
use crate::{TrackingError, store};

/// The step that a tracking run belongs to.
#[derive(Debug, Clone)]
pub struct StepRun {
    /// The tracking run's id, chosen by the caller, who repeats the call with the same one.
    pub id: TrackingRunId,
    /// The project; its experiment has this name.
    pub project: String,
    /// The pipeline run.
    pub run_id: RunId,
    /// The step.
    pub step: String,
    /// Who submitted the pipeline run.
    pub user: String,
    /// More tags, such as `corliss.attempt`.
    pub tags: Vec<KeyValue>,
}

impl Tracking {
    /// Opens the tracking run of a step. The first call makes it, with the project's experiment if that is
    /// new; each further one sets it running again and its tags anew. Idempotent, so a caller may repeat it
    /// after a crash.
    ///
    /// # Errors
    /// The store failed.
    pub async fn ensure_step_run(&self, step: StepRun) -> Result<(), TrackingError> {
        let now_ms = self.now_ms();
        let run_no = self.next_run_no();
        let again = self.numbered(&step.tags).await?;
        let mut first = self.numbered(&first_tags(&step)).await?;
        first.extend(again.iter().cloned());
        self.store
            .write(move |tx| {
                let run_id = step.id.as_str();
                if let Some(run) = store::run_ref(tx, run_id)? {
                    store::reopen_run(tx, run.number)?;
                    return Ok(store::put_tags(tx, &run, &again)?);
                }
                let experiment = experiment_for(tx, &step.project, now_ms)?;
                let info = RunInfo {
                    run_id: run_id.to_owned(),
                    experiment_id: experiment.id,
                    name: step.step.clone(),
                    user: step.user.clone(),
                    status: RunStatus::Running,
                    start_ms: now_ms,
                    end_ms: None,
                    lifecycle: LifecycleStage::Active,
                    artifact_uri: artifact_uri(&experiment.artifact_location, run_id),
                };
                store::insert_run(tx, run_no, &info)?;
                let run = store::RunRef {
                    number: run_no,
                    experiment_id: experiment.id,
                    stage: LifecycleStage::Active,
                };
                Ok(store::put_tags(tx, &run, &first)?)
            })
            .await
    }

    /// Records how the step ended. What the client said itself stays where it agrees.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn finish_step_run(&self, run: &TrackingRunId, status: RunStatus) -> Result<(), TrackingError> {
        let (run_id, now_ms) = (run.as_str().to_owned(), self.now_ms());
        self.store
            .write(move |tx| {
                if store::finish_run(tx, &run_id, status, now_ms)? {
                    return Ok(());
                }
                Err(TrackingError::run_not_found(&run_id))
            })
            .await
    }
}

fn first_tags(step: &StepRun) -> [KeyValue; 4] {
    [
        KeyValue::new(super::RUN_NAME_TAG, step.step.as_str()),
        KeyValue::new("mlflow.user", step.user.as_str()),
        KeyValue::new("corliss.run_id", step.run_id.as_str()),
        KeyValue::new("corliss.step", step.step.as_str()),
    ]
}

/// The project's experiment. One that somebody deleted is active again (its deleted runs stay deleted): a
/// pipeline must not fail because of it.
fn experiment_for(
    tx: &mut dyn corliss_metastore::Tx,
    project: &str,
    now_ms: i64,
) -> Result<Experiment, TrackingError> {
    if let Some(experiment) = store::experiment_by_name(tx, project)? {
        if experiment.lifecycle == LifecycleStage::Deleted {
            store::set_only_experiment_stage(tx, experiment.id, LifecycleStage::Active, now_ms)?;
        }
        return Ok(experiment);
    }
    let id = store::next_experiment_id(tx)?;
    let experiment = Experiment {
        id,
        name: project.to_owned(),
        artifact_location: super::location_of(id),
        lifecycle: LifecycleStage::Active,
        created_ms: now_ms,
        updated_ms: now_ms,
        tags: Vec::new(),
    };
    store::insert_experiment(tx, &experiment)?;
    Ok(experiment)
}
