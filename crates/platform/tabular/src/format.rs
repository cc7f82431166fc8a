//! Which format a file has, told from its first bytes and its name.

use serde::{Deserialize, Serialize};

/// A format of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Text with a delimiter: comma, tab, semicolon or pipe.
    Csv,
    /// One JSON value a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The name that people know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::JsonLines => "JSON lines",
            Self::Parquet => "Parquet",
        }
    }
}

/// What opens a Parquet file, and ends it.
pub(crate) const PARQUET_MAGIC: &[u8; 4] = b"PAR1";

/// The format of a file, if it is one of those that are read here.
///
/// Parquet is known by its magic alone, whatever the name. CSV and JSON lines have none: they are known by
/// the extension (`csv`, `tsv`, `tab`, `psv`; `jsonl`, `ndjson`), unless the first bytes hold a zero byte
/// and so are no UTF-8 text that a person wrote.
#[must_use]
pub fn format_of(path: &str, first_bytes: &[u8]) -> Option<Format> {
    if first_bytes.starts_with(PARQUET_MAGIC) {
        return Some(Format::Parquet);
    }
    if first_bytes.contains(&0) {
        return None;
    }
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let (_, extension) = name.rsplit_once('.')?;
    match extension.to_ascii_lowercase().as_str() {
        "csv" | "tsv" | "tab" | "psv" => Some(Format::Csv),
        "jsonl" | "ndjson" => Some(Format::JsonLines),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_goes_before_the_name() {
        assert_eq!(format_of("a.csv", b"PAR1\x15\x04"), Some(Format::Parquet));
        assert_eq!(format_of("train/A.TSV", b"a\tb"), Some(Format::Csv));
        assert_eq!(format_of("a.ndjson", b"{}"), Some(Format::JsonLines));
        assert_eq!(format_of("a.csv", b"PK\x03\x04\0\0"), None);
        assert_eq!(format_of("a.parquet", b"oops"), None);
        assert_eq!(format_of("csv", b"a,b"), None);
    }
}
