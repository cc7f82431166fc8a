//! `corliss jobs usage`: who held what for how long, and what came of it.

use corliss_jobs::{Consumption, Hours, Usage, UsageItem};
use corliss_types::Timestamp;
use serde_json::Value;

use crate::args::UsageArgs;
use crate::context::{Context, typed};
use crate::error::CliResult;
use crate::flags::Flags;
use crate::output::{self, Table};
use crate::{program, units};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: f64 = 3_600_000.0;

/// Shows usage.
pub fn run(context: &Context, args: &UsageArgs) -> CliResult {
    let mut by: Vec<&str> = Vec::new();
    for name in &args.by {
        if !by.contains(&name.as_str()) {
            by.push(name);
        }
    }
    let answer: CliResult<Value> = context.api()?.get(&address(args, &by, units::now_ms()));
    let flags = Flags::new(&[
        ("from_ms", "--from"),
        ("to_ms", "--to"),
        ("by", "--by"),
        ("per", "--per"),
    ]);
    let answer = answer.map_err(|error| flags.name(error))?;
    if args.csv {
        let usage = typed(answer)?;
        output::say(csv(&usage, &by).trim_end_matches('\n'));
        return Ok(());
    }
    context.answer(answer, |usage: Usage| table(&usage, &by, args.per.as_deref()))
}

fn address(args: &UsageArgs, by: &[&str], now_ms: i64) -> String {
    let from_ms = match args.from {
        Some(from) => from.as_millis(),
        None => now_ms - i64::from(args.days) * DAY_MS,
    };
    // The day itself is part of it.
    let to_ms = args.to.map_or(now_ms, |to| to.as_millis() + DAY_MS);
    let per = args
        .per
        .as_ref()
        .map_or_else(String::new, |per| format!("&per={per}"));
    format!(
        "/api/v1/usage?from_ms={from_ms}&to_ms={to_ms}&by={}{per}",
        by.join(",")
    )
}

/// The names that a line is of, in the order asked for.
fn names<'a>(item: &'a UsageItem, by: &[&str]) -> Vec<&'a str> {
    let name = |of: &&str| match *of {
        "user" => item.user.as_deref(),
        "project" => item.project.as_deref(),
        _ => item.queue.as_deref(),
    };
    by.iter().map(|of| name(of).unwrap_or_default()).collect()
}

fn table(usage: &Usage, by: &[&str], per: Option<&str>) {
    let mut headers = Vec::new();
    headers.extend(per.map(|_| "from"));
    headers.extend(by.iter().map(|by| match *by {
        "user" => "user",
        "project" => "project",
        _ => "queue",
    }));
    headers.extend([
        "jobs",
        "waited",
        "cpu h",
        "used",
        "GiB h",
        "accelerator h",
        "failed",
        "preempted",
    ]);
    let mut table = Table::new(&headers);
    for item in &usage.items {
        let mut cells = Vec::new();
        if let Some(per) = per {
            cells.push(moment(item.from_ms, per == "hour"));
        }
        let named = names(item, by);
        cells.extend(named.into_iter().map(|name| match name {
            "" => "-".to_owned(),
            name => name.to_owned(),
        }));
        cells.extend(amounts(&item.consumption));
        table.row(cells);
    }
    table.print(&format!(
        "No job waited or ran in this time. What runs now: {}",
        program::command("queue")
    ));
    if usage.items.len() > 1 {
        let [jobs, waited, cpu, _, memory, accelerators, failed, preempted] = amounts(&usage.total);
        output::say(&format!(
            "\nIn all {jobs} jobs, which waited {waited}: {cpu} CPU hours, {memory} GiB hours, {accelerators} accelerator \
             hours; {failed} lost by failing, {preempted} by making room."
        ));
    }
}

fn amounts(of: &Consumption) -> [String; 8] {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "hours of jobs, at least 0"
    )]
    let waited_ms = (of.waited_hours * HOUR_MS).round() as u64;
    [
        units::grouped(of.jobs),
        units::duration(waited_ms),
        hours(of.allocated.cpu),
        share(of.used_cpu_hours, of.allocated.cpu),
        hours(of.allocated.memory_gib),
        hours(of.allocated.accelerator),
        lost(&of.failed, &of.allocated),
        lost(&of.preempted, &of.allocated),
    ]
}

/// The share of the accelerators' time, or of the CPUs' where there were none.
fn lost(of: &Hours, allocated: &Hours) -> String {
    if allocated.accelerator > 0.0 {
        share(of.accelerator, allocated.accelerator)
    } else {
        share(of.cpu, allocated.cpu)
    }
}

fn share(part: f64, whole: f64) -> String {
    if whole > 0.0 {
        format!("{:.0} %", part / whole * 100.0)
    } else {
        "-".to_owned()
    }
}

fn hours(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        ..0.001 => "< 0.001".to_owned(),
        ..0.1 => format!("{value:.3}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// `2026-11-22`, or `2026-11-22 14:00`.
fn moment(at_ms: i64, with_time: bool) -> String {
    let text = Timestamp::from_millis(at_ms).rfc3339();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) if with_time => format!("{day} {time}"),
        (Some(day), _) => day.to_owned(),
        _ => text,
    }
}

/// As RFC 4180 has it, with a line of names.
fn csv(usage: &Usage, by: &[&str]) -> String {
    let mut header: Vec<String> = vec!["from".to_owned(), "to".to_owned()];
    header.extend(by.iter().map(|name| (*name).to_owned()));
    header.extend(["jobs", "waited_hours"].map(str::to_owned));
    for of in ["", "failed_", "preempted_"] {
        header
            .extend(["cpu_hours", "memory_gib_hours", "accelerator_hours"].map(|name| format!("{of}{name}")));
    }
    header.push("used_cpu_hours".to_owned());
    let mut text = line(header);
    for item in &usage.items {
        let of = &item.consumption;
        let mut cells = vec![
            Timestamp::from_millis(item.from_ms).rfc3339(),
            Timestamp::from_millis(item.to_ms).rfc3339(),
        ];
        cells.extend(names(item, by).into_iter().map(cell));
        cells.extend([of.jobs.to_string(), of.waited_hours.to_string()]);
        for hours in [&of.allocated, &of.failed, &of.preempted] {
            cells.extend([hours.cpu, hours.memory_gib, hours.accelerator].map(|value| value.to_string()));
        }
        cells.push(of.used_cpu_hours.to_string());
        text.push_str(&line(cells));
    }
    text
}

fn line(cells: Vec<String>) -> String {
    format!("{}\r\n", cells.join(","))
}

/// A name as one cell, and as nothing that a spreadsheet computes.
fn cell(name: &str) -> String {
    let name = if name.starts_with(['=', '+', '-', '@', '\t']) {
        format!("'{name}")
    } else {
        name.to_owned()
    };
    if name.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", name.replace('"', "\"\""));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_cell_and_no_formula() {
        assert_eq!(cell("ada"), "ada");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(cell("=1+1"), "'=1+1");
    }

    #[test]
    fn hours_have_as_many_digits_as_are_read() {
        assert_eq!(
            [0.0, 0.0004, 0.0123, 1.234, 12.34, 1234.5].map(hours),
            ["0", "< 0.001", "0.012", "1.23", "12.3", "1234"]
        );
    }
}
