//! The port that every store is read through.

use std::ops::ControlFlow;

use crate::SourceError;
use crate::files::FileStore;
use crate::location::Location;
use crate::model::{Experiment, LoggedModel, ModelVersion, Point, RegisteredModel, Run};
use crate::sql::{Postgres, SqlStore, Sqlite};

/// Takes points as they come; says whether to go on.
pub type Each<'a> = dyn FnMut(Point) -> ControlFlow<()> + 'a;

/// A store of MLflow.
pub trait MlflowStore {
    /// All experiments, active and deleted, by name.
    ///
    /// # Errors
    /// The source cannot be read.
    fn experiments(&mut self) -> Result<Vec<Experiment>, SourceError>;

    /// The ids of an experiment's runs, active and deleted, in a fixed order.
    ///
    /// # Errors
    /// The source cannot be read.
    fn run_ids(&mut self, experiment: &str) -> Result<Vec<String>, SourceError>;

    /// These runs of an experiment; one that is gone meanwhile is left out.
    ///
    /// # Errors
    /// The source cannot be read, or holds something else than it should.
    fn runs(&mut self, experiment: &str, ids: &[String]) -> Result<Vec<Run>, SourceError>;

    /// The points of a run, metric by metric, each in order of time, step and value.
    ///
    /// # Errors
    /// The source cannot be read, or holds something else than it should.
    fn points(&mut self, experiment: &str, run: &str, each: &mut Each<'_>) -> Result<(), SourceError>;

    /// The logged models of an experiment, active and deleted.
    ///
    /// # Errors
    /// The source cannot be read, or holds something else than it should.
    fn logged_models(&mut self, experiment: &str) -> Result<Vec<LoggedModel>, SourceError>;

    /// All registered models, by name.
    ///
    /// # Errors
    /// The source cannot be read, or holds something else than it should.
    fn registered_models(&mut self) -> Result<Vec<RegisteredModel>, SourceError>;

    /// The versions of a registered model, oldest first.
    ///
    /// # Errors
    /// The source cannot be read, or holds something else than it should.
    fn versions(&mut self, model: &str) -> Result<Vec<ModelVersion>, SourceError>;
}

/// Opens a store for reading. `workspace` is the one to read, where the store has several.
///
/// # Errors
/// It cannot be reached, or is none of MLflow's, or of a version that is not read.
pub fn open(location: &Location, workspace: &str) -> Result<Box<dyn MlflowStore>, SourceError> {
    Ok(match location {
        Location::Folder(folder) => Box::new(FileStore::open(folder)?),
        Location::Sqlite(file) => Box::new(SqlStore::open(Sqlite::open(file)?, workspace)?),
        Location::Postgres(url) => Box::new(SqlStore::open(Postgres::connect(url)?, workspace)?),
    })
}
