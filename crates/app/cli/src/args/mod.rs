//! Every command, flag and example that `--help` shows.

mod bounds;
mod data;
mod endpoints;
mod experiments;
mod hooks;
mod limits;
mod models;
mod nodes;
mod queues;
mod releases;
mod simulate;
mod usage;

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, RangedU64ValueParser};
use clap::{Args, Parser, Subcommand};
use corliss_engine::EngineArgs;
use corliss_pipelines::project_file::duration_ms;
use corliss_types::{DurationMs, Timestamp};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the run, job or deployment failed
  2  the command or a file is wrong
  3  the server cannot be reached
  4  the token does not allow this
  5  no such thing
  130  interrupted

Environment:
  CORLISS_URL, CORLISS_TOKEN  the server to talk to, whatever --home and CORLISS_HOME say

First steps:
  corliss up
  corliss run examples/chat/corliss.yaml";

/// Most runs that the server lists at once.
pub const MAX_RUNS: u32 = 500;
/// Most jobs that the server lists at once.
pub const MAX_JOBS: u32 = 1000;

fn up_to(max: u32) -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(1..=u64::from(max))
}

fn some_text() -> NonEmptyStringValueParser {
    NonEmptyStringValueParser::new()
}

pub use data::{AddArgs, BranchArgs, DataCommand, ImportArgs, JoinArgs, TransferArgs};
pub use endpoints::{BatchingArgs, ConnectArgs, Dialect, EndpointsCommand, OrNone, RoutingArgs};
pub use experiments::{ExperimentsCommand, ImportFrom, ImportMlflowArgs, ImportTensorboardArgs};
pub use hooks::{AddHookArgs, HookArgs, HooksCommand, SetHookArgs, WhichHook};
pub use limits::{LimitsCommand, SetLimitsArgs};
pub use models::{MAX_EVENTS, ModelsCommand, VersionArgs};
pub use nodes::NodesCommand;
pub use queues::QueuesCommand;
pub use releases::{DeployArgs, ReleaseArgs, ReleasesArgs};
pub use simulate::{Recorded, Recording, SimulateArgs};
pub use usage::UsageArgs;

/// The AI infrastructure stack in one binary: data, pipelines, jobs, tracking, registry, serving.
#[derive(Debug, Parser)]
#[command(name = "corliss", bin_name = "corliss", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// Where state lives [default: ~/.corliss] [env: CORLISS_HOME]
    // Not read by the parser, which would count it as given and repeat it in every usage.
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs and nouns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server and return when it is ready
    #[command(
        after_help = "Examples:\n  corliss up\n  corliss up --listen 127.0.0.1:9000\n  corliss up --foreground"
    )]
    Up(UpArgs),
    /// Stop the server, its engines and its tasks
    #[command(
        after_help = "Stopped tasks count as interrupted by the infrastructure and go on after the next `corliss up`."
    )]
    Down(DownArgs),
    /// Show the server, its workers and the machine
    #[command(after_help = "Example:\n  corliss status --json")]
    Status,
    /// Print the variables that other clients use
    #[command(after_help = "Example:\n  eval \"$(corliss env)\"")]
    Env,
    /// Submit a project file and follow the run
    #[command(
        after_help = "Examples:\n  corliss run\n  corliss run examples/digits/corliss.yaml\n  corliss run corliss.yaml --detach --json\n  corliss run corliss.yaml --dry-run"
    )]
    Run(RunArgs),
    /// Check a project file without running it
    #[command(after_help = "Examples:\n  corliss check\n  corliss check examples/digits/corliss.yaml --json")]
    Check(CheckArgs),
    /// Let recorded requests arrive at modelled replicas, and compare how they are routed
    #[command(
        after_help = "Examples:\n  corliss simulate --trace azure-llm:conv_2023.csv --router least_tokens --replicas 8 --json\n  corliss simulate --trace mooncake:synthetic_trace.jsonl\n  corliss simulate --trace azure-llm:conv_2023.csv --rate 5 --router round_robin --router least_tokens\n  corliss simulate --from-history --cluster 2x8 --policy srtf\n  corliss simulate --trace jobs:mine.csv --cluster 16x8 --mtbf-h 720 --repair-h 4 --checkpoint-s 1800\n\nOnly history needs a server. The same trace, options and seed give the same numbers on every machine."
    )]
    Simulate(Box<SimulateArgs>),
    /// Pipeline runs
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Jobs: the gangs of tasks that steps and endpoints become
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Show or follow the log of a job or of a run's step
    #[command(
        after_help = "Examples:\n  corliss logs job_01jd…\n  corliss logs run_01jd…/train --rank 1 --follow"
    )]
    Logs(LogsArgs),
    /// Say why a job waits, runs or failed
    #[command(after_help = "Examples:\n  corliss why run_01jd…/train\n  corliss why job_01jd…")]
    Why(WhyArgs),
    /// Show what runs, what waits and what is free
    #[command(after_help = "Example:\n  corliss queue")]
    Queue,
    /// Datasets: versioned folders with branches, tags and history
    #[command(subcommand)]
    Data(DataCommand),
    /// Experiments of tracking
    #[command(subcommand)]
    Experiments(ExperimentsCommand),
    /// Registered models, versions and aliases
    #[command(
        subcommand,
        after_help = "Examples:\n  corliss models list\n  corliss models show digits\n  corliss models alias digits champion 3"
    )]
    Models(ModelsCommand),
    /// Deployed models
    #[command(
        subcommand,
        after_help = "Examples:\n  corliss endpoints deploy digits --model digits@champion\n  corliss endpoints show digits\n  corliss endpoints requests digits"
    )]
    Endpoints(EndpointsCommand),
    /// Tokens and who may do what
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Show the help of a command
    #[command(hide = true)]
    Help(HelpArgs),
}

/// `corliss help …`
#[derive(Debug, Args)]
pub struct HelpArgs {
    /// The command, such as `runs list`
    #[arg(value_name = "COMMAND")]
    pub words: Vec<String>,
}

/// What the server starts of this binary. Apart from [`Command`], so that no help, list or suggestion names
/// what is not for people.
#[derive(Debug, Parser)]
#[command(name = "corliss", bin_name = "corliss")]
pub enum Part {
    /// One task's supervisor.
    Shim(ShimArgs),
    /// One model's engine.
    Engine(Box<EngineArgs>),
}

impl Part {
    /// The first words of their command lines.
    pub const WORDS: [&'static str; 2] = ["shim", "engine"];
}

/// `corliss up`
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Stay in the foreground and log to standard error
    #[arg(long)]
    pub foreground: bool,
    /// Address of the console and all protocols [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR", value_parser = some_text())]
    pub listen: Option<String>,
}

/// `corliss down`
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Leave tasks and engines running; the next `corliss up` takes them over
    #[arg(long)]
    pub keep_tasks: bool,
}

/// `corliss run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The project file
    #[arg(value_name = "FILE", default_value = "corliss.yaml")]
    pub file: PathBuf,
    /// Submit and return at once
    #[arg(long, short)]
    pub detach: bool,
    /// Only say what would start, what would wait and for whom, and what would be stopped
    #[arg(long, conflicts_with = "detach")]
    pub dry_run: bool,
    /// Start none of its steps before: a time from now, such as 2h, or a time, such as 2026-11-25T02:00Z
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub begin: Option<Timestamp>,
}

/// A time from now, or a time.
fn moment(text: &str) -> Result<Timestamp, String> {
    let now = Timestamp::from_millis(crate::units::now_ms());
    Timestamp::of_rfc3339(text)
        .or_else(|| Timestamp::of_date(text))
        .or_else(|| Some(now + DurationMs(duration_ms(text).ok()?)))
        .ok_or_else(|| "write a time from now, such as 2h, or a time, such as 2026-11-25T02:00Z".to_owned())
}

/// `corliss check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The project file
    #[arg(value_name = "FILE", default_value = "corliss.yaml")]
    pub file: PathBuf,
}

/// `corliss runs …`
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List runs, newest first
    #[command(after_help = "Examples:\n  corliss runs list\n  corliss runs list --limit 100 --json")]
    List {
        /// At most how many, 1 to 500
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = up_to(MAX_RUNS))]
        limit: u32,
    },
    /// Show a run and its steps
    #[command(after_help = "Example:\n  corliss runs show run_01jd…")]
    Show {
        /// The run's id
        #[arg(value_parser = some_text())]
        id: String,
    },
    /// Cancel a run
    #[command(after_help = "Example:\n  corliss runs cancel run_01jd…")]
    Cancel {
        /// The run's id
        #[arg(value_parser = some_text())]
        id: String,
    },
    /// Run again; steps that succeeded are reused
    #[command(
        after_help = "Examples:\n  corliss runs rerun run_01jd…\n  corliss runs rerun run_01jd… --from train --detach"
    )]
    Rerun {
        /// The run's id
        #[arg(value_parser = some_text())]
        id: String,
        /// Run this step and all after it again, even if it succeeded
        #[arg(long, value_name = "STEP")]
        from: Option<String>,
        /// Submit and return at once
        #[arg(long, short)]
        detach: bool,
    },
}

/// `corliss jobs …`
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List jobs, newest first
    #[command(
        after_help = "Examples:\n  corliss jobs list --state running\n  corliss jobs list --run run_01jd…"
    )]
    List {
        /// Only this run's jobs
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// Only jobs in this state
        #[arg(long, value_parser = ["queued", "starting", "running", "stopping", "succeeded", "failed", "cancelled"])]
        state: Option<String>,
        /// At most how many, 1 to 1000
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = up_to(MAX_JOBS))]
        limit: u32,
    },
    /// Show a job and its tasks
    #[command(after_help = "Example:\n  corliss jobs show job_01jd…")]
    Show {
        /// The job's id
        #[arg(value_parser = some_text())]
        id: String,
    },
    /// Show who held what for how long, and how much of it was lost
    #[command(
        after_help = "What a job was given counts from its start to its end, used or not. What an attempt did after its last checkpoint is lost when it fails or makes room for another. Examples:\n  corliss jobs usage\n  corliss jobs usage --by project,user --per week --days 90\n  corliss jobs usage --from 2026-11-01 --to 2026-11-30 --csv > november.csv"
    )]
    Usage(UsageArgs),
    /// Cancel a job
    #[command(after_help = "Example:\n  corliss jobs cancel job_01jd…")]
    Cancel {
        /// The job's id
        #[arg(value_parser = some_text())]
        id: String,
    },
}

/// `corliss logs`
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// A job, or RUN/STEP
    #[arg(value_name = "JOB|RUN/STEP", value_parser = some_text())]
    pub target: String,
    /// Which worker
    #[arg(long, default_value_t = 0)]
    pub rank: u32,
    /// Go on as lines arrive
    #[arg(long, short)]
    pub follow: bool,
    /// Start at the last N lines
    #[arg(long, value_name = "N")]
    pub tail: Option<u64>,
}

/// `corliss why`
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// A job, or RUN/STEP
    #[arg(value_name = "JOB|RUN/STEP", value_parser = some_text())]
    pub target: String,
}

/// `corliss admin …`
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Create, list and revoke tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// List and change the keys that seal what is stored
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Limit what callers of models may use: requests, tokens, money
    #[command(
        subcommand,
        after_help = "Examples:\n  corliss admin limits set ana --requests-per-minute 60 --at-once 4\n  corliss admin limits list\n  corliss admin limits show"
    )]
    Limits(LimitsCommand),
    /// Say which queues jobs wait in, what each may use, and whose places its jobs may take
    #[command(
        subcommand,
        after_help = "Examples:\n  corliss admin queues show\n  corliss admin queues apply queues.json --dry-run\n  corliss admin queues apply queues.json"
    )]
    Queues(QueuesCommand),
    /// Say which nodes the machine acts as, and take some out of service
    #[command(
        subcommand,
        after_help = "Examples:\n  corliss admin nodes show\n  corliss admin nodes split 4 --racks 2\n  corliss admin nodes drain n1 --evict"
    )]
    Nodes(NodesCommand),
}

/// `corliss admin keys …`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List keys: never the keys themselves
    #[command(after_help = "Example:\n  corliss admin keys list")]
    List,
    /// Make new keys; what is stored stays as it is, and stays readable
    #[command(
        after_help = "Examples:\n  corliss admin keys rotate\n  corliss admin keys rotate --root\n  corliss admin keys rotate --root --retire-old --yes"
    )]
    Rotate {
        /// A new root key as well; with Vault or OpenBao, the newest one that it has
        #[arg(long)]
        root: bool,
        /// Remove the old root keys: backups from before become unreadable
        #[arg(long, requires = "root")]
        retire_old: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Destroy a tenant's keys: nobody can read what is stored ever again
    #[command(
        after_help = "Examples:\n  corliss admin keys destroy --tenant default --dry-run\n  corliss admin keys destroy --tenant default"
    )]
    Destroy {
        /// Whose keys; the one tenant is `default`
        #[arg(long, value_parser = some_text())]
        tenant: String,
        /// Say what would become unreadable, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for the tenant's name
        #[arg(long)]
        yes: bool,
    },
}

/// `corliss admin token …`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token; it is shown once
    #[command(
        after_help = "Example:\n  corliss admin token create ana --role data-scientist --expires-in-days 90"
    )]
    Create {
        /// Whose or what for
        #[arg(value_parser = some_text())]
        name: String,
        /// data-scientist, ml-engineer or platform-admin
        #[arg(long, value_parser = ["data-scientist", "ml-engineer", "platform-admin"])]
        role: String,
        /// Days until it expires [default: never]
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u64>,
    },
    /// List tokens
    List,
    /// Revoke a token
    Revoke {
        /// The token's id
        #[arg(value_parser = some_text())]
        id: String,
    },
}

/// `corliss shim`
#[derive(Debug, Args)]
pub struct ShimArgs {
    /// State folder of the task.
    #[arg(long)]
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        Part::command().debug_assert();
        let words: Vec<String> = Part::command()
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .collect();
        assert_eq!(words, Part::WORDS);
    }

    #[test]
    fn nobody_is_told_of_what_only_the_server_starts() {
        let said = |words: &[&str]| Cli::try_parse_from(words).unwrap_err().to_string();
        for words in [
            &["corliss", "--json"][..],
            &["corliss", "shm"],
            &["corliss", "engin"],
            &["corliss", "--help"],
        ] {
            let said = said(words);
            assert!(
                !said.contains("shim") && !said.contains("'engine'"),
                "{words:?}: {said}"
            );
        }
    }

    #[test]
    fn limits_are_the_servers() {
        let parse = |limit: &str| Cli::try_parse_from(["corliss", "runs", "list", "--limit", limit]);
        assert!(parse("500").is_ok());
        assert!(parse("501").is_err());
        assert!(parse("0").is_err());
    }

    #[test]
    fn an_empty_name_is_none() {
        for words in [
            &["corliss", "data", "show", ""][..],
            &["corliss", "runs", "show", ""],
            &["corliss", "logs", ""],
        ] {
            assert!(Cli::try_parse_from(words).is_err(), "{words:?}");
        }
    }
}
