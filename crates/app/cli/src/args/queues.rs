//! `corliss admin queues …`: what jobs wait in.

use std::path::PathBuf;

use clap::Subcommand;

/// `corliss admin queues …`
#[derive(Debug, Subcommand)]
pub enum QueuesCommand {
    /// Show the queues, what each may use and uses
    #[command(
        after_help = "Examples:\n  corliss admin queues show\n  corliss admin queues show --json > queues.json"
    )]
    Show,
    /// Make the queues of a file the queues; what would follow at once is shown first
    ///
    /// The file holds all queues: one that is not in it goes, if no job waits or runs in it. Jobs that wait are decided on
    /// anew; those that run go on, unless another has a right to their place.
    #[command(after_help = "Examples:
  corliss admin queues apply queues.json --dry-run
  corliss admin queues apply queues.json
  echo '{\"queues\": {\"research\": {\"quota\": {\"accelerators\": 8}}}}' | corliss admin queues apply -")]
    Apply {
        /// The file, as `corliss admin queues show --json` prints it; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Say what would follow at once, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask where jobs would be stopped or could never start
        #[arg(long)]
        yes: bool,
    },
}
