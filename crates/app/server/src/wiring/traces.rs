//! Traces belong to experiments of tracking, are linked to its runs, and have their files among its artifacts.

use async_trait::async_trait;
use corliss_traces::{ByteStream, ExperimentState, Experiments, Files, PortError, Runs};
use corliss_tracking::{LifecycleStage, Tracking, TrackingError};

/// Experiments, runs and files, as the tracking room keeps them.
pub struct Tracked(pub Tracking);

#[async_trait]
impl Experiments for Tracked {
    async fn experiment(&self, id: i64) -> Result<Option<ExperimentState>, PortError> {
        match self.0.experiment(id).await {
            Ok(experiment) => Ok(Some(ExperimentState {
                active: experiment.lifecycle == LifecycleStage::Active,
                artifact_location: experiment.artifact_location,
            })),
            Err(TrackingError::NotFound(_)) => Ok(None),
            Err(error) => Err(PortError::of(&error)),
        }
    }
}

#[async_trait]
impl Runs for Tracked {
    async fn exists(&self, run_id: &str) -> Result<bool, PortError> {
        match self.0.run(run_id.to_owned()).await {
            Ok(_) => Ok(true),
            Err(TrackingError::NotFound(_)) => Ok(false),
            Err(error) => Err(PortError::of(&error)),
        }
    }
}

#[async_trait]
impl Files for Tracked {
    async fn open(&self, uri: &str) -> Result<Option<(u64, ByteStream)>, PortError> {
        match self.0.open_artifact_at(uri).await {
            Ok(found) => Ok(found.map(|read| (read.size_bytes, read.bytes))),
            Err(TrackingError::NotFound(_)) => Ok(None),
            Err(error) => Err(PortError::of(&error)),
        }
    }

    async fn remove(&self, folders: Vec<String>) -> Result<(), PortError> {
        self.0
            .remove_folders(folders)
            .await
            .map_err(|error| PortError::of(&error))
    }
}
