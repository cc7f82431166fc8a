//! What is asked of a span: what an index of them tells goes to the store, and all of it is tested on what it finds.

use corliss_mlflow_wire::{Operand, Operator, WireError};

use super::{Indexed, Wanted};
use crate::service::matching::{Pattern, SpanTest};

pub(super) fn span(
    wanted: &mut Wanted,
    indexed: &mut Indexed,
    key: &str,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    const OPERATORS: [Operator; 7] = [
        Operator::Eq,
        Operator::Ne,
        Operator::In,
        Operator::NotIn,
        Operator::Like,
        Operator::Ilike,
        Operator::Rlike,
    ];
    let (column, allowed): (_, &[Operator]) = match key {
        "name" => (Some("k.name"), &OPERATORS),
        "type" => (Some("k.span_type"), &OPERATORS),
        "status" => (Some("k.status"), &OPERATORS),
        "content" => (None, &[Operator::Like, Operator::Ilike]),
        "attributes." => {
            return Err(WireError::new(
                "Span attribute name cannot be empty after 'attributes.'",
            ));
        }
        key if key.starts_with("attributes.") => (None, &OPERATORS),
        other => {
            return Err(WireError::new(format!(
                "Invalid span attribute '{other}'. Supported attributes: name, status, type, \
                 attributes.<attribute_name>."
            )));
        }
    };
    if !allowed.contains(&operator) {
        let names: Vec<String> = allowed
            .iter()
            .map(|operator| format!("'{}'", operator.as_str()))
            .collect();
        return Err(WireError::new(format!(
            "span.{key} comparator '{}' not one of '{{{}}}'",
            operator.as_str(),
            names.join(", ")
        )));
    }
    wanted
        .spans
        .push(SpanTest::new(key, Pattern::of(operator, &operand, "span")?));
    if let Some(column) = column
        && operator != Operator::Rlike
    {
        indexed.push((column, operator, operand));
    }
    Ok(())
}
