//! A table of any format, and what the formats share.

use std::sync::Arc;

use crate::limits::{COLUMNS, PREVIEW_COLUMNS, PREVIEW_ROWS};
use crate::model::{Cell, Column, Notice, Rows, Schema};
use crate::parquet::ParquetTable;
use crate::source::RandomRead;
use crate::text::TextTable;
use crate::value::{Digest, Value};
use crate::{Format, TabularError};

/// How to read a text table, where it is not to be guessed. Other formats say so themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// What stands between the cells of CSV, an ASCII character.
    pub delimiter: Option<char>,
    /// Whether the first row of CSV holds names. The guess: it does if each of its cells is text, and none
    /// is empty or looks like a number, a date, a time or a truth value.
    pub header: Option<bool>,
}

/// An opened table. Opening reads a Parquet file's footer, or a sample of a text file (10,000 rows or
/// 8 MiB).
pub struct Table {
    format: Format,
    source: Arc<dyn RandomRead>,
    options: TextOptions,
    opened: Opened,
}

enum Opened {
    Text(Box<TextTable>),
    Parquet(Box<ParquetTable>),
}

impl Table {
    /// Opens a table. Calls block, and may decode for seconds: they are not for an async thread.
    ///
    /// # Errors
    /// The bytes cannot be read, are not of the format, or exceed a limit.
    pub fn open(
        source: Arc<dyn RandomRead>,
        format: Format,
        options: TextOptions,
    ) -> Result<Self, TabularError> {
        Self::open_as(source, format, options, false)
    }

    fn open_as(
        source: Arc<dyn RandomRead>,
        format: Format,
        options: TextOptions,
        whole: bool,
    ) -> Result<Self, TabularError> {
        let shared = Arc::clone(&source);
        let opened = match format {
            Format::Parquet => Opened::Parquet(Box::new(ParquetTable::open(shared)?)),
            text => Opened::Text(Box::new(TextTable::open(shared, text, options, whole)?)),
        };
        Ok(Self {
            format,
            source,
            options,
            opened,
        })
    }

    /// Its format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Its columns and what else is known without reading all of it.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let (rows, sampled_rows, dialect, notices) = match &self.opened {
            Opened::Text(table) => (
                table.rows,
                Some(table.sampled_rows),
                table.dialect,
                table.notices.clone(),
            ),
            Opened::Parquet(table) => (Some(table.rows), None, None, table.notices()),
        };
        Schema {
            format: self.format,
            columns: self.columns(),
            rows,
            sampled_rows,
            dialect,
            notices,
        }
    }

    /// Up to `limit` rows from row `offset` on, as text. At most 1,000 rows, 1,000 columns, 1,000
    /// characters a cell and 8 MiB come back; what is left out is told.
    ///
    /// A Parquet file is read from the row groups that hold the rows. A text file is read from its front,
    /// for at most 64 MiB.
    ///
    /// # Errors
    /// The bytes cannot be read, are damaged, or exceed a limit.
    pub fn preview(&self, offset: u64, limit: usize) -> Result<Rows, TabularError> {
        let limit = limit.min(PREVIEW_ROWS);
        match &self.opened {
            Opened::Text(table) => table.preview(offset, limit),
            Opened::Parquet(table) => table.preview(offset, limit),
        }
    }

    pub(crate) fn columns(&self) -> Vec<Column> {
        match &self.opened {
            Opened::Text(table) => table.columns.clone(),
            Opened::Parquet(table) => table.columns(),
        }
    }

    /// The same table with every column known, which for JSON lines needs all of them read.
    pub(crate) fn whole(&self) -> Result<Self, TabularError> {
        let whole = self.format == Format::JsonLines;
        Self::open_as(Arc::clone(&self.source), self.format, self.options, whole)
    }

    /// Rows, where that is known without reading them.
    pub(crate) fn rows(&self) -> Option<u64> {
        match &self.opened {
            Opened::Text(table) => table.rows,
            Opened::Parquet(table) => Some(table.rows),
        }
    }

    pub(crate) fn fingerprints(
        &self,
        key: &[usize],
        rest: &[usize],
        most_bytes: u64,
        each: &mut dyn FnMut(Pair) -> Result<(), TabularError>,
    ) -> Result<(), TabularError> {
        match &self.opened {
            Opened::Text(table) => table.fingerprints(key, rest, most_bytes, each),
            Opened::Parquet(table) => table.fingerprints(key, rest, most_bytes, each),
        }
    }

    pub(crate) fn rows_at(
        &self,
        numbers: &[u64],
        columns: &[usize],
        most_bytes: u64,
    ) -> Result<Vec<Example>, TabularError> {
        match &self.opened {
            Opened::Text(table) => table.rows_at(numbers, columns),
            Opened::Parquet(table) => table.rows_at(numbers, columns, most_bytes),
        }
    }
}

/// The fingerprints of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// Of the key's columns; the same for all rows if there are none.
    pub key: Digest,
    /// Of the other columns.
    pub rest: Digest,
}

/// A row that is shown, with what it takes to compare its cells.
#[derive(Debug)]
pub(crate) struct Example {
    pub number: u64,
    pub cells: Vec<(Cell, Digest)>,
}

impl Example {
    pub fn new(number: u64) -> Self {
        Self {
            number,
            cells: Vec::new(),
        }
    }

    pub fn push(&mut self, value: &Value) {
        self.cells.push((value.cell(), value.digest()));
    }
}

/// Bytes that a cell takes, with about what is around it in JSON.
pub(crate) fn cell_bytes(cell: &Cell) -> usize {
    16 + cell.text.as_ref().map_or(0, String::len)
}

pub(crate) fn rows_left_out() -> Notice {
    Notice::new(
        "rows_left_out",
        "The rows are so large that fewer are shown than were asked for.",
    )
}

pub(crate) fn columns_left_out(columns: usize) -> Option<Notice> {
    debug_assert!(columns <= COLUMNS, "tables with more are refused");
    (columns > PREVIEW_COLUMNS).then(|| {
        Notice::new(
            "columns_left_out",
            format!("The first {PREVIEW_COLUMNS} of {columns} columns are shown."),
        )
    })
}
