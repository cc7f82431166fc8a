//! Running an ended run again: steps that are done are taken over, the rest is decided anew.

use std::collections::BTreeMap;

use corliss_diagnostics::nearest;
use corliss_policy_pipeline::{Fate, RerunError, StepState, rerun};
use corliss_types::{Principal, RunId, VersionId};

use super::Pipelines;
use super::create::may_release;
use crate::error::PipelinesError;
use crate::project_file::{self, ProjectFile};
use crate::store::{self, LoadedRun, NewRunRow, NewStepRow, StepRow};

impl Pipelines {
    /// A new run of the same file, code and data. From the step named, if one is; otherwise from what did
    /// not succeed.
    ///
    /// # Errors
    /// The run is unknown or in progress, its file asks for what the submitter may not do, the step is unknown, or there is nothing to do.
    pub async fn rerun(
        &self,
        id: &RunId,
        from: Option<&str>,
        submitter: &Principal,
    ) -> Result<RunId, PipelinesError> {
        let wanted = id.clone();
        let loaded = self
            .context
            .store
            .read::<_, PipelinesError, _>(move |tx| Ok(store::load(tx, &wanted)?))
            .await?;
        let Some(old) = loaded else {
            return Err(PipelinesError::RunNotFound { run: id.to_string() });
        };
        if !old.run.state.is_ended() {
            return Err(PipelinesError::RunNotEnded { run: id.clone() });
        }
        let file = project_file::parse(&old.run.project_file, None)
            .map_err(|problems| PipelinesError::ProjectFile { problems })?;
        may_release(&file, submitter.role)?;
        let from = from.map(|name| step_named(&file, name)).transpose()?;
        let states = self.standing(&old).await?;
        let steps: Vec<(StepState, &[usize])> = states
            .iter()
            .zip(&file.steps)
            .map(|(state, step)| (*state, step.upstream.as_slice()))
            .collect();
        let fates = rerun(&steps, &file.order, from).map_err(|error| match error {
            RerunError::NothingToDo | RerunError::UnknownStep => {
                PipelinesError::NothingToRerun { run: id.clone() }
            }
        })?;
        let steps = old
            .steps
            .iter()
            .zip(fates)
            .map(|(step, fate)| self.step(&old, step, fate))
            .collect();
        let row = NewRunRow {
            id: RunId::new(self.context.sources.id_seed()),
            project: old.run.project.clone(),
            file_name: old.run.file_name.clone(),
            project_file: old.run.project_file.clone(),
            source: old.run.source.clone(),
            environment: old.run.environment.clone(),
            params: old.run.params.clone(),
            submitted_by: submitter.name.clone(),
            rerun_of: Some(id.clone()),
            created: self.context.sources.clock.now(),
            begin: None,
            data: old.data.clone(),
            steps,
            models: file.models.iter().map(|model| model.name.to_string()).collect(),
            endpoints: file
                .endpoints
                .iter()
                .map(|endpoint| endpoint.name.clone())
                .collect(),
        };
        self.insert(row).await
    }

    /// The states of the steps; one whose outputs do not all exist any more does not count as done.
    async fn standing(&self, old: &LoadedRun) -> Result<Vec<StepState>, PipelinesError> {
        let versions: Vec<VersionId> = old
            .steps
            .iter()
            .flat_map(|step| step.outputs.values().cloned())
            .collect();
        let missing = if versions.is_empty() {
            Vec::new()
        } else {
            self.context.ports.datasets.missing(&versions).await?
        };
        let stands = |step: &StepRow| !step.outputs.values().any(|version| missing.contains(version));
        Ok(old
            .steps
            .iter()
            .map(|step| {
                if stands(step) {
                    step.state
                } else {
                    StepState::Skipped
                }
            })
            .collect())
    }

    fn step(&self, old: &LoadedRun, step: &StepRow, fate: Fate) -> NewStepRow {
        let kept = fate == Fate::Keep;
        let origin = step.cached_from.clone().unwrap_or_else(|| old.run.id.clone());
        NewStepRow {
            name: step.name.clone(),
            tracking_run: if kept {
                step.tracking_run.clone()
            } else {
                self.tracking_run()
            },
            use_cache: fate != Fate::Force,
            cached_from: kept.then_some(origin),
            outputs: if kept {
                step.outputs.clone()
            } else {
                BTreeMap::new()
            },
        }
    }
}

fn step_named(file: &ProjectFile, name: &str) -> Result<usize, PipelinesError> {
    file.step(name)
        .map(|(index, _)| index)
        .ok_or_else(|| PipelinesError::Invalid {
            field: "from_step".to_owned(),
            message: format!("the run has no step '{name}'"),
            hint: nearest(name, file.steps.iter().map(|step| step.name.as_str()))
                .map(|near| format!("did you mean '{near}'?")),
        })
}
