//! Datasets: names, each with its default branch.

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::{DatasetName, Timestamp};

use crate::history::RefName;
use crate::types::DatasetSummary;

/// Makes a dataset; `false` if it is there already.
pub(crate) fn create(
    tx: &mut dyn Tx,
    name: &DatasetName,
    default_branch: &RefName,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = tx.execute(
        "INSERT INTO data_dataset (name, default_branch, created_ms, updated_ms) VALUES ($1, $2, $3, $3)
         ON CONFLICT (name) DO NOTHING",
        params![name, default_branch, now],
    )?;
    Ok(inserted == 1)
}

/// The branch that a dataset's name alone means; None if there is no such dataset.
pub(crate) fn default_branch(tx: &mut dyn Tx, name: &DatasetName) -> Result<Option<RefName>, StoreError> {
    let row = tx.query_opt(
        "SELECT default_branch FROM data_dataset WHERE name = $1",
        params![name],
    )?;
    row.map(|row| row.parse("default_branch")).transpose()
}

const SELECT: &str =
    "SELECT d.name, d.default_branch, d.retention_days, d.created_ms, d.updated_ms, c.id AS commit_id, c.version,
        c.generation, v.size_bytes, v.files
    FROM data_dataset d
    JOIN data_ref r ON r.dataset = d.name AND r.kind = 'branch' AND r.name = d.default_branch
    JOIN data_commit c ON c.id = r.commit_id
    JOIN data_version v ON v.id = c.version";

fn summary(row: &Row) -> Result<DatasetSummary, StoreError> {
    Ok(DatasetSummary {
        name: row.parse("name")?,
        default_branch: row.parse("default_branch")?,
        head: row.parse("commit_id")?,
        latest: row.parse("version")?,
        versions: row.unsigned("generation")?,
        size_bytes: row.unsigned("size_bytes")?,
        files: row.unsigned("files")?,
        retention_days: row.opt_unsigned("retention_days")?,
        created_ms: row.timestamp("created_ms")?,
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

/// Says for how many days files of older commits are kept; `false` if there is no such dataset.
pub(crate) fn set_retention(
    tx: &mut dyn Tx,
    name: &DatasetName,
    days: Option<u64>,
) -> Result<bool, StoreError> {
    let updated = tx.execute(
        "UPDATE data_dataset SET retention_days = $2 WHERE name = $1",
        params![name, days],
    )?;
    Ok(updated == 1)
}

/// Removes a dataset with its names, its hooks and its history; its versions stay until they are collected. `false` if
/// there is none.
pub(crate) fn delete(tx: &mut dyn Tx, name: &DatasetName) -> Result<bool, StoreError> {
    super::hooks::delete_all(tx, name)?;
    for table in ["data_ref_move", "data_ref", "data_dataset_commit", "data_import"] {
        tx.execute(&format!("DELETE FROM {table} WHERE dataset = $1"), params![name])?;
    }
    Ok(tx.execute("DELETE FROM data_dataset WHERE name = $1", params![name])? == 1)
}

/// How many datasets there are.
pub(crate) fn total(tx: &mut dyn Tx) -> Result<u64, StoreError> {
    let row = tx.query_opt("SELECT COUNT(*) AS datasets FROM data_dataset", params![])?;
    row.map_or(Ok(0), |row| row.unsigned("datasets"))
}
