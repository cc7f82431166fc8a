//! The port that every store is read through.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::SourceError;
use crate::files::FileStore;
use crate::location::Location;
use crate::model::{Experiment, LoggedModel, ModelVersion, Point, RegisteredModel, Run};
use crate::sql::{Postgres, SqlStore, Sqlite};

/// Takes points as they come; says whether to go on.
pub type Each<'a> = dyn FnMut(Point) -> ControlFlow<()> + 'a;

/// What is to be known of a store beside the records that it gives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remark {
    /// A part of it cannot be read and was left out: which, where, and why.
    LeftOut(String),
    /// The last line of this file is not complete: whoever writes it is at it, or died. The line was left out.
    Unfinished(PathBuf),
}

/// What is to be known of a store, each once however often it is come across.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    known: BTreeSet<Remark>,
    new: Vec<Remark>,
}

impl Remarks {
    pub fn add(&mut self, remark: Remark) {
        if self.known.insert(remark.clone()) {
            self.new.push(remark);
        }
    }

    /// Leaves a part out, if the error is about it alone.
    pub fn leave_out(&mut self, what: &str, error: SourceError) -> Result<(), SourceError> {
        if !error.is_of_a_part() {
            return Err(error);
        }
        self.add(Remark::LeftOut(format!("{what}: {error}")));
        Ok(())
    }

    pub fn take(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.new)
    }
}

/// A store of MLflow. Of what it lists, a part that cannot be read is left out, which [`MlflowStore::remarks`] tells.
pub trait MlflowStore {
    /// What is to be known that was not told yet.
    fn remarks(&mut self) -> Vec<Remark>;

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

    /// These runs of an experiment; one that is gone meanwhile is none of them.
    ///
    /// # Errors
    /// The source cannot be read.
    fn runs(&mut self, experiment: &str, ids: &[String]) -> Result<Vec<Run>, SourceError>;

    /// The points of a run, metric by metric, each in the order of [`Point::order`]; the same one may come twice in a row.
    ///
    /// # Errors
    /// The source cannot be read, or holds something else than it should: see [`SourceError::is_of_a_part`].
    fn points(&mut self, experiment: &str, run: &str, each: &mut Each<'_>) -> Result<(), SourceError>;

    /// The logged models of an experiment, active and deleted.
    ///
    /// # Errors
    /// The source cannot be read.
    fn logged_models(&mut self, experiment: &str) -> Result<Vec<LoggedModel>, SourceError>;

    /// All registered models, by name.
    ///
    /// # Errors
    /// The source cannot be read.
    fn registered_models(&mut self) -> Result<Vec<RegisteredModel>, SourceError>;

    /// The versions of a registered model, oldest first.
    ///
    /// # Errors
    /// The source cannot be read.
    fn versions(&mut self, model: &str) -> Result<Vec<ModelVersion>, SourceError>;
}

/// The workspace that every store has.
pub const DEFAULT_WORKSPACE: &str = "default";

/// Opens a store for reading. `workspace` is the one to read, where the store has several. What takes long, such as another
/// process that has locked it, is said to `waiting`.
///
/// # Errors
/// It cannot be reached, or is none of MLflow's, or of a version that is not read, or has no such workspace.
pub fn open(
    location: &Location,
    workspace: &str,
    waiting: &mut dyn FnMut(&str),
) -> Result<Box<dyn MlflowStore>, SourceError> {
    Ok(match location {
        Location::Folder(_) if workspace != DEFAULT_WORKSPACE => {
            return Err(SourceError::Workspace {
                asked: workspace.to_owned(),
                has: "a folder has no workspaces".to_owned(),
            });
        }
        Location::Folder(folder) => Box::new(FileStore::open(folder)?),
        Location::Sqlite(file) => Box::new(SqlStore::open(Sqlite::open(file, waiting)?, workspace)?),
        Location::Postgres(url) => Box::new(SqlStore::open(Postgres::connect(url)?, workspace)?),
    })
}
