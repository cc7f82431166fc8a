//! What is told of a table. The types go to JSON as they are.

use serde::Serialize;

use crate::Format;

/// The columns of a table and what else is known without reading all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schema {
    /// The format.
    pub format: Format,
    /// The columns in their order.
    pub columns: Vec<Column>,
    /// Rows, where that is known: always of a Parquet file, and of others when all was read.
    pub rows: Option<u64>,
    /// Rows that types and nulls were told from, where the file itself does not tell them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_rows: Option<u64>,
    /// How a CSV file is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// What a reader of the table should know.
    pub notices: Vec<Notice>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name. A name that came before has `#2`, `#3` and so on behind it.
    pub name: String,
    /// Its type: for CSV and JSON lines a guess from a sample (`integer`, `number`, `boolean`, `date`,
    /// `time`, `timestamp`, `string`, `null`, for JSON also `list`, `struct` and `mixed`); for Parquet
    /// its logical type, such as `int64`, `decimal(10, 2)`, `timestamp[us, UTC]` or
    /// `list<struct<x: double, y: double>>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may hold nulls; where the file does not say, whether one was seen.
    pub nullable: bool,
    /// How many nulls (in CSV: empty or missing cells) there are in the sampled rows, or in all rows of a
    /// Parquet file whose statistics tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nulls: Option<u64>,
}

/// How a CSV file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Dialect {
    /// What stands between cells.
    pub delimiter: char,
    /// Whether the first row holds the names.
    pub header: bool,
}

/// Something to know about a table that does not keep it from being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Stable: `ragged_rows`, `invalid_utf8`, `duplicate_names`, `columns_left_out`, `rows_left_out` or
    /// `scan_limit`.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
}

impl Notice {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Rows of a table as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// Names of the columns that are shown, the first of the table.
    pub columns: Vec<String>,
    /// Columns that the table has.
    pub columns_total: usize,
    /// Row that `rows` begins with, counted from 0.
    pub offset: u64,
    /// The rows; each has as many cells as there are in `columns`.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that the table has, where that is known.
    pub rows_total: Option<u64>,
    /// Where to go on, if there is more.
    pub next_offset: Option<u64>,
    /// What a reader of these rows should know.
    pub notices: Vec<Notice>,
}

/// One value as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The text; none stands for null.
    pub text: Option<String>,
    /// Whether only the beginning is here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}
