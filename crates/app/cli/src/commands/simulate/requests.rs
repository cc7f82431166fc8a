//! Recorded requests to language models: which replica takes each, and what users would have seen.

use corliss_diagnostics::Diagnose;
use corliss_policy_serving::router::Strategy;
use corliss_sim_serving::trace::{Trace, TraceKind};
use corliss_sim_serving::{Engine, Objectives, Report, Setup, Spread, simulate};
use serde_json::json;

use super::in_file;
use crate::args::{Recording, SimulateArgs};
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::units;

/// Reads the trace, simulates each router and prints what came of it.
pub fn run(
    context: &Context,
    args: &SimulateArgs,
    (file, kind): (&Recording, TraceKind),
    text: &str,
) -> CliResult {
    let mut trace = kind.read(text).map_err(|error| in_file(file, &error))?;
    if let Some(most) = args.requests {
        trace.truncate(most as usize);
    }
    let mut reports = Vec::new();
    for strategy in args.strategies() {
        let report = simulate(&trace, &setup(args, strategy));
        reports.push(report.map_err(|error| of_option(&error))?);
    }
    if context.json {
        output::say_json(&document(args, file, &trace, &reports));
        return Ok(());
    }
    output::say(&heading(args, file, &trace));
    match &reports[..] {
        [report] => show(report),
        reports => compare(reports),
    }
    let refused = reports.first().map_or(0, |report| report.refused);
    if refused > 0 {
        output::say(&format!(
            "{} refused: longer than a replica's memory (--kv-tokens).",
            requests(refused)
        ));
    }
    Ok(())
}

/// A setup that cannot be simulated, by the option that says so.
fn of_option(error: &dyn Diagnose) -> CliError {
    let mut error = CliError::diagnosed(error);
    let field = error.report.field.as_mut();
    if let Some(field) = field {
        let option = field
            .strip_suffix("_ns")
            .map_or_else(|| field.clone(), |cost| format!("{cost}_us"));
        *field = format!("--{}", option.replace('_', "-"));
    }
    error
}

fn engine(args: &SimulateArgs) -> Engine {
    let options = &args.engine;
    Engine {
        iteration_ns: options.iteration_us,
        prefill_token_ns: options.prefill_token_us,
        sequence_ns: options.sequence_us,
        kv_token_ns: options.kv_token_us,
        kv_tokens: options.kv_tokens,
        batch_tokens: options.batch_tokens,
        max_sequences: options.max_sequences,
        prefix_cache: !options.no_prefix_cache,
    }
}

fn setup(args: &SimulateArgs, strategy: Strategy) -> Setup {
    let mut setup = Setup {
        replicas: args.replicas,
        speeds: args.speeds.clone(),
        engine: engine(args),
        rate: args.rate,
        seed: args.seed,
        objectives: Objectives {
            ttft_ms: args.ttft_ms,
            tpot_ms: args.tpot_ms,
        },
        ..Setup::new(strategy)
    };
    if let Some(tokens) = args.prefix_slack {
        setup.settings.prefix.slack_tokens = tokens;
    }
    setup
}

/// Tokens of prompts and answers.
fn tokens(trace: &Trace) -> (u64, u64) {
    let requests = trace.requests().iter();
    requests.fold((0, 0), |(prompts, answers), request| {
        (
            prompts + u64::from(request.prompt_tokens),
            answers + u64::from(request.output_tokens),
        )
    })
}

/// From the first arrival to the last, as recorded.
fn recorded_ms(trace: &Trace) -> u64 {
    let last = trace.requests().last();
    last.map_or(0, |last| last.arrival_ns / 1_000_000)
}

fn document(args: &SimulateArgs, file: &Recording, trace: &Trace, reports: &[Report]) -> serde_json::Value {
    let (prompts, answers) = tokens(trace);
    json!({
        "trace": {
            "kind": file.kind.name(),
            "file": file.file.display().to_string(),
            "requests": trace.requests().len(),
            "prompt_tokens": prompts,
            "output_tokens": answers,
            "recorded_ms": recorded_ms(trace),
        },
        "replicas": args.replicas,
        "speeds_percent": args.speeds,
        "rate": args.rate,
        "seed": args.seed,
        "engine": engine(args),
        "results": reports,
    })
}

fn heading(args: &SimulateArgs, file: &Recording, trace: &Trace) -> String {
    let (prompts, answers) = tokens(trace);
    let rate = if args.rate == 1.0 {
        String::new()
    } else {
        format!(", at {} times the rate", units::metric(args.rate))
    };
    format!(
        "{}: {} with {} tokens and answers of {} within {}{rate}; {}.\n",
        file,
        requests(trace.requests().len() as u64),
        units::grouped(prompts),
        units::grouped(answers),
        units::duration(recorded_ms(trace)),
        units::plural(u64::from(args.replicas), "replica"),
    )
}

fn requests(count: u64) -> String {
    let noun = if count == 1 { "request" } else { "requests" };
    format!("{} {noun}", units::grouped(count))
}

/// A share as `93.0%`.
fn share(value: f64) -> String {
    format!("{:.1}%", value * 100.0)
}

fn ms(value: f64) -> String {
    if value < 99.95 {
        return format!("{value:.1} ms");
    }
    format!("{} ms", whole(value))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and of few digits"
)]
fn whole(value: f64) -> String {
    units::grouped(value.round() as u64)
}

/// Several routers, a line each.
fn compare(reports: &[Report]) {
    let mut table = Table::new(&[
        "router",
        "ttft p50",
        "p90",
        "p99",
        "per token p50",
        "p99",
        "latency p50",
        "p99",
        "tokens/s",
        "prefilled",
        "saved",
        "evenness",
        "good",
    ]);
    for report in reports {
        let (ttft, tpot, latency) = (&report.ttft_ms, &report.tpot_ms, &report.latency_ms);
        table.row([
            report.router.to_owned(),
            ms(ttft.p50),
            ms(ttft.p90),
            ms(ttft.p99),
            ms(tpot.p50),
            ms(tpot.p99),
            ms(latency.p50),
            ms(latency.p99),
            whole(report.throughput.total_tokens_per_s),
            units::grouped(report.prefill_tokens.computed),
            units::grouped(report.prefill_tokens.saved),
            share(report.requests_per_replica.min_of_max),
            share(report.goodput.share),
        ]);
    }
    table.print("no router");
}

/// One router, at length.
fn show(report: &Report) {
    let mut times = Table::new(&[report.router, "mean", "p50", "p90", "p99", "max"]);
    let rows: [(&str, &Spread); 4] = [
        ("time to first token", &report.ttft_ms),
        ("time per further token", &report.tpot_ms),
        ("latency", &report.latency_ms),
        ("in the queue", &report.queue_ms),
    ];
    for (name, spread) in rows {
        let values = [spread.mean, spread.p50, spread.p90, spread.p99, spread.max];
        times.row(std::iter::once(name.to_owned()).chain(values.map(ms)));
    }
    times.print("no requests");
    let mut rest = Table::new(&["", ""]);
    let (prefill, good) = (&report.prefill_tokens, &report.goodput);
    let even = |even: &corliss_sim_serving::Evenness| {
        format!(
            "{} to {}, evenness {}, coefficient of variation {:.3}",
            units::grouped(even.min),
            units::grouped(even.max),
            share(even.min_of_max),
            even.cv
        )
    };
    let rows = [
        ("makespan", ms_long(report.makespan_s)),
        (
            "throughput",
            format!(
                "{} tokens/s, {} of them answers",
                whole(report.throughput.total_tokens_per_s),
                whole(report.throughput.output_tokens_per_s)
            ),
        ),
        (
            "prompt tokens",
            format!(
                "{} computed, {} saved by prefix caches",
                units::grouped(prefill.computed),
                units::grouped(prefill.saved)
            ),
        ),
        (
            "good answers",
            format!(
                "{}, {:.2}/s (first token within {} ms, then {} ms a token)",
                share(good.share),
                good.requests_per_s,
                good.objectives.ttft_ms,
                good.objectives.tpot_ms
            ),
        ),
        ("requests a replica", even(&report.requests_per_replica)),
        ("tokens a replica", even(&report.tokens_per_replica)),
        ("picked because", reasons(report)),
    ];
    for (name, value) in rows {
        rest.row([name.to_owned(), value]);
    }
    rest.print("");
}

fn reasons(report: &Report) -> String {
    let mut reasons: Vec<(u64, &str)> = report
        .reasons
        .iter()
        .map(|(name, count)| (*count, *name))
        .collect();
    reasons.sort_by(|a, b| b.cmp(a));
    let reasons = reasons
        .into_iter()
        .map(|(count, name)| format!("{name} {}", units::grouped(count)));
    reasons.collect::<Vec<_>>().join(", ")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a span, and not negative"
)]
fn ms_long(seconds: f64) -> String {
    units::duration((seconds * 1000.0).round() as u64)
}
