//! Which operators and operands fit, for every kind of name.

use corliss_mlflow_wire::{Operand, Operator, WireError};

pub(super) fn check(operator: Operator, allowed: &[Operator]) -> Result<(), WireError> {
    if allowed.contains(&operator) {
        return Ok(());
    }
    let names: Vec<String> = allowed
        .iter()
        .map(|operator| format!("'{}'", operator.as_str()))
        .collect();
    Err(WireError::new(format!(
        "Invalid comparator '{}' not one of '{{{}}}'",
        operator.as_str(),
        names.join(", ")
    )))
}

pub(super) fn text_of(operand: &Operand) -> Result<&str, WireError> {
    match operand {
        Operand::Text(text) => Ok(text),
        other => Err(WireError::new(format!(
            "Expected a quoted string value (e.g. 'my-value'). Got value {}",
            shown(other)
        ))),
    }
}

pub(in crate::service) fn shown(operand: &Operand) -> String {
    match operand {
        Operand::None => "NULL".to_owned(),
        Operand::Text(text) => format!("'{text}'"),
        Operand::Number(number) => number.to_string(),
        Operand::List(values) => format!("('{}')", values.join("', '")),
    }
}
