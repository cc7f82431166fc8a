//! Datasets: names that point at versions, and the history of where they pointed.

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::{DatasetName, Timestamp, VersionId};

use crate::types::{DatasetSummary, DatasetVersion};

/// Points the name at a version; `false` if it pointed there already.
pub(crate) fn point(
    tx: &mut dyn Tx,
    name: &DatasetName,
    version: &VersionId,
    message: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let current = tx.query_opt(
        "SELECT latest, versions FROM data_dataset WHERE name = $1",
        params![name],
    )?;
    let sequence = match current {
        Some(row) if row.parse::<VersionId>("latest")? == *version => return Ok(false),
        Some(row) => row.unsigned("versions")? + 1,
        None => 1,
    };
    tx.execute(
        "INSERT INTO data_dataset (name, latest, versions, updated_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET latest = excluded.latest, versions = excluded.versions,
            updated_ms = excluded.updated_ms",
        params![name, version, sequence, now],
    )?;
    tx.execute(
        "INSERT INTO data_dataset_version (dataset, sequence, version, created_ms, message)
         VALUES ($1, $2, $3, $4, $5)",
        params![name, sequence, version, now, message],
    )?;
    Ok(true)
}

/// Where the name points.
pub(crate) fn latest(tx: &mut dyn Tx, name: &DatasetName) -> Result<Option<VersionId>, StoreError> {
    let row = tx.query_opt("SELECT latest FROM data_dataset WHERE name = $1", params![name])?;
    row.map(|row| row.parse("latest")).transpose()
}

/// Up to two versions of the dataset whose ids start so: more than one means that it is ambiguous.
pub(crate) fn by_prefix(
    tx: &mut dyn Tx,
    name: &DatasetName,
    prefix: &str,
) -> Result<Vec<VersionId>, StoreError> {
    // A range, not LIKE: '_' is a wildcard there. 'g' follows every hex digit.
    tx.query(
        "SELECT DISTINCT version FROM data_dataset_version
         WHERE dataset = $1 AND version >= $2 AND version < $3 ORDER BY version LIMIT 2",
        params![name, prefix, format!("{prefix}g")],
    )?
    .iter()
    .map(|row| row.parse("version"))
    .collect()
}

const SELECT: &str = "SELECT d.name, d.latest, d.versions, d.updated_ms, v.size_bytes, v.files
    FROM data_dataset d JOIN data_version v ON v.id = d.latest";

fn summary(row: &Row) -> Result<DatasetSummary, StoreError> {
    Ok(DatasetSummary {
        name: row.parse("name")?,
        latest: row.parse("latest")?,
        versions: row.unsigned("versions")?,
        size_bytes: row.unsigned("size_bytes")?,
        files: row.unsigned("files")?,
        updated_ms: row.timestamp("updated_ms")?,
    })
}

/// One dataset.
pub(crate) fn get(tx: &mut dyn Tx, name: &DatasetName) -> Result<Option<DatasetSummary>, StoreError> {
    let row = tx.query_opt(&format!("{SELECT} WHERE d.name = $1"), params![name])?;
    row.as_ref().map(summary).transpose()
}

/// A page of datasets by name.
pub(crate) fn list(tx: &mut dyn Tx, after: &str, limit: u32) -> Result<Vec<DatasetSummary>, StoreError> {
    let sql = format!("{SELECT} WHERE d.name > $1 ORDER BY d.name LIMIT $2");
    tx.query(&sql, params![after, limit])?
        .iter()
        .map(summary)
        .collect()
}

/// The newest moves of a name.
pub(crate) fn history(
    tx: &mut dyn Tx,
    name: &DatasetName,
    limit: u32,
) -> Result<Vec<DatasetVersion>, StoreError> {
    let rows = tx.query(
        "SELECT h.version, h.created_ms, h.message, v.size_bytes, v.files
         FROM data_dataset_version h JOIN data_version v ON v.id = h.version
         WHERE h.dataset = $1 ORDER BY h.sequence DESC LIMIT $2",
        params![name, limit],
    )?;
    rows.iter()
        .map(|row| {
            Ok(DatasetVersion {
                version: row.parse("version")?,
                created_ms: row.timestamp("created_ms")?,
                message: row.text("message")?,
                size_bytes: row.unsigned("size_bytes")?,
                files: row.unsigned("files")?,
            })
        })
        .collect()
}
