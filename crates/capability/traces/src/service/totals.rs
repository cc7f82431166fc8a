//! Token usage and cost of a trace: sums over its spans that count nothing twice. Some instrumentations write a
//! total on a parent and its parts on the children, so a span below one that has figures is passed over.

use std::collections::{BTreeMap, BTreeSet};

use crate::AnyValue;
use crate::span::Span;
use crate::types::{Cost, TokenUsage};

pub(super) const USAGE_ATTRIBUTE: &str = "mlflow.chat.tokenUsage";
pub(super) const COST_ATTRIBUTE: &str = "mlflow.llm.cost";

/// What totals need to know of a span. It is kept beside the packed spans, so that a late span does not cost
/// unpacking all others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    id: [u8; 8],
    parent: Option<[u8; 8]>,
    usage: Option<[Option<i64>; 6]>,
    cost: Option<[Option<f64>; 3]>,
}

impl Node {
    pub(super) fn of(span: &Span) -> Self {
        Self {
            id: span.id,
            parent: span.parent,
            usage: figures(span, USAGE_ATTRIBUTE)
                .map(|value| TokenUsage::KEYS.map(|key| value.get(key).and_then(whole))),
            cost: figures(span, COST_ATTRIBUTE)
                .map(|value| Cost::KEYS.map(|key| value.get(key).and_then(finite))),
        }
    }
}

/// The object in an attribute, also where it was written as a text once more.
fn figures(span: &Span, key: &str) -> Option<AnyValue> {
    let value = match AnyValue::of_text(span.attribute(key)?) {
        AnyValue::Text(text) => AnyValue::of_text(&text),
        value => value,
    };
    matches!(value, AnyValue::Map(_)).then_some(value)
}

/// A count of tokens; a fraction or what is not a number is none.
pub(super) fn whole(value: &AnyValue) -> Option<i64> {
    match value {
        AnyValue::Integer(count) => Some(*count),
        // Doubles tell whole numbers apart up to 2^53.
        AnyValue::Real(real) if real.fract() == 0.0 && real.abs() <= 9_007_199_254_740_992.0 => {
            Some(*real as i64)
        }
        AnyValue::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// An amount of money.
pub(super) fn finite(value: &AnyValue) -> Option<f64> {
    let amount = match value {
        AnyValue::Integer(amount) => *amount as f64,
        AnyValue::Real(amount) => *amount,
        AnyValue::Text(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    amount.is_finite().then_some(amount)
}

/// Nodes as bytes: of each a byte that says what follows, its id, its parent's, and its figures, each behind a byte that
/// says which there are. A late span makes all of a trace's be read, so they are small and quick to read.
pub(super) fn pack(nodes: &[Node]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nodes.len() * 17);
    for node in nodes {
        let flags = [node.parent.is_some(), node.usage.is_some(), node.cost.is_some()];
        out.push(bits(flags));
        out.extend(node.id);
        out.extend(
            node.parent
                .unwrap_or_default()
                .iter()
                .take(if flags[0] { 8 } else { 0 }),
        );
        if let Some(usage) = node.usage {
            out.push(bits(usage.map(|count| count.is_some())));
            usage
                .iter()
                .flatten()
                .for_each(|count| out.extend(count.to_le_bytes()));
        }
        if let Some(cost) = node.cost {
            out.push(bits(cost.map(|amount| amount.is_some())));
            cost.iter()
                .flatten()
                .for_each(|amount| out.extend(amount.to_le_bytes()));
        }
    }
    out
}

fn bits<const N: usize>(flags: [bool; N]) -> u8 {
    flags
        .iter()
        .rev()
        .fold(0, |bits, flag| bits << 1 | u8::from(*flag))
}

/// The nodes in such bytes. Bytes that are not nodes end the list, for totals are not worth losing spans for.
pub(super) fn unpack(mut bytes: &[u8]) -> Vec<Node> {
    std::iter::from_fn(|| node(&mut bytes)).collect()
}

fn node(bytes: &mut &[u8]) -> Option<Node> {
    let [flags] = take(bytes)?;
    let id = take(bytes)?;
    let parent = if flags & 1 == 0 { None } else { Some(take(bytes)?) };
    let usage = if flags & 2 == 0 {
        None
    } else {
        Some(figures_of(bytes, i64::from_le_bytes)?)
    };
    let cost = if flags & 4 == 0 {
        None
    } else {
        Some(figures_of(bytes, f64::from_le_bytes)?)
    };
    Some(Node {
        id,
        parent,
        usage,
        cost,
    })
}

fn figures_of<T: Copy, const N: usize>(bytes: &mut &[u8], read: fn([u8; 8]) -> T) -> Option<[Option<T>; N]> {
    let [present] = take(bytes)?;
    let mut figures = [None; N];
    for (index, figure) in figures.iter_mut().enumerate() {
        if present >> index & 1 == 1 {
            *figure = Some(read(take(bytes)?));
        }
    }
    Some(figures)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

/// The sums over all spans of a trace. A span that occurs twice counts as it occurs last.
pub(super) fn totals(nodes: impl IntoIterator<Item = Node>) -> (TokenUsage, Cost) {
    let nodes: BTreeMap<[u8; 8], Node> = nodes.into_iter().map(|node| (node.id, node)).collect();
    let mut usage = TokenUsage::default();
    let mut cost = Cost::default();
    for node in top(&nodes, |node| node.usage.is_some()) {
        for (sum, count) in usage.0.iter_mut().zip(node.usage.unwrap_or_default()) {
            if let Some(count) = count {
                *sum = Some(sum.unwrap_or(0).saturating_add(count));
            }
        }
        // The first three are always part of a total.
        usage
            .0
            .iter_mut()
            .take(3)
            .for_each(|sum| *sum = Some(sum.unwrap_or(0)));
    }
    for node in top(&nodes, |node| node.cost.is_some()) {
        for (sum, amount) in cost.0.iter_mut().zip(node.cost.unwrap_or_default()) {
            *sum = Some(sum.unwrap_or(0.0) + amount.unwrap_or(0.0));
        }
    }
    (usage, cost)
}

/// The nodes that have figures and no ancestor that has.
fn top(nodes: &BTreeMap<[u8; 8], Node>, has: impl Fn(&Node) -> bool) -> Vec<&Node> {
    let has_id = |id: &[u8; 8]| nodes.get(id).is_some_and(&has);
    let parent_of = |id: &[u8; 8]| nodes.get(id)?.parent.filter(|parent| nodes.contains_key(parent));
    // Whether a node's parent or anything above it has figures. Each node is settled once, whatever the tree.
    let mut covered: BTreeMap<[u8; 8], bool> = BTreeMap::new();
    for id in nodes.keys() {
        // Up to what is settled, or to a root. A node met twice leads in a circle, and is nobody's child.
        let mut path = Vec::new();
        let mut met = BTreeSet::new();
        let mut next = Some(*id);
        while let Some(at) = next.filter(|at| !covered.contains_key(at) && met.insert(*at)) {
            path.push(at);
            next = parent_of(&at);
        }
        let settled = next.and_then(|at| Some(*covered.get(&at)? || has_id(&at)));
        let mut above = settled.unwrap_or(false);
        for id in path.into_iter().rev() {
            covered.insert(id, above);
            above |= has_id(&id);
        }
    }
    nodes
        .values()
        .filter(|node| has(node) && covered.get(&node.id) == Some(&false))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::span;

    fn with(id: u8, parent: Option<u8>, usage: Option<&str>, cost: Option<&str>) -> Node {
        let mut span = span(id, parent);
        for (key, text) in [(USAGE_ATTRIBUTE, usage), (COST_ATTRIBUTE, cost)] {
            if let Some(text) = text {
                span.set_attribute(key, text.to_owned());
            }
        }
        Node::of(&span)
    }

    #[test]
    fn a_total_on_a_parent_stands_for_its_children() {
        let nodes = [
            with(1, None, None, None),
            with(
                2,
                Some(1),
                Some(r#"{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}"#),
                None,
            ),
            with(3, Some(2), None, None),
            with(
                4,
                Some(3),
                Some(r#"{"input_tokens": 100}"#),
                Some(r#"{"input_cost": 0.5, "total_cost": 1}"#),
            ),
            with(
                5,
                Some(1),
                Some(r#""{\"input_tokens\": 10, \"cache_read_input_tokens\": 2}""#),
                None,
            ),
            with(6, Some(99), Some(r#"{"output_tokens": 1000}"#), None),
        ];
        let (usage, cost) = totals(nodes);
        assert_eq!(usage.0, [Some(13), Some(1004), Some(7), Some(2), None, None]);
        assert_eq!(cost.0, [Some(0.5), Some(0.0), Some(1.0)]);
        assert_eq!(
            usage.text().unwrap(),
            r#"{"input_tokens": 13, "output_tokens": 1004, "total_tokens": 7, "cache_read_input_tokens": 2}"#
        );
    }

    #[test]
    fn circles_and_deep_trees_end() {
        let circle = [
            with(1, Some(2), Some(r#"{"input_tokens": 1}"#), None),
            with(2, Some(1), Some(r#"{"input_tokens": 1}"#), None),
        ];
        assert!(totals(circle).0.0[0].is_some());
        assert_eq!(
            totals([with(1, Some(1), Some(r#"{"input_tokens": 1}"#), None)])
                .0
                .0[0],
            Some(1)
        );
        assert!(totals([]).0.is_empty());
        let chain = (1..=u8::MAX).map(|id| {
            with(
                id,
                id.checked_sub(1).filter(|parent| *parent > 0),
                (id > 100).then_some(r#"{"input_tokens": 1}"#),
                None,
            )
        });
        assert_eq!(totals(chain).0.0[0], Some(1));
    }

    #[test]
    fn nodes_are_packed_and_sent_again_replaced() {
        let nodes = vec![
            with(
                1,
                None,
                Some(r#"{"input_tokens": 1}"#),
                Some(r#"{"total_cost": 0.25}"#),
            ),
            with(1, None, Some(r#"{"input_tokens": 2}"#), None),
        ];
        assert_eq!(unpack(&pack(&nodes)), nodes);
        let (usage, cost) = totals(nodes);
        assert_eq!((usage.0[0], cost.is_empty()), (Some(2), true));
        assert!(unpack(b"rubbish").is_empty());
        let packed = pack(&unpack(&packed_of_all()));
        for end in 0..packed.len() {
            assert!(unpack(&packed[..end]).len() < 3, "{end}");
        }
    }

    fn packed_of_all() -> Vec<u8> {
        pack(&[
            with(1, None, None, None),
            with(2, Some(1), Some(r#"{"cache_read_input_tokens": -5}"#), None),
            with(3, Some(1), None, Some(r#"{"total_cost": 0.25}"#)),
        ])
    }
}
