//! `corliss data lineage`.

use serde_json::Value;

use crate::api::segment;
use crate::commands::versions::version_of;
use crate::context::Context;
use crate::error::CliResult;
use crate::output::Table;
use crate::text::short;
use crate::views::{LineageNode, LineageView};

pub(super) fn lineage(context: &Context, node: &str, direction: &str) -> CliResult {
    let api = context.api()?;
    let node = match node
        .strip_prefix("version:")
        .filter(|version| !version.is_empty())
    {
        Some(version) => format!("version:{}", version_of(&api, version)?),
        None => node.to_owned(),
    };
    let path = format!("/api/v1/lineage?node={}&direction={direction}", segment(&node));
    let answer: Value = api.get(&path)?;
    context.answer(answer, |graph: LineageView| {
        let label = |id: &str| {
            let found = graph.nodes.iter().find(|node| node.id == id);
            // A version without a dataset is called by its digits alone: `v_` says what they are.
            let label = |node: &LineageNode| match id.strip_prefix("version:") {
                Some(version) if !node.label.contains('@') => short(version),
                _ => node.label.clone(),
            };
            found.map_or_else(|| id.to_owned(), |node| format!("{} {}", node.kind, label(node)))
        };
        let mut table = Table::new(&["from", "relation", "to"]);
        for edge in &graph.edges {
            table.row([label(&edge.from), edge.relation.clone(), label(&edge.to)]);
        }
        table.print("Nothing is known of where it came from or led to.");
    })
}
