//! Versions: recorded once, never changed.

use corliss_metastore::{StoreError, Tx, params};
use corliss_types::{DatasetName, Timestamp, VersionId};

use crate::types::VersionSummary;

/// Records a version; `false` if it was there before.
pub(crate) fn insert(
    tx: &mut dyn Tx,
    version: &VersionId,
    now: Timestamp,
    files: u64,
    size_bytes: u64,
) -> Result<bool, StoreError> {
    let inserted = tx.execute(
        "INSERT INTO data_version (id, created_ms, files, size_bytes) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO NOTHING",
        params![version, now, files, size_bytes],
    )?;
    Ok(inserted == 1)
}

/// The version, with the first hundred dataset names that point or pointed at it.
pub(crate) fn get(tx: &mut dyn Tx, version: &VersionId) -> Result<Option<VersionSummary>, StoreError> {
    let row = tx.query_opt(
        "SELECT created_ms, files, size_bytes FROM data_version WHERE id = $1",
        params![version],
    )?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(VersionSummary {
        version: version.clone(),
        created_ms: row.timestamp("created_ms")?,
        size_bytes: row.unsigned("size_bytes")?,
        files: row.unsigned("files")?,
        names: names(tx, version)?,
    }))
}

/// The first hundred dataset names that point or pointed at a version.
pub(crate) fn names(tx: &mut dyn Tx, version: &VersionId) -> Result<Vec<DatasetName>, StoreError> {
    tx.query(
        "SELECT DISTINCT dataset FROM data_dataset_version WHERE version = $1 ORDER BY dataset LIMIT 100",
        params![version],
    )?
    .iter()
    .map(|row| row.parse("dataset"))
    .collect()
}
