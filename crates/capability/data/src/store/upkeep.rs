//! What is still in use, for collections: commits that names lead to, and versions that anything refers to.

use std::collections::{BTreeMap, BTreeSet};

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::{CommitId, Timestamp, VersionId};

/// Ids of one page.
const PAGE: u32 = 10_000;

/// A commit as far as collecting needs it.
pub(crate) struct CommitNode {
    pub version: VersionId,
    /// When it was made, wherever that was.
    pub created_ms: Timestamp,
    /// When it came here.
    pub recorded_ms: Timestamp,
    pub parents: Vec<CommitId>,
}

/// Where names point and whatever they pointed at since `since`, by the days for which their datasets keep files.
pub(crate) fn starts(
    tx: &mut dyn Tx,
    since: Timestamp,
) -> Result<BTreeMap<Option<u64>, BTreeSet<CommitId>>, StoreError> {
    let rows = tx.query(
        "SELECT r.commit_id, d.retention_days FROM data_ref r
            JOIN data_dataset d ON d.name = r.dataset
         UNION SELECT m.old_commit, d.retention_days FROM data_ref_move m
            JOIN data_dataset d ON d.name = m.dataset
            WHERE m.created_ms > $1 AND m.old_commit IS NOT NULL",
        params![since],
    )?;
    let mut starts: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in &rows {
        let retention_days = row.opt_unsigned("retention_days")?;
        let of_retention = starts.entry(retention_days).or_default();
        of_retention.insert(row.parse("commit_id")?);
    }
    Ok(starts)
}

/// The commits that names point at now: their versions are kept however old they are.
pub(crate) fn heads(tx: &mut dyn Tx) -> Result<BTreeSet<CommitId>, StoreError> {
    let rows = tx.query("SELECT DISTINCT commit_id FROM data_ref", params![])?;
    rows.iter().map(|row| row.parse("commit_id")).collect()
}

/// Every commit.
pub(crate) fn commits(tx: &mut dyn Tx) -> Result<BTreeMap<CommitId, CommitNode>, StoreError> {
    let mut all = BTreeMap::new();
    let mut after = String::new();
    loop {
        let rows = tx.query(
            "SELECT id, version, created_ms, recorded_ms FROM data_commit WHERE id > $1 ORDER BY id LIMIT $2",
            params![&after, PAGE],
        )?;
        let Some(last) = rows.last() else { break };
        after = last.text("id")?;
        for row in &rows {
            let node = CommitNode {
                version: row.parse("version")?,
                created_ms: row.timestamp("created_ms")?,
                recorded_ms: row.timestamp("recorded_ms")?,
                parents: Vec::new(),
            };
            all.insert(row.parse("id")?, node);
        }
    }
    let mut after = (String::new(), -1);
    loop {
        let rows = tx.query(
            "SELECT commit_id, position, parent FROM data_commit_parent
             WHERE commit_id > $1 OR (commit_id = $1 AND position > $2)
             ORDER BY commit_id, position LIMIT $3",
            params![&after.0, after.1, PAGE],
        )?;
        let Some(last) = rows.last() else { break };
        after = (last.text("commit_id")?, last.integer("position")?);
        for row in &rows {
            if let Some(node) = all.get_mut(&row.parse::<CommitId>("commit_id")?) {
                node.parents.push(row.parse("parent")?);
            }
        }
    }
    Ok(all)
}

/// Every version whose files are kept, with when it was recorded.
pub(crate) fn versions(tx: &mut dyn Tx) -> Result<BTreeMap<VersionId, Timestamp>, StoreError> {
    let mut all = BTreeMap::new();
    let mut after = String::new();
    loop {
        let rows = tx.query(
            "SELECT id, created_ms FROM data_version WHERE id > $1 AND is_expired = 0 ORDER BY id LIMIT $2",
            params![&after, PAGE],
        )?;
        let Some(last) = rows.last() else { return Ok(all) };
        after = last.text("id")?;
        for row in &rows {
            all.insert(row.parse("id")?, row.timestamp("created_ms")?);
        }
    }
}

/// The versions that lineage mentions.
pub(crate) fn in_lineage(tx: &mut dyn Tx) -> Result<BTreeSet<VersionId>, StoreError> {
    let rows = tx.query(
        "SELECT from_node AS node FROM data_edge WHERE from_node LIKE 'version:%'
         UNION SELECT to_node FROM data_edge WHERE to_node LIKE 'version:%'",
        params![],
    )?;
    let id = |row: &Row| {
        let node = row.text("node").ok()?;
        node.strip_prefix("version:")?.parse().ok()
    };
    Ok(rows.iter().filter_map(id).collect())
}

/// Removes commits to which nothing leads.
pub(crate) fn remove_commits(tx: &mut dyn Tx, ids: &BTreeSet<CommitId>) -> Result<(), StoreError> {
    // What refers to them goes first: they refer to each other.
    for statement in [
        "DELETE FROM data_commit_parent WHERE commit_id = $1",
        "DELETE FROM data_dataset_commit WHERE commit_id = $1",
        "DELETE FROM data_commit WHERE id = $1",
    ] {
        for id in ids {
            tx.execute(statement, params![id])?;
        }
    }
    Ok(())
}

/// Removes a version that no commit has.
pub(crate) fn remove_version(tx: &mut dyn Tx, id: &VersionId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM data_version WHERE id = $1", params![id])?;
    Ok(())
}

/// Notes that the files of a version are not kept any more, though its commits are.
pub(crate) fn expire_version(tx: &mut dyn Tx, id: &VersionId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE data_version SET is_expired = 1 WHERE id = $1",
        params![id],
    )?;
    Ok(())
}
