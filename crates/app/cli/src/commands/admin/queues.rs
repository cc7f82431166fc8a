//! `corliss admin queues …`: shown, and changed by a file.

use std::collections::BTreeMap;

use corliss_jobs::{Amounts, QueueSettings, QueueSpec, QueuesView};
use corliss_types::amount;
use serde_json::Value;

use super::effect;
use crate::args::QueuesCommand;
use crate::context::Context;
use crate::error::CliResult;
use crate::output::Table;
use crate::units;

const PATH: &str = "/api/v1/queues";
const EXAMPLE: &str = r#"{"queues": {"research": {"quota": {"accelerators": 8}}}}"#;

/// Dispatches.
pub fn run(context: &Context, command: &QueuesCommand) -> CliResult {
    match command {
        QueuesCommand::Show => {
            let answer: Value = context.api()?.get(PATH)?;
            context.answer(answer, |view: QueuesView| table(&view))
        }
        QueuesCommand::Apply { file, dry_run, yes } => {
            let settings = effect::read(file, "queues", EXAMPLE)?;
            effect::apply(context, PATH, "queues", &settings, *dry_run, *yes)
        }
    }
}

fn table(view: &QueuesView) {
    let mut table = Table::new(&[
        "queue",
        "weight",
        "order",
        "overtaking",
        "quota",
        "held",
        "running",
        "waiting",
    ]);
    let default = QueueSpec::default();
    for (name, depth) in by_tree(&view.settings, &view.usage) {
        let spec = view.settings.queues.get(name).unwrap_or(&default);
        let usage = view.usage.get(name).copied().unwrap_or_default();
        table.row([
            format!("{}{name}", "  ".repeat(depth)),
            spec.weight.to_string(),
            spec.order.to_string(),
            spec.overtaking.name().to_owned(),
            quota(&spec.quota),
            units::resources(&usage.held),
            usage.running.to_string(),
            usage.waiting.to_string(),
        ]);
    }
    table.print("There are no queues.");
}

/// Queues with those that are part of them below them, and how deep each is.
fn by_tree<'a, T>(settings: &QueueSettings, usage: &'a BTreeMap<String, T>) -> Vec<(&'a str, usize)> {
    let parent = |name: &str| settings.queues.get(name).and_then(|spec| spec.parent.as_deref());
    let mut rows = Vec::with_capacity(usage.len());
    let mut next: Vec<(&str, usize)> = Vec::new();
    let below = |above: Option<&str>, depth: usize| {
        let names = usage.keys().rev().filter(move |name| parent(name) == above);
        names.map(move |name| (name.as_str(), depth)).collect::<Vec<_>>()
    };
    next.extend(below(None, 0));
    while let Some((name, depth)) = next.pop() {
        rows.push((name, depth));
        next.extend(below(Some(name), depth + 1));
    }
    rows
}

/// `8 accelerators, 4 CPUs`; what is not named is not limited.
fn quota(own: &Amounts) -> String {
    let parts = [
        own.cpu_milli.map(amount::cpus_in_words),
        own.memory_bytes.map(units::bytes),
        own.accelerators.map(|count| units::plural(count, "accelerator")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return "no limit".to_owned();
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_below_what_they_are_part_of() {
        let settings: QueueSettings = serde_json::from_value(serde_json::json!({"queues": {
            "b": {}, "a": {"parent": "b"}, "c": {"parent": "a"}, "d": {"parent": "b"}
        }}))
        .unwrap();
        let usage = ["a", "b", "c", "d", "default"]
            .map(|name| (name.to_owned(), ()))
            .into_iter()
            .collect();
        let told: Vec<String> = by_tree(&settings, &usage)
            .into_iter()
            .map(|(name, depth)| format!("{depth}{name}"))
            .collect();
        assert_eq!(told, ["0b", "1a", "2c", "1d", "0default"]);
        assert_eq!(quota(&settings.queues["b"].quota), "no limit");
    }
}
