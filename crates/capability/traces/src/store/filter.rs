//! What a search asks for, as the store understands it, and its translation to SQL with bound values.
//!
//! What lies in packed spans, and patterns that the two databases write differently, is tested outside of SQL; the
//! statement then lets through more than is wanted, never less.

use corliss_mlflow_wire::{Operand, Operator, Sql, WireError};

use crate::json::{cut, spaced};
use crate::limits;

/// Which pairs of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pair {
    Tag,
    Metadata,
}

impl Pair {
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Tag => "traces_tags",
            Self::Metadata => "traces_metadata",
        }
    }

    const fn from(self) -> &'static str {
        match self {
            Self::Tag => "(SELECT x.number FROM traces_tags x WHERE x.key = ",
            Self::Metadata => "(SELECT x.number FROM traces_metadata x WHERE x.key = ",
        }
    }
}

/// One test of a trace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    /// A text column of its row.
    Text(&'static str, Operator, Operand),
    /// Its name.
    Name(Operator, Operand),
    /// A number of its row: a column or a sum of columns.
    Number(&'static str, &'static str, Operator, Operand),
    /// A tag or metadata entry.
    Pair(Pair, String, Operator, Operand),
    /// One of these columns holds something, or none does.
    Counted(&'static str, bool),
    /// It was made in a run, or linked to it.
    Run(String),
    /// It is linked to a version of a prompt.
    Prompt(String),
    /// An assessment of this kind and name, valid, whose value passes; also one about its whole session.
    Assessment(&'static str, String, Operator, Operand),
    /// It has an assessment about this problem, valid or not.
    Issue(String),
    /// One of its spans passes all of these, as far as the index of spans tells.
    Span(Vec<(&'static str, Operator, Operand)>),
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ordering {
    /// A column, or a sum of columns; and whether it may be absent.
    Column(&'static str, bool),
    /// The value of a tag or metadata entry, which may be absent.
    Pair(Pair, String),
}

impl Filter {
    /// Adds the test to a statement over `traces_info t`; `scope` adds the experiments searched in, to a column.
    pub(super) fn push(&self, sql: &mut Sql, experiments: &[i64]) -> Result<(), WireError> {
        match self {
            Self::Text(column, operator, operand) => text(sql, column, operator, operand),
            Self::Name(operator, operand) => name(sql, *operator, operand),
            Self::Number(expression, what, operator, operand) => {
                sql.number_test(expression, what, *operator, operand, true)
            }
            Self::Pair(pair, key, operator, operand) => pair_test(sql, *pair, key, *operator, operand),
            Self::Counted(columns, present) => {
                sql.push("COALESCE(").push(columns);
                sql.push(if *present { ") IS NOT NULL" } else { ") IS NULL" });
                Ok(())
            }
            Self::Run(run_id) => {
                sql.push("t.number IN ")
                    .push(Pair::Metadata.from())
                    .bind("mlflow.sourceRun");
                sql.push(" AND x.head = ").bind(cut(run_id, limits::HEAD_LEN));
                sql.push(" AND x.value = ").bind(run_id);
                sql.push(" UNION SELECT i.number FROM traces_run_links l JOIN traces_info i ON i.trace_id = l.trace_id");
                sql.push(" WHERE l.run_id = ").bind(run_id).push(")");
                Ok(())
            }
            Self::Prompt(prompt) => {
                sql.push("t.number IN (SELECT p.number FROM traces_prompt_links p WHERE p.prompt = ");
                sql.bind(prompt).push(")");
                Ok(())
            }
            Self::Assessment(kind, name, operator, operand) => {
                assessment(sql, (kind, name), (*operator, operand), experiments)
            }
            Self::Issue(id) => {
                sql.push("t.number IN (SELECT a.number FROM traces_assessments a WHERE a.kind = 'issue' AND a.name = ");
                sql.bind(id).push(")");
                Ok(())
            }
            Self::Span(tests) => span(sql, tests),
        }
    }
}

/// A test of a text column; a pattern of a regular expression only asks for something to match.
fn text(
    sql: &mut Sql,
    column: &'static str,
    operator: &Operator,
    operand: &Operand,
) -> Result<(), WireError> {
    match operator {
        Operator::IsNull => sql.push(column).push(" IS NULL"),
        Operator::IsNotNull | Operator::Rlike => sql.push(column).push(" IS NOT NULL"),
        operator => return sql.text_test(column, "attributes", *operator, operand),
    };
    Ok(())
}

fn name(sql: &mut Sql, operator: Operator, operand: &Operand) -> Result<(), WireError> {
    if let (Operator::Eq, Operand::Text(name)) = (operator, operand) {
        sql.push("t.name_head = ")
            .bind(cut(name, limits::HEAD_LEN))
            .push(" AND ");
    }
    text(sql, "t.name", &operator, operand)
}

fn pair_test(
    sql: &mut Sql,
    pair: Pair,
    key: &str,
    operator: Operator,
    operand: &Operand,
) -> Result<(), WireError> {
    sql.push(if operator == Operator::IsNull {
        "t.number NOT IN "
    } else {
        "t.number IN "
    });
    sql.push(pair.from()).bind(key);
    if let (Operator::Eq, Operand::Text(value)) = (operator, operand) {
        sql.push(" AND x.head = ").bind(cut(value, limits::HEAD_LEN));
    }
    if !matches!(operator, Operator::IsNull | Operator::IsNotNull | Operator::Rlike) {
        sql.push(" AND ");
        sql.text_test("x.value", "tag", operator, operand)?;
    }
    sql.push(")");
    Ok(())
}

fn assessment(
    sql: &mut Sql,
    (kind, name): (&'static str, &str),
    (operator, operand): (Operator, &Operand),
    experiments: &[i64],
) -> Result<(), WireError> {
    sql.push(if operator == Operator::IsNull {
        "t.number NOT IN ("
    } else {
        "t.number IN ("
    });
    sql.push("SELECT a.number FROM traces_assessments a WHERE ");
    assessed(sql, kind, name, operator, operand)?;
    sql.push(" UNION SELECT s.number FROM traces_info s WHERE s.session_id IN (SELECT i.session_id");
    sql.push(" FROM traces_assessments a JOIN traces_info i ON i.number = a.number WHERE a.of_session = 1");
    sql.push(" AND i.session_id IS NOT NULL AND i.experiment_id IN ");
    sql.bind_list(experiments.iter().map(|id| (*id).into()))
        .push(" AND ");
    assessed(sql, kind, name, operator, operand)?;
    sql.push("))");
    Ok(())
}

fn assessed(
    sql: &mut Sql,
    kind: &'static str,
    name: &str,
    operator: Operator,
    operand: &Operand,
) -> Result<(), WireError> {
    sql.push("a.kind = ")
        .bind(kind)
        .push(" AND a.name = ")
        .bind(name)
        .push(" AND a.valid = 1");
    match (operator, operand) {
        (Operator::IsNull | Operator::IsNotNull | Operator::Rlike, _) => {}
        // A value is a JSON text: `true` is compared as it stands, and so is `"yes"` without its quotes.
        (Operator::Eq | Operator::Ne, Operand::Text(value)) => {
            sql.push(if operator == Operator::Eq {
                " AND ("
            } else {
                " AND NOT ("
            });
            sql.push("a.value = ")
                .bind(value)
                .push(" OR a.value = ")
                .bind(spaced(value))
                .push(")");
        }
        (Operator::Lt | Operator::Le | Operator::Gt | Operator::Ge, operand) => {
            sql.push(" AND a.number_value IS NOT NULL AND ");
            sql.number_test("a.number_value", kind, operator, operand, false)?;
        }
        (operator, operand) => {
            sql.push(" AND ");
            sql.text_test("a.value", kind, operator, operand)?;
        }
    }
    Ok(())
}

fn span(sql: &mut Sql, tests: &[(&'static str, Operator, Operand)]) -> Result<(), WireError> {
    if tests.is_empty() {
        sql.push("t.spans > 0");
        return Ok(());
    }
    sql.push("t.number IN (SELECT k.number FROM traces_span_kinds k WHERE ");
    for (index, (column, operator, operand)) in tests.iter().enumerate() {
        if index > 0 {
            sql.push(" AND ");
        }
        sql.text_test(column, "span", *operator, operand)?;
    }
    sql.push(" UNION SELECT o.number FROM traces_info o WHERE o.kinds_whole = 0)");
    Ok(())
}
