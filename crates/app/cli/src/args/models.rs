//! `corliss models …`

use clap::{Args, Subcommand};

use super::{some_text, up_to};

/// Most lines of a model's log that the server lists at once.
pub const MAX_EVENTS: u32 = 1000;
/// Most people that a model can ask to approve a version.
const MAX_APPROVALS: u32 = 10;

/// `corliss models …`
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List registered models
    #[command(after_help = "Example:\n  corliss models list")]
    List,
    /// Show a model's versions, or all that is known of one: where it came from, its files, who approved it
    #[command(after_help = "Examples:\n  corliss models show digits\n  corliss models show digits 3")]
    Show {
        /// The model's name
        #[arg(value_parser = some_text())]
        name: String,
        /// The version's number
        version: Option<u32>,
    },
    /// Point an alias at a version
    #[command(after_help = "Example:\n  corliss models alias digits champion 3")]
    Alias {
        /// The model's name
        #[arg(value_parser = some_text())]
        name: String,
        /// The alias, such as champion
        #[arg(value_parser = some_text())]
        alias: String,
        /// The version's number
        version: u32,
    },
    /// Look at a version's files: whole, damaged, or a pickle
    #[command(
        after_help = "Files are looked at when a version is registered; this looks again. Headers are read, and nothing of a file is executed. Ends with 1 if a file is damaged. Example:\n  corliss models check digits 3"
    )]
    Check(VersionArgs),
    /// Show who did what to a model, newest first
    #[command(after_help = "Example:\n  corliss models log digits")]
    Log {
        /// The model's name
        #[arg(value_parser = some_text())]
        name: String,
        /// How many lines at most
        #[arg(long, short = 'n', default_value_t = 50, value_parser = up_to(MAX_EVENTS))]
        limit: u32,
    },
    /// Demand that people approve a version before it is served
    #[command(
        after_help = "Aliases and the stage Production can then be set to approved versions only, and nothing else is deployed. Whoever registered a version does not count among those who approve it. Examples:\n  corliss models protect digits --approvals 2\n  corliss models protect digits --alias champion --self-approval"
    )]
    Protect {
        /// The model's name
        #[arg(value_parser = some_text())]
        name: String,
        /// How many people have to approve
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = up_to(MAX_APPROVALS))]
        approvals: u32,
        /// Protect this alias; may be given several times. Without any, all aliases are protected
        #[arg(long, value_name = "ALIAS", value_parser = some_text())]
        alias: Vec<String>,
        /// Let whoever registered a version approve it too
        #[arg(long)]
        self_approval: bool,
    },
    /// End the protection of a model
    #[command(after_help = "Example:\n  corliss models unprotect digits")]
    Unprotect {
        /// The model's name
        #[arg(value_parser = some_text())]
        name: String,
    },
    /// Approve a version
    #[command(after_help = "Example:\n  corliss models approve digits 3 -m 'looked at the errors by class'")]
    Approve {
        #[command(flatten)]
        version: VersionArgs,
        /// Why
        #[arg(long, short, value_name = "WHY", default_value = "")]
        message: String,
    },
    /// Reject a version: it cannot be served, whoever approved it, until you approve it
    #[command(after_help = "Example:\n  corliss models reject digits 3 -m 'fails on sevens'")]
    Reject {
        #[command(flatten)]
        version: VersionArgs,
        /// Why
        #[arg(long, short, value_name = "WHY", value_parser = some_text())]
        message: String,
    },
}

/// One version.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// The model's name
    #[arg(value_parser = some_text())]
    pub name: String,
    /// The version's number
    pub version: u32,
}
