//! The service: checks what is asked, makes ids and times, and runs each operation as one transaction.

mod assessments;
mod attachments;
mod check;
mod conventions;
mod correlation;
mod delete;
mod evaluation;
mod filter;
mod ingest;
mod links;
mod matching;
mod metrics;
mod parts;
mod prepare;
mod preview;
mod read;
mod search;
mod start;
mod tags;
mod totals;

use std::sync::Arc;

use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_mlflow_wire::WireError;

pub use assessments::{AssessmentChange, NewAssessment};
pub use correlation::{Correlation, CorrelationScope};
pub use delete::{DeleteScope, count_traces};
pub use evaluation::{DatasetScope, Evaluation, Merged, NewDataset, RecordPage};
pub use ingest::{Ingested, ReceivedSpan, SpanBatch};
pub use metrics::{Aggregation, MetricPoint, MetricQuery, MetricView};
pub use search::SearchScope;
pub use start::{EndedTrace, NewTrace, StartedTrace};

use crate::TracesError;
use crate::ports::{ExperimentState, Experiments, Files, Runs};

/// The tag that is a trace's name.
const NAME_TAG: &str = "mlflow.traceName";
/// The tag that says where a trace's files lie.
const ARTIFACTS_TAG: &str = "mlflow.artifactLocation";
/// The tag that says where a trace's spans lie.
const SPANS_TAG: &str = "mlflow.trace.spansLocation";
/// Its value where they lie here.
const SPANS_HERE: &str = "TRACKING_STORE";
/// Tags that only the server sets.
const OWN_TAGS: [&str; 4] = [
    ARTIFACTS_TAG,
    SPANS_TAG,
    "mlflow.trace.archiveLocation",
    "mlflow.trace.archivalFailure",
];
/// The metadata of a session, of a user, of token usage and of cost.
const SESSION_KEY: &str = "mlflow.trace.session";
const USER_KEY: &str = "mlflow.trace.user";
const USAGE_KEY: &str = "mlflow.trace.tokenUsage";
const COST_KEY: &str = "mlflow.trace.cost";
/// The metadata that says that a client has finished a trace.
const FINAL_KEY: &str = "mlflow.trace.infoFinalized";
/// The metadata that says how many spans a client sent.
const SIZES_KEY: &str = "mlflow.trace.sizeStats";

/// Traces; cheap to clone.
#[derive(Clone)]
pub struct Traces {
    store: Metastore,
    sources: Sources,
    experiments: Arc<dyn Experiments>,
    runs: Arc<dyn Runs>,
    files: Arc<dyn Files>,
}

impl Traces {
    /// Traces on this store, which must have [`crate::MIGRATIONS`].
    #[must_use]
    pub fn new(
        store: Metastore,
        sources: Sources,
        experiments: Arc<dyn Experiments>,
        runs: Arc<dyn Runs>,
        files: Arc<dyn Files>,
    ) -> Self {
        Self {
            store,
            sources,
            experiments,
            runs,
            files,
        }
    }

    fn now_ms(&self) -> i64 {
        self.sources.clock.now().as_millis()
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0_u8; N];
        self.sources.entropy.fill(&mut bytes);
        bytes
    }

    /// A number for a new trace: the time, so that new traces lie together, and chance, so that two that begin at once
    /// do not wait for each other as they would for a counter.
    fn number(&self) -> i64 {
        const CHANCE_BITS: u32 = 21;
        let chance = u32::from_be_bytes(self.random()) >> (u32::BITS - CHANCE_BITS);
        (self.now_ms().clamp(0, i64::MAX >> CHANCE_BITS) << CHANCE_BITS) | i64::from(chance)
    }

    /// The experiment that new traces go to.
    async fn active_experiment(&self, id: i64) -> Result<ExperimentState, TracesError> {
        let experiment = self
            .experiments
            .experiment(id)
            .await?
            .ok_or_else(|| TracesError::NotFound(format!("No Experiment with id={id} exists")))?;
        if experiment.active {
            return Ok(experiment);
        }
        Err(TracesError::invalid(format!(
            "The experiment {id} must be in the 'active' state. Current state is deleted."
        )))
    }
}

/// Where the files of a trace lie, if it has any.
fn artifacts_of(experiment: &ExperimentState, trace_id: &str) -> String {
    format!("{}/artifacts", folder_of(experiment, trace_id))
}

/// The folder of a trace: what is in it goes with it.
fn folder_of(experiment: &ExperimentState, trace_id: &str) -> String {
    format!(
        "{}/traces/{trace_id}",
        experiment.artifact_location.trim_end_matches('/')
    )
}

/// An experiment id as clients write it.
pub(crate) fn experiment_id(text: &str) -> Result<i64, TracesError> {
    text.parse().map_err(|_| {
        TracesError::from(WireError::new(format!(
            "Invalid experiment ID '{text}'. Experiment ID must be a valid integer."
        )))
    })
}

/// Runs what takes a processor for a while where it keeps no request waiting.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TracesError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| TracesError::Stopping)
}
