//! The wire form of runs, as the native API answers them.

use std::collections::BTreeMap;

use corliss_policy_pipeline::{RunState, StepState};
use corliss_types::{AttemptNumber, JobId, ModelName, RunId, Timestamp, TrackingRunId, VersionId};
use serde::{Deserialize, Serialize};

/// The part of the submitting shell's environment that tasks get: which Python is found matters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShellEnvironment {
    /// Where programs are looked for.
    #[serde(rename = "PATH")]
    pub path: String,
    /// An active Python virtual environment.
    #[serde(rename = "VIRTUAL_ENV", skip_serializing_if = "Option::is_none", default)]
    pub virtual_env: Option<String>,
    /// Home folder.
    #[serde(rename = "HOME", skip_serializing_if = "Option::is_none", default)]
    pub home: Option<String>,
    /// Locale.
    #[serde(rename = "LANG", skip_serializing_if = "Option::is_none", default)]
    pub lang: Option<String>,
}

impl ShellEnvironment {
    /// As variables.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<String, String> {
        let optional = [
            ("VIRTUAL_ENV", &self.virtual_env),
            ("HOME", &self.home),
            ("LANG", &self.lang),
        ];
        let mut variables = BTreeMap::from([("PATH".to_owned(), self.path.clone())]);
        for (name, value) in optional {
            if let Some(value) = value {
                variables.insert(name.to_owned(), value.clone());
            }
        }
        variables
    }
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Id.
    pub id: RunId,
    /// Name of the project.
    pub project: String,
    /// State.
    pub state: RunState,
    /// When it was accepted.
    pub created_ms: Timestamp,
    /// When its first step was looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_ms: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_ms: Option<Timestamp>,
    /// Number of steps.
    pub steps_total: u64,
    /// Steps that succeeded or were reused.
    pub steps_done: u64,
    /// Who submitted it.
    pub submitted_by: String,
    /// The run that this one repeats, if it is a rerun.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rerun_of: Option<RunId>,
    /// Why it ended as it did, if there is more to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// A run with everything in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// The project file, as submitted.
    pub project_file: String,
    /// Its name, for messages.
    pub file_name: String,
    /// The code snapshot.
    pub source: VersionId,
    /// The data from outside, pinned.
    pub data: BTreeMap<String, VersionId>,
    /// Parameters.
    pub params: BTreeMap<String, String>,
    /// Whether someone asked for it to stop.
    pub cancel_requested: bool,
    /// Steps in the order of the file.
    pub steps: Vec<StepView>,
    /// Models of the file.
    pub models: Vec<ModelView>,
    /// Endpoints of the file.
    pub endpoints: Vec<EndpointView>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// Name.
    pub name: String,
    /// Names of the steps that must be done first.
    pub needs: Vec<String>,
    /// State.
    pub state: StepState,
    /// Why it waits, failed or was skipped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The newest attempt; 0 before the first.
    pub attempt: AttemptNumber,
    /// Its job.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job_id: Option<JobId>,
    /// Where its metrics are, once an attempt has started or a result was reused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tracking_run_id: Option<TrackingRunId>,
    /// What it reads.
    pub inputs: Vec<InputView>,
    /// What it writes.
    pub outputs: Vec<OutputView>,
    /// Processes of the gang.
    pub workers: u32,
    /// What starts them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub launcher: Option<String>,
    /// The run whose result stands in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cached_from: Option<RunId>,
    /// When its first attempt started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_ms: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_ms: Option<Timestamp>,
    /// Every attempt, oldest first.
    pub attempts: Vec<AttemptView>,
}

/// An input of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputView {
    /// Name.
    pub name: String,
    /// `data`, or the step that writes it.
    pub from: String,
    /// The version, once known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<VersionId>,
}

/// An output of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputView {
    /// Name.
    pub name: String,
    /// The version, once recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<VersionId>,
}

/// An attempt of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// From 1.
    pub attempt: AttemptNumber,
    /// Its job, once submitted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job_id: Option<JobId>,
    /// `preparing`, `submitted`, `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// Whose fault a failure was: `infrastructure` or `user`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// When its workers started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_ms: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_ms: Option<Timestamp>,
}

macro_rules! state_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }
        impl $name {
            /// The name as stored and sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The state of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

state_enum!(
    /// What became of a model of the file.
    ModelState {
        /// The steps have not all succeeded.
        Pending = "pending",
        /// A version is registered.
        Registered = "registered",
        /// Its gate refused it.
        Gated = "gated",
        /// It could not be registered.
        Failed = "failed",
    }
);

state_enum!(
    /// What became of an endpoint of the file.
    EndpointState {
        /// The steps have not all succeeded.
        Pending = "pending",
        /// Its desired state is stored with serving.
        Deployed = "deployed",
        /// Its model got no new version, so it was left as it was.
        Unchanged = "unchanged",
        /// Serving refused it.
        Failed = "failed",
    }
);

/// A model of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelView {
    /// Name.
    pub name: ModelName,
    /// The version registered by this run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<u32>,
    /// State.
    pub state: ModelState,
    /// Why it was gated or failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// An endpoint of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointView {
    /// Name.
    pub name: String,
    /// State.
    pub state: EndpointState,
    /// Why it failed or was left as it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}
