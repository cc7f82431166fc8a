//! What a closure may do inside a transaction.

use crate::{Row, StoreError, Value};

/// An open transaction. Placeholders are `$1`, `$2`, …; each may be used more than once.
pub trait Tx {
    /// Runs a statement that answers rows.
    ///
    /// # Errors
    /// The statement or its parameters are wrong, a constraint refuses them, or the database failed.
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Runs a statement that changes rows; answers how many.
    ///
    /// # Errors
    /// As [`Tx::query`].
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError>;

    /// The one row of an answer.
    ///
    /// # Errors
    /// As [`Tx::query`]; also if there is no row or more than one.
    fn query_one(&mut self, sql: &str, params: &[Value]) -> Result<Row, StoreError> {
        self.query_opt(sql, params)?.ok_or_else(|| StoreError::RowCount {
            sql: sql.to_owned(),
            found: 0,
        })
    }

    /// The row of an answer that has at most one.
    ///
    /// # Errors
    /// As [`Tx::query`]; also if there is more than one row.
    fn query_opt(&mut self, sql: &str, params: &[Value]) -> Result<Option<Row>, StoreError> {
        let mut rows = self.query(sql, params)?;
        if rows.len() > 1 {
            return Err(StoreError::RowCount {
                sql: sql.to_owned(),
                found: rows.len(),
            });
        }
        Ok(rows.pop())
    }
}

/// Refuses what one of the two databases could not store as given.
pub(crate) fn check_params(params: &[Value]) -> Result<(), StoreError> {
    for (index, param) in params.iter().enumerate() {
        let problem = match param {
            Value::Text(text) if text.contains('\0') => "holds a NUL character",
            Value::Real(real) if real.is_nan() => "is not a number",
            _ => continue,
        };
        return Err(StoreError::Parameter {
            index: index + 1,
            problem,
        });
    }
    Ok(())
}
