//! The service: checks what is asked, makes ids and times, and runs each operation as one transaction.

mod artifacts;
mod experiments;
mod import;
mod inputs;
mod log;
mod logged_models;
mod metrics;
mod names;
mod purge;
mod recorded;
mod runs;
mod search;
mod steps;
mod tables;
mod transfers;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_reconcile::Wake;

pub use artifacts::ArtifactRead;
pub(crate) use artifacts::path_of as artifact_path;
pub use import::{
    ExperimentMoved, FinishedRun, ImportExperiment, ImportModel, ImportPoints, ImportRun, ModelState,
    MovedIn, Outcome, PointsState, Refusal, RunState, Taken,
};
pub use log::Batch;
pub use logged_models::{LoggedModelSearch, NewLoggedModel};
pub use purge::{Purge, Purged};
pub use runs::NewRun;
pub(crate) use runs::check_run_id;
pub use search::{RunSearch, SearchScope};
pub use steps::StepRun;
pub use tables::ArtifactTable;
pub use transfers::{NewUpload, Ticket};

use crate::ports::NoTraces;
use crate::ticket::Tickets;
use crate::types::{Experiment, KeyValue, LifecycleStage};
use crate::{ArtifactBytes, ExperimentTraces, TrackingError, store};

/// The name of a run, kept in step with its name attribute.
const RUN_NAME_TAG: &str = "mlflow.runName";

/// Tracking; cheap to clone.
#[derive(Clone)]
pub struct Tracking {
    store: Metastore,
    sources: Sources,
    bytes: Arc<dyn ArtifactBytes>,
    keys: Arc<store::Keys>,
    batches: Arc<store::Batches>,
    next_run_no: Arc<AtomicI64>,
    tickets: Tickets,
    is_encrypted: bool,
    purged: Wake,
    traces: Arc<dyn ExperimentTraces>,
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
        let batches = Arc::new(store::Batches::open(&store).await?);
        store::move_old_points(&store, &batches).await?;
        let next_run_no = store.read(store::next_run_no).await?;
        let mut key = [0_u8; 32];
        sources.entropy.fill(&mut key);
        let tracking = Self {
            tickets: Tickets::new(key),
            is_encrypted: false,
            purged: Wake::new(),
            traces: Arc::new(NoTraces),
            keys: Arc::new(store::Keys::open(&store).await?),
            batches,
            next_run_no: Arc::new(AtomicI64::new(next_run_no)),
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

    /// Signs addresses with this key, in place of one that ends with the process; and says whether the address that
    /// clients reach is one of https.
    #[must_use]
    pub fn with_tickets(mut self, key: [u8; 32], is_encrypted: bool) -> Self {
        self.tickets = Tickets::new(key);
        self.is_encrypted = is_encrypted;
        self
    }

    /// Counts these traces among what goes with experiments.
    #[must_use]
    pub fn with_traces(mut self, traces: Arc<dyn ExperimentTraces>) -> Self {
        self.traces = traces;
        self
    }

    /// Signals when experiments were removed for good: what hangs on them elsewhere goes too.
    #[must_use]
    pub const fn purged(&self) -> &Wake {
        &self.purged
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// A number that no run has. One that is not used is left out.
    fn next_run_no(&self) -> i64 {
        self.next_run_no.fetch_add(1, Ordering::Relaxed)
    }

    /// These pairs under the numbers of their keys.
    async fn numbered(&self, pairs: &[KeyValue]) -> Result<Vec<store::NumberedText>, TrackingError> {
        let names: Vec<&str> = pairs.iter().map(|pair| pair.key.as_str()).collect();
        let numbers = self.keys.numbers(&self.store, &names).await?;
        let texts = pairs.iter().map(|pair| pair.value.clone());
        Ok(numbers.into_iter().zip(texts).collect())
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

/// The path of a file under an artifact location of ours.
fn path_of_location(artifact_uri: &str, path: &str) -> Result<String, TrackingError> {
    let root = artifacts::path_of(artifact_uri).ok_or_else(|| {
        TrackingError::invalid(format!(
            "The artifacts at '{artifact_uri}' are not kept by this server."
        ))
    })?;
    Ok(format!("{root}/{path}"))
}
