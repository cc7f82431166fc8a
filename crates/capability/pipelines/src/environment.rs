//! The environment of a step's tasks. Nothing of the server's own environment is in it.

use std::collections::BTreeMap;
use std::path::Path;

use corliss_types::{RunId, TrackingRunId};

use crate::ports::StepKey;
use crate::project_file::{Step, variable_name};

/// All that decides a task's variables, but for what the launcher and the job add (ranks, CORLISS_JOB_ID,
/// CORLISS_RESUME_FROM).
pub(crate) struct Setting<'a> {
    pub(crate) shell: BTreeMap<String, String>,
    pub(crate) params: &'a BTreeMap<String, String>,
    pub(crate) step: &'a Step,
    pub(crate) key: &'a StepKey,
    pub(crate) project: &'a str,
    pub(crate) tracking_run: &'a TrackingRunId,
    /// Folder of each input by name.
    pub(crate) inputs: BTreeMap<String, String>,
    /// Folder that holds the outputs.
    pub(crate) outputs: &'a Path,
    pub(crate) checkpoints: Option<&'a Path>,
    pub(crate) url: &'a str,
    pub(crate) ca: Option<&'a Path>,
    pub(crate) token: String,
}

pub(crate) fn variables(setting: Setting<'_>) -> BTreeMap<String, String> {
    let mut env = setting.shell;
    env.extend(setting.step.env.clone());
    let run: &RunId = &setting.key.run;
    let mut set = |name: &str, value: String| drop(env.insert(name.to_owned(), value));
    set("CORLISS_RUN_ID", run.to_string());
    set("CORLISS_STEP", setting.key.step.clone());
    set("CORLISS_ATTEMPT", setting.key.attempt.to_string());
    set("CORLISS_URL", setting.url.to_owned());
    set("CORLISS_TOKEN", setting.token.clone());
    set("MLFLOW_TRACKING_URI", setting.url.to_owned());
    if let Some(ca) = setting.ca.map(Path::to_string_lossy) {
        set("CORLISS_CA", ca.to_string());
        set("MLFLOW_TRACKING_SERVER_CERT_PATH", ca.into_owned());
    }
    set("MLFLOW_TRACKING_TOKEN", setting.token);
    set("MLFLOW_RUN_ID", setting.tracking_run.to_string());
    set("MLFLOW_EXPERIMENT_NAME", setting.project.to_owned());
    for (name, folder) in setting.inputs {
        set(&format!("CORLISS_INPUT_{}", variable_name(&name)), folder);
    }
    for name in &setting.step.outputs {
        let folder = setting.outputs.join(name).to_string_lossy().into_owned();
        set(&format!("CORLISS_OUTPUT_{}", variable_name(name)), folder);
    }
    for (name, value) in setting.params {
        set(&format!("CORLISS_PARAM_{}", variable_name(name)), value.clone());
    }
    if let (Some(folder), Some(checkpoint)) = (setting.checkpoints, setting.step.checkpoint) {
        set("CORLISS_CHECKPOINT_DIR", folder.to_string_lossy().into_owned());
        // Whole seconds, rounded up, at least one: shells and scripts compare integers.
        set(
            "CORLISS_CHECKPOINT_EVERY_S",
            checkpoint.every_ms.div_ceil(1000).to_string(),
        );
    }
    env
}
