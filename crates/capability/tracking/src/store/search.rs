//! Searches over runs and experiments: filters and orders become statements with bound values, against an
//! allow-list of columns.

use corliss_metastore::{StoreError, Tx, Value};
use corliss_mlflow_wire::{Comparison, Operand, Operator, Order, Sql, WireError};

use super::{experiments, runs};
use crate::TrackingError;
use crate::types::{Experiment, RunInfo, ViewType};

const ENTITIES: &str = "['metric', 'parameter', 'tag', 'attribute', 'dataset']";

/// What a filter or an order speaks about.
enum Subject {
    Metric,
    Param,
    Tag,
    Dataset,
    /// A text column.
    Text(&'static str),
    /// A whole-number column.
    Integer(&'static str),
}

fn run_subject(entity: Option<&str>, key: &str) -> Result<Subject, WireError> {
    Ok(match entity {
        Some("metric" | "metrics") => Subject::Metric,
        Some("parameter" | "parameters" | "param" | "params") => Subject::Param,
        Some("tag" | "tags") => Subject::Tag,
        Some("dataset" | "datasets") => Subject::Dataset,
        None | Some("attribute" | "attributes" | "attr" | "run") => match key {
            "run_id" => Subject::Text("r.run_id"),
            "run_name" | "run name" | "Run name" | "Run Name" => Subject::Text("r.name"),
            "user_id" => Subject::Text("r.user_name"),
            "status" => Subject::Text("r.status"),
            "artifact_uri" => Subject::Text("r.artifact_uri"),
            "start_time" | "created" | "Created" => Subject::Integer("r.start_ms"),
            "end_time" => Subject::Integer("r.end_ms"),
            other => {
                return Err(WireError::new(format!(
                    "Invalid attribute key '{other}' specified. Valid keys are '{{'artifact_uri', 'end_time', \
                     'run_id', 'run_name', 'start_time', 'status', 'user_id'}}'"
                )));
            }
        },
        Some(other) => {
            return Err(WireError::new(format!(
                "Invalid entity type '{other}'. Valid values are {ENTITIES}"
            )));
        }
    })
}

/// A page of runs, without what they logged.
pub(crate) fn search_runs(
    tx: &mut dyn Tx,
    experiment_ids: &[i64],
    view: ViewType,
    filter: &[Comparison],
    order: &[Order],
    (limit, offset): (i64, i64),
) -> Result<Vec<RunInfo>, TrackingError> {
    let mut sql =
        Sql::new("SELECT r.run_id, r.experiment_id, r.name, r.user_name, r.status, r.start_ms, r.end_ms, ");
    sql.push("r.lifecycle_stage, r.artifact_uri FROM tracking_runs r");
    join_order(&mut sql, order)?;
    sql.push(" WHERE r.experiment_id IN ")
        .bind_list(experiment_ids.iter().map(|id| Value::from(*id)));
    sql.push(" AND r.lifecycle_stage IN ")
        .bind_list(view.stages().iter().map(|stage| stage.as_str().into()));
    for comparison in filter {
        sql.push(" AND ");
        run_test(&mut sql, comparison)?;
    }
    run_order(&mut sql, order)?;
    sql.push(" LIMIT ").bind(limit).push(" OFFSET ").bind(offset);
    let (text, values) = sql.finish();
    let rows = tx.query(&text, &values)?;
    Ok(rows
        .iter()
        .map(runs::from_row)
        .collect::<Result<_, StoreError>>()?)
}

fn run_test(sql: &mut Sql, comparison: &Comparison) -> Result<(), WireError> {
    let Comparison {
        entity,
        key,
        operator,
        operand,
    } = comparison;
    match run_subject(entity.as_deref(), key)? {
        Subject::Metric => {
            sql.push(
                "EXISTS (SELECT 1 FROM tracking_latest_metrics m WHERE m.run_id = r.run_id AND m.key = ",
            );
            sql.bind(key).push(" AND m.is_nan = 0 AND ");
            sql.number_test("m.value", "metric", *operator, operand, false)?;
            sql.push(")");
        }
        Subject::Param => {
            const FROM: &str = "(SELECT 1 FROM tracking_params p WHERE p.run_id = r.run_id AND p.key = ";
            pair_test(sql, FROM, "p.value", "parameter", comparison)?;
        }
        Subject::Tag => {
            const FROM: &str = "(SELECT 1 FROM tracking_run_tags t WHERE t.run_id = r.run_id AND t.key = ";
            pair_test(sql, FROM, "t.value", "tag", comparison)?;
        }
        Subject::Dataset => dataset_test(sql, comparison)?,
        Subject::Text(column) => {
            let list = matches!(operator, Operator::In | Operator::NotIn);
            if list && column != "r.run_id" {
                return Err(WireError::new(
                    "Only ['run_id'] attributes support comparison with a list of quoted string values.",
                ));
            }
            sql.text_test(column, "attributes", *operator, operand)?;
        }
        Subject::Integer(column) => {
            sql.number_test(
                column,
                &format!("numeric attribute: {key}"),
                *operator,
                operand,
                true,
            )?;
        }
    }
    Ok(())
}

/// A test of a parameter or tag: the key must be there, except where its absence is asked for.
fn pair_test(
    sql: &mut Sql,
    from: &'static str,
    column: &'static str,
    what: &str,
    comparison: &Comparison,
) -> Result<(), WireError> {
    let Comparison {
        key,
        operator,
        operand,
        ..
    } = comparison;
    if matches!(operator, Operator::In | Operator::NotIn) {
        return Err(WireError::new(format!(
            "Invalid comparator '{}' for this key",
            operator.as_str()
        )));
    }
    sql.push(if *operator == Operator::IsNull {
        "NOT EXISTS "
    } else {
        "EXISTS "
    });
    sql.push(from).bind(key);
    if !matches!(operator, Operator::IsNull | Operator::IsNotNull) {
        sql.push(" AND ");
        sql.text_test(column, what, *operator, operand)?;
    }
    sql.push(")");
    Ok(())
}

fn dataset_test(sql: &mut Sql, comparison: &Comparison) -> Result<(), WireError> {
    let Comparison {
        key,
        operator,
        operand,
        ..
    } = comparison;
    let column = match key.as_str() {
        "name" => "d.name",
        "digest" => "d.digest",
        "context" => {
            sql.push("EXISTS (SELECT 1 FROM tracking_dataset_tags c WHERE c.run_id = r.run_id AND c.key = ");
            sql.bind("mlflow.data.context").push(" AND ");
            sql.text_test("c.value", "dataset attributes", *operator, operand)?;
            sql.push(")");
            return Ok(());
        }
        other => {
            return Err(WireError::new(format!(
                "Invalid dataset key '{other}' specified. Valid keys are '{{'context', 'digest', 'name'}}'"
            )));
        }
    };
    sql.push("EXISTS (SELECT 1 FROM tracking_datasets d WHERE d.run_id = r.run_id AND ");
    sql.text_test(column, "dataset attributes", *operator, operand)?;
    sql.push(")");
    Ok(())
}

/// Joins what the order needs: one row at most per run and clause, so no run is doubled.
fn join_order(sql: &mut Sql, order: &[Order]) -> Result<(), WireError> {
    for (index, clause) in order.iter().enumerate() {
        let table = match run_subject(clause.entity.as_deref(), &clause.key)? {
            Subject::Metric => " LEFT JOIN tracking_latest_metrics o",
            Subject::Param => " LEFT JOIN tracking_params o",
            Subject::Tag => " LEFT JOIN tracking_run_tags o",
            Subject::Dataset => return Err(WireError::new("Invalid identifier type 'dataset'")),
            Subject::Text(_) | Subject::Integer(_) => continue,
        };
        sql.push(table)
            .push_index(index)
            .push(" ON o")
            .push_index(index)
            .push(".run_id = r.run_id AND o");
        sql.push_index(index).push(".key = ").bind(&clause.key);
    }
    Ok(())
}

/// Present values first, NaN after numbers, absent last, in either direction; then newest first.
fn run_order(sql: &mut Sql, order: &[Order]) -> Result<(), WireError> {
    sql.push(" ORDER BY ");
    let mut by_start = false;
    for (index, clause) in order.iter().enumerate() {
        if order[..index]
            .iter()
            .any(|other| other.entity == clause.entity && other.key == clause.key)
        {
            return Err(WireError::new(format!(
                "`order_by` contains duplicate fields: {}",
                clause.key
            )));
        }
        let direction = if clause.ascending { " ASC, " } else { " DESC, " };
        match run_subject(clause.entity.as_deref(), &clause.key)? {
            Subject::Text(column) | Subject::Integer(column) => {
                by_start |= column == "r.start_ms";
                sql.push("CASE WHEN ")
                    .push(column)
                    .push(" IS NULL THEN 1 ELSE 0 END, ");
                sql.push(column).push(direction);
            }
            subject => {
                sql.push("CASE WHEN o")
                    .push_index(index)
                    .push(".value IS NULL THEN 2 ");
                if matches!(subject, Subject::Metric) {
                    sql.push("WHEN o").push_index(index).push(".is_nan = 1 THEN 1 ");
                }
                sql.push("ELSE 0 END, o")
                    .push_index(index)
                    .push(".value")
                    .push(direction);
            }
        }
    }
    if !by_start {
        sql.push("r.start_ms DESC, ");
    }
    sql.push("r.run_id");
    Ok(())
}

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
            "(SELECT 1 FROM tracking_experiment_tags t WHERE t.experiment_id = e.experiment_id AND t.key = ";
        return pair_test(sql, FROM, "t.value", "tag", comparison);
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
