//! What is asked of the judgements about a trace.

use corliss_mlflow_wire::{Operand, Operator, WireError};

use super::Wanted;
use super::operands::{shown, text_of};
use crate::service::matching::{InfoTest, Pattern, Subject};
use crate::store::Filter;

pub(super) fn assessment(
    wanted: &mut Wanted,
    kind: &'static str,
    name: String,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    if name.is_empty() {
        return Err(WireError::new("Assessment field name cannot be empty"));
    }
    let numeric = matches!(
        operator,
        Operator::Lt | Operator::Le | Operator::Gt | Operator::Ge
    );
    match (&operand, numeric) {
        (Operand::None, _) | (Operand::Text(_), false) | (Operand::Number(_), true) => {}
        (_, true) => {
            return Err(WireError::new(format!(
                "Expected a numeric value for {kind} when using comparator '{}'. Got value {}",
                operator.as_str(),
                shown(&operand)
            )));
        }
        (_, false) => {
            return Err(WireError::new(format!(
                "Expected a quoted string value for {kind} (e.g. 'my-value'). Got value {}",
                shown(&operand)
            )));
        }
    }
    if matches!(operator, Operator::In | Operator::NotIn) {
        return Err(WireError::new(format!(
            "assessment.{name} comparator '{}' not one of '{{'!=', '<', '<=', '=', '>', '>=', 'ILIKE', \
             'IS NOT NULL', 'IS NULL', 'LIKE', 'RLIKE'}}'",
            operator.as_str()
        )));
    }
    if operator == Operator::Rlike {
        let subject = Subject::Assessment(kind, name.clone());
        wanted
            .infos
            .push(InfoTest::new(subject, Pattern::regex(text_of(&operand)?)?));
    }
    wanted
        .filters
        .push(Filter::Assessment(kind, name, operator, operand));
    Ok(())
}

pub(super) fn issue(
    wanted: &mut Wanted,
    key: &str,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    if key != "id" {
        return Err(WireError::new(format!(
            "Invalid issue attribute '{key}'. Supported attributes: id"
        )));
    }
    if operator != Operator::Eq {
        return Err(WireError::new(format!(
            "issue.id comparator '{}' not one of '{{'='}}'",
            operator.as_str()
        )));
    }
    wanted.filters.push(Filter::Issue(text_of(&operand)?.to_owned()));
    Ok(())
}
