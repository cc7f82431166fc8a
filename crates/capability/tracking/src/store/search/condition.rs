//! What a comparison of a filter asks of a run.

use corliss_metastore::{Tx, Value};
use corliss_mlflow_wire::{Comparison, Operand, Operator, Sql, WireError};

use super::super::children::INDEXED_CHARS;
use super::super::keys::Keys;
use crate::TrackingError;

const ENTITIES: &str = "['metric', 'parameter', 'tag', 'attribute', 'dataset']";

/// What a filter or an order speaks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// With the number of its name, as the next three.
    Metric(i64),
    Param(i64),
    Tag(i64),
    Dataset,
    /// A text column.
    Text(&'static str),
    /// A whole-number column.
    Integer(&'static str),
}

impl Subject {
    /// Of an entity and a key as a client wrote them.
    pub fn read(
        tx: &mut dyn Tx,
        keys: &Keys,
        entity: Option<&str>,
        key: &str,
    ) -> Result<Self, TrackingError> {
        Ok(match entity {
            Some("metric" | "metrics") => Self::Metric(keys.number(tx, key)?),
            Some("parameter" | "parameters" | "param" | "params") => Self::Param(keys.number(tx, key)?),
            Some("tag" | "tags") => Self::Tag(keys.number(tx, key)?),
            Some("dataset" | "datasets") => Self::Dataset,
            None | Some("attribute" | "attributes" | "attr" | "run") => attribute(key)?,
            Some(other) => {
                return Err(TrackingError::invalid(format!(
                    "Invalid entity type '{other}'. Valid values are {ENTITIES}"
                )));
            }
        })
    }

    /// The table in which its values lie, one row a run, and the number of its name.
    pub const fn table(self) -> Option<(&'static str, i64)> {
        match self {
            Self::Metric(number) => Some(("tracking_latest", number)),
            Self::Param(number) => Some(("tracking_params", number)),
            Self::Tag(number) => Some(("tracking_run_tags", number)),
            Self::Dataset | Self::Text(_) | Self::Integer(_) => None,
        }
    }
}

fn attribute(key: &str) -> Result<Subject, WireError> {
    Ok(match key {
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
    })
}

/// A comparison whose subject is known.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub subject: Subject,
    pub comparison: Comparison,
}

impl Condition {
    /// Of a comparison.
    pub fn read(tx: &mut dyn Tx, keys: &Keys, comparison: &Comparison) -> Result<Self, TrackingError> {
        Ok(Self {
            subject: Subject::read(tx, keys, comparison.entity.as_deref(), &comparison.key)?,
            comparison: comparison.clone(),
        })
    }

    /// Adds it for the run `r`.
    pub fn of_run(&self, sql: &mut Sql) -> Result<(), WireError> {
        let Comparison {
            key,
            operator,
            operand,
            ..
        } = &self.comparison;
        match self.subject {
            Subject::Metric(number) => {
                sql.push("EXISTS (SELECT 1 FROM tracking_latest x WHERE x.run_no = r.run_no AND x.key_no = ");
                sql.bind(number).push(" AND x.is_nan = 0 AND ");
                self.of_value(sql)?;
                sql.push(")");
            }
            Subject::Param(number) => {
                const FROM: &str =
                    "(SELECT 1 FROM tracking_params x WHERE x.run_no = r.run_no AND x.key_no = ";
                pair_test(sql, FROM, number, "parameter", &self.comparison)?;
            }
            Subject::Tag(number) => {
                const FROM: &str =
                    "(SELECT 1 FROM tracking_run_tags x WHERE x.run_no = r.run_no AND x.key_no = ";
                pair_test(sql, FROM, number, "tag", &self.comparison)?;
            }
            Subject::Dataset => dataset_test(sql, &self.comparison)?,
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
                let what = format!("numeric attribute: {key}");
                sql.number_test(column, &what, *operator, operand, true)?;
            }
        }
        Ok(())
    }

    /// Adds it for the row `x` of the value that it speaks about.
    pub fn of_value(&self, sql: &mut Sql) -> Result<(), WireError> {
        let Comparison {
            operator, operand, ..
        } = &self.comparison;
        match (self.subject, operand) {
            (Subject::Metric(_), _) => sql.number_test("x.value", "metric", *operator, operand, false),
            (_, Operand::Text(text)) => {
                let head: String = text.chars().take(INDEXED_CHARS).collect();
                // As the index has it.
                sql.push("substr(x.value, 1, 64) = ").bind(head);
                sql.push(" AND x.value = ").bind(text);
                Ok(())
            }
            _ => Err(WireError::new("A text is compared with a text.")),
        }
    }

    /// Whether an index leads to the runs that pass it.
    pub fn is_indexed(&self) -> bool {
        let operator = self.comparison.operator;
        match (self.subject, &self.comparison.operand) {
            (Subject::Metric(_), Operand::Number(number)) => {
                number.is_finite()
                    && matches!(
                        operator,
                        Operator::Eq | Operator::Lt | Operator::Le | Operator::Gt | Operator::Ge
                    )
            }
            (Subject::Param(_) | Subject::Tag(_), Operand::Text(_)) => operator == Operator::Eq,
            _ => false,
        }
    }
}

/// A test of a parameter or tag: the key must be there, except where its absence is asked for.
pub(super) fn pair_test(
    sql: &mut Sql,
    from: &'static str,
    key: impl Into<Value>,
    what: &str,
    comparison: &Comparison,
) -> Result<(), WireError> {
    let Comparison {
        operator, operand, ..
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
        sql.text_test("x.value", what, *operator, operand)?;
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
            sql.push("EXISTS (SELECT 1 FROM tracking_dataset_tags c WHERE c.run_no = r.run_no AND c.key = ");
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
    sql.push("EXISTS (SELECT 1 FROM tracking_datasets d WHERE d.run_no = r.run_no AND ");
    sql.text_test(column, "dataset attributes", *operator, operand)?;
    sql.push(")");
    Ok(())
}
