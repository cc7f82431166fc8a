//! The graph as a page of text. It is kept in the repository, so a new edge shows up in review even when
//! every rule allows it.

use std::fmt::Write as _;

use super::Violation;
use super::closure;
use super::graph::Graph;
use super::rules::Rules;

/// Prints the floors from the ground up, each crate with what it imports. Without versions: an update of
/// a dependency is not a change of architecture.
pub fn print(rules: &Rules, graph: &Graph) -> String {
    let mut text = String::from(
        "# Written by `cargo xtask layers --bless`. Edges that only tests use are marked dev.\n",
    );
    for floor in rules.floors.iter().chain([&rules.workshop]) {
        let rooms: Vec<_> = graph
            .crates
            .iter()
            .filter(|(_, made)| &made.floor == floor)
            .collect();
        if rooms.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{floor}");
        for (name, made) in rooms {
            let _ = writeln!(text, "  {name}");
            for to in &made.imports {
                let _ = writeln!(text, "    {to}");
            }
            for to in &made.test_imports {
                let _ = writeln!(text, "    {to} (dev)");
            }
        }
    }
    let _ = writeln!(text, "\nthird party under {}", rules.closed.join(", "));
    for name in closure::closure(rules, graph).keys() {
        let _ = writeln!(text, "  {name}");
    }
    text
}

/// Lines that differ between the kept graph and the one that cargo builds.
pub fn compare(expected: &str, printed: &str) -> Vec<Violation> {
    if expected == printed {
        return Vec::new();
    }
    let (kept, built): (Vec<&str>, Vec<&str>) = (edges(expected), edges(printed));
    let (kept_paths, built_paths) = (qualified(&kept), qualified(&built));
    let gone = kept_paths
        .iter()
        .filter(|edge| !built_paths.contains(edge))
        .map(|edge| format!("- {edge}"));
    let new = built_paths
        .iter()
        .filter(|edge| !kept_paths.contains(edge))
        .map(|edge| format!("+ {edge}"));
    let mut changes: Vec<String> = new.chain(gone).collect();
    if changes.is_empty() {
        changes.push("the text around the edges".into());
    }
    let advice = "differs from xtask/golden/layers.txt; if it is meant, run `cargo xtask layers --bless`";
    changes
        .into_iter()
        .map(|change| Violation {
            rule: "golden-graph",
            subject: change,
            advice: advice.into(),
        })
        .collect()
}

fn edges(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .collect()
}

/// Turns the indented lines into `floor / crate / import`, so that a changed line says where it is.
fn qualified(lines: &[&str]) -> Vec<String> {
    let (mut floor, mut room) = ("", "");
    let mut out = Vec::new();
    for line in lines {
        let name = line.trim();
        match line.len() - line.trim_start().len() {
            0 => {
                (floor, room) = (name, "");
                out.push(name.to_owned());
            }
            2 => {
                room = name;
                out.push(format!("{floor} / {name}"));
            }
            _ => out.push(format!("{floor} / {room} -> {name}")),
        }
    }
    out
}
