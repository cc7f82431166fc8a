//! Records of datasets. A record has a number inside, which grows: pages go by it.

use corliss_metastore::lists::in_lists;
use corliss_metastore::{Row, StoreError, Tx, Value, params};

use super::{json_of, some_json};
use crate::evaluation::{DatasetRecord, RecordSource};
use crate::json::spaced;
use crate::store::{ROWS, list, placeholders};

/// A record with what the store knows of it beside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptRecord {
    pub(crate) number: i64,
    /// Tells its inputs from others of its dataset.
    pub(crate) input_hash: String,
    /// What it holds, in short.
    pub(crate) fingerprint: i64,
    /// What it takes.
    pub(crate) bytes: i64,
    pub(crate) record: DatasetRecord,
}

const COLUMNS: &str =
    "number, record_id, input_hash, fingerprint, bytes, created_ms, updated_ms, created_by, updated_by,
    source_kind, source_data, tags, expectations, outputs, inputs";

fn from_row(row: &Row) -> Result<KeptRecord, StoreError> {
    let source = match row.opt_text("source_kind")? {
        Some(kind) => Some(RecordSource {
            kind,
            data: some_json(row, "source_data")?,
        }),
        None => None,
    };
    Ok(KeptRecord {
        number: row.integer("number")?,
        input_hash: row.text("input_hash")?,
        fingerprint: row.integer("fingerprint")?,
        bytes: row.integer("bytes")?,
        record: DatasetRecord {
            id: row.text("record_id")?,
            inputs: some_json(row, "inputs")?,
            outputs: some_json(row, "outputs")?,
            expectations: json_of(row, "expectations")?,
            tags: some_json(row, "tags")?,
            source,
            created_ms: row.integer("created_ms")?,
            updated_ms: row.integer("updated_ms")?,
            created_by: row.opt_text("created_by")?,
            updated_by: row.opt_text("updated_by")?,
        },
    })
}

/// Inserts records whose inputs are new.
pub(crate) fn insert_records(
    tx: &mut dyn Tx,
    dataset_id: &str,
    records: &[KeptRecord],
) -> Result<(), StoreError> {
    for chunk in records.chunks(ROWS) {
        let values: Vec<Value> = chunk.iter().flat_map(|kept| row_of(dataset_id, kept)).collect();
        let sql = format!(
            "INSERT INTO evaluation_records (dataset_id, number, record_id, input_hash, fingerprint, bytes, created_ms,
                 updated_ms, created_by, updated_by, source_kind, source_data, tags, expectations, outputs, inputs)
             VALUES {}",
            placeholders(chunk.len(), 16)
        );
        tx.execute(&sql, &values)?;
    }
    Ok(())
}

fn row_of(dataset_id: &str, kept: &KeptRecord) -> [Value; 16] {
    let record = &kept.record;
    [
        dataset_id.into(),
        kept.number.into(),
        Value::from(&record.id),
        Value::from(&kept.input_hash),
        kept.fingerprint.into(),
        kept.bytes.into(),
        record.created_ms.into(),
        record.updated_ms.into(),
        record.created_by.as_deref().into(),
        record.updated_by.as_deref().into(),
        record.source.as_ref().map(|source| source.kind.as_str()).into(),
        record.source.as_ref().map(|source| spaced(&source.data)).into(),
        spaced(&record.tags).into(),
        record.expectations.as_ref().map(spaced).into(),
        spaced(&record.outputs).into(),
        spaced(&record.inputs).into(),
    ]
}

/// Writes what may change of a record.
pub(crate) fn update_record(tx: &mut dyn Tx, dataset_id: &str, kept: &KeptRecord) -> Result<(), StoreError> {
    let record = &kept.record;
    tx.execute(
        "UPDATE evaluation_records SET fingerprint = $1, bytes = $2, updated_ms = $3, updated_by = $4, tags = $5,
             expectations = $6, outputs = $7 WHERE dataset_id = $8 AND number = $9",
        params![
            kept.fingerprint,
            kept.bytes,
            record.updated_ms,
            record.updated_by.as_deref(),
            spaced(&record.tags),
            record.expectations.as_ref().map(spaced),
            spaced(&record.outputs),
            dataset_id,
            kept.number
        ],
    )?;
    Ok(())
}

/// Hashes, each once, as lists of a statement.
fn distinct_lists(hashes: &[String]) -> Vec<Vec<Value>> {
    let mut distinct: Vec<&String> = hashes.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    in_lists(&distinct, |hash| (*hash).into())
}

/// What the records of these inputs take.
pub(crate) fn bytes_of_hashes(
    tx: &mut dyn Tx,
    dataset_id: &str,
    hashes: &[String],
) -> Result<i64, StoreError> {
    let mut bytes = 0_i64;
    for mut hashes in distinct_lists(hashes) {
        let sql = format!(
            "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM evaluation_records
             WHERE input_hash IN ({}) AND dataset_id = ${}",
            list(hashes.len()),
            hashes.len() + 1
        );
        hashes.push(dataset_id.into());
        bytes = bytes.saturating_add(tx.query_one(&sql, &hashes)?.integer("bytes")?);
    }
    Ok(bytes)
}

/// The records of a dataset that have these inputs.
pub(crate) fn records_of_hashes(
    tx: &mut dyn Tx,
    dataset_id: &str,
    hashes: &[String],
) -> Result<Vec<KeptRecord>, StoreError> {
    let mut found = Vec::new();
    for mut hashes in distinct_lists(hashes) {
        let sql = format!(
            "SELECT {COLUMNS} FROM evaluation_records WHERE input_hash IN ({}) AND dataset_id = ${}",
            list(hashes.len()),
            hashes.len() + 1
        );
        hashes.push(dataset_id.into());
        for row in tx.query(&sql, &hashes)? {
            found.push(from_row(&row)?);
        }
    }
    Ok(found)
}

/// Number and size of the records of a dataset from a number on.
pub(crate) fn record_sizes(
    tx: &mut dyn Tx,
    dataset_id: &str,
    from: i64,
    limit: i64,
) -> Result<Vec<(i64, i64)>, StoreError> {
    tx.query(
        "SELECT number, bytes FROM evaluation_records WHERE dataset_id = $1 AND number >= $2 ORDER BY number LIMIT $3",
        params![dataset_id, from, limit],
    )?
    .iter()
    .map(|row| Ok((row.integer("number")?, row.integer("bytes")?)))
    .collect()
}

/// The records of a dataset from a number to another, both included.
pub(crate) fn records_between(
    tx: &mut dyn Tx,
    dataset_id: &str,
    from: i64,
    to: i64,
) -> Result<Vec<KeptRecord>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM evaluation_records WHERE dataset_id = $1 AND number >= $2 AND number <= $3
         ORDER BY number"
    );
    tx.query(&sql, params![dataset_id, from, to])?
        .iter()
        .map(from_row)
        .collect()
}

/// Removes records of a dataset; answers how many there were, and the sum of their fingerprints.
pub(crate) fn delete_records(
    tx: &mut dyn Tx,
    dataset_id: &str,
    ids: &[String],
) -> Result<(u64, i64), StoreError> {
    let (mut removed, mut fingerprints) = (0, 0_i64);
    for id in ids {
        let found = tx.query_opt(
            "SELECT number, fingerprint FROM evaluation_records WHERE dataset_id = $1 AND record_id = $2",
            params![dataset_id, id],
        )?;
        let Some(row) = found else { continue };
        fingerprints = fingerprints.wrapping_add(row.integer("fingerprint")?);
        removed += tx.execute(
            "DELETE FROM evaluation_records WHERE dataset_id = $1 AND number = $2",
            params![dataset_id, row.integer("number")?],
        )?;
    }
    Ok((removed, fingerprints))
}
