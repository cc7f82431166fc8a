//! `corliss experiments …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::some_text;

/// `corliss experiments …`
#[derive(Debug, Subcommand)]
pub enum ExperimentsCommand {
    /// List experiments, newest first
    #[command(after_help = "Examples:\n  corliss experiments list\n  corliss experiments list --deleted")]
    List {
        /// Those that were deleted and can still be restored
        #[arg(long)]
        deleted: bool,
    },
    /// Remove for good what was deleted: runs, logged models and experiments, with their artifacts and traces
    #[command(
        after_help = "What is deleted through mlflow or the console can be restored until then. The space of artifacts is freed by the daily `corliss data gc`, two weeks after they were written. Examples:\n  corliss experiments purge --dry-run\n  corliss experiments purge --older-than-days 7 --experiment scratch --yes"
    )]
    Purge {
        /// What was deleted since stays
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        older_than_days: u64,
        /// Of this experiment alone, by name or number; may be given several times
        #[arg(long, value_name = "EXPERIMENT", value_parser = some_text())]
        experiment: Vec<String>,
        /// Say what would go, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Move in from another tracker: runs with all that they logged, and registered models
    #[command(
        after_help = "Nothing of the source is changed. What was interrupted goes on when the same command is run again, and what is here already is not sent twice."
    )]
    Import {
        /// From what.
        #[command(subcommand)]
        from: ImportFrom,
    },
}

/// `corliss experiments import …`
#[derive(Debug, Subcommand)]
pub enum ImportFrom {
    /// From a store of MLflow: a folder, a SQLite file or a PostgreSQL database
    #[command(
        after_help = "Examples:\n  corliss experiments import mlflow ./mlruns --dry-run\n  corliss experiments import mlflow sqlite:///mlflow.db --artifacts ./mlartifacts\n  corliss experiments import mlflow postgresql://ada@db.example/mlflow --artifacts /srv/mlartifacts --experiment vision"
    )]
    Mlflow(ImportMlflowArgs),
    /// From event files of TensorBoard: each folder that has some becomes a run
    #[command(after_help = "Examples:\n  corliss experiments import tensorboard ./runs --experiment digits")]
    Tensorboard(ImportTensorboardArgs),
}

/// `corliss experiments import mlflow …`
#[derive(Debug, Args)]
pub struct ImportMlflowArgs {
    /// What the MLflow server was started with as its backend store: ./mlruns, sqlite:///mlflow.db, postgresql://…
    #[arg(value_name = "STORE", value_parser = some_text())]
    pub store: String,
    /// Where the artifacts lie that the store does not say itself, or says with another machine's path
    #[arg(long, value_name = "DIR", conflicts_with = "no_artifacts")]
    pub artifacts: Option<PathBuf>,
    /// This experiment alone, by name or number, with the models registered from it; may be given several times
    #[arg(long, value_name = "EXPERIMENT", value_parser = some_text())]
    pub experiment: Vec<String>,
    /// Another name for the one experiment that --experiment chooses
    #[arg(long, value_name = "NAME", value_parser = some_text(), requires = "experiment")]
    pub into: Option<String>,
    /// Add to experiments of the same name that hold something else
    #[arg(long)]
    pub merge: bool,
    /// Which workspace of a database that has several
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = some_text())]
    pub workspace: String,
    /// Leave the artifacts out, and so the versions of models that need them
    #[arg(long)]
    pub no_artifacts: bool,
    /// Read the artifacts that are on both sides and compare what is in them, not their sizes alone
    #[arg(long, conflicts_with = "no_artifacts")]
    pub verify: bool,
    /// Say what is in the source and what of it is here, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `corliss experiments import tensorboard …`
#[derive(Debug, Args)]
pub struct ImportTensorboardArgs {
    /// The folder that TensorBoard is started with
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The experiment that the runs go into; made if there is none
    #[arg(long, value_name = "NAME", value_parser = some_text())]
    pub experiment: String,
    /// Add to an experiment of this name that holds something else
    #[arg(long)]
    pub merge: bool,
    /// Say what is in the source and what of it is here, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}
