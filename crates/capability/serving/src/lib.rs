//! Endpoints: a model behind one name, with replicas that are engine processes; or a service elsewhere behind one.
//!
//! The service stores what an endpoint should be. The reconciler builds the view, asks
//! `policy/serving` and applies the plan: replicas are jobs like any other, so training and serving share
//! one machine's resources. What may take requests is published as a [`RouteTable`].
//!
//! Invariants:
//! - A replica's row is stored before its job is submitted, and the job is submitted under the replica's
//!   id: however often the server dies in between, a replica has one process.
//! - A replica is in the route table only after its engine said that it is ready, and leaves it before it
//!   is told to stop.
//! - What an endpoint should be is what has proven itself: a version that is let out by a release stands beside it, and
//!   takes its place only when the release is complete. What was rolled back is not tried again until somebody says so.
//! - The model's files are checked before anything is started with them: what is damaged, not approved, or a pickle
//!   that nobody allowed is not served; nor is a model whose loading runs code.

mod batching;
mod error;
mod http;
mod ports;
mod reconcile;
mod routes;
mod service;
mod services;
mod sockets;
mod store;
mod types;

pub use batching::Batching;
pub use error::ServingError;
pub use ports::{
    DeployedModel, Done, Lineage, ModelResolver, OpenKey, Order, PortError, ReplicaJob, ReplicaJobState,
    ReplicaJobs, SealedKey, Sealer, Traffic,
};
pub use routes::{RouteEndpoint, RouteRelease, RouteReplica, RouteService, RouteTable};
pub use service::releases::Word;
pub use service::{Runtimes, Serving, ServingParts};
pub use services::{ConnectRequest, RouteTarget, ServiceView, Target, TargetRequest};
pub use store::MIGRATIONS;
pub use types::{
    Copies, DeployRequest, EndpointPhase, EndpointView, ReleaseState, ReleaseView, ReplicaPhase, ReplicaView,
    StepView, VersionView,
};
