//! What is asked of a trace itself: its id, state and times.

use corliss_mlflow_wire::{Operand, Operator, WireError};

use super::Wanted;
use super::columns::END;
use super::operands::{check, text_of};
use crate::service::matching::{InfoTest, Pattern, Subject};
use crate::store::Filter;

const ATTRIBUTES: &str = "{'client_request_id', 'end_time', 'end_time_ms', 'execution_time', 'execution_time_ms', \
                          'name', 'prompt', 'request_id', 'run_id', 'status', 'text', 'timestamp', 'timestamp_ms'}";
const LISTED: &str = "{'client_request_id', 'name', 'request_id', 'run_id', 'status'}";

pub(super) fn attribute(
    wanted: &mut Wanted,
    key: &str,
    (operator, operand): (Operator, Operand),
) -> Result<(), WireError> {
    let (column, subject) = match key {
        "request_id" => ("t.trace_id", Subject::TraceId),
        "status" => ("t.state", Subject::State),
        "client_request_id" => ("t.client_request_id", Subject::ClientRequestId),
        "timestamp" | "timestamp_ms" => {
            return number(wanted, "t.request_ms", "timestamp_ms", operator, operand);
        }
        "execution_time" | "execution_time_ms" => {
            return number(wanted, "t.duration_ms", "execution_time_ms", operator, operand);
        }
        "end_time" | "end_time_ms" => return number(wanted, END, "end_time_ms", operator, operand),
        other => {
            return Err(WireError::new(format!(
                "Invalid attribute key '{other}' specified. Valid keys are '{ATTRIBUTES}'"
            )));
        }
    };
    if matches!(operand, Operand::Number(_)) {
        return Err(WireError::new(
            "Only the '{'end_time', 'end_time_ms', 'execution_time', 'execution_time_ms', 'timestamp', \
             'timestamp_ms'}' attributes support comparison with numeric values.",
        ));
    }
    check(
        operator,
        &[
            Operator::Eq,
            Operator::Ne,
            Operator::In,
            Operator::NotIn,
            Operator::Like,
            Operator::Ilike,
            Operator::Rlike,
        ],
    )?;
    if operator == Operator::Rlike {
        wanted
            .infos
            .push(InfoTest::new(subject, Pattern::regex(text_of(&operand)?)?));
    }
    wanted.filters.push(Filter::Text(column, operator, operand));
    Ok(())
}

fn number(
    wanted: &mut Wanted,
    expression: &'static str,
    what: &'static str,
    operator: Operator,
    operand: Operand,
) -> Result<(), WireError> {
    // A number in quotes is one: the reference server leaves that to its database, which takes it for one.
    let operand = match operand {
        Operand::Text(text) => match text.parse() {
            Ok(number) => Operand::Number(number),
            Err(_) => Operand::Text(text),
        },
        Operand::List(_) => {
            return Err(WireError::new(format!(
                "Only attributes in {LISTED} supports comparison with a list of quoted string values."
            )));
        }
        other => other,
    };
    check(
        operator,
        &[
            Operator::Eq,
            Operator::Ne,
            Operator::Lt,
            Operator::Le,
            Operator::Gt,
            Operator::Ge,
        ],
    )?;
    let operand = whole(operator, operand);
    wanted
        .filters
        .push(Filter::Number(expression, what, operator, operand));
    Ok(())
}

/// A fraction, as a client computes one from seconds, in terms of the whole milliseconds that are kept.
fn whole(operator: Operator, operand: Operand) -> Operand {
    match operand {
        Operand::Number(number) if number.fract() != 0.0 => Operand::Number(match operator {
            Operator::Gt | Operator::Le => number.floor(),
            Operator::Ge | Operator::Lt => number.ceil(),
            // Nothing is equal to a fraction, and nothing took so long ago.
            _ => i64::MIN as f64,
        }),
        other => other,
    }
}
