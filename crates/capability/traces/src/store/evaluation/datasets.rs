//! The rows of datasets, their tags and the experiments they belong to.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_mlflow_wire::{Comparison, Operator, Order, Sql, WireError};
use serde_json::Value as Json;

use super::json_of;
use crate::TracesError;
use crate::json::spaced;
use crate::store::{list, text_lists};

/// What stands in a dataset's own row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DatasetRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) schema: Option<Json>,
    pub(crate) records: i64,
    /// The number that the next new record gets.
    pub(crate) next_record: i64,
    /// The sum of those of its records.
    pub(crate) fingerprint: i64,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) created_by: Option<String>,
    pub(crate) updated_by: Option<String>,
}

const VALID: &str = "{'created_by', 'created_time', 'last_update_time', 'last_updated_by', 'name'}";
const ORDERED: &str = "{'created_time', 'last_update_time', 'name'}";

fn from_row(row: &Row) -> Result<DatasetRow, StoreError> {
    Ok(DatasetRow {
        id: row.text("dataset_id")?,
        name: row.text("name")?,
        schema: json_of(row, "dataset_schema")?,
        records: row.integer("records")?,
        next_record: row.integer("next_record")?,
        fingerprint: row.integer("fingerprint")?,
        created_ms: row.integer("created_ms")?,
        updated_ms: row.integer("updated_ms")?,
        created_by: row.opt_text("created_by")?,
        updated_by: row.opt_text("updated_by")?,
    })
}

/// Inserts a dataset whose id is new.
pub(crate) fn insert_dataset(tx: &mut dyn Tx, row: &DatasetRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO evaluation_datasets (dataset_id, name, created_ms, updated_ms, created_by, updated_by, records,
             next_record, fingerprint, dataset_schema) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            &row.id,
            &row.name,
            row.created_ms,
            row.updated_ms,
            row.created_by.as_deref(),
            row.updated_by.as_deref(),
            row.records,
            row.next_record,
            row.fingerprint,
            row.schema.as_ref().map(spaced)
        ],
    )?;
    Ok(())
}

/// Writes what changes with a dataset's records.
pub(crate) fn update_dataset(tx: &mut dyn Tx, row: &DatasetRow) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE evaluation_datasets SET updated_ms = $1, updated_by = $2, records = $3, next_record = $4,
             fingerprint = $5, dataset_schema = $6 WHERE dataset_id = $7",
        params![
            row.updated_ms,
            row.updated_by.as_deref(),
            row.records,
            row.next_record,
            row.fingerprint,
            row.schema.as_ref().map(spaced),
            &row.id
        ],
    )?;
    Ok(())
}

/// The dataset of this id.
pub(crate) fn dataset(tx: &mut dyn Tx, id: &str) -> Result<Option<DatasetRow>, StoreError> {
    tx.query_opt(
        "SELECT dataset_id, name, created_ms, updated_ms, created_by, updated_by, records, next_record, fingerprint,
             dataset_schema FROM evaluation_datasets WHERE dataset_id = $1",
        params![id],
    )?
    .as_ref()
    .map(from_row)
    .transpose()
}

/// Removes a dataset with all that hangs on it.
pub(crate) fn delete_dataset(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM evaluation_dataset_tags WHERE dataset_id = $1",
        "DELETE FROM evaluation_dataset_experiments WHERE dataset_id = $1",
        "DELETE FROM evaluation_records WHERE dataset_id = $1",
        "DELETE FROM evaluation_datasets WHERE dataset_id = $1",
    ] {
        tx.execute(sql, params![id])?;
    }
    Ok(())
}

/// Sets tags of a dataset.
pub(crate) fn put_dataset_tags(
    tx: &mut dyn Tx,
    id: &str,
    tags: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    for (key, value) in tags {
        tx.execute(
            "INSERT INTO evaluation_dataset_tags (dataset_id, key, value) VALUES ($1, $2, $3)
             ON CONFLICT (dataset_id, key) DO UPDATE SET value = excluded.value",
            params![id, key, value],
        )?;
    }
    Ok(())
}

/// How many tags a dataset has.
pub(crate) fn count_dataset_tags(tx: &mut dyn Tx, id: &str) -> Result<u64, StoreError> {
    tx.query_one(
        "SELECT COUNT(*) AS n FROM evaluation_dataset_tags WHERE dataset_id = $1",
        params![id],
    )?
    .unsigned("n")
}

/// Removes a tag of a dataset.
pub(crate) fn delete_dataset_tag(tx: &mut dyn Tx, id: &str, key: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM evaluation_dataset_tags WHERE dataset_id = $1 AND key = $2",
        params![id, key],
    )?;
    Ok(())
}

/// The tags of these datasets, by id and key.
pub(crate) fn dataset_tags(
    tx: &mut dyn Tx,
    ids: &[String],
) -> Result<BTreeMap<String, BTreeMap<String, String>>, StoreError> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for ids in text_lists(ids) {
        let sql = format!(
            "SELECT dataset_id, key, value FROM evaluation_dataset_tags WHERE dataset_id IN ({})",
            list(ids.len())
        );
        for row in tx.query(&sql, &ids)? {
            found
                .entry(row.text("dataset_id")?)
                .or_default()
                .insert(row.text("key")?, row.text("value")?);
        }
    }
    Ok(found)
}

/// The experiments of these datasets, by id, ascending.
pub(crate) fn dataset_experiments(
    tx: &mut dyn Tx,
    ids: &[String],
) -> Result<BTreeMap<String, Vec<i64>>, StoreError> {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for ids in text_lists(ids) {
        let sql = format!(
            "SELECT dataset_id, experiment_id FROM evaluation_dataset_experiments WHERE dataset_id IN ({})
             ORDER BY dataset_id, experiment_id",
            list(ids.len())
        );
        for row in tx.query(&sql, &ids)? {
            found
                .entry(row.text("dataset_id")?)
                .or_default()
                .push(row.integer("experiment_id")?);
        }
    }
    Ok(found)
}

/// Puts a dataset into experiments; those it is in already stay.
pub(crate) fn link_dataset(tx: &mut dyn Tx, id: &str, experiments: &[i64]) -> Result<(), StoreError> {
    for experiment in experiments {
        tx.execute(
            "INSERT INTO evaluation_dataset_experiments (experiment_id, dataset_id) VALUES ($1, $2)
             ON CONFLICT DO NOTHING",
            params![*experiment, id],
        )?;
    }
    Ok(())
}

/// Takes a dataset out of experiments.
pub(crate) fn unlink_dataset(tx: &mut dyn Tx, id: &str, experiments: &[i64]) -> Result<(), StoreError> {
    for experiment in experiments {
        tx.execute(
            "DELETE FROM evaluation_dataset_experiments WHERE experiment_id = $1 AND dataset_id = $2",
            params![*experiment, id],
        )?;
    }
    Ok(())
}

/// A page of datasets: of one of these experiments, or of all if none is named.
pub(crate) fn search_datasets(
    tx: &mut dyn Tx,
    experiments: &[i64],
    filter: &[Comparison],
    order: &[Order],
    (limit, offset): (i64, i64),
) -> Result<Vec<DatasetRow>, TracesError> {
    let mut sql =
        Sql::new("SELECT d.dataset_id, d.name, d.created_ms, d.updated_ms, d.created_by, d.updated_by, ");
    sql.push(
        "d.records, d.next_record, d.fingerprint, d.dataset_schema FROM evaluation_datasets d WHERE 1 = 1",
    );
    if !experiments.is_empty() {
        sql.push(" AND d.dataset_id IN (SELECT e.dataset_id FROM evaluation_dataset_experiments e");
        sql.push(" WHERE e.experiment_id IN ")
            .bind_list(experiments.iter().map(|id| (*id).into()))
            .push(")");
    }
    for comparison in filter {
        sql.push(" AND ");
        test(&mut sql, comparison)?;
    }
    sql.push(" ORDER BY ");
    for clause in order {
        let column = ordered(clause)?;
        sql.push(column)
            .push(if clause.ascending { " ASC, " } else { " DESC, " });
    }
    if order.is_empty() {
        sql.push("d.created_ms DESC, ");
    }
    sql.push("d.dataset_id LIMIT ").bind(limit);
    sql.push(" OFFSET ").bind(offset);
    let (text, values) = sql.finish();
    let rows = tx.query(&text, &values)?;
    Ok(rows.iter().map(from_row).collect::<Result<_, StoreError>>()?)
}

fn test(sql: &mut Sql, comparison: &Comparison) -> Result<(), WireError> {
    let (operator, operand) = (comparison.operator, &comparison.operand);
    let key = comparison.key.as_str();
    let (column, what) = match (comparison.entity.as_deref(), key) {
        (Some("tags"), key) => return tag(sql, key, comparison),
        (Some(other), _) => {
            return Err(WireError::new(format!(
                "Invalid identifier token '{other}' specified"
            )));
        }
        (None, "created_time") => {
            return sql.number_test(
                "d.created_ms",
                "numeric attribute: created_time",
                operator,
                operand,
                true,
            );
        }
        (None, "last_update_time") => {
            let what = "numeric attribute: last_update_time";
            return sql.number_test("d.updated_ms", what, operator, operand, true);
        }
        (None, "name") => ("d.name", "name"),
        (None, "created_by") => ("d.created_by", "created_by"),
        (None, "last_updated_by") => ("d.updated_by", "last_updated_by"),
        (None, other) => {
            return Err(WireError::new(format!(
                "Invalid attribute key '{other}' specified. Valid keys are: {VALID}"
            )));
        }
    };
    sql.text_test(column, what, operator, operand)
}

fn tag(sql: &mut Sql, key: &str, comparison: &Comparison) -> Result<(), WireError> {
    let operator = comparison.operator;
    if !matches!(
        operator,
        Operator::Eq | Operator::Ne | Operator::Like | Operator::Ilike
    ) {
        return Err(WireError::new(format!(
            "Invalid comparator for tag: {}",
            operator.as_str()
        )));
    }
    sql.push("d.dataset_id IN (SELECT t.dataset_id FROM evaluation_dataset_tags t WHERE t.key = ");
    sql.bind(key).push(" AND ");
    sql.text_test("t.value", "tag", operator, &comparison.operand)?;
    sql.push(")");
    Ok(())
}

fn ordered(clause: &Order) -> Result<&'static str, WireError> {
    match (clause.entity.as_deref(), clause.key.as_str()) {
        (None, "name") => Ok("d.name"),
        (None, "created_time") => Ok("d.created_ms"),
        (None, "last_update_time") => Ok("d.updated_ms"),
        (None, other) => Err(WireError::new(format!(
            "Invalid attribute key '{other}' specified. Valid keys are: {ORDERED}"
        ))),
        (Some(other), _) => Err(WireError::new(format!("Invalid order_by entity: {other}"))),
    }
}
