//! A row of an answer, read by column name; a wrong name or kind is an error that says which.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use corliss_types::Timestamp;

use crate::{StoreError, Value};

/// One row of a query's answer.
#[derive(Debug, Clone)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The value of a column, whatever its kind.
    ///
    /// # Errors
    /// There is no such column.
    pub fn value(&self, column: &str) -> Result<&Value, StoreError> {
        self.columns
            .iter()
            .position(|name| name == column)
            .and_then(|index| self.values.get(index))
            .ok_or_else(|| StoreError::NoColumn {
                column: column.to_owned(),
            })
    }

    fn present(&self, column: &str) -> Result<Option<&Value>, StoreError> {
        Ok(Some(self.value(column)?).filter(|value| **value != Value::Null))
    }

    fn wrong<T>(&self, column: &str, expected: &'static str) -> Result<T, StoreError> {
        let got = self.value(column)?.kind().to_owned();
        Err(StoreError::Column {
            column: column.to_owned(),
            expected,
            got,
        })
    }

    /// A TEXT column.
    ///
    /// # Errors
    /// No such column, or not text (as in all methods below).
    pub fn text(&self, column: &str) -> Result<String, StoreError> {
        self.opt_text(column)?
            .map_or_else(|| self.wrong(column, "text"), Ok)
    }

    /// A TEXT column that may be NULL.
    #[allow(clippy::missing_errors_doc)]
    pub fn opt_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        match self.present(column)? {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(_) => self.wrong(column, "text"),
        }
    }

    /// A BIGINT column.
    #[allow(clippy::missing_errors_doc)]
    pub fn integer(&self, column: &str) -> Result<i64, StoreError> {
        self.opt_integer(column)?
            .map_or_else(|| self.wrong(column, "an integer"), Ok)
    }

    /// A BIGINT column that may be NULL.
    #[allow(clippy::missing_errors_doc)]
    pub fn opt_integer(&self, column: &str) -> Result<Option<i64>, StoreError> {
        match self.present(column)? {
            None => Ok(None),
            Some(Value::Integer(integer)) => Ok(Some(*integer)),
            Some(_) => self.wrong(column, "an integer"),
        }
    }

    /// A BIGINT column that is never negative: counts, sizes, generations.
    #[allow(clippy::missing_errors_doc)]
    pub fn unsigned(&self, column: &str) -> Result<u64, StoreError> {
        u64::try_from(self.integer(column)?).or_else(|_| self.wrong(column, "an integer of at least 0"))
    }

    /// As [`Row::unsigned`], for a column that may be NULL.
    #[allow(clippy::missing_errors_doc)]
    pub fn opt_unsigned(&self, column: &str) -> Result<Option<u64>, StoreError> {
        self.opt_integer(column)?
            .map(|integer| u64::try_from(integer).or_else(|_| self.wrong(column, "an integer of at least 0")))
            .transpose()
    }

    /// A BIGINT column that holds 0 or 1.
    #[allow(clippy::missing_errors_doc)]
    pub fn boolean(&self, column: &str) -> Result<bool, StoreError> {
        match self.integer(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => self.wrong(column, "0 or 1"),
        }
    }

    /// A BIGINT column of Unix milliseconds.
    #[allow(clippy::missing_errors_doc)]
    pub fn timestamp(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.integer(column).map(Timestamp::from_millis)
    }

    /// As [`Row::timestamp`], for a column that may be NULL.
    #[allow(clippy::missing_errors_doc)]
    pub fn opt_timestamp(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_integer(column)?.map(Timestamp::from_millis))
    }

    /// A DOUBLE PRECISION column.
    #[allow(clippy::missing_errors_doc)]
    pub fn real(&self, column: &str) -> Result<f64, StoreError> {
        self.opt_real(column)?
            .map_or_else(|| self.wrong(column, "a real number"), Ok)
    }

    /// A DOUBLE PRECISION column that may be NULL.
    #[allow(clippy::missing_errors_doc)]
    pub fn opt_real(&self, column: &str) -> Result<Option<f64>, StoreError> {
        match self.present(column)? {
            None => Ok(None),
            Some(Value::Real(real)) => Ok(Some(*real)),
            Some(_) => self.wrong(column, "a real number"),
        }
    }

    /// A BYTEA column.
    #[allow(clippy::missing_errors_doc)]
    pub fn blob(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        self.opt_blob(column)?
            .map_or_else(|| self.wrong(column, "bytes"), Ok)
    }

    /// A BYTEA column that may be NULL.
    #[allow(clippy::missing_errors_doc)]
    pub fn opt_blob(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.present(column)? {
            None => Ok(None),
            Some(Value::Blob(bytes)) => Ok(Some(bytes.clone())),
            Some(_) => self.wrong(column, "bytes"),
        }
    }

    /// A TEXT column that holds a typed id, a name or an enum.
    #[allow(clippy::missing_errors_doc)]
    pub fn parse<T>(&self, column: &str) -> Result<T, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.opt_parse(column)?
            .map_or_else(|| self.wrong(column, "text"), Ok)
    }

    /// As [`Row::parse`], for a column that may be NULL.
    #[allow(clippy::missing_errors_doc)]
    pub fn opt_parse<T>(&self, column: &str) -> Result<Option<T>, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.opt_text(column)?
            .map(|text| {
                text.parse().map_err(|error: T::Err| StoreError::Malformed {
                    column: column.to_owned(),
                    message: error.to_string(),
                })
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use corliss_types::JobId;

    use super::*;

    fn row() -> Row {
        let columns = ["n", "t", "z"].map(str::to_owned);
        Row::new(
            Arc::new(columns),
            vec![Value::Integer(-3), Value::Text("x".into()), Value::Null],
        )
    }

    #[test]
    fn errors_name_column_and_kind() {
        assert_eq!(
            row().text("n").unwrap_err().to_string(),
            "column n holds an integer, not text"
        );
        assert_eq!(
            row().integer("q").unwrap_err().to_string(),
            "the answer has no column q"
        );
        assert!(
            row()
                .unsigned("n")
                .unwrap_err()
                .to_string()
                .contains("at least 0")
        );
        assert!(
            row()
                .parse::<JobId>("t")
                .unwrap_err()
                .to_string()
                .contains("column t")
        );
    }

    #[test]
    fn null_is_none_and_nothing_else() {
        assert_eq!(row().opt_text("z").unwrap(), None);
        assert_eq!(row().opt_timestamp("z").unwrap(), None);
        assert!(row().text("z").is_err());
    }
}
