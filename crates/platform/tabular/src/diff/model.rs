//! What is told of the difference of two tables. The types go to JSON as they are.

use serde::Serialize;

use crate::limits::DIFF_ROWS;
use crate::model::{Cell, Column};

/// How to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffOptions {
    /// Names of the columns that tell which row is which. Without any, whole rows are compared as a
    /// multiset.
    pub key: Vec<String>,
    /// Examples of each kind, at most 1,000. Tables of many columns get fewer.
    pub examples: usize,
    /// Rows that each table may have.
    pub rows: u64,
    /// Bytes for the index of rows, beside what reading takes. With less memory the tables are read more
    /// often, each time for a part of the rows: 48 bytes a row in one pass. Reading takes 32 bytes for each
    /// row of the largest row group of a Parquet file, and its pages.
    pub memory_bytes: usize,
    /// Bytes of each table that one pass may decode.
    pub decoded_bytes: u64,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self {
            key: Vec::new(),
            examples: 100,
            rows: DIFF_ROWS,
            memory_bytes: 512 << 20,
            decoded_bytes: 256 << 30,
        }
    }
}

/// What differs between two tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableDiff {
    /// Whether nothing differs: neither columns, nor rows, nor their order.
    pub same: bool,
    /// Columns that differ.
    pub schema: SchemaDiff,
    /// The key that rows were told apart by.
    pub key: Vec<String>,
    /// Names of the columns that rows were compared by: those that both tables have.
    pub compared: Vec<String>,
    /// How many rows differ.
    pub rows: RowCounts,
    /// Names of the cells of `added` and `removed`: the first 1,000 of `compared`.
    pub columns: Vec<String>,
    /// The first of the rows that only the new table has, in its order.
    pub added: Vec<RowExample>,
    /// The first of the rows that only the old table has, in its order.
    pub removed: Vec<RowExample>,
    /// The first of the rows with a key that both have and another value, in the new table's order.
    pub changed: Vec<ChangedRow>,
}

/// Columns that differ. They are matched by name; a column with another name is another column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaDiff {
    /// Columns that only the new table has.
    pub added: Vec<Column>,
    /// Columns that only the old table has.
    pub removed: Vec<Column>,
    /// Columns of another type, or in Parquet another nullability.
    pub changed: Vec<ColumnChange>,
    /// Whether the columns that both have come in another order.
    pub reordered: bool,
}

impl SchemaDiff {
    /// Whether no column differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty() && !self.reordered
    }
}

/// A column of another type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnChange {
    /// Its name.
    pub name: String,
    /// Its type in the old table.
    pub old_type: String,
    /// Its type in the new one.
    pub new_type: String,
    /// Whether it was nullable.
    pub old_nullable: bool,
    /// Whether it is.
    pub new_nullable: bool,
}

/// How many rows differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// Rows of the old table.
    pub old: u64,
    /// Rows of the new table.
    pub new: u64,
    /// Rows that only the new one has.
    pub added: u64,
    /// Rows that only the old one has.
    pub removed: u64,
    /// Rows with a key that both have, and other values. None without a key.
    pub changed: u64,
    /// Rows that both have.
    pub unchanged: u64,
    /// Whether both have the same rows, and in another order.
    pub reordered: bool,
}

/// A row that only one table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowExample {
    /// Its number in its table, counted from 0. Of equal rows it is the first.
    pub row: u64,
    /// How many more of it there are than in the other table.
    pub count: u64,
    /// Its cells.
    pub cells: Vec<Cell>,
}

/// A row whose key both tables have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedRow {
    /// Its number in the old table, counted from 0.
    pub old_row: u64,
    /// Its number in the new table.
    pub new_row: u64,
    /// The key's cells.
    pub key: Vec<Cell>,
    /// Its first 100 cells that differ.
    pub cells: Vec<ChangedCell>,
    /// How many differ.
    pub cells_changed: usize,
}

/// A cell that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedCell {
    /// Its column; none for what a row of CSV has beyond the columns.
    pub column: Option<String>,
    /// What it was. The texts may look alike where values differ beyond the cut.
    pub old: Cell,
    /// What it is.
    pub new: Cell,
}
