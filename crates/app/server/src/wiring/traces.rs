//! Traces belong to experiments of tracking, and are linked to its runs.

use async_trait::async_trait;
use corliss_traces::{ExperimentState, Experiments, PortError, Runs};
use corliss_tracking::{LifecycleStage, Tracking, TrackingError};

/// Experiments and runs, as the tracking room keeps them.
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
