//! The server's answers as the command line reads them. Fields it does not show are left out, so a newer
//! server may send more.

use std::collections::BTreeMap;

use corliss_data::Entry;
use corliss_types::Resources;
use serde::Deserialize;

use crate::units;

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    /// This page's items.
    pub items: Vec<T>,
    /// Whether, and where, there are more.
    #[serde(default)]
    pub next_page_token: Option<String>,
}

/// A run, short.
#[derive(Debug, Clone, Deserialize)]
pub struct RunSummary {
    pub id: String,
    pub project: String,
    pub state: String,
    pub created_ms: i64,
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    #[serde(default)]
    pub steps_total: u32,
    #[serde(default)]
    pub steps_done: u32,
}

/// A run with its steps.
#[derive(Debug, Clone, Deserialize)]
pub struct RunDetail {
    #[serde(flatten)]
    pub summary: RunSummary,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub source: Option<String>,
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    pub steps: Vec<StepView>,
    #[serde(default)]
    pub models: Vec<RunModel>,
    #[serde(default)]
    pub endpoints: Vec<RunEndpoint>,
}

impl RunDetail {
    /// Whether nothing will change any more.
    pub fn ended(&self) -> bool {
        matches!(self.summary.state.as_str(), "succeeded" | "failed" | "cancelled")
    }
}

/// One step of a run.
#[derive(Debug, Clone, Deserialize)]
pub struct StepView {
    pub name: String,
    pub state: String,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub attempt: u32,
    pub job_id: Option<String>,
    #[serde(default)]
    pub workers: u32,
    #[serde(default)]
    pub cached_from: Option<String>,
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    #[serde(default)]
    pub attempts: Vec<AttemptView>,
}

impl StepView {
    /// Whether it is over, or never was.
    pub fn ended(&self) -> bool {
        matches!(
            self.state.as_str(),
            "succeeded" | "reused" | "failed" | "cancelled" | "skipped"
        )
    }
}

/// One try of a step.
#[derive(Debug, Clone, Deserialize)]
pub struct AttemptView {
    pub attempt: u32,
    #[serde(default)]
    pub reason: Option<String>,
}

/// A model that a run registers.
#[derive(Debug, Clone, Deserialize)]
pub struct RunModel {
    pub name: String,
    pub version: Option<u32>,
    pub state: String,
    #[serde(default)]
    pub reason: Option<String>,
}

impl RunModel {
    /// `NAME/VERSION`, or the name alone before it has one.
    pub fn label(&self) -> String {
        match self.version {
            Some(version) => format!("{}/{version}", self.name),
            None => self.name.clone(),
        }
    }

    /// The state, and why if there is a reason.
    pub fn state_and_reason(&self) -> String {
        with_reason(&self.state, self.reason.as_deref())
    }
}

/// An endpoint that a run deploys.
#[derive(Debug, Clone, Deserialize)]
pub struct RunEndpoint {
    pub name: String,
    pub state: String,
    #[serde(default)]
    pub reason: Option<String>,
}

impl RunEndpoint {
    /// The state, and why if there is a reason.
    pub fn state_and_reason(&self) -> String {
        with_reason(&self.state, self.reason.as_deref())
    }
}

fn with_reason(state: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{state}: {reason}"),
        None => state.to_owned(),
    }
}

/// A job and its tasks.
#[derive(Debug, Clone, Deserialize)]
pub struct JobView {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub state: String,
    #[serde(default)]
    pub reason: Option<String>,
    pub workers: u32,
    pub resources_per_worker: Resources,
    pub created_ms: i64,
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    #[serde(default)]
    pub tasks: Vec<TaskView>,
}

/// One process of a job.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskView {
    pub task_id: String,
    pub rank: u32,
    pub state: String,
    pub pid: Option<u32>,
    #[serde(default)]
    pub exit: Option<TaskExit>,
}

/// How a process ended.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskExit {
    pub kind: String,
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// Why a job is as it is.
#[derive(Debug, Deserialize)]
pub struct Why {
    pub summary: String,
    pub position: Option<u32>,
    pub starts_ms: Option<i64>,
    #[serde(default)]
    pub waiting_ms: u64,
}

/// What there is and what is free.
#[derive(Debug, Deserialize)]
pub struct Inventory {
    pub total: Resources,
    pub free: Resources,
}

/// The queue.
#[derive(Debug, Deserialize)]
pub struct Queue {
    pub inventory: Inventory,
    pub items: Vec<QueueItem>,
    #[serde(default)]
    pub running: Vec<JobView>,
}

/// A job that waits.
#[derive(Debug, Deserialize)]
pub struct QueueItem {
    pub position: u32,
    pub job_id: String,
    pub name: String,
    pub queue: String,
    pub reason: String,
    #[serde(default)]
    pub waiting_ms: u64,
}

/// A line of a log.
#[derive(Debug, Deserialize)]
pub struct LogLine {
    /// Where it begins in the log; lines are in this order.
    pub offset: u64,
    pub stream: String,
    pub text: String,
}

/// A part of a log.
#[derive(Debug, Deserialize)]
pub struct LogPage {
    pub lines: Vec<LogLine>,
    pub next_offset: u64,
    #[serde(default)]
    pub ended: bool,
}

/// A dataset.
#[derive(Debug, Deserialize)]
pub struct DatasetView {
    pub name: String,
    pub latest: String,
    pub versions: u64,
    pub size_bytes: u64,
    pub files: u64,
    pub updated_ms: i64,
}

/// A dataset with its history.
#[derive(Debug, Deserialize)]
pub struct DatasetDetail {
    pub versions: u64,
    #[serde(default)]
    pub branches: Vec<RefView>,
    #[serde(default)]
    pub tags: Vec<RefView>,
    pub history: Vec<CommitView>,
}

/// A branch or tag.
#[derive(Debug, Deserialize)]
pub struct RefView {
    pub name: String,
    pub commit: String,
    pub updated_ms: i64,
    #[serde(default)]
    pub protected: bool,
}

/// A commit.
#[derive(Debug, Deserialize)]
pub struct CommitView {
    pub commit: String,
    pub version: String,
    #[serde(default)]
    pub parents: Vec<String>,
    #[serde(default)]
    pub author: String,
    pub created_ms: i64,
    #[serde(default)]
    pub message: String,
    pub size_bytes: u64,
    pub files: u64,
}

/// What a merge did.
#[derive(Debug, Deserialize)]
pub struct MergeView {
    pub version: String,
    #[serde(default)]
    pub branch: Option<String>,
    pub created: bool,
    #[serde(default)]
    pub fast_forward: bool,
    #[serde(default)]
    pub settled: u64,
}

/// What differs between two versions.
#[derive(Debug, Deserialize)]
pub struct DiffView {
    pub from: String,
    pub to: String,
    pub items: Vec<ChangeView>,
    #[serde(default)]
    pub summary: Option<DiffSummary>,
    #[serde(default)]
    pub next_page_token: Option<String>,
}

/// A file that differs.
#[derive(Debug, Deserialize)]
pub struct ChangeView {
    pub path: String,
    pub change: String,
    #[serde(default)]
    pub old: Option<Entry>,
    #[serde(default)]
    pub new: Option<Entry>,
}

/// How much differs.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct DiffSummary {
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
    pub bytes_new: u64,
    pub bytes_old: u64,
}

/// A version and its files.
#[derive(Debug, Deserialize)]
pub struct VersionView {
    pub version: String,
    pub size_bytes: u64,
    pub files: u64,
    #[serde(default)]
    pub linked_files: u64,
    #[serde(default)]
    pub linked_bytes: u64,
    pub entries: Vec<FileView>,
    pub next_page_token: Option<String>,
}

/// A file of a version.
#[derive(Debug, Deserialize)]
pub struct FileView {
    pub path: String,
    pub size_bytes: u64,
    pub linked: Option<LinkView>,
}

/// Where the bytes of a linked file lie.
#[derive(Debug, Deserialize)]
pub struct LinkView {
    pub source: String,
    pub key: String,
}

/// What came from what.
#[derive(Debug, Deserialize)]
pub struct LineageView {
    pub nodes: Vec<LineageNode>,
    pub edges: Vec<LineageEdge>,
}

/// A node of the lineage graph.
#[derive(Debug, Deserialize)]
pub struct LineageNode {
    pub id: String,
    pub kind: String,
    pub label: String,
}

/// An edge of the lineage graph, from cause to effect.
#[derive(Debug, Deserialize)]
pub struct LineageEdge {
    pub from: String,
    pub to: String,
    pub relation: String,
}

/// A registered model.
#[derive(Debug, Deserialize)]
pub struct ModelView {
    pub name: String,
    #[serde(default)]
    pub latest_version: Option<u32>,
    #[serde(default)]
    pub aliases: BTreeMap<String, u32>,
    #[serde(default)]
    pub updated_ms: i64,
    #[serde(default)]
    pub versions: Vec<ModelVersionView>,
    pub protection: Option<Protection>,
}

/// A version of a registered model.
#[derive(Debug, Deserialize)]
pub struct ModelVersionView {
    pub version: u32,
    pub created_ms: i64,
    pub source_version: Option<String>,
    pub run_id: Option<String>,
    pub flavor: Option<String>,
    pub checked: Option<FileCounts>,
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
}

/// How many files of a version are what.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FileCounts {
    pub damaged: u64,
    #[serde(rename = "unsafe")]
    pub unsafe_: u64,
    pub verified: u64,
}

impl FileCounts {
    /// The worst of them, in words.
    pub fn told(&self) -> String {
        match (self.damaged, self.unsafe_, self.verified) {
            (0, 0, 0) => String::new(),
            (0, 0, verified) => format!("{verified} verified"),
            (0, pickled, _) => format!("{pickled} unsafe"),
            (damaged, _, _) => format!("{damaged} damaged"),
        }
    }
}

/// What a model demands before a version of it is served.
#[derive(Debug, Deserialize)]
pub struct Protection {
    approvals: u32,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    self_approval: bool,
}

impl Protection {
    /// In a sentence.
    pub fn told(&self) -> String {
        let approvals = units::plural(u64::from(self.approvals), "approval");
        let what = match self.aliases.as_slice() {
            [] => "any alias".to_owned(),
            aliases => aliases.join(", "),
        };
        let whose = match self.self_approval {
            true => "also by whoever registered it",
            false => "not by whoever registered it",
        };
        format!("A version needs {approvals}, {whose}, before it is served or gets {what}.")
    }
}

/// An endpoint and its replicas.
#[derive(Debug, Deserialize)]
pub struct EndpointView {
    pub name: String,
    pub model: String,
    #[serde(default)]
    pub flavor: String,
    pub state: String,
    #[serde(default)]
    pub reason: Option<String>,
    pub serving_version: Option<u32>,
    pub desired_version: Option<u32>,
    pub replicas_desired: u32,
    pub replicas_ready: u32,
    #[serde(default)]
    pub service: Option<ServiceView>,
    #[serde(default)]
    pub replicas: Vec<ReplicaView>,
    #[serde(default)]
    pub requests_total: u64,
}

/// The service elsewhere that answers an endpoint's requests.
#[derive(Debug, Deserialize)]
pub struct ServiceView {
    pub dialect: String,
    pub targets: Vec<TargetView>,
    pub has_key: bool,
}

/// One address of a service.
#[derive(Debug, Deserialize)]
pub struct TargetView {
    pub id: String,
    pub url: String,
    pub weight: u32,
}

/// One engine process.
#[derive(Debug, Deserialize)]
pub struct ReplicaView {
    pub id: String,
    pub version: u32,
    pub state: String,
    #[serde(default)]
    pub reason: Option<String>,
    pub job_id: Option<String>,
    #[serde(default)]
    pub restarts: u32,
    #[serde(default)]
    pub in_flight: u64,
}

impl ReplicaView {
    /// Whether its process is gone.
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "stopped" | "failed")
    }
}

/// The server and its machine.
#[derive(Debug, Deserialize)]
pub struct SystemStatus {
    pub version: String,
    pub started_ms: i64,
    pub home: String,
    pub address: String,
    pub database: String,
    pub workers: Vec<WorkerView>,
    pub inventory: Inventory,
}

/// A background worker.
#[derive(Debug, Deserialize)]
pub struct WorkerView {
    pub name: String,
    pub state: String,
    #[serde(default)]
    pub progress: String,
    #[serde(default)]
    pub last_error: Option<String>,
}

/// A token, without its secret.
#[derive(Debug, Deserialize)]
pub struct TokenView {
    pub id: String,
    pub name: String,
    pub role: String,
    #[serde(default)]
    pub expires_ms: Option<i64>,
    #[serde(default)]
    pub token: Option<String>,
}

/// The keys of a tenant, without the keys.
#[derive(Debug, Deserialize)]
pub struct KeyView {
    pub tenant: String,
    pub root_key: String,
    pub provider: String,
    pub tenant_key_version: u32,
    pub data_keys: u64,
    pub uses_left: u64,
}
