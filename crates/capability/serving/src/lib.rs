//! Endpoints: a model behind one name, with replicas that are engine processes.
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
//! - The model's files are checked before anything is started with them: what is damaged, not approved, or a pickle
//!   that nobody allowed is not served; nor is a model whose loading runs code.

mod batching;
mod error;
mod http;
mod ports;
mod reconcile;
mod routes;
mod service;
mod sockets;
mod store;
mod types;

pub use batching::Batching;
pub use error::ServingError;
pub use ports::{
    DeployedModel, Lineage, ModelResolver, Order, PortError, ReplicaJob, ReplicaJobState, ReplicaJobs,
};
pub use routes::{RouteEndpoint, RouteReplica, RouteTable};
pub use service::{PythonPlace, Serving, ServingParts};
pub use store::MIGRATIONS;
pub use types::{DeployRequest, EndpointPhase, EndpointView, ReplicaPhase, ReplicaView};
