//! `corliss experiments …`

use clap::Subcommand;

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
    /// Remove for good what was deleted: runs, logged models and experiments, with their artifacts
    #[command(
        after_help = "What is deleted through mlflow or the console can be restored until then. The bytes of artifacts go with the next `corliss data gc`. Examples:\n  corliss experiments purge --dry-run\n  corliss experiments purge --older-than-days 7 --experiment scratch --yes"
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
}
