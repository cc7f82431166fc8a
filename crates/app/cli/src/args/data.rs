//! `corliss data …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{HooksCommand, some_text};

/// `corliss data …`
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// List datasets
    List,
    /// Show a dataset's history, or a version's files
    #[command(
        after_help = "Examples:\n  corliss data show digits\n  corliss data show digits@main~1\n  corliss data show v_bca13146c34a"
    )]
    Show {
        /// A dataset's name, NAME@BRANCH, NAME@TAG or an id, which may be cut
        #[arg(value_parser = some_text())]
        target: String,
    },
    /// Commit a folder as a new version of a dataset
    #[command(
        after_help = "Files that look as they did are not read again. Examples:\n  corliss data add ./images --name images -m \"the May delivery\"\n  corliss data add ./images --branch relabel --dry-run"
    )]
    Add(AddArgs),
    /// Lay a version out as a folder
    #[command(
        after_help = "Examples:\n  corliss data get digits ./digits\n  corliss data get digits@bca13146c34a ./digits-then --only train"
    )]
    Get {
        /// A dataset's name, NAME@BRANCH, NAME@TAG or an id, which may be cut
        #[arg(value_parser = some_text())]
        target: String,
        /// Where to; must not exist yet
        path: PathBuf,
        /// Only this file or folder of the version; may be repeated
        #[arg(long, value_name = "PATH", value_parser = some_text())]
        only: Vec<String>,
    },
    /// Lay a version out as a working copy, or switch one to another version
    #[command(
        after_help = "Examples:\n  corliss data checkout images ./images\n  corliss data checkout images@relabel ./images\n  corliss data checkout images ./part --only train/cats"
    )]
    Checkout {
        /// NAME, NAME@BRANCH, NAME@TAG or NAME@ID
        #[arg(value_parser = some_text())]
        target: String,
        /// The folder: new, empty, or a working copy of this dataset [default: the dataset's name]
        path: Option<PathBuf>,
        /// Only this file or folder of the version; may be repeated
        #[arg(long, value_name = "PATH", value_parser = some_text())]
        only: Vec<String>,
        /// Throw away what was changed in the folder
        #[arg(long)]
        discard: bool,
    },
    /// Show what was changed in a working copy
    #[command(after_help = "Examples:\n  corliss data status\n  corliss data status ./images --json")]
    Status {
        /// The folder, or one within it
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Read every file, also those that look as they did: a program that writes through mmap may leave no trace
        #[arg(long)]
        rehash: bool,
    },
    /// Show the commits that led to a version, newest first
    #[command(
        after_help = "Examples:\n  corliss data log images\n  corliss data log images@relabel --limit 5"
    )]
    Log {
        /// NAME, NAME@BRANCH, NAME@TAG or a commit
        #[arg(value_parser = some_text())]
        target: String,
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show the files that differ between two versions
    #[command(
        after_help = "Examples:\n  corliss data diff images~1 images\n  corliss data diff images images@relabel --json\n  corliss data diff images~1 images --rows labels.csv --key id"
    )]
    Diff {
        /// The older one
        #[arg(value_parser = some_text())]
        from: String,
        /// The newer one
        #[arg(value_parser = some_text())]
        to: String,
        /// How many files at most
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Which rows and columns differ of this CSV, JSON lines or Parquet file
        #[arg(long, value_name = "PATH", value_parser = some_text(), conflicts_with = "limit")]
        rows: Option<String>,
        /// A column that tells which row is which; may be repeated
        #[arg(long, value_name = "COLUMN", value_parser = some_text(), requires = "rows")]
        key: Vec<String>,
    },
    /// List a dataset's branches
    #[command(after_help = "Example:\n  corliss data branches images")]
    Branches {
        /// The dataset
        #[arg(value_parser = some_text())]
        dataset: String,
    },
    /// Make, move, protect or delete a branch
    #[command(
        after_help = "Examples:\n  corliss data branch images relabel\n  corliss data branch images relabel --at v1.0\n  corliss data branch images main --protect\n  corliss data branch images relabel --delete"
    )]
    Branch(BranchArgs),
    /// List a dataset's tags
    #[command(after_help = "Example:\n  corliss data tags images")]
    Tags {
        /// The dataset
        #[arg(value_parser = some_text())]
        dataset: String,
    },
    /// Make or delete a tag
    #[command(
        after_help = "Examples:\n  corliss data tag images v1.0\n  corliss data tag images v1.0 --delete"
    )]
    Tag {
        /// The dataset
        #[arg(value_parser = some_text())]
        dataset: String,
        /// The tag
        #[arg(value_parser = some_text())]
        name: String,
        /// A branch, tag or id [default: the head of the default branch]
        #[arg(long, value_name = "REF", value_parser = some_text())]
        at: Option<String>,
        /// Delete it
        #[arg(long, conflicts_with = "at")]
        delete: bool,
    },
    /// Bring another branch's changes into a branch
    #[command(
        after_help = "Examples:\n  corliss data merge images relabel\n  corliss data merge images relabel --into main --on-conflict theirs"
    )]
    Merge {
        /// What, into where
        #[command(flatten)]
        join: JoinArgs,
        /// Make a commit even where moving the branch forward would do
        #[arg(long)]
        always_commit: bool,
    },
    /// Commit the opposite of what a commit changed
    #[command(after_help = "Example:\n  corliss data revert images c_5f02a7")]
    Revert {
        /// What, on which branch
        #[command(flatten)]
        join: JoinArgs,
    },
    /// Commit what a commit of another branch changed
    #[command(after_help = "Example:\n  corliss data cherry-pick images c_5f02a7 --into main")]
    CherryPick {
        /// What, onto which branch
        #[command(flatten)]
        join: JoinArgs,
    },
    /// Delete a dataset with its branches, tags and history
    #[command(after_help = "Example:\n  corliss data delete scratch --dry-run")]
    Delete {
        /// The dataset
        #[arg(value_parser = some_text())]
        dataset: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Say what would be deleted, and delete nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Call addresses when a dataset's branches and tags move
    #[command(subcommand)]
    Hooks(HooksCommand),
    /// List the places that datasets are pushed to and pulled from
    #[command(after_help = "They are set by the administrator, as docs/reference/settings.md says.")]
    Remotes,
    /// Send a dataset's branches and tags to a remote, with what it lacks of their history
    #[command(
        after_help = "What was sent before is not sent again. Examples:\n  corliss data push images team\n  corliss data push images team --branch relabel"
    )]
    Push(TransferArgs),
    /// Fetch what a remote has of a dataset, and move branches forward
    #[command(
        after_help = "A branch that has commits of its own stays where it is, and the remote's becomes REMOTE/BRANCH, to be merged. Examples:\n  corliss data pull images team"
    )]
    Pull(TransferArgs),
    /// Fetch a dataset that is not here yet
    #[command(
        after_help = "Examples:\n  corliss data clone team images\n  corliss data clone team images --name their-images"
    )]
    Clone {
        /// The remote
        #[arg(value_parser = some_text())]
        remote: String,
        /// What the dataset is called there
        #[arg(value_parser = some_text())]
        dataset: String,
        /// What it is to be called here [default: the same]
        #[arg(long, value_parser = some_text())]
        name: Option<String>,
    },
    /// List the places that data is imported from
    #[command(after_help = "They are set by the administrator, as docs/reference/settings.md says.")]
    Sources,
    /// Commit a file from the web, or what lies in a source
    #[command(
        after_help = "What did not change since it was last imported is not copied again. Examples:\n  corliss data import digits https://example.org/digits.csv\n  corliss data import images lake/2026/may --to raw"
    )]
    Import(ImportArgs),
    /// List pushes, pulls, clones, imports, collections and checks, those that have ended too
    #[command(after_help = "Example:\n  corliss data operations")]
    Operations,
    /// Stop one of the operations; started again, it goes on from there
    #[command(after_help = "Example:\n  corliss data cancel op_01jd…")]
    Cancel {
        /// Its id
        #[arg(value_parser = some_text())]
        operation: String,
    },
    /// Show how much is stored, and what storing things once saves
    #[command(after_help = "Example:\n  corliss data du --json")]
    Du,
    /// Say for how long the files of a dataset's old commits are kept
    #[command(
        after_help = "Branches, tags, runs, models and endpoints keep their versions however old they are. Examples:\n  corliss data retain logs --days 90\n  corliss data retain logs --forever"
    )]
    Retain {
        /// The dataset
        #[arg(value_parser = some_text())]
        dataset: String,
        /// Files of commits that are older may be collected
        #[arg(long, value_parser = clap::value_parser!(u64).range(..=36_500), conflicts_with = "forever", required_unless_present = "forever")]
        days: Option<u64>,
        /// Keep all of them
        #[arg(long)]
        forever: bool,
    },
    /// Remove what no branch, tag, run, model or endpoint refers to
    #[command(
        after_help = "It runs by itself once a day with a grace of 14 days. Examples:\n  corliss data gc --dry-run\n  corliss data gc --grace-hours 1 --yes"
    )]
    Gc {
        /// What is younger stays; 336 are two weeks
        #[arg(long, value_name = "HOURS", default_value_t = 336)]
        grace_hours: u64,
        /// Say what would go, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Go on though something in use is damaged or missing: what only that leads to goes then
        #[arg(long)]
        despite_missing: bool,
        /// Collect this folder or bucket instead: what no branch or tag there leads to is condemned, and removed when this
        /// is run again a day later
        #[arg(long, value_name = "REMOTE", value_parser = some_text(), conflicts_with = "despite_missing")]
        remote: Option<String>,
    },
    /// Read everything that is stored and say which files are damaged
    #[command(
        after_help = "Examples:\n  corliss data check\n  corliss data check --quick\n  corliss data check --repair-from backup"
    )]
    Check {
        /// Only compare what is listed with what is there, and read no content
        #[arg(long)]
        quick: bool,
        /// Fetch what is damaged or missing from a remote, and check again
        #[arg(long, value_name = "REMOTE", value_parser = some_text(), conflicts_with = "quick")]
        repair_from: Option<String>,
    },
    /// What a version, run, model or endpoint came from and led to
    #[command(
        after_help = "Examples:\n  corliss data lineage model:digits/1\n  corliss data lineage run:run_01jd… --direction down"
    )]
    Lineage {
        /// version:ID, run:ID, model:NAME/N or endpoint:NAME
        #[arg(value_parser = some_text())]
        node: String,
        /// up (causes), down (effects) or both
        #[arg(long, default_value = "both", value_parser = ["up", "down", "both"])]
        direction: String,
    },
}

/// `corliss data add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The folder
    pub path: PathBuf,
    /// The dataset's name [default: that of the working copy, else the folder's name]
    #[arg(long, value_parser = some_text())]
    pub name: Option<String>,
    /// The branch [default: that of the working copy, else the dataset's default branch]
    #[arg(long, value_parser = some_text())]
    pub branch: Option<String>,
    /// Why this version exists
    #[arg(long, short)]
    pub message: Option<String>,
    /// Commit even if others committed since, or the branch has files that the folder does not have: they are not in this
    /// version
    #[arg(long)]
    pub replace: bool,
    /// Say what would be committed, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Read every file, also those that look as they did: a program that writes through mmap may leave no trace
    #[arg(long)]
    pub rehash: bool,
}

/// `corliss data import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The dataset; it is made if it is not there
    #[arg(value_parser = some_text())]
    pub dataset: String,
    /// An address of a file, https://…, which is downloaded here; or SOURCE or SOURCE/FOLDER, which the server reads
    #[arg(value_parser = some_text())]
    pub source: String,
    /// The folder of the dataset that it goes into [default: the dataset itself]
    #[arg(long, value_name = "FOLDER", value_parser = some_text())]
    pub to: Option<String>,
    /// Link to the objects of a source and copy nothing: the server reads them where they lie
    #[arg(long)]
    pub link: bool,
    /// The branch [default: the default branch]
    #[arg(long, value_parser = some_text())]
    pub branch: Option<String>,
    /// Why [default: what is imported]
    #[arg(long, short)]
    pub message: Option<String>,
}

/// `corliss data branch`
#[derive(Debug, Args)]
pub struct BranchArgs {
    /// The dataset
    #[arg(value_parser = some_text())]
    pub dataset: String,
    /// The branch
    #[arg(value_parser = some_text())]
    pub name: String,
    /// Make it at this branch, tag or id [default: the head of the default branch]
    #[arg(long, value_name = "REF", value_parser = some_text())]
    pub at: Option<String>,
    /// Move it to this branch, tag or id, forwards or back
    #[arg(long, value_name = "REF", value_parser = some_text(), conflicts_with_all = ["at", "delete", "protect", "unprotect"])]
    pub move_to: Option<String>,
    /// Only merges may move it
    #[arg(long, conflicts_with_all = ["at", "delete", "unprotect"])]
    pub protect: bool,
    /// Anybody who may write may move it
    #[arg(long, conflicts_with_all = ["at", "delete"])]
    pub unprotect: bool,
    /// Delete it; what only it led to is kept until it is collected
    #[arg(long, conflicts_with = "at")]
    pub delete: bool,
}

/// What merges, reverts and cherry-picks have in common.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// The dataset
    #[arg(value_parser = some_text())]
    pub dataset: String,
    /// A branch, tag or commit
    #[arg(value_name = "FROM", value_parser = some_text())]
    pub from: String,
    /// The branch that is changed [default: the default branch]
    #[arg(long, value_name = "BRANCH", value_parser = some_text())]
    pub into: Option<String>,
    /// What is done where both sides changed a file
    #[arg(long, default_value = "fail", value_parser = ["fail", "ours", "theirs"])]
    pub on_conflict: String,
    /// Why
    #[arg(long, short)]
    pub message: Option<String>,
}

/// What pushes and pulls have in common.
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// The dataset
    #[arg(value_parser = some_text())]
    pub dataset: String,
    /// The remote
    #[arg(value_parser = some_text())]
    pub remote: String,
    /// What the dataset is called there [default: the same]
    #[arg(long = "as", value_name = "NAME", value_parser = some_text())]
    pub remote_dataset: Option<String>,
    /// Only this branch; may be repeated
    #[arg(long, value_parser = some_text())]
    pub branch: Vec<String>,
    /// Only this tag; may be repeated
    #[arg(long, value_parser = some_text())]
    pub tag: Vec<String>,
    /// Move names though the receiver has commits that go lost by it
    #[arg(long)]
    pub force: bool,
}
