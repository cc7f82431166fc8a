//! Values of rows, whatever the driver calls them.

use std::fmt;

use crate::SourceError;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    /// What is no text, where one should be.
    Bytes,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("without an id"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Real(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes => f.write_str("whose id is no text"),
        }
    }
}

/// The cells of a row, taken one after the other by their columns' names.
pub(super) struct Cells {
    table: &'static str,
    cells: std::vec::IntoIter<Cell>,
}

impl Cells {
    pub fn of(table: &'static str, row: Vec<Cell>) -> Self {
        Self {
            table,
            cells: row.into_iter(),
        }
    }

    pub fn wrong(&self, column: &'static str, problem: &str) -> SourceError {
        SourceError::Row {
            table: self.table,
            column,
            problem: problem.to_owned(),
        }
    }

    fn next(&mut self) -> Cell {
        self.cells.next().unwrap_or(Cell::Null)
    }

    pub fn opt_text(&mut self, column: &'static str) -> Result<Option<String>, SourceError> {
        match self.next() {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text)),
            // SQLite keeps a number in a column of texts as it was given.
            Cell::Integer(number) => Ok(Some(number.to_string())),
            Cell::Real(_) => Err(self.wrong(column, "a number, not a text")),
            Cell::Bytes => Err(self.wrong(column, "bytes that are no text in UTF-8")),
        }
    }

    pub fn text(&mut self, column: &'static str) -> Result<String, SourceError> {
        let text = self.opt_text(column)?;
        text.ok_or_else(|| self.wrong(column, "nothing"))
    }

    pub fn opt_integer(&mut self, column: &'static str) -> Result<Option<i64>, SourceError> {
        match self.next() {
            Cell::Null => Ok(None),
            Cell::Integer(number) => Ok(Some(number)),
            Cell::Real(_) | Cell::Text(_) | Cell::Bytes => {
                Err(self.wrong(column, "something else than a whole number"))
            }
        }
    }

    pub fn integer(&mut self, column: &'static str) -> Result<i64, SourceError> {
        let number = self.opt_integer(column)?;
        number.ok_or_else(|| self.wrong(column, "nothing"))
    }

    pub fn real(&mut self, column: &'static str) -> Result<f64, SourceError> {
        match self.next() {
            Cell::Real(number) => Ok(number),
            #[expect(
                clippy::cast_precision_loss,
                reason = "the column is one of reals: it was a real when it was logged"
            )]
            Cell::Integer(number) => Ok(number as f64),
            // What SQLite makes of not-a-number, which MLflow flags in a column of its own.
            Cell::Null => Ok(f64::NAN),
            Cell::Text(_) | Cell::Bytes => Err(self.wrong(column, "a text, not a number")),
        }
    }
}
