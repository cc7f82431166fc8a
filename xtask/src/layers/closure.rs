//! What the closed floors stand on. A policy that could reach a runtime, a socket or a database could not
//! be replayed by the simulator, so their third-party closure is a list that a person keeps.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::graph::Graph;
use super::rules::Rules;

/// Every third-party crate reachable from a closed floor -> the path that leads there, for the message.
pub fn closure(rules: &Rules, graph: &Graph) -> BTreeMap<String, Vec<String>> {
    let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut queue: Vec<(String, Vec<String>)> = Vec::new();
    for (name, made) in &graph.crates {
        if rules.closed.contains(&made.floor) {
            queue.extend(made.third_party.iter().map(|to| (to.clone(), vec![name.clone()])));
        }
    }
    // Breadth first by popping the shortest path, so the message shows the nearest culprit.
    while !queue.is_empty() {
        queue.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| b.cmp(a)));
        let Some((name, path)) = queue.pop() else { break };
        if paths.contains_key(&name) {
            continue;
        }
        let mut onwards = path.clone();
        onwards.push(name.clone());
        let next: BTreeSet<String> = graph.third_party.get(&name).cloned().unwrap_or_default();
        queue.extend(next.into_iter().map(|to| (to, onwards.clone())));
        paths.insert(name, path);
    }
    paths
}

/// Third-party crates on a closed floor that are not on the list, and listed ones that nobody uses.
pub fn check(rules: &Rules, graph: &Graph) -> Vec<Violation> {
    let reached = closure(rules, graph);
    let allowed = rules.allowed();
    let mut violations = Vec::new();
    for (name, path) in &reached {
        if allowed.contains(name.as_str()) {
            continue;
        }
        let advice = if rules.never.contains(name) {
            "async runtimes, sockets and databases stay out of the closed floors".to_owned()
        } else {
            "not on the allow-list of layers.toml: do without it, or add it with its reason".to_owned()
        };
        violations.push(Violation {
            rule: "closed-floor",
            subject: format!("{} -> {name}", path.join(" -> ")),
            advice,
        });
    }
    for name in allowed {
        if !reached.contains_key(name) {
            violations.push(Violation {
                rule: "stale-exception",
                subject: format!("third party {name}"),
                advice: "no closed floor uses it: remove it from layers.toml".into(),
            });
        }
    }
    violations
}
