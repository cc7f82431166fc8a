//! Plain data that every floor shares: typed ids, time, resources, roles and permissions.
//!
//! Nothing here does I/O, reads a clock or knows a wire format beyond its serde form; wire DTOs and
//! database rows live in the capability that owns them.

pub mod amount;
mod calendar;
mod flavor;
mod id;
mod named;
mod permission;
mod placing;
mod resources;
mod service_dialect;
mod time;

pub use calendar::{civil_date, days_of};
pub use flavor::Flavor;
pub use id::{
    AttemptNumber, CommitId, DatasetName, EndpointId, IdError, IdSeed, JobId, ModelName, PrincipalId,
    ReleaseId, ReplicaId, RunId, TaskId, TokenId, TrackingRunId, VersionId,
};
pub use permission::{Access, Permission, Principal, Role};
pub use placing::{Nearness, Placing, is_called};
pub use resources::{Accelerator, MilliCpu, Resources};
pub use service_dialect::ServiceDialect;
pub use time::{DurationMs, Timestamp};
