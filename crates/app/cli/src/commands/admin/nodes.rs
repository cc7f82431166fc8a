//! `corliss admin nodes …`: shown, changed by a file, split, drained.

use std::collections::BTreeMap;

use corliss_jobs::{Drained, NodeSettings, NodeSpec, NodeView, NodesView};
use serde_json::{Value, json};

use super::effect;
use crate::api::segment;
use crate::args::NodesCommand;
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::units;

const PATH: &str = "/api/v1/nodes";
const EXAMPLE: &str = r#"{"nodes": {"a": {"cpu_milli": 1000, "memory_bytes": 1073741824}}}"#;

/// Dispatches.
pub fn run(context: &Context, command: &NodesCommand) -> CliResult {
    match command {
        NodesCommand::Show => {
            let answer: Value = context.api()?.get(PATH)?;
            context.answer(answer, |view: NodesView| table(&view))
        }
        NodesCommand::Apply { file, dry_run, yes } => {
            let settings = effect::read(file, "nodes", EXAMPLE)?;
            effect::apply(context, PATH, "nodes", &settings, *dry_run, *yes)
        }
        NodesCommand::Split {
            count,
            racks,
            dry_run,
            yes,
        } => {
            let view: NodesView = context.api()?.get(PATH)?;
            let settings = split(&view, *count, *racks)?;
            let settings = typed_value(&settings)?;
            effect::apply(context, PATH, "nodes", &settings, *dry_run, *yes)
        }
        NodesCommand::Drain { node, evict } => drain(context, node, *evict),
        NodesCommand::Undrain { node } => {
            let path = format!("{PATH}/{}/undrain", segment(node));
            let answer: Value = context.api()?.post(&path, &json!({}))?;
            context.answer(answer, |_: NodesView| {
                output::say(&format!("Node '{node}' takes new work."));
            })
        }
    }
}

fn typed_value(settings: &NodeSettings) -> CliResult<Value> {
    serde_json::to_value(settings).map_err(|error| CliError::input(error.to_string()))
}

/// Equal nodes `n1`, `n2` and so on, of what the machine has.
fn split(view: &NodesView, count: u16, racks: Option<u16>) -> CliResult<NodeSettings> {
    if count == 1 && racks.is_none() {
        return Ok(NodeSettings::default());
    }
    let cards: Vec<u32> = {
        let all = view.nodes.iter().flat_map(|node| &node.accelerators);
        all.map(|card| card.accelerator.index).collect()
    };
    let each = view.machine.accelerators as usize / usize::from(count);
    if cards.len() < view.machine.accelerators as usize {
        return Err(
            CliError::input("some of the machine's accelerators are in no node now")
                .hint("make it one node first, with: corliss admin nodes split 1"),
        );
    }
    let mut nodes = BTreeMap::new();
    for place in 0..count {
        let first = usize::from(place) * each;
        let rack = racks.map(|racks| format!("r{}", place % racks + 1));
        let node = NodeSpec {
            cpu_milli: view.machine.cpu_milli / u64::from(count),
            memory_bytes: view.machine.memory_bytes / u64::from(count),
            accelerators: cards.iter().skip(first).take(each).copied().collect(),
            stands_in: rack.map(|rack| ("rack".to_owned(), rack)).into_iter().collect(),
            spot: false,
        };
        nodes.insert(format!("n{}", place + 1), node);
    }
    Ok(NodeSettings {
        levels: racks.map(|_| "rack".to_owned()).into_iter().collect(),
        nodes,
        ..NodeSettings::default()
    })
}

fn drain(context: &Context, node: &str, evict: bool) -> CliResult {
    let path = format!("{PATH}/{}/drain", segment(node));
    let answer: Value = context.api()?.post(&path, &json!({ "evict": evict }))?;
    context.answer(answer, |drained: Drained| {
        output::say(&format!("Node '{node}' takes no new work."));
        for job in &drained.stopped {
            output::say(&format!(
                "'{}' ({}) is being stopped, and starts elsewhere.",
                job.name, job.job_id
            ));
        }
        for job in &drained.remaining {
            output::say(&format!("'{}' ({}) goes on there.", job.name, job.job_id));
        }
        if drained.stopped.is_empty() && drained.remaining.is_empty() {
            output::say("No job is there.");
        }
    })
}

fn table(view: &NodesView) {
    let mut table = Table::new(&["node", "in", "state", "total", "free", "accelerators", "jobs"]);
    for node in &view.nodes {
        let stands_in = view.settings.levels.iter().filter_map(|level| {
            let place = node.stands_in.get(level)?;
            Some(format!("{level} {place}"))
        });
        let stands_in: Vec<String> = stands_in.collect();
        table.row([
            node.name.clone(),
            or_none(stands_in),
            state(node),
            units::resources(&node.total),
            units::resources(&node.free),
            models(node),
            jobs(node),
        ]);
    }
    table.print("There are no nodes.");
}

fn state(node: &NodeView) -> String {
    let words = [node.drained.then_some("drained"), node.spot.then_some("spot")];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    match words.is_empty() {
        true => "open".to_owned(),
        false => words.join(", "),
    }
}

/// `2 × NVIDIA H100 80GB HBM3`
fn models(node: &NodeView) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for card in &node.accelerators {
        *counts.entry(card.accelerator.model.as_str()).or_default() += 1;
    }
    let told = counts.iter().map(|(model, count)| format!("{count} × {model}"));
    or_none(told.collect())
}

fn jobs(node: &NodeView) -> String {
    let told = node.jobs.iter().map(|job| match job.workers {
        1 => job.name.clone(),
        workers => format!("{} × {workers}", job.name),
    });
    or_none(told.collect())
}

fn or_none(parts: Vec<String>) -> String {
    match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::typed;

    #[test]
    fn a_machine_is_shared_out_evenly() {
        let card = |index: u32| json!({"index": index, "uuid": "", "model": "T", "memory_bytes": 1, "free_milli": 1000, "jobs": []});
        let view: NodesView = typed(json!({
            "settings": {"nodes": {}}, "machine": {"cpu_milli": 3000, "memory_bytes": 10, "accelerators": 3},
            "nodes": [{"name": "local", "spot": false, "drained": false, "jobs": [],
                "total": {"cpu_milli": 3000, "memory_bytes": 10, "accelerators": 3},
                "free": {"cpu_milli": 3000, "memory_bytes": 10, "accelerators": 3},
                "accelerators": [card(0), card(1), card(2)]}],
        }))
        .unwrap();
        let halves = split(&view, 2, Some(2)).unwrap();
        let told: Vec<_> = halves
            .nodes
            .iter()
            .map(|(name, node)| {
                (
                    name.as_str(),
                    node.cpu_milli,
                    node.accelerators.clone(),
                    node.stands_in["rack"].as_str(),
                )
            })
            .collect();
        assert_eq!(told, [("n1", 1500, vec![0], "r1"), ("n2", 1500, vec![1], "r2")]);
        assert_eq!(split(&view, 1, None).unwrap(), NodeSettings::default());
    }
}
