//! How a version gets out, as `endpoints deploy` is told, and what is said about it while it does.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::BatchingArgs;
use super::bounds::{self, whole};
use super::some_text;

/// `corliss endpoints deploy`
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The endpoint's name
    #[arg(value_parser = some_text())]
    pub name: String,
    /// NAME@ALIAS or NAME/VERSION
    #[arg(long, value_parser = some_text())]
    pub model: String,
    /// How many engine processes [default: as many as it has; a new endpoint has 1]
    #[arg(long, value_name = "N", value_parser = whole(bounds::REPLICAS))]
    pub replicas: Option<u32>,
    /// Serve its ONNX or GGUF file even if a pickle, which is never loaded, lies beside it; or, if only Python loads it,
    /// load it though that runs code of whoever made it; for platform-admins
    #[arg(long)]
    pub allow_pickle: bool,
    #[command(flatten)]
    pub batching: BatchingArgs,
    /// Return at once instead of waiting until it is ready, or its release has ended. A canary's step ends only when its
    /// version has answered --min-requests: without requests the wait has no end
    #[arg(long, short)]
    pub detach: bool,
    #[command(flatten)]
    pub release: ReleaseArgs,
}

/// How this version, and those after it, get out.
#[derive(Debug, Args)]
#[command(next_help_heading = "Release")]
pub struct ReleaseArgs {
    /// How this version and later ones get out [default: as it was said last, at first rolling]. The command follows the
    /// release until it has ended or somebody has to decide; Ctrl-C leaves it going on, and -d does not follow
    #[arg(long, value_name = "STRATEGY", value_parser = PossibleValuesParser::new(["rolling", "canary", "blue-green", "shadow", "ab"]))]
    pub release: Option<String>,
    /// The new version's share, step by step [default: 5,25,50]; for canary
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', value_parser = whole(bounds::PERCENT), requires = "release")]
    pub steps: Option<Vec<u32>>,
    /// How long each step takes at least [default: 60s]; for canary
    #[arg(long, value_name = "TIME", value_parser = bounds::release_time, requires = "release")]
    pub step_time: Option<u64>,
    /// How long the old version's replicas stay after the switch [default: 10m]; for blue-green
    #[arg(long, value_name = "TIME", value_parser = bounds::release_time, requires = "release")]
    pub keep: Option<u64>,
    /// The share of requests that are copied, or of callers and sessions [default: 10 and 50]; for shadow and ab
    #[arg(long, value_name = "PERCENT", value_parser = whole(bounds::PERCENT), requires = "release")]
    pub percent: Option<u32>,
    /// Requests that the new version has answered before it is judged, in each step [default: 50]
    #[arg(long, value_name = "N", value_parser = whole(bounds::JUDGED), requires = "release")]
    pub min_requests: Option<u64>,
    /// Roll back if more of its requests get no answer [default: 1%]
    #[arg(long, value_name = "PERCENT", value_parser = bounds::share, requires = "release")]
    pub max_error_rate: Option<u64>,
    /// Roll back if more than one of a hundred takes longer
    #[arg(long, value_name = "TIME", value_parser = bounds::release_time, requires = "release")]
    pub max_p99: Option<u64>,
    /// Roll back if more than one of a hundred takes so many times as long as with the old version
    #[arg(long, value_name = "TIMES", value_parser = bounds::ratio, requires = "release")]
    pub max_p99_ratio: Option<u64>,
    /// Roll back if for more than one of a hundred the first of the answer comes later
    #[arg(long, value_name = "TIME", value_parser = bounds::release_time, requires = "release")]
    pub max_first_token: Option<u64>,
}

/// `corliss endpoints releases`
#[derive(Debug, Args)]
pub struct ReleasesArgs {
    /// The endpoint's name
    #[arg(value_parser = some_text())]
    pub name: String,
    /// One of its releases, with its steps and what was seen; `newest` for the newest one
    #[arg(value_parser = some_text())]
    pub release: Option<String>,
    /// Follow the newest one, or this one, until it has ended; Ctrl-C leaves it going on
    #[arg(long, short)]
    pub follow: bool,
}
