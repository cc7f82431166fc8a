//! Tracking: what training logs about itself (experiments, runs, parameters, metrics, tags, datasets,
//! artifacts, logged models), in the dialect of MLflow's unmodified clients.
//!
//! Invariants:
//! - A 2xx answer means durable: each call is one transaction, and the store shares commits between calls.
//! - Parameters are write-once: the same value again changes nothing, another one is refused by name.
//! - The table of latest metrics follows from the history: for each key the entry with the greatest
//!   (step, time, value), NaN counting as 0, whatever order the calls arrived in.
//! - A deleted run or experiment accepts nothing until it is restored, and is still there to be read.
//! - An artifact path is a key in a table, never a path on a disk; its bytes are named by their content.
//! - No operation's statements grow in number with the runs it touches.

mod error;
pub mod http;
mod limits;
mod ports;
mod service;
mod store;
mod sweeper;
mod ticket;
mod types;

pub use error::TrackingError;
pub use ports::{ArtifactBytes, ByteStream, ExperimentTraces, Kept, PortError, StoredBytes};
pub use service::{
    ArtifactRead, ArtifactTable, Batch, ExperimentMoved, FinishedRun, ImportExperiment, ImportModel,
    ImportPoints, ImportRun, LoggedModelSearch, ModelState, MovedIn, NewLoggedModel, NewRun, NewUpload,
    Outcome, PointsState, Purge, Purged, Refusal, RunSearch, RunState, SearchScope, StepRun, Taken, Ticket,
    Tracking,
};
pub use store::MIGRATIONS;
pub use sweeper::spawn;
pub use types::{
    ArtifactEntry, ArtifactFile, DatasetInput, DatasetKey, DatasetSummary, Experiment, KeyValue,
    LifecycleStage, LoggedModel, Metric, ModelLink, ModelOrder, Page, Run, RunInfo, RunStatus, ViewType,
};
