//! Why a graph cannot be run, in words of the graph: which operator, and what of it.

use std::collections::BTreeSet;

use tract_onnx::pb;
use tract_onnx::prelude::TractError;

/// Names of operators that an error repeats.
const OPERATORS_MAX: usize = 5;
/// Characters of a reason that an error repeats.
const REASON_MAX: usize = 300;

/// The operators of a file that tract does not know, if there are any.
pub(super) fn unknown_operators(proto: &pb::ModelProto) -> Option<String> {
    let known = &tract_onnx::onnx().op_register.0;
    let mut unknown = BTreeSet::new();
    let mut graphs: Vec<&pb::GraphProto> = proto.graph.iter().collect();
    while let Some(graph) = graphs.pop() {
        for node in &graph.node {
            if !known.contains_key(&node.op_type) {
                unknown.insert(node.op_type.as_str());
            }
            graphs.extend(node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()));
        }
    }
    let shown: Vec<String> = unknown
        .iter()
        .take(OPERATORS_MAX)
        .map(|name| bounded(name))
        .collect();
    match unknown.len() {
        0 => None,
        1 => Some(format!("it has no operator {}", shown.join(""))),
        count if count > OPERATORS_MAX => Some(format!(
            "it has no operators {} and {} more",
            shown.join(", "),
            count - OPERATORS_MAX
        )),
        _ => Some(format!("it has no operators {}", shown.join(", "))),
    }
}

/// The operator that an error is about, and the error's own cause.
pub(super) fn reason(error: &TractError) -> String {
    let cause = bounded(&error.root_cause().to_string());
    let operator = error.chain().rev().find_map(|link| operator(&link.to_string()));
    match operator {
        Some((name, operator)) => format!("operator {operator} of node '{name}': {cause}"),
        None => cause,
    }
}

/// The name and the operator of a node, which tract writes as `#7 "name" Operator`.
fn operator(said: &str) -> Option<(String, String)> {
    let (_, node) = said.split_once('#')?;
    let (number, rest) = node.split_once(" \"")?;
    if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (name, rest) = rest.split_once("\" ")?;
    let operator = rest.split_whitespace().next()?;
    Some((bounded(name), bounded(operator.trim_end_matches([',', ':', '.']))))
}

/// One line of what a library says, of bounded length.
pub(super) fn bounded(text: &str) -> String {
    let line = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .trim_end_matches('.');
    match line.char_indices().nth(REASON_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_and_the_cause_are_told_and_no_more() {
        let cause = TractError::msg(format!("Impossible to unify 3 with 4.\n{}", "x".repeat(9_000)));
        let error = cause
            .context("Failed analyse for node #7 \"layer.1/add\" Add")
            .context("Outer");
        assert_eq!(
            reason(&error),
            "operator Add of node 'layer.1/add': Impossible to unify 3 with 4"
        );
        let long = TractError::msg("y".repeat(9_000));
        assert!(reason(&long).chars().count() < 400);
        assert_eq!(operator("no # node \"here\" at all"), None);
    }

    #[test]
    fn operators_that_are_not_known_are_named_within_other_graphs_too() {
        let node = |name: &str| pb::NodeProto {
            op_type: name.to_owned(),
            ..pb::NodeProto::default()
        };
        let inner = pb::GraphProto {
            node: vec![node("NoSuchInner")],
            ..pb::GraphProto::default()
        };
        let mut outer = node("If");
        outer.attribute = vec![pb::AttributeProto {
            g: Some(inner),
            ..pb::AttributeProto::default()
        }];
        let model = |node: Vec<pb::NodeProto>| pb::ModelProto {
            graph: Some(pb::GraphProto {
                node,
                ..pb::GraphProto::default()
            }),
            ..pb::ModelProto::default()
        };
        assert_eq!(unknown_operators(&model(vec![node("Relu")])), None);
        assert_eq!(
            unknown_operators(&model(vec![outer, node("Relu")])).unwrap(),
            "it has no operator NoSuchInner"
        );
        let many = (0..9).map(|at| node(&format!("No{at}"))).collect();
        let told = unknown_operators(&model(many)).unwrap();
        assert!(told.ends_with("No4 and 4 more"), "{told}");
    }
}
