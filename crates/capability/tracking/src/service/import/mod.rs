//! Moving in from another tracker. What is moved in keeps the ids, times and lifecycle stages of its source, and is held to
//! the same rules as what clients log.
//!
//! A run is begun (`import_runs`), gets its points and artifacts, and is finished with a digest of the state in which its
//! source had it. Every step may be repeated, also by two at once: whoever is interrupted asks what is here
//! (`import_state`) and goes on.

mod experiments;
mod models;
mod runs;
mod state;

pub use experiments::{ExperimentMoved, ImportExperiment};
pub use models::ImportModel;
pub use runs::{FinishedRun, ImportPoints, ImportRun};
pub use state::{ModelState, MovedIn, PointsState, RunState};

use corliss_metastore::Tx;

use crate::types::Experiment;
use crate::{TrackingError, limits, store};

/// One thing of a call that was not taken, and why; the others of the call were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its id.
    pub id: String,
    /// Why.
    pub message: String,
}

/// One thing of a call that was taken, and where its artifacts are to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its id.
    pub id: String,
    /// An address that is kept here.
    pub artifact_uri: String,
}

/// What became of the things of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Those that were taken.
    pub taken: Vec<Taken>,
    /// Those that were not.
    pub refused: Vec<Refusal>,
}

/// Whether an error is about the one thing, not about the call or the store.
fn is_refusal(error: &TrackingError) -> bool {
    matches!(
        error,
        TrackingError::Request(_)
            | TrackingError::NotFound(_)
            | TrackingError::ImportTaken(_)
            | TrackingError::ImportElsewhere { .. }
    )
}

/// What is moved into an experiment is in none yet, or in that one.
fn check_place(tx: &mut dyn Tx, id: &str, found: i64, wanted: &Experiment) -> Result<(), TrackingError> {
    if found == wanted.id {
        return Ok(());
    }
    let named = store::experiment_by_id(tx, found)?;
    Err(TrackingError::ImportElsewhere {
        id: id.to_owned(),
        experiment: named.map_or_else(|| found.to_string(), |experiment| experiment.name),
    })
}

fn check_count(what: &str, count: usize, most: usize) -> Result<(), TrackingError> {
    if count <= most {
        return Ok(());
    }
    Err(TrackingError::invalid(format!(
        "A call can carry at most {most} {what}, got {count}"
    )))
}

fn check_source(source: &str) -> Result<(), TrackingError> {
    if source.is_empty() {
        return Err(TrackingError::invalid("'source' must say where it comes from"));
    }
    Ok(corliss_mlflow_wire::check_length(
        "source",
        limits::IMPORT_SOURCE_LEN,
        source,
    )?)
}
