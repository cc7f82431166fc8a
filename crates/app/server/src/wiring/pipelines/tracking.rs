//! A step's tracking run, through the tracking room.

use std::collections::BTreeMap;

use async_trait::async_trait;
use corliss_pipelines::ports::{PortError, StepTracking, TrackingEnd, TrackingPort};
use corliss_tracking::{RunStatus, StepRun, Tracking};
use corliss_types::TrackingRunId;

/// Tracking runs of steps.
pub struct StepRuns(pub Tracking);

#[async_trait]
impl TrackingPort for StepRuns {
    async fn open(&self, tracking: &StepTracking) -> Result<(), PortError> {
        let step = StepRun {
            id: tracking.id.clone(),
            project: tracking.project.clone(),
            run_id: tracking.run.clone(),
            step: tracking.step.clone(),
            user: tracking.submitted_by.clone(),
            tags: Vec::new(),
        };
        self.0
            .ensure_step_run(step)
            .await
            .map(drop)
            .map_err(|error| PortError::of(&error))
    }

    async fn close(&self, id: &TrackingRunId, end: TrackingEnd) -> Result<(), PortError> {
        let status = match end {
            TrackingEnd::Finished => RunStatus::Finished,
            TrackingEnd::Failed => RunStatus::Failed,
            TrackingEnd::Killed => RunStatus::Killed,
        };
        self.0
            .finish_step_run(id, status)
            .await
            .map_err(|error| PortError::of(&error))
    }

    async fn metrics(&self, ids: &[TrackingRunId]) -> Result<Vec<BTreeMap<String, f64>>, PortError> {
        let mut latest = self
            .0
            .latest_metrics(ids)
            .await
            .map_err(|error| PortError::of(&error))?;
        Ok(ids
            .iter()
            .map(|id| latest.remove(id).unwrap_or_default())
            .collect())
    }
}
