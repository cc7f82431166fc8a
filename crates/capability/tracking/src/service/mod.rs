//! The service: checks what is asked, makes ids and times, and runs each operation as one transaction.

mod artifacts;
mod experiments;
mod inputs;
mod log;
mod logged_models;
mod metrics;
mod names;
mod runs;
mod search;
mod steps;

use std::sync::Arc;

use corliss_clock::Sources;
use corliss_metastore::Metastore;

pub use artifacts::ArtifactRead;
pub(crate) use artifacts::path_of as artifact_path;
pub use log::Batch;
pub use logged_models::NewLoggedModel;
pub use runs::NewRun;
pub(crate) use runs::check_run_id;
pub use search::{RunSearch, SearchScope};
pub use steps::StepRun;

use crate::types::{Experiment, LifecycleStage};
use crate::{ArtifactBytes, TrackingError, store};

/// The name of a run, kept in step with its name attribute.
const RUN_NAME_TAG: &str = "mlflow.runName";

/// Tracking; cheap to clone.
#[derive(Clone)]
pub struct Tracking {
    store: Metastore,
    sources: Sources,
    bytes: Arc<dyn ArtifactBytes>,
}

impl Tracking {
    /// Tracking on this store (which must have [`crate::MIGRATIONS`]), with the experiment `Default`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn open(
        store: Metastore,
        sources: Sources,
        bytes: Arc<dyn ArtifactBytes>,
    ) -> Result<Self, TrackingError> {
        let tracking = Self {
            store,
            sources,
            bytes,
        };
        let now_ms = tracking.now_ms();
        let default = Experiment {
            id: 0,
            name: "Default".to_owned(),
            artifact_location: location_of(0),
            lifecycle: LifecycleStage::Active,
            created_ms: now_ms,
            updated_ms: now_ms,
            tags: Vec::new(),
        };
        tracking
            .store
            .write(move |tx| Ok::<_, TrackingError>(store::insert_experiment(tx, &default)?))
            .await?;
        Ok(tracking)
    }

    fn now_ms(&self) -> i64 {
        self.sources.clock.now().as_millis()
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0_u8; N];
        self.sources.entropy.fill(&mut bytes);
        bytes
    }
}

/// Where an experiment's artifacts lie unless its maker said otherwise: with us.
fn location_of(experiment_id: i64) -> String {
    format!("mlflow-artifacts:/{experiment_id}")
}

/// An experiment id as clients write it.
pub(crate) fn experiment_id(text: &str) -> Result<i64, TrackingError> {
    text.parse().map_err(|_| {
        TrackingError::invalid(format!(
            "Invalid experiment ID '{text}'. Experiment ID must be a valid integer."
        ))
    })
}
