//! Requests and answers of the native API.

use corliss_policy_serving::Routing;
use corliss_policy_serving::release::{ReleasePlan, Seen, Wait};
use corliss_types::{Flavor, JobId, ModelName, ReleaseId, ReplicaId, Resources, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Batching;
use crate::services::ServiceView;

/// What an endpoint should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// `NAME@ALIAS`, which follows the alias, or `NAME/VERSION`, which does not move.
    pub model: String,
    /// How many engine processes, from 1. If it is not said, as many as it has; a new endpoint has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// What each of them holds. If it is not said, what it has; those of a new endpoint hold nothing and share what is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Also a model beside whose file a pickle lies, which is not loaded, and one that only Python loads, running code
    /// of whoever made it; for callers who may allow that.
    #[serde(default)]
    pub allow_pickle: bool,
    /// How this version and those after it get out, the endpoint's alias moving included. If it is not said, as it was
    /// said last; by default replica by replica.
    #[serde(default)]
    pub release: Option<ReleasePlan>,
    /// How requests with tensors are joined.
    #[serde(default, skip_serializing_if = "Batching::is_default")]
    pub batching: Batching,
}

/// How an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointPhase {
    /// On the way to what it should be; it may serve already.
    Deploying,
    /// As it should be.
    Ready,
    /// It serves with fewer replicas than it should, or some address of its service failed the last request it got.
    Degraded,
    /// Its engines end again and again, or every address of its service failed the last request it got.
    Failed,
    /// On the way out.
    Stopping,
}

/// How a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaPhase {
    /// It waits for resources.
    Queued,
    /// It loads the model.
    Starting,
    /// It takes requests.
    Ready,
    /// It finishes its requests.
    Draining,
    /// It was told to stop.
    Stopping,
    /// It ended by itself.
    Failed,
    /// It ended because it was told to.
    Stopped,
}

impl ReplicaPhase {
    /// The name as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// The phase of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [
            Self::Queued,
            Self::Starting,
            Self::Ready,
            Self::Draining,
            Self::Stopping,
            Self::Failed,
            Self::Stopped,
        ];
        all.into_iter().find(|phase| phase.as_str() == name)
    }

    /// Whether its process is gone.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Failed | Self::Stopped)
    }
}

/// An endpoint as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointView {
    /// Name; also the model name in inference requests.
    pub name: String,
    /// The reference that was deployed.
    pub model: String,
    /// Registered model behind the reference; none where a service elsewhere answers.
    pub model_name: Option<ModelName>,
    /// Version that the reference means now.
    pub desired_version: u32,
    /// Newest version that takes requests, but for one that is being released.
    pub serving_version: Option<u32>,
    /// Kind of engine.
    pub flavor: Flavor,
    /// How it is.
    pub state: EndpointPhase,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// Engine processes wanted.
    pub replicas_desired: u32,
    /// Engine processes that take requests, but for those of a version that is being released.
    pub replicas_ready: u32,
    /// What each of them holds.
    pub resources: Resources,
    /// How its requests are routed.
    pub routing: Routing,
    /// What its routing names that is not there, and what follows, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routing_notes: Vec<String>,
    /// How new versions get out.
    pub release_plan: ReleasePlan,
    /// The release that goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseView>,
    /// Whether a pickle may lie beside what it serves, or be what it serves.
    pub allow_pickle: bool,
    /// How requests with tensors are joined.
    #[serde(skip_serializing_if = "Batching::is_default")]
    pub batching: Batching,
    /// Who said last what it should be, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_by: Option<String>,
    /// The service elsewhere that answers, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceView>,
    /// Its processes, those that ended lately included.
    pub replicas: Vec<ReplicaView>,
    /// Requests that ended since the server started.
    pub requests_total: u64,
    /// When it was first deployed.
    pub created_ms: Timestamp,
    /// When what it should be was last changed.
    pub updated_ms: Timestamp,
}

/// A replica as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaView {
    /// Id.
    pub id: ReplicaId,
    /// Version of the model.
    pub version: u32,
    /// How it is.
    pub state: ReplicaPhase,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// Its job.
    pub job_id: Option<JobId>,
    /// How many replicas ended by themselves in a row before this one started.
    pub restarts: u32,
    /// Requests it works on.
    pub in_flight: u64,
    /// When it was made.
    pub started_ms: Timestamp,
    /// When it ended.
    pub ended_ms: Option<Timestamp>,
}

/// How a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseState {
    /// It goes on by itself.
    Running,
    /// Somebody said to wait. What is breached still ends it.
    Paused,
    /// The new version took the old one's place.
    Completed,
    /// The new version was taken back.
    RolledBack,
    /// Something else took its place before it ended.
    Superseded,
}

impl ReleaseState {
    /// The name as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::RolledBack => "rolled_back",
            Self::Superseded => "superseded",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [
            Self::Running,
            Self::Paused,
            Self::Completed,
            Self::RolledBack,
            Self::Superseded,
        ];
        all.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether it is over.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        !matches!(self, Self::Running | Self::Paused)
    }
}

/// A release as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseView {
    /// Id.
    pub id: ReleaseId,
    /// Its endpoint.
    pub endpoint: String,
    /// The reference that is to be served.
    pub model: String,
    /// The version that serves until the release is complete.
    pub from_version: u32,
    /// The registered model that it is of; of releases older than this was kept, unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_model: Option<ModelName>,
    /// The version that is let out.
    pub to_version: u32,
    /// The registered model that it is of.
    pub to_model: ModelName,
    /// How.
    pub plan: ReleasePlan,
    /// How it is.
    pub state: ReleaseState,
    /// The step, counted from 0.
    pub step: u32,
    /// How many there are.
    pub steps_total: u32,
    /// Requests that the new version gets now, in percent.
    pub percent: u32,
    /// Copies of requests that it gets now, in percent.
    pub copies: u32,
    /// Since when it gets what the step gives it.
    pub begun_ms: Option<Timestamp>,
    /// What it waits for, while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Wait>,
    /// Why it is as it is, in a sentence.
    pub reason: Option<String>,
    /// Who started it, if nobody's alias did.
    pub started_by: Option<String>,
    /// What both versions do, the old one first, while it goes on.
    pub versions: Vec<VersionView>,
    /// What was seen in the steps that have ended.
    pub steps: Vec<StepView>,
    /// When it was started.
    pub created_ms: Timestamp,
    /// When it last changed.
    pub updated_ms: Timestamp,
    /// When it ended.
    pub ended_ms: Option<Timestamp>,
}

/// What a version of a release does: the old one since the release began, the new one since its step did. After the
/// server started anew both are counted anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionView {
    /// The version.
    pub version: u32,
    /// Its replicas that take requests.
    pub replicas_ready: u32,
    /// What it did.
    #[serde(flatten)]
    pub seen: Seen,
    /// What became of copies, if it gets some.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub copies: Option<Copies>,
}

/// What became of copies of requests, since the version is known to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Copies {
    /// Answers in tensors that were the same as those of the version beside it.
    pub same: u64,
    /// Those that were not.
    pub different: u64,
    /// Copies that were not made because too many were under way.
    pub skipped: u64,
}

/// What was seen in a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// Which, counted from 0.
    pub step: u32,
    /// Requests that the new version got, in percent.
    pub percent: u32,
    /// Copies that it got, in percent.
    pub copies: u32,
    /// When it began.
    pub begun_ms: Option<Timestamp>,
    /// When it ended.
    pub ended_ms: Timestamp,
    /// The old version, since the release began.
    pub old: Seen,
    /// The new version.
    pub new: Seen,
}
