//! Who may do what: roles, permissions, and what a route declares. The table that maps one to the
//! other is `policy/access`.

use serde::{Deserialize, Serialize};

use crate::PrincipalId;
use crate::named::named_enum;

named_enum!(
    /// The job a person has; decides what they may do.
    Role {
        /// Commits data, runs training, compares runs.
        DataScientist = "data-scientist",
        /// Also promotes and approves models and operates endpoints.
        MlEngineer = "ml-engineer",
        /// Also protects models, and manages tokens and the installation.
        PlatformAdmin = "platform-admin",
        /// A task of a job: reads data, logs to tracking, nothing else.
        Workload = "workload",
    }
);

named_enum!(
    /// One thing that a caller may be allowed to do.
    Permission {
        /// Read datasets, versions and lineage.
        DataRead = "data.read",
        /// Add data and make versions.
        DataWrite = "data.write",
        /// See pipeline runs, their steps and logs.
        RunsRead = "runs.read",
        /// Start, cancel and rerun pipeline runs.
        RunsWrite = "runs.write",
        /// See jobs, the queue and logs.
        JobsRead = "jobs.read",
        /// Cancel jobs.
        JobsWrite = "jobs.write",
        /// Say which queues there are, and who may use how much.
        QueuesManage = "queues.manage",
        /// Read experiments, tracking runs, metrics and artifacts.
        TrackingRead = "tracking.read",
        /// Log to tracking.
        TrackingWrite = "tracking.write",
        /// Read registered models.
        ModelsRead = "models.read",
        /// Register model versions.
        ModelsWrite = "models.write",
        /// Move aliases and delete registered models.
        ModelsPromote = "models.promote",
        /// Approve and reject versions of registered models.
        ModelsApprove = "models.approve",
        /// Say which registered models need approval.
        ModelsProtect = "models.protect",
        /// Deploy models that hold pickles.
        ModelsDeployUnsafe = "models.deploy_unsafe",
        /// See endpoints and their replicas.
        EndpointsRead = "endpoints.read",
        /// Deploy, change and remove endpoints.
        EndpointsWrite = "endpoints.write",
        /// Send inference requests.
        Infer = "infer",
        /// See the installation's status, workers and settings.
        SystemRead = "system.read",
        /// Manage tokens and stop the server.
        SystemAdmin = "system.admin",
    }
);

impl Permission {
    /// Whether it allows to look at something and to change nothing.
    #[must_use]
    pub const fn reads(self) -> bool {
        match self {
            Self::DataRead
            | Self::RunsRead
            | Self::JobsRead
            | Self::TrackingRead
            | Self::ModelsRead
            | Self::EndpointsRead
            | Self::SystemRead => true,
            Self::DataWrite
            | Self::RunsWrite
            | Self::JobsWrite
            | Self::QueuesManage
            | Self::TrackingWrite
            | Self::ModelsWrite
            | Self::ModelsPromote
            | Self::ModelsApprove
            | Self::ModelsProtect
            | Self::ModelsDeployUnsafe
            | Self::EndpointsWrite
            | Self::Infer
            | Self::SystemAdmin => false,
        }
    }
}

/// What a route demands of its caller. A route without one cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Anyone who can reach the address: probes, the console's static files, sign-in.
    Public,
    /// Any caller who presents a valid credential.
    Authenticated,
    /// A caller whose role holds this permission.
    Requires(Permission),
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Stable id.
    pub id: PrincipalId,
    /// Name for people and for the record.
    pub name: String,
    /// Role; decides permissions.
    pub role: Role,
}
