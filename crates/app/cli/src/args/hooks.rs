//! `corliss data hooks …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::some_text;

/// What hooks can be about.
const EVENTS: [&str; 8] = [
    "commit",
    "merge",
    "branch.created",
    "branch.moved",
    "branch.deleted",
    "tag.created",
    "tag.moved",
    "tag.deleted",
];

/// `corliss data hooks …`
#[derive(Debug, Subcommand)]
pub enum HooksCommand {
    /// List a dataset's hooks
    #[command(after_help = "Example:\n  corliss data hooks list images")]
    List {
        /// The dataset
        #[arg(value_parser = some_text())]
        dataset: String,
    },
    /// Call an address when a branch or tag moves, or before it does
    #[command(
        after_help = "The secret that requests are signed with is shown once. Examples:\n  corliss data hooks add images https://ci.example/corliss\n  corliss data hooks add images https://gate.example/check --before --event commit --event merge --branch main\n  corliss data hooks add images https://ci.example/corliss --event branch.moved --branch 'release/*'"
    )]
    Add(AddHookArgs),
    /// Change a hook; what is not named stays
    #[command(
        after_help = "Examples:\n  corliss data hooks set images hook_01… --disable\n  corliss data hooks set images hook_01… --url https://ci.example/new --new-secret"
    )]
    Set(SetHookArgs),
    /// Remove a hook, with what it was yet to be told
    #[command(after_help = "Example:\n  corliss data hooks remove images hook_01… --yes")]
    Remove {
        /// Which one
        #[command(flatten)]
        which: WhichHook,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Send a request that is about nothing, and say what came of it
    #[command(after_help = "Example:\n  corliss data hooks test images hook_01…")]
    Test {
        /// Which one
        #[command(flatten)]
        which: WhichHook,
    },
    /// List what a hook was told and is yet to be told, newest first
    #[command(after_help = "Example:\n  corliss data hooks deliveries images hook_01… --limit 100")]
    Deliveries {
        /// Which one
        #[command(flatten)]
        which: WhichHook,
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
}

/// A hook of a dataset.
#[derive(Debug, Args)]
pub struct WhichHook {
    /// The dataset
    #[arg(value_parser = some_text())]
    pub dataset: String,
    /// The hook's id
    #[arg(value_parser = some_text())]
    pub hook: String,
}

/// What of a hook can be set.
#[derive(Debug, Args)]
pub struct HookArgs {
    /// What it is about; may be repeated
    #[arg(long = "event", value_name = "EVENT", value_parser = EVENTS)]
    pub events: Vec<String>,
    /// Of which branches, such as main or release/*; may be repeated
    #[arg(long = "branch", value_name = "PATTERN", value_parser = some_text())]
    pub branches: Vec<String>,
    /// Ask before it happens; any answer but 2xx stops it
    #[arg(long, conflicts_with = "after")]
    pub before: bool,
    /// Tell after it happened, again and again until it is taken
    #[arg(long)]
    pub after: bool,
    /// Seconds that the receiver may take, 1 to 30
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=30))]
    pub timeout: Option<u64>,
    /// File with the secret to sign with, whsec_ and base64
    #[arg(long, value_name = "PATH")]
    pub secret_file: Option<PathBuf>,
}

/// `corliss data hooks add`
#[derive(Debug, Args)]
pub struct AddHookArgs {
    /// The dataset
    #[arg(value_parser = some_text())]
    pub dataset: String,
    /// The address to call, http or https
    #[arg(value_parser = some_text())]
    pub url: String,
    /// When and what for [default: after commits and merges, of all branches]
    #[command(flatten)]
    pub settings: HookArgs,
}

/// `corliss data hooks set`
#[derive(Debug, Args)]
pub struct SetHookArgs {
    /// Which one
    #[command(flatten)]
    pub which: WhichHook,
    /// The address to call
    #[arg(long, value_parser = some_text())]
    pub url: Option<String>,
    /// What to change
    #[command(flatten)]
    pub settings: HookArgs,
    /// It is about all branches again
    #[arg(long, conflicts_with = "branches")]
    pub all_branches: bool,
    /// Call it
    #[arg(long, conflicts_with = "disable")]
    pub enable: bool,
    /// Do not call it; what waits for it is kept for two weeks
    #[arg(long)]
    pub disable: bool,
    /// Make a new secret, and show it once
    #[arg(long, conflicts_with = "secret_file")]
    pub new_secret: bool,
}
