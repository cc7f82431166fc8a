//! Searches over models and versions: filters become statements with bound values.

use corliss_metastore::{StoreError, Tx};
use corliss_mlflow_wire::{Comparison, Operand, Operator, Order, Sql, WireError};

use super::{models, versions};
use crate::RegistryError;
use crate::types::{Model, ModelVersion};

/// Prompts share the registry with models and are told apart by this tag. Searches are for models: clients add
/// `tags.mlflow.prompt.is_prompt != 'true'` to every filter and mean those without the tag too.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

/// Whether a comparison is the one that asks for prompts (`Some(true)`) or for models (`Some(false)`).
fn asks_for_prompts(comparison: &Comparison) -> Option<bool> {
    if !is_tag(comparison) || comparison.key != PROMPT_TAG {
        return None;
    }
    let says_true = matches!(&comparison.operand, Operand::Text(text) if text.eq_ignore_ascii_case("true"));
    Some(says_true == (comparison.operator == Operator::Eq))
}

/// A page of models by name, or as ordered.
pub(crate) fn search_models(
    tx: &mut dyn Tx,
    filter: &[Comparison],
    order: &[Order],
    (limit, offset): (i64, i64),
) -> Result<Vec<Model>, RegistryError> {
    let mut sql =
        Sql::new("SELECT m.name, m.description, m.created_ms, m.updated_ms FROM registry_models m WHERE ");
    if !filter
        .iter()
        .any(|comparison| asks_for_prompts(comparison) == Some(true))
    {
        sql.push("NOT ");
    }
    sql.push(
        "EXISTS (SELECT 1 FROM registry_model_tags p WHERE p.name = m.name AND p.value = 'true' AND p.key = ",
    );
    sql.bind(PROMPT_TAG).push(")");
    for comparison in filter
        .iter()
        .filter(|comparison| asks_for_prompts(comparison).is_none())
    {
        sql.push(" AND ");
        if is_tag(comparison) {
            const FROM: &str =
                "EXISTS (SELECT 1 FROM registry_model_tags t WHERE t.name = m.name AND t.key = ";
            tag_test(&mut sql, FROM, comparison)?;
        } else if is_attribute(comparison) && comparison.key == "name" {
            sql.text_test("m.name", "attributes", comparison.operator, &comparison.operand)?;
        } else {
            return Err(RegistryError::invalid(format!(
                "Invalid attribute key '{}' specified. Valid keys are '{{'name'}}'",
                comparison.key
            )));
        }
    }
    sql.push(" ORDER BY ");
    for clause in order {
        let column = match clause.key.as_str() {
            "name" => "m.name",
            "creation_timestamp" => "m.created_ms",
            "timestamp" | "last_updated_timestamp" => "m.updated_ms",
            other => {
                return Err(RegistryError::invalid(format!(
                    "Invalid order by key '{other}' specified. Valid keys are '{{'name', 'timestamp'}}'"
                )));
            }
        };
        sql.push(column)
            .push(if clause.ascending { " ASC, " } else { " DESC, " });
    }
    sql.push("m.name LIMIT ")
        .bind(limit)
        .push(" OFFSET ")
        .bind(offset);
    let (text, values) = sql.finish();
    let rows = tx.query(&text, &values)?;
    let mut found = rows
        .iter()
        .map(models::from_row)
        .collect::<Result<Vec<_>, StoreError>>()?;
    models::add_children(tx, &mut found)?;
    Ok(found)
}

/// A page of versions, the most recently changed first, or as ordered.
pub(crate) fn search_versions(
    tx: &mut dyn Tx,
    filter: &[Comparison],
    order: &[Order],
    (limit, offset): (i64, i64),
) -> Result<Vec<ModelVersion>, RegistryError> {
    let mut sql =
        Sql::new("SELECT v.name, v.version, v.description, v.source_version, v.source, v.flavor, v.run_id, ");
    sql.push("v.step, v.tracking_run_id, v.logged_model_id, v.run_link, v.data_json, v.code_version, ");
    sql.push("v.metrics_json, v.stage, v.created_ms, v.updated_ms FROM registry_versions v WHERE ");
    if !filter
        .iter()
        .any(|comparison| asks_for_prompts(comparison) == Some(true))
    {
        sql.push("NOT ");
    }
    sql.push(
        "EXISTS (SELECT 1 FROM registry_version_tags p WHERE p.name = v.name AND p.version = v.version ",
    );
    sql.push("AND p.value = 'true' AND p.key = ")
        .bind(PROMPT_TAG)
        .push(")");
    for comparison in filter
        .iter()
        .filter(|comparison| asks_for_prompts(comparison).is_none())
    {
        sql.push(" AND ");
        version_test(&mut sql, comparison)?;
    }
    sql.push(" ORDER BY ");
    for clause in order {
        let column = match clause.key.as_str() {
            "name" => "v.name",
            "version_number" => "v.version",
            "creation_timestamp" => "v.created_ms",
            "last_updated_timestamp" => "v.updated_ms",
            other => {
                return Err(RegistryError::invalid(format!(
                    "Invalid order by key '{other}' specified. Valid keys are {{'creation_timestamp', \
                     'last_updated_timestamp', 'name', 'version_number'}}"
                )));
            }
        };
        sql.push(column)
            .push(if clause.ascending { " ASC, " } else { " DESC, " });
    }
    if order.is_empty() {
        sql.push("v.updated_ms DESC, ");
    }
    sql.push("v.name, v.version DESC LIMIT ")
        .bind(limit)
        .push(" OFFSET ")
        .bind(offset);
    let (text, values) = sql.finish();
    let rows = tx.query(&text, &values)?;
    let mut found = rows
        .iter()
        .map(versions::from_row)
        .collect::<Result<Vec<_>, StoreError>>()?;
    versions::add_children(tx, &mut found)?;
    Ok(found)
}

fn is_tag(comparison: &Comparison) -> bool {
    matches!(comparison.entity.as_deref(), Some("tag" | "tags"))
}

fn is_attribute(comparison: &Comparison) -> bool {
    matches!(
        comparison.entity.as_deref(),
        None | Some("attribute" | "attributes")
    )
}

fn tag_test(sql: &mut Sql, from: &'static str, comparison: &Comparison) -> Result<(), WireError> {
    if !matches!(
        comparison.operator,
        Operator::Eq | Operator::Ne | Operator::Like | Operator::Ilike
    ) {
        return Err(WireError::new(format!(
            "Invalid comparator for tag: {}",
            comparison.operator.as_str()
        )));
    }
    sql.push(from).bind(&comparison.key).push(" AND ");
    sql.text_test("t.value", "tag", comparison.operator, &comparison.operand)?;
    sql.push(")");
    Ok(())
}

fn version_test(sql: &mut Sql, comparison: &Comparison) -> Result<(), RegistryError> {
    let Comparison {
        key,
        operator,
        operand,
        ..
    } = comparison;
    if is_tag(comparison) {
        const FROM: &str = "EXISTS (SELECT 1 FROM registry_version_tags t \
                            WHERE t.name = v.name AND t.version = v.version AND t.key = ";
        return Ok(tag_test(sql, FROM, comparison)?);
    }
    let column = match key.as_str() {
        _ if !is_attribute(comparison) => None,
        "name" => Some("v.name"),
        "run_id" => Some("v.tracking_run_id"),
        "source_path" => Some("v.source"),
        "version_number" => {
            sql.number_test("v.version", key, *operator, operand, true)?;
            return Ok(());
        }
        _ => None,
    };
    let column = column.ok_or_else(|| {
        RegistryError::invalid(format!(
            "Invalid attribute key '{key}' specified. Valid keys are '{{'name', 'run_id', 'source_path', \
             'version_number'}}'"
        ))
    })?;
    if matches!(operator, Operator::In | Operator::NotIn) && column == "v.source" {
        return Err(RegistryError::invalid(format!(
            "Invalid comparator for attribute: {}",
            operator.as_str()
        )));
    }
    Ok(sql.text_test(column, "attributes", *operator, operand)?)
}
