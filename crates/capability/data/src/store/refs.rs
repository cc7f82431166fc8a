//! Branches and tags, and the record of every move of them.

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::{CommitId, DatasetName, Timestamp};

use crate::history::{RefKind, RefName};
use crate::types::RefInfo;

/// One move of a name.
pub(crate) struct Move<'a> {
    pub dataset: &'a DatasetName,
    pub kind: RefKind,
    pub name: &'a RefName,
    pub old: Option<&'a CommitId>,
    /// None removes the name.
    pub new: Option<&'a CommitId>,
    pub author: &'a str,
    /// What was done: `commit`, `merge`, `create`, `delete`, …
    pub action: &'a str,
    /// What was merged, by a merge.
    pub source: Option<&'a CommitId>,
    pub at: Timestamp,
}

/// Where a name points.
pub(crate) fn get(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    kind: RefKind,
    name: &RefName,
) -> Result<Option<RefInfo>, StoreError> {
    let row = tx.query_opt(
        "SELECT kind, name, commit_id, updated_ms, is_protected FROM data_ref
         WHERE dataset = $1 AND kind = $2 AND name = $3",
        params![dataset, kind, name],
    )?;
    row.as_ref().map(info).transpose()
}

/// A page of names in order.
pub(crate) fn list(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    kind: RefKind,
    after: &str,
    limit: u32,
) -> Result<Vec<RefInfo>, StoreError> {
    tx.query(
        "SELECT kind, name, commit_id, updated_ms, is_protected FROM data_ref
         WHERE dataset = $1 AND kind = $2 AND name > $3 ORDER BY name LIMIT $4",
        params![dataset, kind, after, limit],
    )?
    .iter()
    .map(info)
    .collect()
}

/// Moves a name, and writes down that and what hooks are to be told of it. Whoever calls has compared `old` in the same transaction.
pub(crate) fn apply(tx: &mut dyn Tx, step: &Move<'_>) -> Result<(), StoreError> {
    match step.new {
        Some(new) => tx.execute(
            "INSERT INTO data_ref (dataset, kind, name, commit_id, updated_ms, is_protected)
             VALUES ($1, $2, $3, $4, $5, 0)
             ON CONFLICT (dataset, kind, name) DO UPDATE SET commit_id = excluded.commit_id,
                updated_ms = excluded.updated_ms",
            params![step.dataset, step.kind, step.name, new, step.at],
        )?,
        None => tx.execute(
            "DELETE FROM data_ref WHERE dataset = $1 AND kind = $2 AND name = $3",
            params![step.dataset, step.kind, step.name],
        )?,
    };
    let last = tx.query_opt(
        "SELECT MAX(sequence) AS last FROM data_ref_move WHERE dataset = $1",
        params![step.dataset],
    )?;
    let last = last.map(|row| row.opt_unsigned("last")).transpose()?;
    let sequence = last.flatten().unwrap_or(0) + 1;
    tx.execute(
        "INSERT INTO data_ref_move
            (dataset, sequence, kind, name, old_commit, new_commit, created_ms, author, action)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            step.dataset,
            sequence,
            step.kind,
            step.name,
            step.old,
            step.new,
            step.at,
            step.author,
            step.action
        ],
    )?;
    tx.execute(
        "UPDATE data_dataset SET updated_ms = $2 WHERE name = $1",
        params![step.dataset, step.at],
    )?;
    super::outbox::enqueue(tx, step, sequence)
}

/// Closes a branch to direct commits, or opens it; `false` if there is no such branch.
pub(crate) fn protect(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    branch: &RefName,
    is_protected: bool,
) -> Result<bool, StoreError> {
    let updated = tx.execute(
        "UPDATE data_ref SET is_protected = $3 WHERE dataset = $1 AND kind = 'branch' AND name = $2",
        params![dataset, branch, is_protected],
    )?;
    Ok(updated == 1)
}

fn info(row: &Row) -> Result<RefInfo, StoreError> {
    let kind = match row.text("kind")?.as_str() {
        "tag" => RefKind::Tag,
        _ => RefKind::Branch,
    };
    Ok(RefInfo {
        kind,
        name: row.parse("name")?,
        commit: row.parse("commit_id")?,
        updated_ms: row.timestamp("updated_ms")?,
        protected: row.boolean("is_protected")?,
    })
}
