//! What other trackers left on disk or in a database, read as a stream of records: stores of MLflow (a SQLite or
//! PostgreSQL database, or a folder of files) and event files of TensorBoard.
//!
//! Invariants:
//! - Nothing of a source is ever written, locked for long, or run.
//! - A record is what the source holds: times, ids and lifecycle stages are those of the source. What cannot be read is
//!   an error or a remark that names the file, row or column; nothing is left out silently, and one damaged part spoils
//!   no other.
//! - A history is read in parts, so its length costs no memory in a database or an event file; one metric's file of a
//!   folder is held whole, because it may hold points twice and out of order.
//!
//! Calls block.

mod error;
mod files;
mod location;
mod metric;
mod model;
mod source;
mod sql;
mod tensorboard;

pub use error::SourceError;
pub use location::Location;
pub use model::{
    Dataset, Experiment, LoggedModel, ModelLink, ModelMetric, ModelVersion, Pair, Point, RegisteredModel, Run,
};
pub use source::{DEFAULT_WORKSPACE, Each, MlflowStore, Remark, open};
pub use tensorboard::{EventFiles, EventRun};
