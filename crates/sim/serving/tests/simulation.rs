//! What every simulation must satisfy, and what the recorded traces must show.
#![allow(clippy::unwrap_used)] // A helper of a test may fail it.

use std::path::PathBuf;

use corliss_policy_serving::router::Strategy as Router;
use corliss_sim_serving::trace::{Trace, TraceKind};
use corliss_sim_serving::{Engine, Report, Setup, simulate};
use proptest::prelude::*;

/// A recorded trace; none, with a word about it, where the folder is absent.
fn recorded(kind: TraceKind, file: &str) -> Option<Trace> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared/data/traces");
    let folder = std::env::var_os("CORLISS_TRACES").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = folder.join(kind.name()).join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!(
            "skipped: {} is not there; CORLISS_TRACES names the folder of traces",
            path.display()
        );
        return None;
    };
    Some(kind.read(&text).unwrap())
}

fn report(trace: &Trace, router: Router) -> Report {
    simulate(trace, &Setup::new(router)).unwrap()
}

#[test]
fn on_mooncakes_trace_prefix_aware_computes_less_and_answers_sooner_than_round_robin() {
    let Some(trace) = recorded(TraceKind::Mooncake, "synthetic_trace.jsonl") else {
        return;
    };
    let in_turn = report(&trace, Router::RoundRobin);
    let prefix_aware = report(&trace, Router::PrefixAware);
    let whole = |report: &Report| report.prefill_tokens.computed + report.prefill_tokens.saved;
    assert_eq!(whole(&in_turn), 61_194_628);
    assert_eq!(whole(&prefix_aware), whole(&in_turn));
    assert!(prefix_aware.prefill_tokens.computed < in_turn.prefill_tokens.computed * 3 / 4);
    assert!(prefix_aware.ttft_ms.p99 < in_turn.ttft_ms.p99 / 2.0);
    assert!(prefix_aware.goodput.share > in_turn.goodput.share);
}

#[test]
fn on_azures_trace_all_requests_are_answered_and_evenly() {
    let Some(trace) = recorded(TraceKind::AzureLlm, "conv_2023.csv") else {
        return;
    };
    for router in Router::ALL {
        let report = report(&trace, router);
        assert_eq!((report.requests, report.refused), (19_366, 0), "{router}");
        assert!(report.requests_per_replica.min_of_max > 0.9, "{router}");
    }
}

fn small() -> Engine {
    Engine {
        kv_tokens: 2_000,
        batch_tokens: 128,
        max_sequences: 8,
        ..Engine::default()
    }
}

prop_compose! {
    fn traces()(requests in prop::collection::vec((0_u64..400, 1_u32..600, 1_u32..80, 1_u64..128), 1..120)) -> Trace {
        let mut trace = Trace::new(16);
        let mut now = 0;
        for (after, prompt, output, leaf) in requests {
            now += after * 1_000_000;
            // Paths of a tree: prompts that begin alike.
            let mut blocks: Vec<u64> = std::iter::successors(Some(leaf), |at| (*at > 1).then_some(at / 2)).collect();
            blocks.reverse();
            trace.push(now, prompt, output, &blocks);
        }
        trace
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_report_adds_up(
        trace in traces(), router in prop::sample::select(Router::ALL.to_vec()), replicas in 1_u32..6, seed in any::<u64>(),
    ) {
        let setup = Setup { replicas, seed, engine: small(), ..Setup::new(router) };
        let report = simulate(&trace, &setup).unwrap();
        prop_assert_eq!(&report, &simulate(&trace, &setup).unwrap(), "the same seed, the same report");
        let requests = trace.requests();
        let prompt: u64 = requests.iter().map(|request| u64::from(request.prompt_tokens)).sum();
        let output: u64 = requests.iter().map(|request| u64::from(request.output_tokens)).sum();
        prop_assert_eq!(report.refused, 0);
        prop_assert_eq!(report.prefill_tokens.computed + report.prefill_tokens.saved, prompt);
        prop_assert_eq!(report.requests_per_replica.each.iter().sum::<u64>(), requests.len() as u64);
        prop_assert_eq!(report.tokens_per_replica.each.iter().sum::<u64>(), report.prefill_tokens.computed + output);
        prop_assert_eq!(report.reasons.values().sum::<u64>(), requests.len() as u64);
        for spread in [report.ttft_ms, report.tpot_ms, report.latency_ms, report.queue_ms] {
            prop_assert!(spread.p50 <= spread.p90 && spread.p90 <= spread.p99 && spread.p99 <= spread.max);
        }
        prop_assert!(report.queue_ms.max <= report.ttft_ms.max && report.ttft_ms.max <= report.latency_ms.max);
        // One request alone takes as long as all: but for the last bit, which division decides.
        prop_assert!(report.latency_ms.max / 1000.0 <= report.makespan_s * (1.0 + f64::EPSILON * 4.0));
    }

    /// Without a cache nothing is saved.
    #[test]
    fn a_cache_is_all_that_saves_tokens(trace in traces()) {
        let engine = Engine { prefix_cache: false, ..small() };
        let report = simulate(&trace, &Setup { engine, ..Setup::new(Router::PrefixAware) }).unwrap();
        prop_assert_eq!(report.prefill_tokens.saved, 0);
    }
}

#[test]
fn a_request_alone_takes_what_the_engine_says() {
    let mut trace = Trace::new(0);
    trace.push(5_000_000_000, 100, 11, &[]);
    let engine = Engine {
        iteration_ns: 1_000_000,
        prefill_token_ns: 10_000,
        sequence_ns: 500_000,
        kv_token_ns: 0,
        ..Engine::default()
    };
    let report = simulate(
        &trace,
        &Setup {
            engine,
            ..Setup::new(Router::LeastTokens)
        },
    )
    .unwrap();
    assert_eq!(
        (report.ttft_ms.p99, report.tpot_ms.p99, report.latency_ms.p99),
        (2.0, 1.5, 17.0)
    );
    assert_eq!((report.makespan_s, report.queue_ms.max), (0.017, 0.0));
    assert_eq!((report.goodput.share, report.reasons["fewest_tokens"]), (1.0, 1));
}

#[test]
fn a_hot_prefix_is_shared_out_by_the_bound() {
    // Nine of ten requests begin with the same ten blocks; one replica alone could not answer them all.
    let mut trace = Trace::new(512);
    for request in 0..600_u64 {
        let own = 1_000 + request * 10;
        let first = if request % 10 == 0 { own } else { 0 };
        let mut blocks: Vec<u64> = (first..first + 10).collect();
        blocks.push(own + 500_000);
        trace.push(request * 40_000_000, 11 * 512, 100, &blocks);
    }
    let slack = |tokens| {
        let mut setup = Setup {
            replicas: 4,
            ..Setup::new(Router::PrefixAware)
        };
        setup.settings.prefix.slack_tokens = tokens;
        simulate(&trace, &setup).unwrap()
    };
    let (bounded, unbounded) = (slack(8_192), slack(u64::MAX));
    assert!(bounded.reasons["imbalance_bound"] > 0);
    assert!(bounded.requests_per_replica.min_of_max > unbounded.requests_per_replica.min_of_max);
    assert!(
        bounded.ttft_ms.p99 < unbounded.ttft_ms.p99 / 2.0,
        "{:?}\n{:?}",
        bounded.ttft_ms,
        unbounded.ttft_ms
    );
    assert!(bounded.prefill_tokens.saved > bounded.prefill_tokens.computed);
}

#[test]
fn the_router_remembers_no_more_than_the_replica() {
    // Five prompts of twenty blocks, of which memory for three is there, and the first one again.
    let mut trace = Trace::new(16);
    for (order, topic) in (0_u64..).zip([0, 1, 2, 3, 4, 0]) {
        let blocks: Vec<u64> = (topic * 100..topic * 100 + 20).collect();
        trace.push(order * 10_000_000_000, 20 * 16 + 1, 2, &blocks);
    }
    let at = |kv_tokens| {
        let engine = Engine {
            kv_tokens,
            ..Engine::default()
        };
        let setup = Setup {
            replicas: 1,
            engine,
            ..Setup::new(Router::PrefixAware)
        };
        let report = simulate(&trace, &setup).unwrap();
        (
            report.reasons.get("prefix_hit").copied(),
            report.prefill_tokens.saved,
        )
    };
    assert_eq!(at(1_000), (None, 0));
    assert_eq!(at(10_000), (Some(1), 320));
}

#[test]
fn what_fits_no_replica_is_refused_and_the_rest_goes_on() {
    let mut trace = Trace::new(0);
    trace.push(0, 1_999, 2, &[]);
    trace.push(0, 1_998, 2, &[]);
    let setup = Setup {
        engine: small(),
        ..Setup::new(Router::LeastConnections)
    };
    let report = simulate(&trace, &setup).unwrap();
    assert_eq!((report.requests, report.refused), (2, 1));
    assert_eq!(report.goodput.share, 0.5);
}

#[test]
fn weights_follow_speeds_and_a_faster_replica_takes_more() {
    let mut trace = Trace::new(0);
    for request in 0..400 {
        trace.push(request * 50_000_000, 500, 20, &[]);
    }
    let setup = |router| Setup {
        replicas: 2,
        speeds: vec![300, 100],
        ..Setup::new(router)
    };
    let weighted = simulate(&trace, &setup(Router::Weighted)).unwrap();
    assert_eq!(weighted.requests_per_replica.each, [300, 100]);
    let fastest = simulate(&trace, &setup(Router::LeastResponseTime)).unwrap();
    assert!(
        fastest.requests_per_replica.each[0] > 300,
        "{:?}",
        fastest.requests_per_replica
    );
}

#[test]
fn a_higher_rate_is_a_shorter_time_and_a_longer_wait() {
    let mut trace = Trace::new(0);
    for request in 0..200 {
        trace.push(request * 100_000_000, 1_000, 50, &[]);
    }
    let at = |rate| {
        let setup = Setup {
            replicas: 1,
            rate,
            ..Setup::new(Router::RoundRobin)
        };
        simulate(&trace, &setup).unwrap()
    };
    let (slow, fast) = (at(0.5), at(4.0));
    assert!(fast.makespan_s < slow.makespan_s);
    assert!(fast.ttft_ms.p99 > slow.ttft_ms.p99);
}

#[test]
fn a_setup_that_cannot_be_is_refused_by_field() {
    use corliss_diagnostics::Diagnose;
    let mut trace = Trace::new(0);
    trace.push(0, 1, 1, &[]);
    let usual = || Setup::new(Router::RoundRobin);
    let cases = [
        (
            Setup {
                replicas: 0,
                ..usual()
            },
            "replicas",
        ),
        (
            Setup {
                replicas: 1_001,
                ..usual()
            },
            "replicas",
        ),
        (Setup { rate: 0.0, ..usual() }, "rate"),
        (
            Setup {
                rate: f64::NAN,
                ..usual()
            },
            "rate",
        ),
        (
            Setup {
                speeds: vec![100],
                ..usual()
            },
            "speeds",
        ),
        (
            Setup {
                speeds: vec![0; 8],
                ..usual()
            },
            "speeds",
        ),
        (
            Setup {
                engine: Engine {
                    batch_tokens: 1,
                    ..Engine::default()
                },
                ..usual()
            },
            "batch_tokens",
        ),
    ];
    for (setup, field) in cases {
        let error = simulate(&trace, &setup).unwrap_err();
        assert_eq!(error.field().as_deref(), Some(field));
        assert!(error.hint().is_some());
    }
}
