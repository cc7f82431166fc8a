//! What is in a CSV, JSON lines or Parquet file, and what differs between two of them.
//!
//! A request travels down these modules and back up: `table` opens a file of any format behind the port
//! `source`; `text` and `parquet` read rows as the values of `value`; `show` makes text of them; `diff`
//! compares two tables by fingerprints of their rows.
//!
//! Invariants:
//! - No file makes this crate panic, recurse without bound, or take more memory than `limits` allows.
//! - Nothing is left out silently: what is cut, sampled or not shown is told in the result.
//! - An error names the part of the file that is at fault.
//!
//! Calls block; the caller runs them on a thread that may.

mod diff;
mod error;
mod format;
pub mod limits;
mod model;
mod parquet;
mod show;
mod source;
mod table;
mod text;
mod value;

pub use diff::{
    ChangedCell, ChangedRow, ColumnChange, DiffOptions, RowCounts, RowExample, SchemaDiff, TableDiff, diff,
};
pub use error::TabularError;
pub use format::{Format, format_of};
pub use model::{Cell, Column, Dialect, Notice, Rows, Schema};
pub use source::{LocalFile, RandomRead};
pub use table::{Table, TextOptions};
