//! Tables in memory, and files of the fixtures.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap here is a failed test")]

use std::sync::Arc;

use bytes::Bytes;
use corliss_tabular::{Cell, Format, Rows, Table, TabularError, TextOptions};

/// Every file that pyarrow made; each holds the same rows.
pub const FIXTURES: &[(&str, &[u8])] = &[
    ("none", include_bytes!("../fixtures/none.parquet")),
    ("snappy", include_bytes!("../fixtures/snappy.parquet")),
    ("gzip", include_bytes!("../fixtures/gzip.parquet")),
    ("brotli", include_bytes!("../fixtures/brotli.parquet")),
    ("zstd", include_bytes!("../fixtures/zstd.parquet")),
    ("lz4", include_bytes!("../fixtures/lz4.parquet")),
    ("pages-2", include_bytes!("../fixtures/pages-2.parquet")),
    ("delta", include_bytes!("../fixtures/delta.parquet")),
    ("int96", include_bytes!("../fixtures/int96.parquet")),
];

pub fn open(bytes: impl Into<Bytes>, format: Format) -> Result<Table, TabularError> {
    Table::open(Arc::new(bytes.into()), format, TextOptions::default())
}

pub fn parquet(bytes: impl Into<Bytes>) -> Table {
    open(bytes, Format::Parquet).unwrap()
}

pub fn fixture(name: &str) -> Table {
    let (_, bytes) = FIXTURES.iter().find(|(known, _)| *known == name).unwrap();
    parquet(Bytes::from_static(bytes))
}

pub fn csv(text: &str) -> Table {
    open(Bytes::copy_from_slice(text.as_bytes()), Format::Csv).unwrap()
}

pub fn jsonl(text: &str) -> Table {
    open(Bytes::copy_from_slice(text.as_bytes()), Format::JsonLines).unwrap()
}

/// The texts of some rows; `∅` stands for null.
pub fn texts(rows: &Rows) -> Vec<Vec<&str>> {
    rows.rows
        .iter()
        .map(|row| row.iter().map(text).collect())
        .collect()
}

pub fn text(cell: &Cell) -> &str {
    cell.text.as_deref().unwrap_or("∅")
}
