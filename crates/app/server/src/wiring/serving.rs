//! Serving's models come from the registry and the data room, its replicas are jobs, its lineage is the
//! data room's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use corliss_data::{DataService, Edge, NodeKind, NodeRef, Relation};
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_jobs::{Command, JobKind, JobSpec, JobState, Jobs, Launcher, StopCause, Terms};
use corliss_registry::{Deployed, Registry};
use corliss_serving::{
    DeployedModel, Lineage, ModelResolver, Order, PortError, ReplicaJob, ReplicaJobState, ReplicaJobs,
};
use corliss_types::{IdError, JobId, ModelName, VersionId};

/// An engine finishes its requests within this time after SIGTERM.
const GRACE_MS: u64 = 15_000;
const LOG_LIMIT_BYTES: u64 = 16 << 20;

/// Models as folders of files.
pub struct Models {
    /// Names, aliases, versions.
    pub registry: Registry,
    /// Files.
    pub data: DataService,
    /// Where models are laid out.
    pub folder: PathBuf,
}

/// MLflow allows names of models that no path or endpoint could have; such a model is kept, not served.
#[derive(Debug, thiserror::Error)]
#[error("the model cannot be served under its name: {0}")]
struct NotAName(IdError);

impl Diagnose for NotAName {
    fn code(&self) -> &'static str {
        "model_name"
    }
    fn meaning(&self) -> Meaning {
        Meaning::InvalidInput
    }
}

/// What is registered under this name is a prompt.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is a prompt, which has no files to serve")]
struct NoFiles(String);

impl Diagnose for NoFiles {
    fn code(&self) -> &'static str {
        "model_is_prompt"
    }
    fn meaning(&self) -> Meaning {
        Meaning::InvalidInput
    }
}

#[async_trait]
impl ModelResolver for Models {
    async fn resolve(&self, reference: &str) -> Result<DeployedModel, PortError> {
        let found = self
            .registry
            .resolve(reference)
            .await
            .map_err(|error| PortError::of(&error))?;
        let Some(files) = found.source_version else {
            return Err(PortError::of(&NoFiles(found.name)));
        };
        Ok(DeployedModel {
            model: found
                .name
                .parse()
                .map_err(|error| PortError::of(&NotAName(error)))?,
            version: u32::try_from(found.version).unwrap_or(u32::MAX),
            files,
        })
    }

    async fn clear(&self, model: &DeployedModel, allow_pickle: bool) -> Result<(), PortError> {
        let name = model.model.to_string();
        self.registry
            .clear_for_deployment(name, i64::from(model.version), allow_pickle)
            .await
            .map_err(|error| PortError::of(&error))
    }

    async fn materialise(&self, files: &VersionId) -> Result<PathBuf, PortError> {
        let folder = self.folder.join(files.as_str());
        self.data
            .materialise(files, &folder)
            .await
            .map_err(|error| PortError::of(&error))?;
        Ok(folder)
    }
}

/// Replicas as jobs that run this very program.
pub struct Replicas {
    /// The jobs room.
    pub jobs: Arc<Jobs>,
    /// This program.
    pub program: PathBuf,
    /// Where replicas are started.
    pub folder: PathBuf,
    /// Their environment.
    pub environment: BTreeMap<String, String>,
}

impl Replicas {
    /// What an engine is given of this server's environment: where to find Python, and its user's settings of pip. It
    /// is kept with the job and shown, so nothing else is.
    pub fn inherited() -> BTreeMap<String, String> {
        let given = ["PATH", "HOME"].into_iter();
        given
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect()
    }
}

#[async_trait]
impl ReplicaJobs for Replicas {
    async fn submit(&self, job: ReplicaJob) -> Result<JobId, PortError> {
        let mut argv = vec![self.program.display().to_string()];
        argv.extend(job.arguments);
        let spec = JobSpec {
            name: job.name,
            kind: JobKind::Service,
            run_id: None,
            step: None,
            attempt: 1,
            workers: 1,
            launcher: Launcher::None,
            command: Command::Argv(argv),
            env: self.environment.clone(),
            cwd: self.folder.clone(),
            resources: job.resources,
            timeout_ms: None,
            grace_ms: GRACE_MS,
            checkpoint: None,
            log_limit_bytes: LOG_LIMIT_BYTES,
            terms: Terms {
                project: job.endpoint,
                ..Terms::default()
            },
        };
        let key = format!("replica/{}", job.replica);
        self.jobs
            .submit(&key, spec)
            .await
            .map_err(|error| PortError::of(&error))
    }

    async fn observe(&self, job: &JobId) -> Result<ReplicaJobState, PortError> {
        let job = self.jobs.get(job).await.map_err(|error| PortError::of(&error))?;
        Ok(match job.state {
            JobState::Queued => {
                ReplicaJobState::Queued(job.reason.unwrap_or_else(|| "it waits for its turn".to_owned()))
            }
            JobState::Starting | JobState::Running | JobState::Stopping => ReplicaJobState::Running,
            _ if job.stop_cause == Some(StopCause::Interrupt) => {
                ReplicaJobState::Interrupted("the server went down".to_owned())
            }
            _ if job.stop_cause == Some(StopCause::Preempted) => {
                ReplicaJobState::Interrupted(job.reason.unwrap_or_default())
            }
            JobState::Succeeded | JobState::Failed | JobState::Cancelled => ReplicaJobState::Ended(
                job.reason
                    .unwrap_or_else(|| "the engine ended by itself".to_owned()),
            ),
        })
    }

    async fn stop(&self, job: &JobId, failure: Option<&str>) -> Result<(), PortError> {
        let stopped = match failure {
            Some(reason) => self.jobs.give_up(job, reason).await,
            None => self.jobs.cancel(job).await,
        };
        stopped.map(drop).map_err(|error| PortError::of(&error))
    }
}

/// Deployments in the lineage graph and in models' logs.
pub struct Deployments {
    /// Lineage.
    pub data: DataService,
    /// Logs.
    pub registry: Registry,
}

#[async_trait]
impl Lineage for Deployments {
    async fn ordered(&self, order: Order) -> Result<(), PortError> {
        let deployed = Deployed {
            endpoint: order.endpoint,
            reference: order.reference,
            name: order.model.to_string(),
            version: i64::from(order.version),
            by: order.by,
            allow_pickle: order.allow_pickle,
            key: order.key,
        };
        self.registry
            .record_deployment(deployed)
            .await
            .map_err(|error| PortError::of(&error))
    }

    async fn deployed(&self, endpoint: &str, model: &ModelName, version: u32) -> Result<(), PortError> {
        let carried = |error| PortError::of(&error);
        let edge = Edge {
            from: NodeRef::new(NodeKind::Model, format!("{model}/{version}")).map_err(carried)?,
            to: NodeRef::new(NodeKind::Endpoint, endpoint).map_err(carried)?,
            relation: Relation::Deployed,
        };
        self.data.record_lineage(vec![edge]).await.map_err(carried)
    }
}
