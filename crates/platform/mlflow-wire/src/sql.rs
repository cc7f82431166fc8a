//! SQL being put together from literals of ours and bound values.

use corliss_metastore::Value;

use crate::{Operand, Operator, WireError};

/// A statement under construction. Text comes only as `&'static str`, so no input can become SQL.
#[derive(Debug, Clone, Default)]
pub struct Sql {
    text: String,
    params: Vec<Value>,
}

impl Sql {
    /// Starts with this text.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            params: Vec::new(),
        }
    }

    /// Adds text.
    pub fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a number of ours, such as the index of an alias.
    pub fn push_index(&mut self, index: usize) -> &mut Self {
        self.text.push_str(&index.to_string());
        self
    }

    /// Adds a placeholder for this value.
    pub fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.params.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.params.len().to_string());
        self
    }

    /// Adds `($1, $2, …)` for these values, or a list that nothing is in.
    pub fn bind_list(&mut self, values: impl IntoIterator<Item = Value>) -> &mut Self {
        let mut open = "(";
        for value in values {
            self.push(open).bind(value);
            open = ", ";
        }
        if open == "(" {
            self.push("(NULL");
        }
        self.push(")")
    }

    /// Adds a test of a text column; `what` names the thing compared, for the refusal.
    ///
    /// # Errors
    /// The operator or the operand does not fit a text.
    pub fn text_test(
        &mut self,
        column: &'static str,
        what: &str,
        operator: Operator,
        operand: &Operand,
    ) -> Result<(), WireError> {
        match (operator, operand) {
            (Operator::Eq, Operand::Text(text)) => self.push(column).push(" = ").bind(text),
            (Operator::Ne, Operand::Text(text)) => self.push(column).push(" <> ").bind(text),
            (Operator::Like, Operand::Text(text)) => self
                .push(column)
                .push(" LIKE ")
                .bind(literal_backslashes(text))
                .push(" ESCAPE '\\'"),
            (Operator::Ilike, Operand::Text(text)) => {
                let pattern = literal_backslashes(text).to_lowercase();
                self.push("LOWER(")
                    .push(column)
                    .push(") LIKE ")
                    .bind(pattern)
                    .push(" ESCAPE '\\'")
            }
            (Operator::In | Operator::NotIn, Operand::List(values)) => {
                let keyword = if operator == Operator::In {
                    " IN "
                } else {
                    " NOT IN "
                };
                self.push(column)
                    .push(keyword)
                    .bind_list(values.iter().map(Value::from))
            }
            (
                Operator::Eq
                | Operator::Ne
                | Operator::Like
                | Operator::Ilike
                | Operator::In
                | Operator::NotIn,
                other,
            ) => {
                return Err(WireError::new(format!(
                    "Expected a quoted string value for {what} (e.g. 'my-value'). Got value {}",
                    shown(other)
                )));
            }
            _ => return Err(wrong_operator(operator)),
        };
        Ok(())
    }

    /// Adds a test of a numeric column. `integer` says that the column holds whole numbers.
    ///
    /// # Errors
    /// The operator or the operand does not fit a number.
    pub fn number_test(
        &mut self,
        column: &'static str,
        what: &str,
        operator: Operator,
        operand: &Operand,
        integer: bool,
    ) -> Result<(), WireError> {
        let comparison = match operator {
            Operator::Eq => " = ",
            Operator::Ne => " <> ",
            Operator::Lt => " < ",
            Operator::Le => " <= ",
            Operator::Gt => " > ",
            Operator::Ge => " >= ",
            _ => return Err(wrong_operator(operator)),
        };
        let Operand::Number(number) = operand else {
            return Err(WireError::new(format!(
                "Expected numeric value type for {what}. Found {}",
                shown(operand)
            )));
        };
        if !number.is_finite() {
            return Err(WireError::new(format!(
                "Expected numeric value type for {what}. Found {number}"
            )));
        }
        if integer && number.fract() != 0.0 {
            return Err(WireError::new(format!(
                "Invalid value for numeric attribute '{what}': {number}"
            )));
        }
        self.push(column).push(comparison);
        if integer {
            self.bind(*number as i64);
        } else {
            self.bind(*number);
        }
        Ok(())
    }

    /// The statement and its values.
    #[must_use]
    pub fn finish(self) -> (String, Vec<Value>) {
        (self.text, self.params)
    }
}

/// MLflow's patterns have no escape character; SQL's has one, so a backslash must mean itself.
fn literal_backslashes(pattern: &str) -> String {
    pattern.replace('\\', "\\\\")
}

fn wrong_operator(operator: Operator) -> WireError {
    WireError::new(format!("Invalid comparator '{}' for this key", operator.as_str()))
}

fn shown(operand: &Operand) -> String {
    match operand {
        Operand::None => "NULL".to_owned(),
        Operand::Text(text) => format!("'{text}'"),
        Operand::Number(number) => number.to_string(),
        Operand::List(values) => format!("('{}')", values.join("', '")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bound_never_spliced() {
        let mut sql = Sql::new("SELECT x FROM t WHERE ");
        sql.text_test(
            "t.a",
            "tag",
            Operator::Eq,
            &Operand::Text("'; DROP TABLE t".into()),
        )
        .unwrap();
        sql.push(" AND ");
        sql.text_test(
            "t.b",
            "run_id",
            Operator::In,
            &Operand::List(vec!["1".into(), "2".into()]),
        )
        .unwrap();
        let (text, params) = sql.finish();
        assert_eq!(text, "SELECT x FROM t WHERE t.a = $1 AND t.b IN ($2, $3)");
        assert_eq!(params[0], Value::Text("'; DROP TABLE t".into()));
    }

    #[test]
    fn misfits_are_refused() {
        let mut sql = Sql::default();
        assert!(
            sql.text_test("a", "tag", Operator::Lt, &Operand::Text("x".into()))
                .is_err()
        );
        assert!(
            sql.text_test("a", "tag", Operator::Eq, &Operand::Number(1.0))
                .is_err()
        );
        assert!(
            sql.number_test("a", "metric", Operator::Like, &Operand::Number(1.0), false)
                .is_err()
        );
        assert!(
            sql.number_test("a", "metric", Operator::Eq, &Operand::Text("x".into()), false)
                .is_err()
        );
        assert!(
            sql.number_test("a", "version_number", Operator::Eq, &Operand::Number(1.5), true)
                .is_err()
        );
    }
}
