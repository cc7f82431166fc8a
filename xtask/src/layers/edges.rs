//! Who may import whom. Every violation names the edge, the rule and the way out.

use super::Violation;
use super::graph::{Crate, Graph};
use super::rules::Rules;

/// Checks every edge between two crates of the house, and that each agreed exception is still used.
pub fn check(rules: &Rules, graph: &Graph) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (name, from) in &graph.crates {
        if from.floor.is_empty() {
            continue;
        }
        if rules.height(&from.floor).is_none() {
            violations.push(Violation {
                rule: "unknown-floor",
                subject: format!("{name} (crates/{}/{})", from.floor, from.room),
                advice: format!("floors are {} and {}", rules.floors.join(", "), rules.workshop),
            });
            continue;
        }
        let built = from.imports.iter().map(|to| (to, false));
        for (to, test) in built.chain(from.test_imports.iter().map(|to| (to, true))) {
            if let Some(target) = graph.crates.get(to) {
                violations.extend(edge(rules, (name, from), (to, target), test));
            }
        }
    }
    violations.extend(stale_exceptions(rules, graph));
    violations
}

/// The verdict on one edge; `test` when only the importer's tests use it.
fn edge(
    rules: &Rules,
    (name, from): (&str, &Crate),
    (to, target): (&str, &Crate),
    test: bool,
) -> Option<Violation> {
    let violation = |rule, advice: String| {
        let how = if test { " (dev-dependency)" } else { "" };
        Some(Violation {
            rule,
            subject: format!("{name} -> {to}{how}"),
            advice,
        })
    };
    if target.floor.is_empty() {
        return violation(
            "outside-floors",
            format!("{to} is a chore, no crate of the house may import it"),
        );
    }
    if target.floor == rules.workshop {
        if test || from.floor == rules.workshop {
            return None;
        }
        return violation(
            "workshop-in-product",
            format!("only [dev-dependencies] may name {to}"),
        );
    }
    // An unknown target floor is reported once, for the target itself.
    let (height, below) = (rules.height(&from.floor)?, rules.height(&target.floor)?);
    if from.floor == target.floor {
        return same_floor(rules, name, to).then_some(()).map_or_else(
            || match from.floor.as_str() {
                "policy" => violation("policy-apart", "policies never import each other: pass the fact in the view".into()),
                "capability" => violation(
                    "capability-apart",
                    format!("put a trait in crates/capability/{}/src/ports.rs and implement it in app/server/src/wiring", from.room),
                ),
                floor => violation("same-floor", format!("two crates of {floor}: list the edge in layers.toml with its reason, or move one")),
            },
            |()| None,
        );
    }
    if below > height {
        return violation(
            "floor-order",
            format!(
                "{} stands below {}: a crate imports only floors below its own",
                from.floor, target.floor
            ),
        );
    }
    if target.floor == "policy" {
        return policy(rules, from, target, &violation);
    }
    None
}

/// A policy is imported by the capability that decides with it, by the simulator and by the top.
fn policy(
    rules: &Rules,
    from: &Crate,
    target: &Crate,
    violation: &dyn Fn(&'static str, String) -> Option<Violation>,
) -> Option<Violation> {
    match from.floor.as_str() {
        "capability" => {
            let own = rules
                .policies
                .get(&from.room)
                .is_some_and(|rooms| rooms.contains(&target.room));
            if own {
                return None;
            }
            violation(
                "own-policy",
                format!(
                    "{} does not decide with policy/{}: ask through a port",
                    from.room, target.room
                ),
            )
        }
        "platform" => violation(
            "own-policy",
            "the platform carries out, it does not decide".into(),
        ),
        _ => None,
    }
}

fn same_floor(rules: &Rules, name: &str, to: &str) -> bool {
    rules
        .same_floor
        .iter()
        .any(|edge| edge.from == name && edge.to == to)
}

/// An exception that nobody uses is an open door.
fn stale_exceptions(rules: &Rules, graph: &Graph) -> Vec<Violation> {
    let unused = rules.same_floor.iter().filter(|edge| {
        let from = graph.crates.get(&edge.from);
        !from.is_some_and(|from| from.imports.contains(&edge.to) || from.test_imports.contains(&edge.to))
    });
    unused
        .map(|edge| Violation {
            rule: "stale-exception",
            subject: format!("{} -> {}", edge.from, edge.to),
            advice: "no such import exists: remove the line from layers.toml".into(),
        })
        .collect()
}
