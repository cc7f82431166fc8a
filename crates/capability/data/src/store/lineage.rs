//! Edges between nodes: inserted once, read outwards from a node.

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::Timestamp;

use crate::lineage::{Edge, NodeRef};

/// Records an edge; again is the same as once.
pub(crate) fn insert(tx: &mut dyn Tx, edge: &Edge, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO data_edge (from_node, to_node, relation, created_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT (from_node, to_node, relation) DO NOTHING",
        params![
            edge.from.to_string(),
            edge.to.to_string(),
            edge.relation.as_str(),
            now
        ],
    )
    .map(|_| ())
}

fn edge(row: &Row) -> Result<Edge, StoreError> {
    Ok(Edge {
        from: row.parse("from_node")?,
        to: row.parse("to_node")?,
        relation: row.parse("relation")?,
    })
}

/// Edges that lead to a node, in order, at most `limit`.
pub(crate) fn into(tx: &mut dyn Tx, node: &NodeRef, limit: usize) -> Result<Vec<Edge>, StoreError> {
    tx.query(
        "SELECT from_node, to_node, relation FROM data_edge WHERE to_node = $1
         ORDER BY from_node, relation LIMIT $2",
        params![node.to_string(), limit],
    )?
    .iter()
    .map(edge)
    .collect()
}

/// Edges that leave a node, in order, at most `limit`.
pub(crate) fn out_of(tx: &mut dyn Tx, node: &NodeRef, limit: usize) -> Result<Vec<Edge>, StoreError> {
    tx.query(
        "SELECT from_node, to_node, relation FROM data_edge WHERE from_node = $1
         ORDER BY to_node, relation LIMIT $2",
        params![node.to_string(), limit],
    )?
    .iter()
    .map(edge)
    .collect()
}
