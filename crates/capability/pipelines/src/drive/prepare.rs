//! From a recorded attempt to a submitted job: folders, tracking run, token, submission.

use std::collections::BTreeMap;
use std::path::PathBuf;

use corliss_diagnostics::{Diagnose, Meaning};
use corliss_types::{AttemptNumber, JobId, TrackingRunId, VersionId};

use super::Context;
use super::active::Fixed;
use crate::environment::{Setting, variables};
use crate::error::PipelinesError;
use crate::ports::{CheckpointFolder, JobRequest, JobTimes, StepKey, StepTracking};
use crate::project_file::{Launcher, Step};
use crate::work::{self, AttemptFolders};

/// An attempt to prepare.
pub(super) struct Preparation {
    pub(super) step: usize,
    pub(super) attempt: AttemptNumber,
    pub(super) fresh: bool,
    pub(super) inputs: BTreeMap<String, VersionId>,
    pub(super) tracking_run: TrackingRunId,
}

/// Why an attempt has no job.
pub(super) enum PrepareFailure {
    /// Certainly none was submitted: the attempt has failed.
    Before(PipelinesError),
    /// Perhaps one was: it must be looked for.
    Unsure(PipelinesError),
}

pub(super) async fn prepare(
    context: &Context,
    run: &Fixed,
    preparation: &Preparation,
) -> Result<JobId, PrepareFailure> {
    use PrepareFailure::{Before, Unsure};
    let Some(step) = run.spec.steps.get(preparation.step) else {
        return Err(Before(PipelinesError::Task(
            "a step is not in its file".to_owned(),
        )));
    };
    let key = StepKey {
        run: run.id.clone(),
        step: step.name.clone(),
        attempt: preparation.attempt,
    };
    if !preparation.fresh {
        // The job may have been submitted before a crash, and may be running in these folders.
        let found = context
            .ports
            .jobs
            .find(&key)
            .await
            .map_err(|error| Unsure(error.into()))?;
        if let Some(job) = found {
            return Ok(job);
        }
    }
    let _permit = context
        .preparing
        .acquire()
        .await
        .map_err(|error| Before(PipelinesError::Task(error.to_string())))?;
    let request = request(context, run, step, key, preparation)
        .await
        .map_err(Before)?;
    context
        .ports
        .jobs
        .submit(request)
        .await
        .map_err(|error| match error.is_refusal() {
            true => Before(error.into()),
            false => Unsure(error.into()),
        })
}

async fn request(
    context: &Context,
    run: &Fixed,
    step: &Step,
    key: StepKey,
    preparation: &Preparation,
) -> Result<JobRequest, PipelinesError> {
    let tracking = StepTracking {
        id: preparation.tracking_run.clone(),
        project: run.spec.project.clone(),
        run: run.id.clone(),
        step: step.name.clone(),
        submitted_by: run.submitted_by.clone(),
    };
    // Each of these waits for a commit elsewhere; together they share it.
    let (folders, token, opened) = tokio::join!(
        lay_out(context, run, step, preparation),
        context.ports.tokens.issue(&key),
        context.ports.tracking.open(&tracking),
    );
    opened?;
    let (folders, inputs, checkpoints) = folders?;
    let setting = Setting {
        shell: run.shell.clone(),
        params: &run.params,
        step,
        key: &key,
        project: &run.spec.project,
        tracking_run: &preparation.tracking_run,
        inputs,
        outputs: &folders.outputs,
        checkpoints: checkpoints.as_deref(),
        url: &context.config.url,
        ca: context.config.ca.as_deref(),
        token: token?,
    };
    let env = variables(setting);
    let checkpoint = step
        .checkpoint
        .zip(checkpoints)
        .map(|(checkpoint, folder)| CheckpointFolder {
            folder,
            every_ms: checkpoint.every_ms,
            keep: checkpoint.keep,
        });
    Ok(JobRequest {
        name: format!("{}/{}", run.spec.project, step.name),
        project: run.spec.project.clone(),
        argv: argv(step)?,
        launcher: step.launcher,
        workers: step.workers,
        resources: step.resources,
        env,
        folder: folders.code,
        checkpoint,
        timeout_ms: step.timeout_ms,
        times: JobTimes::of(&step.queueing, run.created, run.begin),
        queueing: step.queueing.clone(),
        user: run.submitted_by.clone(),
        key,
    })
}

type LaidOut = (AttemptFolders, BTreeMap<String, String>, Option<PathBuf>);

async fn lay_out(
    context: &Context,
    run: &Fixed,
    step: &Step,
    preparation: &Preparation,
) -> Result<LaidOut, PipelinesError> {
    match lay_out_once(context, run, step, preparation).await {
        Err(error) if error.meaning() == Meaning::StorageFull => {
            // What ended runs have left stands in nobody's way.
            context.sweep().await?;
            lay_out_once(context, run, step, preparation).await
        }
        laid_out => laid_out,
    }
}

async fn lay_out_once(
    context: &Context,
    run: &Fixed,
    step: &Step,
    preparation: &Preparation,
) -> Result<LaidOut, PipelinesError> {
    let code = run.shared.code(&run.source).await?;
    let mut inputs = BTreeMap::new();
    for (name, version) in &preparation.inputs {
        let folder = run.shared.input(version).await?;
        inputs.insert(name.clone(), folder.to_string_lossy().into_owned());
    }
    let home = &context.config.work;
    let folders = work::attempt_folders(home, &run.id, &step.name, preparation.attempt);
    let checkpoints = step
        .checkpoint
        .map(|_| work::checkpoint_folder(home, &run.id, &step.name));
    let (made, outputs, kept) = (folders.clone(), step.outputs.clone(), checkpoints.clone());
    work::blocking(move || work::make_attempt(&made, &code, &outputs, kept.as_deref())).await?;
    Ok((folders, inputs, checkpoints))
}

/// A shell runs the command; torchrun's scripts are run by the Python that the task's own PATH finds.
fn argv(step: &Step) -> Result<Vec<String>, PipelinesError> {
    let words: Vec<String> = match step.launcher {
        None => return Ok(["/bin/sh", "-c", &step.run].map(str::to_owned).to_vec()),
        Some(Launcher::Torchrun) => shlex::split(&step.run).ok_or_else(|| PipelinesError::Invalid {
            field: format!("steps.{}.run", step.name),
            message: "the quotes of this command do not match".to_owned(),
            hint: None,
        })?,
    };
    Ok(["/usr/bin/env", "python", "-u"]
        .map(str::to_owned)
        .into_iter()
        .chain(words)
        .collect())
}
