//! Every bound of this crate in one place. Files come from anyone, so nothing that a file claims about
//! itself is believed before it is held against one of these.

/// Rows of one preview.
pub const PREVIEW_ROWS: usize = 1_000;
/// Columns of one preview; further ones are counted and not shown.
pub const PREVIEW_COLUMNS: usize = 1_000;
/// Characters of one cell that is shown.
pub const CELL_CHARS: usize = 1_000;
/// Bytes of all cells of one preview; rows at its end are left out to keep it.
pub const PREVIEW_BYTES: usize = 8 << 20;
/// Bytes of a CSV or JSON lines file that a preview reads to get to its rows.
pub const PREVIEW_SCAN_BYTES: u64 = 64 << 20;
/// Bytes that a preview of a Parquet file may decode.
pub const PREVIEW_DECODED_BYTES: u64 = 2 << 30;

/// Columns of a table. More is refused: a line of a million commas is a mistake or an attack.
pub const COLUMNS: usize = 100_000;
/// Bytes of one record of a CSV or JSON lines file. An unclosed quote makes the rest one record. A list of
/// numbers in JSON takes up to 50 times its bytes while it is a row.
pub const RECORD_BYTES: usize = 16 << 20;
/// Rows that types are guessed from.
pub const SAMPLE_ROWS: u64 = 10_000;
/// Bytes that types are guessed from.
pub const SAMPLE_BYTES: u64 = 8 << 20;

/// Rows of each table of a comparison.
pub const DIFF_ROWS: u64 = 50_000_000;
/// Examples of each kind that a comparison may be asked for.
pub const DIFF_EXAMPLES: usize = 1_000;
/// Changed cells told of one changed row; further ones are counted.
pub const DIFF_CELLS: usize = 100;

/// Bytes of a Parquet footer.
pub const FOOTER_BYTES: usize = 64 << 20;
/// Column chunks (columns times row groups) of a Parquet file. Each takes about 1 KiB once decoded.
pub const FOOTER_CHUNKS: usize = 500_000;
/// Structures of any kind in a Parquet footer.
pub const FOOTER_STRUCTS: usize = 4_000_000;
/// Levels of nesting of a Parquet schema and of Thrift structures. Schemas are walked by recursion.
pub const NESTING: usize = 64;
/// Bytes of the header of a Parquet page; statistics in it may hold whole values.
pub const PAGE_HEADER_BYTES: usize = 1 << 20;
/// Bytes of a Parquet page, compressed and decompressed. A value is never larger than its page.
pub const PAGE_BYTES: usize = 128 << 20;
/// Values of a Parquet page: runs make billions of them out of a few bytes.
pub const PAGE_VALUES: usize = 16 << 20;
/// Values of the pages that one batch of nested rows touches. A single row may hold all of them, and each
/// takes about 100 bytes while the row is put together.
pub const NESTED_VALUES: usize = 4 << 20;
/// Values of a Parquet dictionary, each of which is decoded ahead of any use.
pub const DICTIONARY_VALUES: usize = 4 << 20;
/// Bytes of the pages of one column that are decoded at the same time; a column of many leaves has many.
pub const RESIDENT_BYTES: u64 = 512 << 20;
/// Bytes that the values of one page written as differences to the last value may unfold to.
pub const UNFOLDED_BYTES: u64 = 256 << 20;
