//! `corliss admin nodes …`: what the machine acts as.

use std::path::PathBuf;

use clap::Subcommand;

use super::some_text;

/// `corliss admin nodes …`
#[derive(Debug, Subcommand)]
pub enum NodesCommand {
    /// Show the nodes, what each has and what runs there
    #[command(
        after_help = "Examples:\n  corliss admin nodes show\n  corliss admin nodes show --json > nodes.json"
    )]
    Show,
    /// Make the nodes of a file the nodes; what would follow at once is shown first
    ///
    /// The file holds all nodes; without any, the machine is one node. A node, or an accelerator of one, does not go while a
    /// job is there. Jobs that wait are decided on anew.
    #[command(after_help = "Examples:
  corliss admin nodes apply nodes.json --dry-run
  corliss admin nodes apply nodes.json
  echo '{\"nodes\": {\"a\": {\"cpu_milli\": 1000, \"memory_bytes\": 4294967296, \"accelerators\": [0]}}}' | corliss admin nodes apply -")]
    Apply {
        /// The file, as `corliss admin nodes show --json` prints it; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Say what would follow at once, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask where jobs would be stopped or could never start
        #[arg(long)]
        yes: bool,
    },
    /// Have the machine act as several equal nodes, for development
    ///
    /// Its CPUs, memory and accelerators are shared out evenly. With racks, the nodes stand in them by turns.
    #[command(
        after_help = "Examples:\n  corliss admin nodes split 4\n  corliss admin nodes split 8 --racks 2 --dry-run"
    )]
    Split {
        /// How many nodes; 1 for the machine as it is
        #[arg(value_name = "NODES", value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
        /// How many racks they stand in
        #[arg(long, value_name = "RACKS", value_parser = clap::value_parser!(u16).range(1..=1000))]
        racks: Option<u16>,
        /// Say what would follow at once, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask where jobs would be stopped or could never start
        #[arg(long)]
        yes: bool,
    },
    /// Have a node take no new work
    ///
    /// With --evict, the jobs that are there are stopped as those are that make room for others: each gets its time to save,
    /// and starts again elsewhere. That is also what the notice of a spot node is answered with.
    #[command(after_help = "Examples:\n  corliss admin nodes drain a\n  corliss admin nodes drain a --evict")]
    Drain {
        /// The node's name
        #[arg(value_name = "NODE", value_parser = some_text())]
        node: String,
        /// Stop the jobs that are there
        #[arg(long)]
        evict: bool,
    },
    /// Have a drained node take new work again
    #[command(after_help = "Example:\n  corliss admin nodes undrain a")]
    Undrain {
        /// The node's name
        #[arg(value_name = "NODE", value_parser = some_text())]
        node: String,
    },
}
