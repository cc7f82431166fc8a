//! What is asked of a trace's tags and metadata, and of what stands among them for clients but is kept elsewhere.

use corliss_mlflow_wire::{Operand, Operator, WireError};

use super::Wanted;
use super::columns::{
    COST_COLUMNS, COST_KEY, NAME_TAG, PROMPTS_TAG, RUN_KEY, SESSION_KEY, USAGE_COLUMNS, USAGE_KEY,
};
use super::operands::{check, text_of};
use crate::service::matching::{InfoTest, Pattern, Subject};
use crate::store::{Filter, Pair};

const PAIR_OPERATORS: [Operator; 7] = [
    Operator::Eq,
    Operator::Ne,
    Operator::Like,
    Operator::Ilike,
    Operator::Rlike,
    Operator::IsNull,
    Operator::IsNotNull,
];

pub(super) fn tag(
    wanted: &mut Wanted,
    key: &str,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    check(operator, &PAIR_OPERATORS)?;
    if operator == Operator::Rlike {
        let subject = Subject::Tag(key.to_owned());
        wanted
            .infos
            .push(InfoTest::new(subject, Pattern::regex(text_of(&operand)?)?));
    }
    wanted.filters.push(if key == NAME_TAG {
        Filter::Name(operator, operand)
    } else if key == PROMPTS_TAG {
        return prompt(wanted, (operator, operand));
    } else {
        Filter::Pair(Pair::Tag, key.to_owned(), operator, operand)
    });
    Ok(())
}

pub(super) fn metadata(
    wanted: &mut Wanted,
    key: &str,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    check(operator, &PAIR_OPERATORS)?;
    match key {
        RUN_KEY if operator == Operator::Eq => {
            wanted.filters.push(Filter::Run(text_of(&operand)?.to_owned()));
            return Ok(());
        }
        USAGE_KEY => return counted(wanted, key, USAGE_COLUMNS, (operator, operand)),
        COST_KEY => return counted(wanted, key, COST_COLUMNS, (operator, operand)),
        _ => {}
    }
    if operator == Operator::Rlike {
        let subject = Subject::Metadata(key.to_owned());
        wanted
            .infos
            .push(InfoTest::new(subject, Pattern::regex(text_of(&operand)?)?));
    }
    wanted.filters.push(if key == SESSION_KEY {
        Filter::Text("t.session_id", operator, operand)
    } else {
        Filter::Pair(Pair::Metadata, key.to_owned(), operator, operand)
    });
    Ok(())
}

/// Token usage and cost are numbers inside, and a JSON text only for clients.
fn counted(
    wanted: &mut Wanted,
    key: &str,
    columns: &'static str,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    let subject = Subject::Metadata(key.to_owned());
    match operator {
        Operator::IsNull | Operator::IsNotNull => {}
        Operator::Eq => wanted.infos.push(InfoTest::new(
            subject,
            Pattern::Equal(text_of(&operand)?.to_owned()),
        )),
        Operator::Ne => wanted.infos.push(InfoTest::new(
            subject,
            Pattern::Differs(text_of(&operand)?.to_owned()),
        )),
        other => {
            return Err(WireError::new(format!(
                "Comparator '{}' is not supported for reserved metadata '{key}'. Only '=', '!=', 'IS NULL', and \
                 'IS NOT NULL' are supported.",
                other.as_str()
            )));
        }
    }
    wanted
        .filters
        .push(Filter::Counted(columns, operator != Operator::IsNull));
    Ok(())
}

pub(super) fn prompt(wanted: &mut Wanted, (operator, operand): (Operator, Operand)) -> Result<(), WireError> {
    if operator != Operator::Eq {
        return Err(WireError::new(format!(
            "Invalid comparator '{}' for prompts filter. Only '=' is supported with format: prompt = \"name/version\"",
            operator.as_str()
        )));
    }
    let prompt = text_of(&operand)?;
    if prompt.matches('/').count() != 1 {
        return Err(WireError::new(format!(
            "Invalid prompts filter value '{prompt}'. Expected format: prompt = \"name/version\""
        )));
    }
    wanted.filters.push(Filter::Prompt(prompt.to_owned()));
    Ok(())
}
