//! Endpoints that services elsewhere answer: vLLM, TGI, Triton, or whoever speaks OpenAI's API or the Open Inference
//! Protocol. Nothing of them runs here, so they are rows and routes and no more; what they cost and how they are chosen
//! is as for engines of ours.

mod manage;
mod store;

use corliss_types::{ReplicaId, ServiceDialect, Timestamp};
use corliss_upstream::BaseUrl;
use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use manage::view;
pub(crate) use store::{ServiceRow, delete_service, get_service, list_services, set_service_routing};

/// What an endpoint that a service answers should be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectRequest {
    /// What the service speaks.
    #[serde(default = "openai")]
    pub dialect: ServiceDialect,
    /// What it calls the model.
    pub model: String,
    /// Where it is, once or several times.
    pub targets: Vec<TargetRequest>,
    /// The key that it demands, sent as a bearer token. Left out it stays as it is, null is none.
    #[serde(default, deserialize_with = "said")]
    pub api_key: Option<Option<String>>,
}

/// One address of a service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetRequest {
    /// What the paths of its API come behind, such as `http://gpu1:8000/v1`, or `http://gpu1:8000` for tensors.
    pub url: String,
    /// Its share of the requests where the endpoint is routed by weights, from 1.
    #[serde(default = "one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

const fn openai() -> ServiceDialect {
    ServiceDialect::OpenAi
}

/// Null and nothing are told apart.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// One address as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Under which it is known to requests' records.
    pub id: ReplicaId,
    /// The address.
    pub url: String,
    /// Its share.
    pub weight: u32,
}

/// A service as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceView {
    /// What it speaks.
    pub dialect: ServiceDialect,
    /// What it calls the model.
    pub model: String,
    /// Where it is.
    pub targets: Vec<Target>,
    /// Whether it is shown a key. The key itself is never told.
    pub has_key: bool,
    /// When it was last changed.
    pub updated_ms: Timestamp,
}

/// Where a target is and under which key, for who routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTarget {
    /// Id.
    pub id: ReplicaId,
    /// Where.
    pub url: BaseUrl,
    /// Its share.
    pub weight: u32,
}
