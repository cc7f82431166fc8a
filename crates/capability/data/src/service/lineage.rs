//! Recording what came from what, and following it.

use std::collections::{BTreeMap, BTreeSet};

use corliss_metastore::Tx;
use corliss_types::VersionId;

use super::DataService;
use crate::lineage::{Direction, Edge, LineageGraph, NodeKind, NodeRef, NodeView};
use crate::store::{lineage, versions};
use crate::{DataError, Limits};

/// Edges that one call may record.
const RECORD_MAX: usize = 10_000;

impl DataService {
    /// Records edges; those that are there already stay as they are.
    ///
    /// # Errors
    /// Too many at once, or the metadata store failed.
    pub async fn record_lineage(&self, edges: Vec<Edge>) -> Result<(), DataError> {
        if edges.len() > RECORD_MAX {
            return Err(DataError::TooMany {
                what: "edges",
                limit: RECORD_MAX,
            });
        }
        let now = self.sources.clock.now();
        self.store
            .write(move |tx| Ok(edges.iter().try_for_each(|edge| lineage::insert(tx, edge, now))?))
            .await
    }

    /// What a node came from, what came from it, or both. A node without edges is a graph of one.
    ///
    /// # Errors
    /// There is no such version (other kinds of nodes are known to other rooms), or the metadata store failed.
    pub async fn lineage(&self, node: &NodeRef, direction: Direction) -> Result<LineageGraph, DataError> {
        let (node, limits) = (node.clone(), self.limits);
        self.store
            .read(move |tx| graph(tx, &node, direction, limits))
            .await
    }
}

struct Found {
    /// Distance from the node asked for.
    nodes: BTreeMap<NodeRef, usize>,
    edges: BTreeSet<Edge>,
    truncated: bool,
}

fn graph(
    tx: &mut dyn Tx,
    node: &NodeRef,
    direction: Direction,
    limits: Limits,
) -> Result<LineageGraph, DataError> {
    if node.kind() == NodeKind::Version && !is_version(tx, node.id())? {
        return Err(DataError::VersionNotFound {
            version: node.id().to_owned(),
        });
    }
    let mut found = Found {
        nodes: BTreeMap::from([(node.clone(), 0)]),
        edges: BTreeSet::new(),
        truncated: false,
    };
    for (up, wanted) in [
        (true, direction != Direction::Down),
        (false, direction != Direction::Up),
    ] {
        if wanted {
            follow(tx, node, up, limits, &mut found)?;
        }
    }
    // Where the limit cut in, an edge may lead to a node that was left out.
    let Found {
        nodes,
        edges,
        truncated,
    } = found;
    let edges = edges
        .into_iter()
        .filter(|edge| nodes.contains_key(&edge.from) && nodes.contains_key(&edge.to))
        .collect();
    let mut ordered: Vec<(usize, NodeRef)> = nodes.into_iter().map(|(node, far)| (far, node)).collect();
    ordered.sort();
    let nodes = ordered
        .into_iter()
        .map(|(_, node)| view(tx, node))
        .collect::<Result<_, _>>()?;
    Ok(LineageGraph {
        nodes,
        edges,
        truncated,
    })
}

fn is_version(tx: &mut dyn Tx, id: &str) -> Result<bool, DataError> {
    match id.parse::<VersionId>() {
        Ok(version) => Ok(versions::get(tx, &version)?.is_some()),
        Err(_) => Ok(false),
    }
}

/// Breadth first from the node, one way only: what a sibling came from is not what this came from.
fn follow(
    tx: &mut dyn Tx,
    start: &NodeRef,
    up: bool,
    limits: Limits,
    found: &mut Found,
) -> Result<(), DataError> {
    let mut seen = BTreeSet::from([start.clone()]);
    let mut frontier = vec![start.clone()];
    for far in 1..=limits.lineage_depth {
        let mut next = Vec::new();
        for node in &frontier {
            let limit = limits.lineage_nodes + 1;
            let edges = if up {
                lineage::into(tx, node, limit)?
            } else {
                lineage::out_of(tx, node, limit)?
            };
            for edge in edges {
                let other = if up { edge.from.clone() } else { edge.to.clone() };
                if found.nodes.len() >= limits.lineage_nodes && !found.nodes.contains_key(&other) {
                    found.truncated = true;
                    continue;
                }
                found.edges.insert(edge);
                found.nodes.entry(other.clone()).or_insert(far);
                if seen.insert(other.clone()) {
                    next.push(other);
                }
            }
        }
        if next.is_empty() {
            return Ok(());
        }
        frontier = next;
    }
    found.truncated = true;
    Ok(())
}

fn view(tx: &mut dyn Tx, node: NodeRef) -> Result<NodeView, DataError> {
    let label = match node.kind() {
        NodeKind::Version => version_label(tx, node.id())?,
        _ => node.id().to_owned(),
    };
    Ok(NodeView {
        kind: node.kind(),
        label,
        id: node,
    })
}

/// `dataset@0123456789ab`, or the short digest of a version without a name.
fn version_label(tx: &mut dyn Tx, id: &str) -> Result<String, DataError> {
    let Ok(version) = id.parse::<VersionId>() else {
        return Ok(id.to_owned());
    };
    let names = versions::names(tx, &version)?;
    Ok(match names.first() {
        Some(name) => format!("{name}@{}", version.short()),
        None => version.short().to_owned(),
    })
}
