//! Requests and answers of the native API.

use corliss_policy_serving::Routing;
use corliss_types::{Flavor, JobId, ModelName, ReplicaId, Resources, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Batching;

/// What an endpoint should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// `NAME@ALIAS`, which follows the alias, or `NAME/VERSION`, which does not move.
    pub model: String,
    /// How many engine processes, from 1.
    #[serde(default = "one")]
    pub replicas: u32,
    /// What each of them holds. By default nothing: engines share what is free.
    #[serde(default)]
    pub resources: Resources,
    /// Also a model beside whose file a pickle lies, which is not loaded, and one that only Python loads, running code
    /// of whoever made it; for callers who may allow that.
    #[serde(default)]
    pub allow_pickle: bool,
    /// How requests with tensors are joined.
    #[serde(default, skip_serializing_if = "Batching::is_default")]
    pub batching: Batching,
}

fn one() -> u32 {
    1
}

/// How an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointPhase {
    /// On the way to what it should be; it may serve already.
    Deploying,
    /// As it should be.
    Ready,
    /// It serves with fewer replicas than it should.
    Degraded,
    /// Its engines end again and again.
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
    /// Registered model behind the reference.
    pub model_name: ModelName,
    /// Version that the reference means now.
    pub desired_version: u32,
    /// Newest version that takes requests.
    pub serving_version: Option<u32>,
    /// Kind of engine.
    pub flavor: Flavor,
    /// How it is.
    pub state: EndpointPhase,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// Engine processes wanted.
    pub replicas_desired: u32,
    /// Engine processes that take requests.
    pub replicas_ready: u32,
    /// What each of them holds.
    pub resources: Resources,
    /// How its requests are routed.
    pub routing: Routing,
    /// Whether a pickle may lie beside what it serves, or be what it serves.
    pub allow_pickle: bool,
    /// How requests with tensors are joined.
    #[serde(skip_serializing_if = "Batching::is_default")]
    pub batching: Batching,
    /// Who said last what it should be, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_by: Option<String>,
    /// Its processes, those that ended lately included.
    pub replicas: Vec<ReplicaView>,
    /// Requests answered by the processes that run now.
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
