//! Inference requests in the dialects that clients speak (OpenAI, Open Inference Protocol), each given to a replica of
//! its endpoint: an engine of ours, or a service elsewhere. The endpoint's name is the model name of the request.
//!
//! Invariants:
//! - A request is given to another replica only while nothing was sent to its client, and only within the
//!   endpoint's budget of further attempts.
//! - A client that goes away ends its work in the engine.
//! - A parameter that would change the answer and is not supported is refused by name, never ignored.
//! - Every request has a deadline, every endpoint a bound on requests at once; beyond it the answer is 429.
//! - While a version is released, what is its own is decided before a replica is picked; a copy of a request is sent when
//!   the real answer is there, and is charged to nobody.
//! - Routing reads a snapshot; no request waits for a reconciler, and none for a database whose caller has no limits.
//! - What a request of a caller with limits may use is durable before it is begun.

mod config;
mod error;
mod http;
mod ports;
mod service;
mod store;

pub use config::GatewayConfig;
pub use error::GatewayError;
pub use ports::{
    Repository, RouteEndpoint, RouteRelease, RouteReplica, RouteTable, RouteWay, Serves, ServiceAddress,
};
pub use service::Gateway;
pub use service::record::{Outcome, RequestRecord};
pub use service::stats::{EndpointStats, LATENCY_BUCKETS_MS};
pub use service::versions::{VersionStats, VersionTraffic};
pub use store::MIGRATIONS;
