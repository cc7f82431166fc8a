//! Commits: inserted once, never changed; and which datasets have them.

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::{CommitId, DatasetName, Timestamp, VersionId};

use crate::history::{Commit, CommitInfo};

/// Records a commit of a dataset; again is the same as once. Its parents and its version are recorded.
pub(crate) fn insert(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    commit: &Commit,
    now: Timestamp,
) -> Result<CommitId, StoreError> {
    let id = record(tx, commit, now)?;
    adopt(tx, dataset, &id)?;
    Ok(id)
}

/// Records a commit that belongs to no dataset yet; again is the same as once. Its parents and its version are
/// recorded.
pub(crate) fn record(tx: &mut dyn Tx, commit: &Commit, now: Timestamp) -> Result<CommitId, StoreError> {
    let id = commit.id();
    let mut generation = 1;
    for parent in &commit.parents {
        let parent = tx.query_opt(
            "SELECT generation FROM data_commit WHERE id = $1",
            params![parent],
        )?;
        if let Some(row) = parent {
            generation = generation.max(row.unsigned("generation")? + 1);
        }
    }
    let inserted = tx.execute(
        "INSERT INTO data_commit (id, version, created_ms, recorded_ms, author, message, generation)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
        params![
            &id,
            &commit.version,
            commit.created_ms,
            now,
            &commit.author,
            &commit.message,
            generation
        ],
    )?;
    if inserted == 1 {
        for (position, parent) in commit.parents.iter().enumerate() {
            tx.execute(
                "INSERT INTO data_commit_parent (commit_id, position, parent) VALUES ($1, $2, $3)",
                params![&id, position, parent],
            )?;
        }
    }
    Ok(id)
}

/// Makes a commit one of a dataset; again is the same as once.
pub(crate) fn adopt(tx: &mut dyn Tx, dataset: &DatasetName, id: &CommitId) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO data_dataset_commit (dataset, commit_id) VALUES ($1, $2)
         ON CONFLICT (dataset, commit_id) DO NOTHING",
        params![dataset, id],
    )?;
    Ok(())
}

/// Whether a commit is recorded, of whatever dataset.
pub(crate) fn is_recorded(tx: &mut dyn Tx, id: &CommitId) -> Result<bool, StoreError> {
    let row = tx.query_opt("SELECT id FROM data_commit WHERE id = $1", params![id])?;
    Ok(row.is_some())
}

/// One commit.
pub(crate) fn get(tx: &mut dyn Tx, id: &CommitId) -> Result<Option<CommitInfo>, StoreError> {
    let row = tx.query_opt(
        "SELECT c.version, c.created_ms, c.author, c.message, c.generation, v.size_bytes, v.files
         FROM data_commit c JOIN data_version v ON v.id = c.version WHERE c.id = $1",
        params![id],
    )?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(CommitInfo {
        commit: id.clone(),
        what: Commit {
            version: row.parse("version")?,
            parents: parents(tx, id)?,
            author: row.text("author")?,
            created_ms: row.timestamp("created_ms")?,
            message: row.text("message")?,
        },
        generation: row.unsigned("generation")?,
        size_bytes: row.unsigned("size_bytes")?,
        files: row.unsigned("files")?,
    }))
}

/// What a commit came after, the branch's own first.
pub(crate) fn parents(tx: &mut dyn Tx, id: &CommitId) -> Result<Vec<CommitId>, StoreError> {
    tx.query(
        "SELECT parent FROM data_commit_parent WHERE commit_id = $1 ORDER BY position",
        params![id],
    )?
    .iter()
    .map(|row| row.parse("parent"))
    .collect()
}

/// Whether a dataset has a commit.
pub(crate) fn belongs(tx: &mut dyn Tx, dataset: &DatasetName, id: &CommitId) -> Result<bool, StoreError> {
    let row = tx.query_opt(
        "SELECT commit_id FROM data_dataset_commit WHERE dataset = $1 AND commit_id = $2",
        params![dataset, id],
    )?;
    Ok(row.is_some())
}

/// Up to two commits of a dataset whose ids start so: more than one means that it is ambiguous.
pub(crate) fn by_prefix(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    prefix: &str,
) -> Result<Vec<CommitId>, StoreError> {
    tx.query(
        "SELECT commit_id FROM data_dataset_commit WHERE dataset = $1 AND commit_id >= $2 AND commit_id < $3
         ORDER BY commit_id LIMIT 2",
        params![dataset, prefix, end_of(prefix)],
    )?
    .iter()
    .map(|row: &Row| row.parse("commit_id"))
    .collect()
}

/// Up to two versions of a dataset whose ids start so.
pub(crate) fn versions_by_prefix(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    prefix: &str,
) -> Result<Vec<VersionId>, StoreError> {
    tx.query(
        "SELECT DISTINCT c.version FROM data_commit c JOIN data_dataset_commit m ON m.commit_id = c.id
         WHERE m.dataset = $1 AND c.version >= $2 AND c.version < $3 ORDER BY c.version LIMIT 2",
        params![dataset, prefix, end_of(prefix)],
    )?
    .iter()
    .map(|row| row.parse("version"))
    .collect()
}

/// Up to two commits of any dataset whose ids start so.
pub(crate) fn any_by_prefix(tx: &mut dyn Tx, prefix: &str) -> Result<Vec<CommitId>, StoreError> {
    tx.query(
        "SELECT id FROM data_commit WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2",
        params![prefix, end_of(prefix)],
    )?
    .iter()
    .map(|row| row.parse("id"))
    .collect()
}

/// A range, not LIKE: '_' is a wildcard there. 'g' follows every hex digit.
pub(crate) fn end_of(prefix: &str) -> String {
    format!("{prefix}g")
}
