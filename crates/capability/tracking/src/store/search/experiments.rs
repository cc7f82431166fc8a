//! Searches over experiments.

use corliss_metastore::{StoreError, Tx, Value};
use corliss_mlflow_wire::{Comparison, Operand, Operator, Order, Sql, WireError};

use super::super::experiments;
use super::condition::pair_test;
use crate::TrackingError;
use crate::types::{Experiment, ViewType};

/// A page of experiments with their tags.
pub(crate) fn search_experiments(
    tx: &mut dyn Tx,
    view: ViewType,
    filter: &[Comparison],
    order: &[Order],
    (limit, offset): (i64, i64),
) -> Result<Vec<Experiment>, TrackingError> {
    let mut sql =
        Sql::new("SELECT e.experiment_id, e.name, e.artifact_location, e.lifecycle_stage, e.created_ms, ");
    sql.push("e.updated_ms FROM tracking_experiments e WHERE e.lifecycle_stage IN ");
    sql.bind_list(view.stages().iter().map(|stage| stage.as_str().into()));
    for comparison in filter {
        sql.push(" AND ");
        experiment_test(&mut sql, comparison)?;
    }
    sql.push(" ORDER BY ");
    let mut by_id = false;
    for clause in order {
        let (column, _) = experiment_column(clause.entity.as_deref(), &clause.key)?;
        by_id |= column == "e.experiment_id";
        sql.push(column)
            .push(if clause.ascending { " ASC, " } else { " DESC, " });
    }
    if order.is_empty() {
        sql.push("e.created_ms DESC, ");
    }
    sql.push(if by_id { "e.name" } else { "e.experiment_id DESC" });
    sql.push(" LIMIT ").bind(limit).push(" OFFSET ").bind(offset);
    let (text, values) = sql.finish();
    let rows = tx.query(&text, &values)?;
    let mut found = rows
        .iter()
        .map(experiments::from_row)
        .collect::<Result<Vec<_>, StoreError>>()?;
    experiments::add_tags(tx, &mut found)?;
    Ok(found)
}

/// The column of an attribute, and whether it is a time.
fn experiment_column(entity: Option<&str>, key: &str) -> Result<(&'static str, bool), WireError> {
    match (entity, key) {
        (None | Some("attribute" | "attributes" | "attr"), "name") => Ok(("e.name", false)),
        (None | Some("attribute" | "attributes" | "attr"), "experiment_id") => Ok(("e.experiment_id", false)),
        (None | Some("attribute" | "attributes" | "attr"), "creation_time") => Ok(("e.created_ms", true)),
        (None | Some("attribute" | "attributes" | "attr"), "last_update_time") => Ok(("e.updated_ms", true)),
        (None | Some("attribute" | "attributes" | "attr"), other) => Err(WireError::new(format!(
            "Invalid attribute key '{other}' specified. Valid keys are '{{'creation_time', 'experiment_id', \
             'last_update_time', 'name'}}'"
        ))),
        (Some(other), _) => Err(WireError::new(format!(
            "Invalid entity type '{other}'. Valid values are ['tag', 'attribute']"
        ))),
    }
}

fn experiment_test(sql: &mut Sql, comparison: &Comparison) -> Result<(), WireError> {
    let Comparison {
        entity,
        key,
        operator,
        operand,
    } = comparison;
    if matches!(entity.as_deref(), Some("tag" | "tags")) {
        const FROM: &str =
            "(SELECT 1 FROM tracking_experiment_tags x WHERE x.experiment_id = e.experiment_id AND x.key = ";
        return pair_test(sql, FROM, key, "tag", comparison);
    }
    let (column, is_time) = experiment_column(entity.as_deref(), key)?;
    if is_time {
        return sql.number_test(
            column,
            &format!("numeric attribute: {key}"),
            *operator,
            operand,
            true,
        );
    }
    if column == "e.name" {
        if matches!(operator, Operator::In | Operator::NotIn) {
            return Err(WireError::new(
                "Only ['experiment_id'] attributes support comparison with a list of quoted string values.",
            ));
        }
        return sql.text_test(column, "attributes", *operator, operand);
    }
    id_test(sql, *operator, operand)
}

/// Ids are numbers in the table and texts in a filter.
fn id_test(sql: &mut Sql, operator: Operator, operand: &Operand) -> Result<(), WireError> {
    let number = |text: &String| {
        text.parse::<i64>().map_err(|_| {
            WireError::new(format!(
                "Invalid experiment ID '{text}'. Experiment ID must be a valid integer."
            ))
        })
    };
    match (operator, operand) {
        (Operator::Eq, Operand::Text(text)) => sql.push("e.experiment_id = ").bind(number(text)?),
        (Operator::Ne, Operand::Text(text)) => sql.push("e.experiment_id <> ").bind(number(text)?),
        (Operator::In | Operator::NotIn, Operand::List(texts)) => {
            let ids = texts.iter().map(number).collect::<Result<Vec<_>, _>>()?;
            let keyword = if operator == Operator::In {
                " IN "
            } else {
                " NOT IN "
            };
            sql.push("e.experiment_id")
                .push(keyword)
                .bind_list(ids.into_iter().map(Value::from))
        }
        _ => {
            return Err(WireError::new(format!(
                "Invalid comparator '{}' for experiment_id",
                operator.as_str()
            )));
        }
    };
    Ok(())
}
