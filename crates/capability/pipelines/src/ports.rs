//! What pipelines need of other rooms; the server wires them. Every call may be made again after a crash:
//! each says under what key a repetition is recognised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
pub use corliss_diagnostics::PortError;
use corliss_policy_pipeline::Ending;
use corliss_types::{
    AttemptNumber, DatasetName, DurationMs, JobId, ModelName, Resources, RunId, Timestamp, TrackingRunId,
    VersionId,
};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::project_file::{Launcher, Queueing, Site};

/// One attempt of one step of one run: the key under which everything of it is done once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey {
    /// Run.
    pub run: RunId,
    /// Name of the step.
    pub step: String,
    /// Attempt, from 1.
    pub attempt: AttemptNumber,
}

/// Versions of folders, and who made what from what.
#[async_trait]
pub trait Datasets: Send + Sync {
    /// The newest version of the dataset of this name, if there is such a dataset.
    async fn latest(&self, name: &DatasetName) -> Result<Option<VersionId>, PortError>;
    /// Those of these versions that do not exist.
    async fn missing(&self, versions: &[VersionId]) -> Result<Vec<VersionId>, PortError>;
    /// Lays a version out at `folder`, read-only and whole when this returns; its parents are made. If it is
    /// there already and untouched nothing is done; if something in it was changed it is replaced. `folder`
    /// and the names `.NAME.*` beside it belong to this function until the folder above them is removed.
    async fn materialise(&self, version: &VersionId, folder: &Path) -> Result<(), PortError>;
    /// The folder of a version that the run reads, read-only and whole when this returns, and there until the run is
    /// released. It may be the folder of other runs too. Done again for each attempt: what was changed in it meanwhile
    /// is replaced.
    async fn hold(&self, version: &VersionId, run: &RunId) -> Result<PathBuf, PortError>;
    /// The run reads nothing any more.
    async fn release(&self, run: &RunId) -> Result<(), PortError>;
    /// Makes a version of a folder's content. The same content gives the same version.
    async fn publish(&self, folder: &Path) -> Result<VersionId, PortError>;
    /// Remembers edges; those that are known already change nothing.
    async fn record_lineage(&self, edges: &[LineageEdge]) -> Result<(), PortError>;
}

/// One thing in the lineage graph.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineageNode {
    /// A version of data.
    Version(VersionId),
    /// A pipeline run.
    Run(RunId),
    /// A registered model's version.
    Model {
        /// Name.
        name: ModelName,
        /// Version.
        version: u32,
    },
}

/// How the ends of an edge stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineageRelation {
    /// A version was read by a run.
    Consumed,
    /// A run wrote a version.
    Produced,
    /// A version's files are a model's.
    Registered,
}

/// One edge of the lineage graph, in the direction in which things flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineageEdge {
    /// Where it starts.
    pub from: LineageNode,
    /// Where it ends.
    pub to: LineageNode,
    /// What it says.
    pub relation: LineageRelation,
    /// The step, where one did it.
    pub step: Option<String>,
}

/// Where a step checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFolder {
    /// The folder, shared by the step's attempts; it exists.
    pub folder: PathBuf,
    /// How often the script is asked to write one.
    pub every_ms: u64,
    /// How many complete ones are kept.
    pub keep: u32,
}

/// An attempt as a job: a gang of equal workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// Under which it is submitted once.
    pub key: StepKey,
    /// For people: project and step.
    pub name: String,
    /// The project that what it holds is accounted to.
    pub project: String,
    /// Program and arguments of each worker; the program's path is absolute.
    pub argv: Vec<String>,
    /// What sets up the gang; `None` if each worker only needs RANK and WORLD_SIZE.
    pub launcher: Option<Launcher>,
    /// Workers of the gang.
    pub workers: u32,
    /// What each worker asks for.
    pub resources: Resources,
    /// The whole environment of a worker, but for what the launcher and the job add.
    pub env: BTreeMap<String, String>,
    /// Folder in which the workers start.
    pub folder: PathBuf,
    /// Checkpoints, if the step writes any.
    pub checkpoint: Option<CheckpointFolder>,
    /// Longest time the attempt may run.
    pub timeout_ms: Option<u64>,
    /// How it stands in the queue.
    pub queueing: Queueing,
    /// When it may start and has to be done.
    pub times: JobTimes,
    /// Whose it is: who submitted the run.
    pub user: String,
}

/// When an attempt may start and has to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobTimes {
    /// Before when it is not started.
    pub not_before: Option<Timestamp>,
    /// When it has to be done.
    pub deadline: Option<Timestamp>,
}

impl JobTimes {
    /// Of a step of a run that was submitted then and may begin at `begin`.
    pub(crate) fn of(queueing: &Queueing, submitted: Timestamp, begin: Option<Timestamp>) -> Self {
        Self {
            not_before: begin,
            deadline: queueing.deadline_ms.map(|after| submitted + DurationMs(after)),
        }
    }
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It waits for its turn or is being started.
    Queued,
    /// Its workers run, since then.
    Running {
        /// When the last worker started.
        started: Timestamp,
    },
    /// It is over; no process of it is left.
    Ended {
        /// When its workers started, if they did.
        started: Option<Timestamp>,
        /// When it ended.
        ended: Timestamp,
        /// How.
        end: JobEnd,
    },
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// Every worker ended with code 0.
    Succeeded,
    /// A worker did not.
    Failed {
        /// How the worker ended that failed first.
        ending: Ending,
        /// One sentence for people, such as `worker 1 was killed by SIGKILL`.
        message: String,
    },
    /// It was cancelled.
    Cancelled,
}

/// A job of a run has changed; which one is a hint, the state is read anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobChange {
    /// The run it belongs to.
    pub run: RunId,
    /// The job.
    pub job: JobId,
}

/// An attempt that may be submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobWish {
    /// For people: project and step.
    pub name: String,
    /// Workers of the gang.
    pub workers: u32,
    /// What each worker asks for.
    pub resources: Resources,
    /// Longest time the attempt may run.
    pub timeout_ms: Option<u64>,
    /// How it would stand in the queue.
    pub queueing: Queueing,
    /// When it may start and has to be done.
    pub times: JobTimes,
    /// Whose it would be.
    pub user: String,
}

/// What would become of it if it were submitted now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobOutlook {
    /// Whether it would start at once.
    pub starts_now: bool,
    /// One sentence.
    pub summary: String,
    /// Place in its queue, if it would wait; the first is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// When it would start if everybody runs as long as was said, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_ms: Option<i64>,
    /// Jobs that would be stopped for it.
    pub stops: Vec<NamedJob>,
}

/// A job, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedJob {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub name: String,
}

/// Runs attempts.
#[async_trait]
pub trait JobsPort: Send + Sync {
    /// What the machine has, beyond which no step may ask, and which queues there are.
    async fn site(&self) -> Result<Site, PortError>;
    /// What would become of these if they were submitted now, in their order. Nothing is.
    async fn foresee(&self, wishes: Vec<JobWish>) -> Result<Vec<JobOutlook>, PortError>;
    /// Submits a job; the same key again answers the same job.
    async fn submit(&self, request: JobRequest) -> Result<JobId, PortError>;
    /// The job that was submitted under this key, if one was.
    async fn find(&self, key: &StepKey) -> Result<Option<JobId>, PortError>;
    /// How far these jobs are; a job that nobody knows is left out.
    async fn states(&self, jobs: &[JobId]) -> Result<Vec<(JobId, JobState)>, PortError>;
    /// Asks a job to end; asking again, or when it has ended, is harmless.
    async fn cancel(&self, job: &JobId) -> Result<(), PortError>;
    /// Changes of jobs, sent after they are stored. Some may be lost; states are also read periodically.
    fn changes(&self) -> broadcast::Receiver<JobChange>;
}

/// What a step's tracking run is opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTracking {
    /// The id, under which it is opened once.
    pub id: TrackingRunId,
    /// Name of the project, and so of the experiment.
    pub project: String,
    /// The pipeline run.
    pub run: RunId,
    /// Name of the step; the tracking run's name.
    pub step: String,
    /// Who submitted the pipeline run.
    pub submitted_by: String,
}

/// How a step's tracking run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackingEnd {
    /// The step succeeded.
    Finished,
    /// It failed.
    Failed,
    /// It was cancelled.
    Killed,
}

/// Experiments and metrics.
#[async_trait]
pub trait TrackingPort: Send + Sync {
    /// Opens a tracking run, and its experiment if there is none. A run that is open already, or was ended by
    /// an earlier attempt's own code, is set running again.
    async fn open(&self, tracking: &StepTracking) -> Result<(), PortError>;
    /// Ends a tracking run.
    async fn close(&self, id: &TrackingRunId, end: TrackingEnd) -> Result<(), PortError>;
    /// The last value of each metric of these runs, one map each, in their order; empty for an unknown run.
    async fn metrics(&self, ids: &[TrackingRunId]) -> Result<Vec<BTreeMap<String, f64>>, PortError>;
}

/// A model version to register.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// Name of the model; with the run the key under which it is registered once.
    pub name: ModelName,
    /// The run.
    pub run: RunId,
    /// Name of the step that wrote it.
    pub step: String,
    /// Its files.
    pub source: VersionId,
    /// The step's tracking run.
    pub tracking_run: TrackingRunId,
    /// Data from outside that the run used.
    pub data: Vec<(String, VersionId)>,
    /// The code.
    pub code: VersionId,
    /// Metrics of the run.
    pub metrics: BTreeMap<String, f64>,
    /// Who submitted the run.
    pub submitted_by: String,
}

/// Registers models.
#[async_trait]
pub trait ModelsPort: Send + Sync {
    /// Registers a version; the same name and run again answers the same version, and so does a run that made
    /// the newest version again.
    async fn register(&self, registration: &Registration) -> Result<u32, PortError>;
    /// Moves an alias to a version by the word of who submitted the run, unless it points to a newer one already.
    async fn set_alias(
        &self,
        name: &ModelName,
        alias: &str,
        version: u32,
        submitted_by: &str,
    ) -> Result<(), PortError>;
}

/// The desired state of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Name of the endpoint; a repetition changes nothing.
    pub name: String,
    /// The model.
    pub model: ModelName,
    /// The alias that it follows.
    pub alias: String,
    /// Engine processes.
    pub replicas: u32,
    /// What each of them holds.
    pub resources: Resources,
    /// Who submitted the run.
    pub submitted_by: String,
}

/// Deploys endpoints.
#[async_trait]
pub trait EndpointsPort: Send + Sync {
    /// Stores the desired state; does not wait for it.
    async fn deploy(&self, deployment: &Deployment) -> Result<(), PortError>;
}

/// Tokens with which tasks call back.
#[async_trait]
pub trait WorkloadTokens: Send + Sync {
    /// The token of an attempt; the same key again gives a token as well, and it works.
    async fn issue(&self, key: &StepKey) -> Result<String, PortError>;
    /// Ends the tokens of all attempts of a step; without any nothing happens.
    async fn revoke(&self, run: &RunId, step: &str) -> Result<(), PortError>;
}

/// All of them.
#[derive(Clone)]
pub struct Ports {
    /// Data and lineage.
    pub datasets: Arc<dyn Datasets>,
    /// Jobs.
    pub jobs: Arc<dyn JobsPort>,
    /// Tracking.
    pub tracking: Arc<dyn TrackingPort>,
    /// The model registry.
    pub models: Arc<dyn ModelsPort>,
    /// Serving.
    pub endpoints: Arc<dyn EndpointsPort>,
    /// Tokens of tasks.
    pub tokens: Arc<dyn WorkloadTokens>,
}
