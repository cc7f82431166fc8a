//! The order of a search.

use corliss_mlflow_wire::{Order, WireError, parse_order};

use super::columns::{COST_KEY, END, NAME_TAG, RUN_KEY, SESSION_KEY, USAGE_KEY};
use super::unknown_entity;
use crate::limits;
use crate::store::{Ordering, Pair};

const ORDERED: &str = "{'end_time', 'end_time_ms', 'execution_time', 'execution_time_ms', 'experiment_id', 'name', \
                       'request_id', 'run_id', 'status', 'timestamp', 'timestamp_ms'}";

/// Reads an order.
pub(in crate::service) fn read_order(clauses: &[String]) -> Result<Vec<(Ordering, bool)>, WireError> {
    if clauses.len() > limits::ORDER_CLAUSES {
        return Err(WireError::new(format!(
            "An order can hold at most {} keys.",
            limits::ORDER_CLAUSES
        )));
    }
    let mut order: Vec<(Ordering, bool)> = Vec::new();
    for clause in clauses {
        let Order {
            entity,
            key,
            ascending,
        } = parse_order(clause)?;
        let ordering = ordering(entity.as_deref(), &key)?;
        if order.iter().any(|(other, _)| *other == ordering) {
            return Err(WireError::new(format!(
                "`order_by` contains duplicate fields: ['{}']",
                clauses.join("', '")
            )));
        }
        order.push((ordering, ascending));
    }
    Ok(order)
}

fn ordering(entity: Option<&str>, key: &str) -> Result<Ordering, WireError> {
    Ok(match (entity, key) {
        (None | Some("attribute" | "attributes" | "trace"), key) => match key {
            "experiment_id" => Ordering::Column("t.experiment_id", false),
            "timestamp" | "timestamp_ms" => Ordering::Column("t.request_ms", false),
            "execution_time" | "execution_time_ms" => Ordering::Column("t.duration_ms", true),
            "end_time" | "end_time_ms" => Ordering::Column(END, false),
            "status" => Ordering::Column("t.state", false),
            "request_id" => Ordering::Column("t.trace_id", false),
            "name" => Ordering::Column("t.name", true),
            "run_id" => Ordering::Pair(Pair::Metadata, RUN_KEY.to_owned()),
            other => {
                return Err(WireError::new(format!(
                    "Invalid attribute key '{other}' specified. Valid keys are '{ORDERED}'"
                )));
            }
        },
        (Some("tag" | "tags"), NAME_TAG) => Ordering::Column("t.name", true),
        (Some("tag" | "tags"), key) => Ordering::Pair(Pair::Tag, key.to_owned()),
        (Some("metadata" | "request_metadata"), SESSION_KEY) => Ordering::Column("t.session_id", true),
        (Some("metadata" | "request_metadata"), USAGE_KEY | COST_KEY) => {
            return Err(WireError::new(format!(
                "Ordering by reserved metadata '{key}' is not supported because it is represented by multiple columns."
            )));
        }
        (Some("metadata" | "request_metadata"), key) => Ordering::Pair(Pair::Metadata, key.to_owned()),
        (Some(entity @ ("span" | "feedback" | "expectation" | "issue")), _) => {
            return Err(WireError::new(format!("Invalid identifier type '{entity}'")));
        }
        (Some(other), _) => {
            return Err(unknown_entity(other));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders() {
        let order = [
            "timestamp_ms ASC",
            "tags.a DESC",
            "metadata.`mlflow.trace.session`",
        ]
        .map(str::to_owned);
        assert_eq!(
            read_order(&order).unwrap(),
            [
                (Ordering::Column("t.request_ms", false), true),
                (Ordering::Pair(Pair::Tag, "a".into()), false),
                (Ordering::Column("t.session_id", true), true),
            ]
        );
        let twice = ["timestamp".to_owned(), "timestamp_ms DESC".to_owned()];
        assert!(
            read_order(&twice)
                .unwrap_err()
                .to_string()
                .contains("duplicate fields")
        );
        for bad in [
            "span.name",
            "feedback.x",
            "metadata.`mlflow.trace.cost`",
            "client_request_id",
            "params.x",
        ] {
            assert!(read_order(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
