//! Searches over logged models.

use corliss_metastore::{StoreError, Tx, Value};
use corliss_mlflow_wire::{Comparison, Operator, Sql, WireError};

use super::super::logged_models::{add_children, from_row};
use crate::TrackingError;
use crate::types::{DatasetKey, LoggedModel, ModelOrder};

/// What a search over logged models looks for.
pub(crate) struct ModelQuery<'a> {
    pub experiment_ids: &'a [i64],
    pub filter: &'a [Comparison],
    /// Metrics that the filter speaks of, or any if it speaks of none, were measured on one of these.
    pub datasets: &'a [DatasetKey],
    pub order: &'a [ModelOrder],
    /// How many rows, and from which.
    pub rows: (i64, i64),
}

/// A page of active models, newest first unless ordered otherwise.
pub(crate) fn search_logged_models(
    tx: &mut dyn Tx,
    query: &ModelQuery<'_>,
) -> Result<Vec<LoggedModel>, TrackingError> {
    let mut sql = Sql::new("SELECT m.model_id, m.experiment_id, m.name, m.artifact_uri, m.model_type, ");
    sql.push("m.source_run_id, m.status, m.lifecycle_stage, m.created_ms, m.updated_ms ");
    sql.push("FROM tracking_logged_models m WHERE m.lifecycle_stage = 'active' AND m.experiment_id IN ");
    sql.bind_list(query.experiment_ids.iter().map(|id| Value::from(*id)));
    for comparison in query.filter {
        sql.push(" AND ");
        model_test(&mut sql, comparison, query.datasets)?;
    }
    if !query.datasets.is_empty() && !query.filter.iter().any(is_of_metric) {
        sql.push(" AND EXISTS (SELECT 1 FROM tracking_model_metrics x WHERE x.model_id = m.model_id");
        measured_on(&mut sql, query.datasets);
        sql.push(")");
    }
    sql.push(" ORDER BY ");
    for clause in query.order {
        order_by(&mut sql, clause)?;
        sql.push(if clause.ascending { " ASC" } else { " DESC" });
        // A model without the metric comes behind those that have it.
        sql.push(" NULLS LAST, ");
    }
    let (limit, offset) = query.rows;
    sql.push("m.created_ms DESC, m.model_id LIMIT ")
        .bind(limit)
        .push(" OFFSET ")
        .bind(offset);
    let (text, values) = sql.finish();
    let rows = tx.query(&text, &values)?;
    let mut models = rows
        .iter()
        .map(from_row)
        .collect::<Result<Vec<_>, StoreError>>()?;
    add_children(tx, &mut models)?;
    Ok(models)
}

fn is_of_metric(comparison: &Comparison) -> bool {
    matches!(comparison.entity.as_deref(), Some("metrics" | "metric"))
}

/// Adds that a metric `x` was measured on one of these, if there are any.
fn measured_on(sql: &mut Sql, datasets: &[DatasetKey]) {
    let mut before = " AND (";
    for DatasetKey { name, digest } in datasets {
        sql.push(before).push("(x.dataset_name = ").bind(name);
        if let Some(digest) = digest {
            sql.push(" AND x.dataset_digest = ").bind(digest);
        }
        sql.push(")");
        before = " OR ";
    }
    if !datasets.is_empty() {
        sql.push(")");
    }
}

/// Adds what models are ordered by: an attribute, or the latest value of a metric.
fn order_by(sql: &mut Sql, clause: &ModelOrder) -> Result<(), WireError> {
    match clause.field.split_once('.') {
        Some(("metrics", key)) => {
            sql.push(
                "(SELECT x.value FROM tracking_model_metrics x WHERE x.model_id = m.model_id AND x.key = ",
            );
            sql.bind(key).push(" AND x.is_nan = 0");
            measured_on(sql, clause.dataset.as_slice());
            sql.push(" ORDER BY x.step DESC, x.logged_ms DESC, x.value DESC LIMIT 1)");
        }
        Some(_) => {
            return Err(WireError::new(format!(
                "Invalid order by field name: {}. Only metrics are supported.",
                clause.field
            )));
        }
        None => {
            let column = attribute(&clause.field);
            let unknown = || WireError::new(format!("Invalid order by field name: {}", clause.field));
            sql.push(column.ok_or_else(unknown)?.0);
        }
    }
    Ok(())
}

/// The column of an attribute, and whether it is a number.
fn attribute(name: &str) -> Option<(&'static str, bool)> {
    Some(match name {
        "name" => ("m.name", false),
        "model_id" => ("m.model_id", false),
        "model_type" => ("m.model_type", false),
        "source_run_id" => ("m.source_run_id", false),
        "status" => ("m.status", true),
        "creation_timestamp" | "creation_time" => ("m.created_ms", true),
        "last_updated_timestamp" | "last_updated_time" => ("m.updated_ms", true),
        _ => return None,
    })
}

fn model_test(sql: &mut Sql, comparison: &Comparison, datasets: &[DatasetKey]) -> Result<(), WireError> {
    let Comparison {
        entity,
        key,
        operator,
        operand,
    } = comparison;
    match entity.as_deref() {
        Some("metrics" | "metric") => {
            sql.push(
                "EXISTS (SELECT 1 FROM tracking_model_metrics x WHERE x.model_id = m.model_id AND x.key = ",
            );
            sql.bind(key).push(" AND x.is_nan = 0 AND ");
            sql.number_test("x.value", "metric", *operator, operand, false)?;
            measured_on(sql, datasets);
            sql.push(")");
        }
        Some("params" | "param" | "tags" | "tag") => {
            let is_tag = matches!(entity.as_deref(), Some("tags" | "tag"));
            sql.push(if *operator == Operator::IsNull {
                "NOT EXISTS "
            } else {
                "EXISTS "
            });
            sql.push(if is_tag {
                "(SELECT 1 FROM tracking_model_tags x WHERE x.model_id = m.model_id AND x.key = "
            } else {
                "(SELECT 1 FROM tracking_model_params x WHERE x.model_id = m.model_id AND x.key = "
            });
            sql.bind(key);
            if !matches!(operator, Operator::IsNull | Operator::IsNotNull) {
                sql.push(" AND ");
                sql.text_test("x.value", "tag", *operator, operand)?;
            }
            sql.push(")");
        }
        None | Some("attribute" | "attributes") => {
            let unknown = || WireError::new(format!("Invalid attribute key '{key}' specified."));
            let (column, is_number) = attribute(key).ok_or_else(unknown)?;
            if is_number {
                sql.number_test(column, key, *operator, operand, true)?;
            } else {
                sql.text_test(column, "attributes", *operator, operand)?;
            }
        }
        Some(other) => {
            return Err(WireError::new(format!(
                "Invalid entity type: '{other}'. Expected one of ['attributes', 'metrics', 'params', 'tags']."
            )));
        }
    }
    Ok(())
}
