//! `corliss simulate`

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use corliss_policy_serving::router::Strategy;
use corliss_sim_serving::trace::TraceKind;

use super::up_to;

/// Most replicas that are simulated.
const MAX_REPLICAS: u32 = 1_000;
/// Largest cost that an option takes, in microseconds: a quarter of an hour.
const MAX_US: f64 = 9e8;
/// Longest time on the mean until a node fails or is repaired, in hours: a century.
const MAX_HOURS: f64 = 876_600.0;
/// The shortest.
const MIN_HOURS: f64 = 0.001;

/// `corliss simulate`
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// What was recorded: requests to language models (azure-llm, mooncake), jobs of a cluster (muri, elasticflow, or jobs
    /// for a list of your own) or pods of one (openb), and its file: a path, or a name in the folder that CORLISS_TRACES names (else ../shared/data/traces) or in
    /// its folder of that kind
    #[arg(long, value_name = "KIND:FILE", value_parser = recording, required_unless_present = "from_history")]
    pub trace: Option<Recording>,
    /// What this platform ran: its own jobs of the last days, in its own queues
    #[arg(long, conflicts_with_all = ["trace", "routers"])]
    pub from_history: bool,
    /// Requests: how a replica is chosen, by round_robin, weighted, least_connections, least_response_time, least_tokens,
    /// prefix_aware, session_affinity, or all, which it is if none is named; may be given several times
    #[arg(long = "router", value_name = "NAME", value_parser = routers)]
    pub routers: Vec<Routers>,
    /// What a cluster decides by.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// How many replicas, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = up_to(MAX_REPLICAS))]
    pub replicas: u32,
    /// What random draws are made of
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Let requests arrive so many times as fast as they were recorded
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub rate: f64,
    /// Only the first N requests
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u32>::new().range(1..))]
    pub requests: Option<u32>,
    /// The speed of each replica against the engine's own; also its weight. Such as 1,1,0.5
    #[arg(long, value_name = "SPEED", value_delimiter = ',', value_parser = percent)]
    pub speeds: Vec<u32>,
    /// What counts as good: longest time to the first token
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    pub ttft_ms: u64,
    /// What counts as good: longest time for each further token, averaged over an answer
    #[arg(long, value_name = "MS", default_value_t = 200)]
    pub tpot_ms: u64,
    /// prefix_aware: so many outstanding tokens more than the least busy replica may the one have that has the
    /// prompt's beginning
    #[arg(long, value_name = "TOKENS")]
    pub prefix_slack: Option<u64>,
    /// What a replica can do.
    #[command(flatten)]
    pub engine: EngineOptions,
}

/// What a replica can do. The defaults are arithmetic for an 8B model in 16 bits on an A100.
#[derive(Debug, Args)]
#[command(next_help_heading = "Replica")]
pub struct EngineOptions {
    /// What each iteration costs
    #[arg(long, value_name = "US", default_value = "7900", value_parser = nanoseconds)]
    pub iteration_us: Nanoseconds,
    /// What each token of a prompt adds
    #[arg(long, value_name = "US", default_value = "103", value_parser = nanoseconds)]
    pub prefill_token_us: Nanoseconds,
    /// What each decoding sequence adds
    #[arg(long, value_name = "US", default_value = "50", value_parser = nanoseconds)]
    pub sequence_us: Nanoseconds,
    /// What each token of context adds that is read
    #[arg(long, value_name = "US", default_value = "0.064", value_parser = nanoseconds)]
    pub kv_token_us: Nanoseconds,
    /// Tokens whose keys and values fit its memory
    #[arg(long, value_name = "TOKENS", default_value_t = 426_000)]
    pub kv_tokens: u64,
    /// Most tokens of an iteration
    #[arg(long, value_name = "TOKENS", default_value_t = 2_048)]
    pub batch_tokens: u32,
    /// Most sequences at once
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub max_sequences: u32,
    /// Compute every prompt as a whole
    #[arg(long)]
    pub no_prefix_cache: bool,
}

/// What recorded jobs and pods are put on, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterOptions {
    /// Jobs: who goes first, by fifo, sjf, srtf, srsf or las, and with elasticflow, jobs and history also by
    /// backfill, fair or edf; history is always decided as its queues say too.
    /// Pods: where each is put, by random, first_fit, best_fit, dot_product, packing, clustering or fgd. Or all, which it
    /// is if none is named; may be given several times
    #[arg(long = "policy", value_name = "NAME", conflicts_with = "routers")]
    pub policies: Vec<String>,
    /// Jobs: their cluster, as nodes times the accelerators of each, such as 16x8, or its file, found as traces are.
    /// History: as if there were so many machines like this one, each with so many accelerators, such as 2x8 or 2x0
    #[arg(long, value_name = "NxG|FILE")]
    pub cluster: Option<PathBuf>,
    /// Jobs, history: draw how many were done within which time into this file, .svg or .html
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Pods: the file of their nodes, found as traces are
    #[arg(long, value_name = "FILE")]
    pub nodes: Option<PathBuf>,
    /// Pods: they are drawn at random until they ask for so many times the accelerators that there are
    #[arg(long, value_name = "FACTOR", default_value_t = 1.3)]
    pub arrivals: f64,
    /// muri: whoever runs pays for a start at every event, as in the simulator of Muri that published these traces
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub start_costs: bool,
    /// History: jobs that came in the last so many days
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3660), requires = "from_history")]
    pub days: u16,
    /// History: as if these were the queues; a file as for `corliss admin queues apply`
    #[arg(long, value_name = "FILE", requires = "from_history")]
    pub queues: Option<PathBuf>,
    /// elasticflow, jobs, history: how long it takes to end a job that loses its place
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub grace_s: u64,
    /// elasticflow, jobs, history: jobs save what they have done so often, and lose the rest with their place; without it they lose
    /// nothing when they are stopped, and all since they started when their node fails
    #[arg(long, value_name = "S", value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    pub checkpoint_s: Option<u64>,
    /// elasticflow, jobs, history: each node fails after so many hours on the mean, drawn by --seed, and everything on it with it
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    pub mtbf_h: Option<Hours>,
    /// And is repaired after so many more on the mean
    #[arg(long, value_name = "HOURS", default_value = "4", value_parser = hours, requires = "mtbf_h")]
    pub repair_h: Hours,
}

/// Hours on the command line, milliseconds inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// How long that is.
    pub ms: u64,
}

/// A file of recorded work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// What was recorded.
    pub kind: Recorded,
    /// The file, as the user named it.
    pub file: PathBuf,
}

/// What was recorded. Each sort has its own simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Requests to a language model.
    Requests(TraceKind),
    /// Jobs of a cluster, in the form of Muri's traces.
    Jobs,
    /// Jobs of a cluster, in the form of `ElasticFlow`'s traces.
    ElasticFlow,
    /// Jobs of a cluster, in the same form.
    List,
    /// Pods of a cluster, in the form of Alibaba's `OpenB` traces.
    Pods,
}

impl Recorded {
    /// The word before the colon, and the folder of such files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests(kind) => kind.name(),
            Self::Jobs => "muri",
            Self::ElasticFlow => "elasticflow",
            Self::List => "jobs",
            Self::Pods => "openb",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let requests = TraceKind::ALL.into_iter().map(Self::Requests);
        let mut all = requests.chain([Self::Jobs, Self::ElasticFlow, Self::List, Self::Pods]);
        all.find(|kind| kind.name() == name)
    }

    /// Whether these are jobs, which end.
    #[must_use]
    pub const fn is_of_jobs(self) -> bool {
        matches!(self, Self::Jobs | Self::ElasticFlow | Self::List)
    }

    /// Whether the whole scheduler decides on them, so that nodes may fail.
    #[must_use]
    pub const fn is_scheduled(self) -> bool {
        matches!(self, Self::ElasticFlow | Self::List)
    }

    /// What such a file is.
    #[must_use]
    pub const fn form(self) -> &'static str {
        match self {
            Self::Requests(TraceKind::AzureLlm) => "a CSV file with a line for each request",
            Self::Requests(TraceKind::Mooncake) => "a file of JSON lines, one for each request",
            Self::Jobs | Self::ElasticFlow | Self::List => "a CSV file with a line for each job",
            Self::Pods => "a CSV file with a line for each pod",
        }
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.file.display())
    }
}

/// One router, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routers {
    /// Every one.
    All,
    /// This one.
    One(Strategy),
}

impl SimulateArgs {
    /// The routers to compare, each once, in the order in which they were given.
    #[must_use]
    pub fn strategies(&self) -> Vec<Strategy> {
        if self.routers.is_empty() {
            return Strategy::ALL.to_vec();
        }
        let mut strategies: Vec<Strategy> = Vec::new();
        for routers in &self.routers {
            let named = match routers {
                Routers::All => Strategy::ALL.to_vec(),
                Routers::One(strategy) => vec![*strategy],
            };
            for strategy in named {
                if !strategies.contains(&strategy) {
                    strategies.push(strategy);
                }
            }
        }
        strategies
    }
}

/// Microseconds on the command line, exact inside.
pub type Nanoseconds = u64;

fn recording(text: &str) -> Result<Recording, String> {
    let kinds = "azure-llm, mooncake, muri, elasticflow, jobs or openb";
    let Some((kind, file)) = text.split_once(':').filter(|(_, file)| !file.is_empty()) else {
        return Err(format!("give KIND:FILE; KIND is {kinds}"));
    };
    Ok(Recording {
        kind: Recorded::named(kind).ok_or_else(|| format!("'{kind}' is no kind of trace: give {kinds}"))?,
        file: PathBuf::from(file),
    })
}

fn routers(text: &str) -> Result<Routers, String> {
    if text == "all" {
        return Ok(Routers::All);
    }
    // `round-robin` can only mean one thing.
    let strategy = text.replace('-', "_").parse().map(Routers::One);
    strategy.map_err(|error| {
        let names = Strategy::ALL.map(Strategy::name);
        match corliss_diagnostics::nearest(text, names) {
            Some(near) => format!("{error}, or all; did you mean {near}?"),
            None => format!("{error}, or all"),
        }
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn nanoseconds(text: &str) -> Result<Nanoseconds, String> {
    match text.parse::<f64>() {
        Ok(us) if (0.0..=MAX_US).contains(&us) => Ok((us * 1000.0).round() as u64),
        _ => Err(format!("give microseconds, 0 to {MAX_US}")),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn percent(text: &str) -> Result<u32, String> {
    match text.trim().parse::<f64>() {
        Ok(speed) if (0.01..=100.0).contains(&speed) => Ok((speed * 100.0).round() as u32),
        _ => Err("give speeds of 0.01 to 100; 1 is the engine's own".to_owned()),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn hours(text: &str) -> Result<Hours, String> {
    match text.parse::<f64>() {
        Ok(hours) if (MIN_HOURS..=MAX_HOURS).contains(&hours) => Ok(Hours {
            ms: (hours * 3.6e6).round() as u64,
        }),
        _ => Err(format!("give hours, {MIN_HOURS} to {MAX_HOURS}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn parse(words: &[&str]) -> Result<SimulateArgs, String> {
        let all = ["corliss", "simulate"].iter().chain(words);
        match Cli::try_parse_from(all) {
            Ok(Cli {
                command: Command::Simulate(args),
                ..
            }) => Ok(*args),
            Ok(_) => Err("another command".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_trace_is_a_kind_and_a_file() {
        let args = parse(&["--trace", "mooncake:a:b.jsonl"]).unwrap();
        let trace = args.trace.unwrap();
        assert_eq!(trace.kind, Recorded::Requests(TraceKind::Mooncake));
        assert_eq!(trace.file, PathBuf::from("a:b.jsonl"));
        assert_eq!(trace.to_string(), "mooncake:a:b.jsonl");
        for bad in ["conv_2023.csv", "azure-llm:", "azure:conv.csv"] {
            let said = parse(&["--trace", bad]).unwrap_err();
            assert!(said.contains("azure-llm, mooncake"), "{said}");
        }
    }

    #[test]
    fn routers_are_compared_once_each() {
        let trace = ["--trace", "mooncake:x"];
        let strategies = |more: &[&str]| {
            let words: Vec<&str> = trace.iter().chain(more).copied().collect();
            parse(&words).map(|args| args.strategies())
        };
        assert_eq!(strategies(&[]).unwrap(), Strategy::ALL);
        let two = [
            "--router",
            "least_tokens",
            "--router",
            "round-robin",
            "--router",
            "least_tokens",
        ];
        assert_eq!(
            strategies(&two).unwrap(),
            [Strategy::LeastTokens, Strategy::RoundRobin]
        );
        let said = strategies(&["--router", "least_token"]).unwrap_err();
        assert!(said.contains("did you mean least_tokens?"), "{said}");
    }

    #[test]
    fn nodes_fail_after_hours() {
        let of = |more: &[&str]| {
            let words: Vec<&str> = ["--trace", "jobs:x"].iter().chain(more).copied().collect();
            parse(&words).map(|args| {
                (
                    args.cluster.mtbf_h.map(|hours| hours.ms),
                    args.cluster.repair_h.ms,
                )
            })
        };
        assert_eq!(of(&[]).unwrap().0, None);
        assert_eq!(
            of(&["--mtbf-h", "720"]).unwrap(),
            (Some(2_592_000_000), 14_400_000)
        );
        assert_eq!(
            of(&["--mtbf-h", "0.5", "--repair-h", "1"]).unwrap(),
            (Some(1_800_000), 3_600_000)
        );
        for bad in ["0", "-1", "NaN", "1e9"] {
            let said = of(&["--mtbf-h", bad]).unwrap_err();
            assert!(
                bad == "-1" || said.contains("give hours, 0.001 to 876600"),
                "{said}"
            );
        }
        assert!(of(&["--repair-h", "1"]).unwrap_err().contains("--mtbf-h"));
    }

    #[test]
    fn the_defaults_are_the_simulators() {
        let args = parse(&["--trace", "mooncake:x"]).unwrap();
        let engine = corliss_sim_serving::Engine::default();
        let options = &args.engine;
        let costs = [
            options.iteration_us,
            options.prefill_token_us,
            options.sequence_us,
            options.kv_token_us,
        ];
        let defaults = [
            engine.iteration_ns,
            engine.prefill_token_ns,
            engine.sequence_ns,
            engine.kv_token_ns,
        ];
        assert_eq!(costs, defaults);
        let sizes = (options.kv_tokens, options.batch_tokens, options.max_sequences);
        assert_eq!(
            sizes,
            (engine.kv_tokens, engine.batch_tokens, engine.max_sequences)
        );
        let objectives = corliss_sim_serving::Objectives::default();
        assert_eq!(
            (args.ttft_ms, args.tpot_ms),
            (objectives.ttft_ms, objectives.tpot_ms)
        );
        assert_eq!(
            args.replicas,
            corliss_sim_serving::Setup::new(Strategy::default()).replicas
        );
        let slow = parse(&[
            "--trace",
            "mooncake:x",
            "--speeds",
            "1,0.5",
            "--iteration-us",
            "2.5",
        ])
        .unwrap();
        assert_eq!((slow.speeds, slow.engine.iteration_us), (vec![100, 50], 2_500));
        for bad in [
            ["--speeds", "0"],
            ["--iteration-us", "-1"],
            ["--kv-token-us", "NaN"],
            ["--requests", "0"],
        ] {
            assert!(
                parse(&["--trace", "mooncake:x", bad[0], bad[1]]).is_err(),
                "{bad:?}"
            );
        }
    }
}
