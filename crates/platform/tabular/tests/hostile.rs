//! Parquet files that are damaged or lie: each gives rows or an error, never a panic, and within memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed unwrap here is a failed test"
)]

mod common;

use bytes::Bytes;
use common::{FIXTURES, open};
use corliss_diagnostics::Diagnose;
use corliss_tabular::{DiffOptions, Format, TabularError, diff};
use nix::sys::resource::{Resource, setrlimit};
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use proptest::prelude::*;

/// Bounds the memory of the test's process: an allocation beyond it ends the test.
fn confine() {
    const LIMIT: u64 = 4 << 30;
    setrlimit(Resource::RLIMIT_AS, LIMIT, LIMIT).unwrap();
}

/// Everything that reads a table.
fn exercise(bytes: Bytes) -> Result<(), TabularError> {
    let table = open(bytes, Format::Parquet)?;
    let schema = serde_json::to_string(&table.schema()).unwrap();
    assert!(schema.len() < 1 << 20);
    let shown = table.preview(0, 1000)?;
    assert!(shown.rows.iter().all(|row| row.len() == shown.columns.len()));
    table.preview(3, 1)?;
    let told = diff(&table, &table, &DiffOptions::default())?;
    assert!(told.same);
    Ok(())
}

/// The error must be one about the file, not about this program.
fn survives(bytes: Vec<u8>) {
    if let Err(error) = exercise(bytes.into()) {
        assert_ne!(error.code(), "table_read", "{error}");
    }
}

/// Every byte of every file would take minutes; the places between are reached by the other test.
const STEP: usize = 131;

#[test]
fn flipped_bytes_are_survived() {
    confine();
    for (_, bytes) in FIXTURES {
        for at in (0..bytes.len()).step_by(STEP) {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= flip;
                survives(damaged);
            }
        }
    }
}

#[test]
fn cut_files_are_refused() {
    confine();
    for (name, bytes) in FIXTURES {
        for length in (0..bytes.len()).step_by(STEP).chain([bytes.len() - 1]) {
            assert!(
                exercise(Bytes::copy_from_slice(&bytes[..length])).is_err(),
                "{name} {length}"
            );
        }
    }
}

/// A part of a file is cut out, and the footer still speaks of all of it.
#[test]
fn files_with_a_hole_are_survived() {
    confine();
    for (_, bytes) in FIXTURES {
        for at in (4..bytes.len() - 8).step_by(STEP * 5) {
            let mut damaged = bytes[..at].to_vec();
            damaged.extend(&bytes[(at + 40).min(bytes.len() - 8)..]);
            survives(damaged);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn many_damages_are_survived(
        file in 0..FIXTURES.len(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        confine();
        let mut bytes = FIXTURES[file].1.to_vec();
        for (at, byte) in damages {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        survives(bytes);
    }
}

/// The file with another footer.
fn with_footer(change: impl Fn(ParquetMetaData) -> ParquetMetaData) -> Vec<u8> {
    let bytes = FIXTURES[0].1;
    let (_, tail) = bytes.split_at(bytes.len() - 8);
    let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]) as usize;
    let start = bytes.len() - 8 - length;
    let metadata = ParquetMetaDataReader::decode_metadata(&bytes[start..start + length]).unwrap();
    let metadata = change(metadata);
    let mut out = bytes[..start].to_vec();
    ParquetMetaDataWriter::new(&mut out, &metadata).finish().unwrap();
    out
}

fn groups(
    metadata: ParquetMetaData,
    change: impl Fn(RowGroupMetaData) -> RowGroupMetaData,
) -> ParquetMetaData {
    let mut builder = metadata.into_builder();
    let groups = builder.take_row_groups().into_iter().map(change).collect();
    builder.set_row_groups(groups).build()
}

fn chunks(
    metadata: ParquetMetaData,
    change: impl Fn(ColumnChunkMetaData) -> ColumnChunkMetaData,
) -> ParquetMetaData {
    groups(metadata, |group| {
        let mut builder = group.into_builder();
        let columns = builder.take_columns().into_iter().map(&change).collect();
        builder.set_column_metadata(columns).build().unwrap()
    })
}

fn refused(bytes: Vec<u8>) -> TabularError {
    exercise(bytes.into()).expect_err("a file that lies is refused")
}

#[test]
fn a_footer_written_anew_is_read() {
    exercise(with_footer(|metadata| metadata).into()).unwrap();
}

#[test]
fn claimed_rows_are_not_believed() {
    confine();
    for claim in [3, 1 << 20, 1 << 40, i64::MAX / 3] {
        let error = refused(with_footer(|metadata| {
            groups(metadata, |group| {
                group.into_builder().set_num_rows(claim).build().unwrap()
            })
        }));
        assert!(
            error.to_string().contains("fewer values than there are rows"),
            "{error}"
        );
    }
    for claim in [-1, i64::MIN / 4] {
        let error = refused(with_footer(|metadata| {
            groups(metadata, |group| {
                group.into_builder().set_num_rows(claim).build().unwrap()
            })
        }));
        assert_eq!(error.code(), "table_invalid");
    }
}

#[test]
fn claimed_places_are_not_believed() {
    confine();
    for (start, length) in [
        (i64::MAX / 64, 1),
        (0, i64::MAX / 64),
        (-1, 10),
        (4, -1),
        (1 << 40, 1 << 40),
        (4, 1 << 30),
        (5, 40),
        (4, 1),
    ] {
        let error = refused(with_footer(|metadata| {
            chunks(metadata, |chunk| {
                let builder = chunk.into_builder().set_dictionary_page_offset(None);
                builder
                    .set_data_page_offset(start)
                    .set_total_compressed_size(length)
                    .build()
                    .unwrap()
            })
        }));
        assert_eq!(error.code(), "table_invalid", "{start} {length}: {error}");
    }
}

#[test]
fn the_length_of_the_footer_is_not_believed() {
    confine();
    let bytes = FIXTURES[0].1;
    for length in [0, 1, 100, 1 << 20, u32::MAX] {
        let mut lying = bytes.to_vec();
        let at = bytes.len() - 8;
        lying[at..at + 4].copy_from_slice(&length.to_le_bytes());
        refused(lying);
    }
    assert_eq!(refused(b"PAR1PAR1".to_vec()).code(), "table_invalid");
    let mut encrypted = bytes.to_vec();
    encrypted.truncate(bytes.len() - 4);
    encrypted.extend(b"PARE");
    assert_eq!(refused(encrypted).code(), "table_unsupported");
}

/// A file around a footer made by hand.
fn around(footer: &[u8]) -> Vec<u8> {
    let mut bytes = b"PAR1".to_vec();
    bytes.extend(footer);
    bytes.extend(u32::try_from(footer.len()).unwrap().to_le_bytes());
    bytes.extend(b"PAR1");
    bytes
}

#[test]
fn nesting_without_end_is_refused() {
    confine();
    assert_eq!(refused(around(&vec![0x1c; 1 << 20])).code(), "table_invalid");
    assert_eq!(refused(around(&vec![0x19; 1 << 20])).code(), "table_invalid");
    // Version 1, then a schema whose every element is the parent of the next: name 'a', one child.
    let mut chain = vec![0x15, 0x02, 0x19, 0xfc, 0xa0, 0x8d, 0x06];
    for _ in 0..100_000 {
        chain.extend([0x48, 0x01, b'a', 0x15, 0x02, 0x00]);
    }
    chain.push(0x00);
    let error = refused(around(&chain));
    assert!(error.to_string().contains("nesting"), "{error}");
}

#[test]
fn a_million_columns_are_refused() {
    confine();
    // The root claims a million children, each a required boolean without a name.
    let mut wide = vec![
        0x15, 0x02, 0x19, 0xfc, 0xc1, 0x84, 0x3d, 0x48, 0x01, b'r', 0x15, 0x80, 0x89, 0x7a, 0x00,
    ];
    for _ in 0..1_000_000 {
        wide.extend([0x15, 0x00, 0x25, 0x00, 0x18, 0x00, 0x00]);
    }
    wide.push(0x00);
    let error = refused(around(&wide));
    assert_eq!(error.code(), "table_too_large", "{error}");
}

#[test]
fn a_million_columns_of_text_are_refused() {
    confine();
    let error = open(Bytes::from(",".repeat(1_000_000)), Format::Csv)
        .err()
        .unwrap();
    assert_eq!(error.code(), "table_too_large");
    let names: Vec<String> = (0..200_000).map(|name| format!("\"{name}\": 1")).collect();
    let line = format!("{{{}}}", names.join(","));
    let error = open(Bytes::from(line), Format::JsonLines).err().unwrap();
    assert_eq!(error.code(), "table_too_large");
}

/// Bytes of Thrift's compact protocol for a number.
fn number(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// The file, whose first column has one page made by hand: type, sizes, the field and numbers of its part.
fn with_page(kind: i64, size: i64, compressed: i64, part: u8, numbers: &[i64], data: &[u8]) -> Vec<u8> {
    let mut page = vec![0x15];
    page.extend(number(kind));
    for value in [size, compressed] {
        page.push(0x15);
        page.extend(number(value));
    }
    page.push(part);
    for value in numbers {
        page.push(0x15);
        page.extend(number(*value));
    }
    page.extend([0x00, 0x00]);
    page.extend(data);
    let bytes = FIXTURES[0].1;
    let end = bytes.len() as i64 - 8;
    let plain = with_footer(|metadata| {
        groups(metadata, |group| {
            let mut builder = group.into_builder();
            let mut columns = builder.take_columns();
            let first = columns.remove(0).into_builder().set_dictionary_page_offset(None);
            let first = first
                .set_data_page_offset(4)
                .set_total_compressed_size(page.len() as i64);
            columns.insert(0, first.build().unwrap());
            builder.set_column_metadata(columns).build().unwrap()
        })
    });
    assert!((page.len() as i64) < end);
    let mut out = plain;
    out[4..4 + page.len()].copy_from_slice(&page);
    out
}

#[test]
fn claimed_sizes_of_pages_are_refused_before_they_are_allocated() {
    confine();
    let data = [0; 16];
    let cases: &[(Vec<u8>, &str)] = &[
        (
            with_page(0, 2_000_000_000, 16, 0x2c, &[2, 0, 3, 3], &data),
            "table_too_large",
        ),
        (
            with_page(0, 16, 2_000_000_000, 0x2c, &[2, 0, 3, 3], &data),
            "table_invalid",
        ),
        (with_page(0, 16, -1, 0x2c, &[2, 0, 3, 3], &data), "table_invalid"),
        (
            with_page(0, 16, 16, 0x2c, &[2_000_000_000, 0, 3, 3], &data),
            "table_too_large",
        ),
        (
            with_page(2, 16, 16, 0x4c, &[2_000_000_000, 0], &data),
            "table_too_large",
        ),
        (
            with_page(2, 16, 16, 0x4c, &[1_000_000, 0], &data),
            "table_invalid",
        ),
        (
            with_page(3, 16, 16, 0x5c, &[2, 0, 2, 0, 100, 0], &data),
            "table_invalid",
        ),
        (
            with_page(0, 16, 16, 0x2c, &[2, 10, 3, 3], &data),
            "table_unsupported",
        ),
    ];
    for (index, (bytes, code)) in cases.iter().enumerate() {
        let error = refused(bytes.clone());
        assert_eq!(error.code(), *code, "{index}: {error}");
    }
}
