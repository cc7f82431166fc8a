//! Versions: recorded once, never changed.

use corliss_metastore::{StoreError, Tx, params};
use corliss_types::{DatasetName, Timestamp, VersionId};

use super::commits::end_of;
use crate::tree::{Checked, Linked};
use crate::types::VersionSummary;

/// Records a version; `false` if it was there before.
pub(crate) fn insert(tx: &mut dyn Tx, tree: &Checked, now: Timestamp) -> Result<bool, StoreError> {
    let Checked { root, linked } = tree;
    // Sent again, the files of an expired version are there again.
    tx.execute(
        "UPDATE data_version SET is_expired = 0 WHERE id = $1 AND is_expired = 1",
        params![root.version()],
    )?;
    let inserted = tx.execute(
        "INSERT INTO data_version (id, created_ms, files, size_bytes, linked_files, linked_bytes)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
        params![
            root.version(),
            now,
            root.files,
            root.size_bytes,
            linked.files,
            linked.bytes
        ],
    )?;
    Ok(inserted == 1)
}

/// The version, with the first hundred datasets that have it.
pub(crate) fn get(tx: &mut dyn Tx, version: &VersionId) -> Result<Option<VersionSummary>, StoreError> {
    let row = tx.query_opt(
        "SELECT created_ms, files, size_bytes, linked_files, linked_bytes, is_expired FROM data_version WHERE id = $1",
        params![version],
    )?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(VersionSummary {
        version: version.clone(),
        created_ms: row.timestamp("created_ms")?,
        size_bytes: row.unsigned("size_bytes")?,
        files: row.unsigned("files")?,
        linked_files: row.unsigned("linked_files")?,
        linked_bytes: row.unsigned("linked_bytes")?,
        expired: row.boolean("is_expired")?,
        names: names(tx, version)?,
    }))
}

/// What is linked in a version; nothing if it is not recorded.
pub(crate) fn linked(tx: &mut dyn Tx, version: &VersionId) -> Result<Linked, StoreError> {
    let row = tx.query_opt(
        "SELECT linked_files, linked_bytes FROM data_version WHERE id = $1",
        params![version],
    )?;
    let Some(row) = row else {
        return Ok(Linked::default());
    };
    Ok(Linked {
        files: row.unsigned("linked_files")?,
        bytes: row.unsigned("linked_bytes")?,
    })
}

/// Versions whose files are kept, and that have linked ones; the latest is the last.
pub(crate) fn with_links(tx: &mut dyn Tx) -> Result<Vec<VersionId>, StoreError> {
    let rows = tx.query(
        "SELECT id FROM data_version WHERE linked_files > 0 AND is_expired = 0
         ORDER BY created_ms, id",
        params![],
    )?;
    rows.iter().map(|row| row.parse("id")).collect()
}

/// Versions whose files are kept, and the bytes of those that are stored here.
pub(crate) fn totals(tx: &mut dyn Tx) -> Result<(u64, u64), StoreError> {
    // Cast, as PostgreSQL sums up to NUMERIC; in two halves, as one sum may be more than a BIGINT.
    let row = tx.query_opt(
        "SELECT COUNT(*) AS versions,
                CAST(COALESCE(SUM((size_bytes - linked_bytes) / 1048576), 0) AS BIGINT) AS mebibytes,
                CAST(COALESCE(SUM((size_bytes - linked_bytes) % 1048576), 0) AS BIGINT) AS bytes
         FROM data_version WHERE is_expired = 0",
        params![],
    )?;
    let Some(row) = row else { return Ok((0, 0)) };
    let mebibytes = row.unsigned("mebibytes")?.saturating_mul(1 << 20);
    Ok((
        row.unsigned("versions")?,
        mebibytes.saturating_add(row.unsigned("bytes")?),
    ))
}

/// Up to two versions whose ids start so.
pub(crate) fn by_prefix(tx: &mut dyn Tx, prefix: &str) -> Result<Vec<VersionId>, StoreError> {
    tx.query(
        "SELECT id FROM data_version WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2",
        params![prefix, end_of(prefix)],
    )?
    .iter()
    .map(|row| row.parse("id"))
    .collect()
}

/// The first hundred datasets that have a commit of the version.
pub(crate) fn names(tx: &mut dyn Tx, version: &VersionId) -> Result<Vec<DatasetName>, StoreError> {
    tx.query(
        "SELECT DISTINCT m.dataset FROM data_commit c JOIN data_dataset_commit m ON m.commit_id = c.id
         WHERE c.version = $1 ORDER BY m.dataset LIMIT 100",
        params![version],
    )?
    .iter()
    .map(|row| row.parse("dataset"))
    .collect()
}

/// How people refer to a version, up to so many, and how many there are: names that point at it before commits of it
/// that no name points at.
pub(crate) fn references(
    tx: &mut dyn Tx,
    version: &VersionId,
    limit: usize,
) -> Result<(Vec<String>, u64), StoreError> {
    let named = tx.query(
        "SELECT r.dataset, r.name AS spot FROM data_commit c JOIN data_ref r ON r.commit_id = c.id
         WHERE c.version = $1 ORDER BY r.dataset, r.kind, r.name",
        params![version],
    )?;
    let other = tx.query(
        "SELECT m.dataset, c.id AS spot FROM data_commit c JOIN data_dataset_commit m ON m.commit_id = c.id
         WHERE c.version = $1 AND NOT EXISTS
            (SELECT 1 FROM data_ref r WHERE r.commit_id = c.id AND r.dataset = m.dataset)
         ORDER BY m.dataset, c.created_ms DESC, c.id",
        params![version],
    )?;
    let all = named.iter().chain(&other);
    let total = all.clone().count() as u64;
    let names = all.take(limit).map(|row| {
        let (dataset, at) = (row.text("dataset")?, row.text("spot")?);
        // As much of a commit's id as people see of it elsewhere.
        let at = match at.strip_prefix("c_") {
            Some(digits) if digits.len() == 64 => &at[..14],
            _ => at.as_str(),
        };
        Ok(format!("{dataset}@{at}"))
    });
    Ok((names.collect::<Result<_, StoreError>>()?, total))
}
