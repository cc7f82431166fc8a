//! Searches over models and versions: filters become statements with bound values.
//!
//! What may be compared, how and with what, and the words in which the rest is refused, are those of MLflow's server.

use corliss_metastore::{StoreError, Tx};
use corliss_mlflow_wire::{Comparison, Operand, Operator, Order, Sql, WireError};

use super::{models, versions};
use crate::RegistryError;
use crate::types::{Model, ModelVersion, PROMPT_TAG};

/// Whether a comparison is the one that asks for prompts (`Some(true)`) or for models (`Some(false)`). Searches are for
/// models: clients add `tags.mlflow.prompt.is_prompt != 'true'` to every filter and mean those without the tag too.
fn asks_for_prompts(comparison: &Comparison) -> Option<bool> {
    if !is_tag(comparison) || comparison.key != PROMPT_TAG {
        return None;
    }
    let says_true = matches!(&comparison.operand, Operand::Text(text) if text.eq_ignore_ascii_case("true"));
    Some(says_true == (comparison.operator == Operator::Eq))
}

fn wants_prompts(filter: &[Comparison]) -> bool {
    filter.iter().find_map(asks_for_prompts) == Some(true)
}

/// What one kind of search allows.
struct Grammar {
    /// As in `registered model search`.
    what: &'static str,
    attributes: &'static [&'static str],
    /// Attributes that are numbers.
    numbers: &'static [&'static str],
    /// Attributes that may be one of a list.
    lists: &'static [&'static str],
}

const MODELS: Grammar = Grammar {
    what: "registered model",
    attributes: &["name"],
    numbers: &[],
    lists: &["name"],
};

const VERSIONS: Grammar = Grammar {
    what: "model version",
    attributes: &["name", "run_id", "source_path", "version_number"],
    numbers: &["version_number"],
    lists: &["name", "run_id"],
};

fn refused<T>(message: String) -> Result<T, WireError> {
    Err(WireError::new(message))
}

/// Names as Python writes a set or a list of them.
fn listed(names: &[&str]) -> String {
    format!("'{}'", names.join("', '"))
}

impl Grammar {
    /// Whether a comparison is one of this search, in the order in which MLflow looks at it.
    fn check(&self, comparison: &Comparison) -> Result<(), WireError> {
        let Comparison {
            entity,
            key,
            operator,
            operand,
        } = comparison;
        if matches!(operator, Operator::IsNull | Operator::IsNotNull) {
            let what = self.what;
            return refused(format!(
                "IS NULL / IS NOT NULL is not supported for {what} search."
            ));
        }
        match entity.as_deref() {
            Some("tag" | "tags") => return check_tag(*operator, operand),
            None | Some("attribute") => {}
            Some(other) => {
                return refused(format!(
                    "Invalid entity type '{other}'. Valid entity types are ('attribute', 'tag', 'tags')"
                ));
            }
        }
        if !self.attributes.contains(&key.as_str()) {
            let valid = listed(self.attributes);
            return refused(format!(
                "Invalid attribute key '{key}' specified. Valid keys are '{{{valid}}}'"
            ));
        }
        let is_number = self.numbers.contains(&key.as_str());
        match operand {
            Operand::List(_) if !self.lists.contains(&key.as_str()) => {
                let lists = listed(self.lists);
                return refused(format!(
                    "Only [{lists}] attributes support comparison with a list of quoted string values."
                ));
            }
            Operand::Number(number) if self.numbers.is_empty() => {
                return refused(format!(
                    "Expected a quoted string value or a list of quoted string values for attributes. Got value {number}"
                ));
            }
            Operand::Number(_) if !is_number => {
                let numbers = listed(self.numbers);
                return refused(format!(
                    "Only the '{{{numbers}}}' attributes support comparison with numeric values."
                ));
            }
            _ => {}
        }
        let orders = [Operator::Lt, Operator::Le, Operator::Gt, Operator::Ge];
        let is_equality = matches!(operator, Operator::Eq | Operator::Ne);
        match (is_number, orders.contains(operator)) {
            (true, is_order) if !is_order && !is_equality => refused(format!(
                "Invalid comparator for attribute {key}: {}",
                operator.as_str()
            )),
            (false, true) => refused(format!("Invalid comparator for attribute: {}", operator.as_str())),
            _ => Ok(()),
        }
    }
}

fn check_tag(operator: Operator, operand: &Operand) -> Result<(), WireError> {
    let shown = match operand {
        Operand::Text(_) => {
            let allowed = [Operator::Eq, Operator::Ne, Operator::Like, Operator::Ilike];
            return match allowed.contains(&operator) {
                true => Ok(()),
                false => refused(format!("Invalid comparator for tag: {}", operator.as_str())),
            };
        }
        Operand::Number(number) => number.to_string(),
        Operand::List(values) => format!("('{}')", values.join("', '")),
        Operand::None => "NULL".to_owned(),
    };
    refused(format!(
        "Expected a quoted string value for tag (e.g. 'my-value'). Got value {shown}"
    ))
}

/// A page of models by name, or as ordered.
pub(crate) fn search_models(
    tx: &mut dyn Tx,
    filter: &[Comparison],
    order: &[Order],
    (limit, offset): (i64, i64),
) -> Result<Vec<Model>, RegistryError> {
    filter
        .iter()
        .try_for_each(|comparison| MODELS.check(comparison))?;
    let mut sql =
        Sql::new("SELECT m.name, m.description, m.created_ms, m.updated_ms FROM registry_models m WHERE ");
    if !wants_prompts(filter) {
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
        } else {
            sql.text_test("m.name", "attributes", comparison.operator, &comparison.operand)?;
        }
    }
    sql.push(" ORDER BY ");
    for clause in order {
        let column = match clause.key.as_str() {
            "name" => "m.name",
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
    filter
        .iter()
        .try_for_each(|comparison| VERSIONS.check(comparison))?;
    let mut sql = Sql::new("SELECT ");
    sql.push(versions::COLUMNS)
        .push(" FROM registry_versions v WHERE ");
    if !wants_prompts(filter) {
        sql.push("NOT ");
    }
    sql.push("EXISTS (SELECT 1 FROM registry_version_tags p WHERE p.name = v.name AND p.value = 'true' AND p.key = ");
    sql.bind(PROMPT_TAG).push(")");
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
                    "Invalid attribute key '{other}' specified. Valid keys are '{{'creation_timestamp', \
                     'last_updated_timestamp', 'name', 'version_number'}}'"
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

fn tag_test(sql: &mut Sql, from: &'static str, comparison: &Comparison) -> Result<(), WireError> {
    sql.push(from).bind(&comparison.key).push(" AND ");
    sql.text_test("t.value", "tag", comparison.operator, &comparison.operand)?;
    sql.push(")");
    Ok(())
}

fn version_test(sql: &mut Sql, comparison: &Comparison) -> Result<(), WireError> {
    let Comparison {
        key,
        operator,
        operand,
        ..
    } = comparison;
    if is_tag(comparison) {
        const FROM: &str = "EXISTS (SELECT 1 FROM registry_version_tags t \
                            WHERE t.name = v.name AND t.version = v.version AND t.key = ";
        return tag_test(sql, FROM, comparison);
    }
    match key.as_str() {
        "version_number" => {
            // A number may be quoted.
            let quoted = match operand {
                Operand::Text(text) => match text.parse::<i64>() {
                    Ok(number) => Some(Operand::Number(number as f64)),
                    Err(_) => {
                        return refused(format!("Invalid value for numeric attribute '{key}': '{text}'"));
                    }
                },
                _ => None,
            };
            sql.number_test(
                "v.version",
                key,
                *operator,
                quoted.as_ref().unwrap_or(operand),
                true,
            )
        }
        "run_id" => sql.text_test("v.tracking_run_id", "attributes", *operator, operand),
        "source_path" => sql.text_test("v.source", "attributes", *operator, operand),
        _ => sql.text_test("v.name", "attributes", *operator, operand),
    }
}
