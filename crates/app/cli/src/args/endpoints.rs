//! `corliss endpoints …`: what is served, and how its requests are routed.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use corliss_policy_serving::router::Strategy;

use super::bounds::{self, whole, whole_or_none};
use super::{DeployArgs, ReleasesArgs, some_text, up_to};
use crate::money;

/// Most requests of an endpoint that the server remembers.
const MAX_REQUESTS: u32 = 1_000;

/// `corliss endpoints …`
#[derive(Debug, Subcommand)]
pub enum EndpointsCommand {
    /// List endpoints
    #[command(after_help = "Examples:\n  corliss endpoints list\n  corliss endpoints list --json")]
    List,
    /// Show an endpoint and its replicas, those that ended last included
    #[command(
        after_help = "Examples:\n  corliss endpoints show digits\n  corliss endpoints show digits --json"
    )]
    Show {
        /// The endpoint's name
        #[arg(value_parser = some_text())]
        name: String,
    },
    /// Deploy a model, or change what an endpoint serves
    ///
    /// A version may take the place of the one before it replica by replica, or be released: by steps, all at once with a
    /// way back, by copies of requests, or to a share of the callers. A release that breaches its objectives is rolled back
    /// by itself.
    #[command(
        allow_negative_numbers = true,
        after_help = "Examples:
  corliss endpoints deploy digits --model digits@champion --replicas 2
  corliss endpoints deploy digits --model digits@champion --batch-max 64 --batch-delay 5ms --batch-prefer 16,32
  corliss endpoints deploy digits --model digits/2 --release canary --steps 5,25,50 --step-time 60s --max-error-rate 2%
  corliss endpoints deploy digits --model digits/2 --release canary --max-p99 200ms --max-p99-ratio 1.5
  corliss endpoints deploy digits --model digits/2 --release blue-green --keep 10m
  corliss endpoints deploy digits --model digits/2 --release shadow --percent 20
  corliss endpoints deploy digits --model digits/2 --release ab --percent 50
  corliss endpoints deploy digits --model digits@champion --release rolling

An endpoint that follows an alias releases in the same way whatever the alias names next."
    )]
    Deploy(Box<DeployArgs>),
    /// List releases, show one with its steps and what was seen, or follow it
    #[command(after_help = "Examples:
  corliss endpoints releases digits
  corliss endpoints releases digits newest
  corliss endpoints releases digits --follow
  corliss endpoints releases digits rel_01jd… --json")]
    Releases(ReleasesArgs),
    /// Let the version that is being released take the old one's place now
    #[command(after_help = "Example:\n  corliss endpoints promote digits")]
    Promote {
        /// The endpoint's name
        #[arg(value_parser = some_text())]
        name: String,
    },
    /// Take the version back that is being released
    #[command(after_help = "Example:\n  corliss endpoints rollback digits")]
    Rollback {
        /// The endpoint's name
        #[arg(value_parser = some_text())]
        name: String,
    },
    /// Keep a release where it is; what breaches its objectives is rolled back still
    #[command(after_help = "Example:\n  corliss endpoints pause digits")]
    Pause {
        /// The endpoint's name
        #[arg(value_parser = some_text())]
        name: String,
    },
    /// Let a paused release go on
    #[command(after_help = "Example:\n  corliss endpoints resume digits")]
    Resume {
        /// The endpoint's name
        #[arg(value_parser = some_text())]
        name: String,
    },
    /// Put a service elsewhere behind an endpoint: vLLM, TGI, Triton, or any that speaks OpenAI's API
    ///
    /// Clients then name the endpoint as their model, and the server asks the service: under the same limits, routing,
    /// retries and records as models that it serves itself. Given again it changes what is there; the key stays unless
    /// another one is given. For platform-admins.
    #[command(after_help = "Examples:
  corliss endpoints connect llama --url http://gpu1:8000/v1 --url http://gpu2:8000/v1 --model meta-llama/Llama-3.1-8B
  corliss endpoints connect gpt --url https://api.openai.com/v1 --model gpt-4o-mini --key-env OPENAI_API_KEY
  corliss endpoints connect resnet --dialect open-inference --url http://triton:8000 --model resnet50")]
    Connect(ConnectArgs),
    /// Remove an endpoint
    #[command(
        after_help = "Examples:\n  corliss endpoints delete digits\n  corliss endpoints delete digits --yes\n\nIts replicas finish the requests that they have. The model and its versions stay."
    )]
    Delete {
        /// The endpoint's name
        #[arg(value_parser = some_text())]
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Show or change how an endpoint's requests are routed
    ///
    /// Without options it shows it. An option changes its own setting and leaves the others; the replicas go on as
    /// they are.
    #[command(
        allow_negative_numbers = true,
        after_help = "Examples:
  corliss endpoints routing chat
  corliss endpoints routing chat --router prefix_aware
  corliss endpoints routing chat --attempts 3 --hedge-after-ms 200
  corliss endpoints routing chat --fallback chat-small
  corliss endpoints routing chat --json > routing.json
  corliss endpoints routing chat --file routing.json
  corliss endpoints routing chat --reset"
    )]
    Routing(Box<RoutingArgs>),
    /// Show the newest requests: who answered, why that replica, how long it took
    #[command(
        after_help = "Examples:\n  corliss endpoints requests chat\n  corliss endpoints requests chat --limit 500 --json"
    )]
    Requests {
        /// The endpoint's name
        #[arg(value_parser = some_text())]
        name: String,
        /// How many at most, newest first
        #[arg(long, short = 'n', default_value_t = 20, value_parser = up_to(MAX_REQUESTS))]
        limit: u32,
    },
}

/// `corliss endpoints connect`
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// The endpoint's name
    #[arg(value_parser = some_text())]
    pub name: String,
    /// Where the service is, with the path that its API's own paths come behind; may be given again
    #[arg(long = "url", value_name = "URL", required = true, value_parser = some_text())]
    pub urls: Vec<String>,
    /// What the service calls the model
    #[arg(long, value_parser = some_text())]
    pub model: String,
    /// What the service speaks
    #[arg(long, value_enum, default_value_t = Dialect::Openai)]
    pub dialect: Dialect,
    /// The share of each address in turn, for the weighted router; 1 where none is given
    #[arg(long = "weight", value_name = "SHARE", value_parser = whole(bounds::WEIGHT))]
    pub weights: Vec<u32>,
    /// The environment variable that holds the key which the service demands
    #[arg(long, value_name = "NAME", conflicts_with = "key_file", value_parser = some_text())]
    pub key_env: Option<String>,
    /// The file that holds the key, - for standard input
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Show the service no key any more
    #[arg(long, conflicts_with_all = ["key_env", "key_file"])]
    pub no_key: bool,
}

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// OpenAI's API
    Openai,
    /// The Open Inference Protocol, version 2
    OpenInference,
}

/// How requests with tensors are joined.
#[derive(Debug, Args)]
pub struct BatchingArgs {
    /// The most rows of a batch, 1 to 4096 [default: 32]. Of a model that Python runs, and that nobody knows to compute
    /// each row by itself, rows are joined only if this is given; 1 joins none
    #[arg(long, value_name = "ROWS", value_parser = whole(bounds::ROWS))]
    pub batch_max: Option<u32>,
    /// How long the first request of a batch waits for others, such as 2ms or 500us [default: 2ms]
    #[arg(long, value_name = "TIME", value_parser = bounds::delay)]
    pub batch_delay: Option<u64>,
    /// Rows at which a batch is closed without waiting for more
    #[arg(long, value_name = "ROWS,…", value_delimiter = ',', value_parser = whole(bounds::ROWS))]
    pub batch_prefer: Vec<u32>,
    /// Copies of the model in each replica that compute at the same time [default: one a CPU; one where Python or ONNX
    /// Runtime runs it]
    #[arg(long, value_name = "N", value_parser = whole(bounds::INSTANCES))]
    pub instances: Option<u32>,
}

/// `corliss endpoints routing`
#[derive(Debug, Args)]
pub struct RoutingArgs {
    /// The endpoint's name
    #[arg(value_parser = some_text())]
    pub name: String,
    /// By what a replica is chosen
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Strategy::ALL.map(Strategy::name)))]
    pub router: Option<String>,
    /// The header that names a request's session, for session_affinity
    #[arg(long, value_name = "NAME", value_parser = some_text())]
    pub session_header: Option<String>,
    /// The share of a version, for weighted; may be given again
    #[arg(long = "weight", value_name = "VERSION=SHARE", value_parser = weight)]
    pub weights: Vec<(u32, u32)>,
    /// How many replicas a request is given to at most, one after another
    #[arg(long, value_name = "N", value_parser = whole(bounds::ATTEMPTS))]
    pub attempts: Option<u32>,
    /// Further attempts in percent of the requests
    #[arg(long, value_name = "PERCENT", value_parser = whole(bounds::RETRIES))]
    pub retry_budget: Option<u32>,
    /// Ask a second replica too if the first gave no answer for so long; none for never
    #[arg(long, value_name = "MS", value_parser = whole_or_none(bounds::WAIT_MS))]
    pub hedge_after_ms: Option<OrNone>,
    /// Give a replica up that gave no first answer for so long; none for no such limit
    #[arg(long, value_name = "MS", value_parser = whole_or_none(bounds::WAIT_MS))]
    pub attempt_timeout_ms: Option<OrNone>,
    /// Give up after so long without a first answer; none for the server's limit
    #[arg(long, value_name = "MS", value_parser = whole_or_none(bounds::WAIT_MS))]
    pub timeout_ms: Option<OrNone>,
    /// Requests at once, beyond which they are refused; none for the server's limit
    #[arg(long, value_name = "N", value_parser = whole_or_none(1..=u64::from(u32::MAX)))]
    pub concurrent_max: Option<OrNone>,
    /// Endpoints to ask when this one cannot answer, in this order; empty for none
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub fallback: Option<Vec<String>>,
    /// What a million tokens of prompts cost, for the budgets of callers
    #[arg(long, value_name = "AMOUNT", value_parser = money::parse)]
    pub price_prompt: Option<u64>,
    /// What a million tokens of prompts cost that were in a cache; as others if it is not set
    #[arg(long, value_name = "AMOUNT", value_parser = money::parse)]
    pub price_cached: Option<u64>,
    /// What a million tokens of answers cost
    #[arg(long, value_name = "AMOUNT", value_parser = money::parse)]
    pub price_answer: Option<u64>,
    /// What a request costs
    #[arg(long, value_name = "AMOUNT", value_parser = money::parse)]
    pub price_request: Option<u64>,
    /// All settings from a JSON file, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "reset")]
    pub file: Option<PathBuf>,
    /// Back to the defaults
    #[arg(long)]
    pub reset: bool,
}

/// A number, or the word that takes a setting away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrNone(pub Option<u64>);

fn weight(text: &str) -> Result<(u32, u32), String> {
    let parts = text
        .split_once('=')
        .and_then(|(version, share)| Some((version.parse().ok()?, share.parse().ok()?)));
    parts.ok_or_else(|| "not VERSION=SHARE, as 3=9".to_owned())
}
