//! Evaluation: datasets and scorers. They are of this room because they speak of what it keeps: a record may come from a
//! trace, and what a scorer says becomes an assessment of one.

mod datasets;
mod records;
mod schema;
mod scorers;

use std::sync::Arc;

use corliss_clock::Sources;
use corliss_metastore::Metastore;

pub use datasets::{DatasetScope, NewDataset};
pub(crate) use records::RecordDraft;
pub use records::{Merged, RecordPage};

use super::experiment_id;
use crate::TracesError;
use crate::ports::{ExperimentState, Experiments};
use crate::span::hex;

/// The tag by which a client says who it works for.
const USER_TAG: &str = "mlflow.user";

/// Datasets and scorers; cheap to clone.
#[derive(Clone)]
pub struct Evaluation {
    store: Metastore,
    sources: Sources,
    experiments: Arc<dyn Experiments>,
}

impl Evaluation {
    /// Datasets and scorers on this store, which must have [`crate::MIGRATIONS`].
    #[must_use]
    pub fn new(store: Metastore, sources: Sources, experiments: Arc<dyn Experiments>) -> Self {
        Self {
            store,
            sources,
            experiments,
        }
    }

    fn now_ms(&self) -> i64 {
        self.sources.clock.now().as_millis()
    }

    fn new_id(&self, prefix: &str) -> String {
        let mut bytes = [0_u8; 16];
        self.sources.entropy.fill(&mut bytes);
        format!("{prefix}{}", hex(&bytes))
    }

    /// The experiment of this id, active or deleted.
    async fn experiment(&self, text: &str) -> Result<(i64, ExperimentState), TracesError> {
        let id = experiment_id(text)?;
        let found = self.experiments.experiment(id).await?;
        found
            .map(|state| (id, state))
            .ok_or_else(|| TracesError::NotFound(format!("No Experiment with id={text} exists")))
    }

    /// The numbers of these experiments, which there are.
    async fn known(&self, ids: &[String]) -> Result<Vec<i64>, TracesError> {
        let mut known = Vec::with_capacity(ids.len());
        for id in ids {
            known.push(self.experiment(id).await?.0);
        }
        Ok(known)
    }
}
