//! Parquet: files of pyarrow in every codec, and files of the crate's own writer.

#![allow(clippy::unwrap_used, reason = "a failed unwrap here is a failed test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::parquet::basic::Encoding;
use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use bytes::Bytes;
use common::{FIXTURES, fixture, parquet, texts};
use corliss_tabular::{DiffOptions, Format, RandomRead, Table, TextOptions, diff};

const COLUMNS: &[(&str, &str)] = &[
    ("id", "int64"),
    ("small", "uint8"),
    ("ratio", "double"),
    ("single", "float"),
    ("half", "halffloat"),
    ("name", "string"),
    ("raw", "binary"),
    ("flag", "boolean"),
    ("day", "date"),
    ("clock", "time[us]"),
    ("seen", "timestamp[us, UTC]"),
    ("local", "timestamp[ns]"),
    ("price", "decimal(10, 2)"),
    ("key", "uuid"),
    ("tags", "list<string>"),
    ("grid", "list<list<int32>>"),
    ("point", "struct<x: double, labels: list<string>>"),
    ("counts", "map<string, int64>"),
];

const FIRST: &[&str] = &[
    "1",
    "255",
    "0.5",
    "0.1",
    "1.5",
    "Größe",
    "0x00ff",
    "true",
    "2024-02-29",
    "12:34:56.789",
    "2024-02-29T12:34:56.123456Z",
    "1969-12-31T23:59:59",
    "-12.05",
    "00112233-4455-6677-8899-aabbccddeeff",
    r#"["a", null, "c"]"#,
    "[[1, 2], [], null, [3]]",
    r#"{"x": 1.0, "labels": ["p", "q"]}"#,
    r#"{"one": 1, "none": null}"#,
];

#[test]
fn files_of_pyarrow_are_read_in_every_codec() {
    for (name, bytes) in FIXTURES.iter().filter(|(name, _)| *name != "int96") {
        let table = parquet(Bytes::from_static(bytes));
        let schema = table.schema();
        let columns: Vec<_> = schema
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.kind.as_str()))
            .collect();
        assert_eq!(columns, COLUMNS, "{name}");
        assert_eq!((schema.rows, schema.columns[0].nullable), (Some(5), false));
        assert_eq!(schema.columns[5].nulls, Some(1));
        let rows = table.preview(0, 10).unwrap();
        let rows = texts(&rows);
        assert_eq!(rows[0], FIRST, "{name}");
        assert_eq!(rows[1][0], "2");
        assert!(rows[1][1..].iter().all(|cell| *cell == "∅"), "{name}");
        assert_eq!(
            rows[2][14..],
            ["[]", "[]", r#"{"x": null, "labels": null}"#, "{}"]
        );
        assert_eq!((rows[2][5], rows[3][2], rows[3][5]), ("", "NaN", "Größenordnung"));
        assert_eq!(rows[3][16], r#"{"x": -0.0, "labels": []}"#);
        assert_eq!((rows[4][2], rows[4][15]), ("-inf", "[[null]]"));
    }
}

#[test]
fn old_timestamps_are_read() {
    let rows = fixture("int96").preview(0, 1).unwrap();
    assert_eq!(common::text(&rows.rows[0][10]), "2024-02-29T12:34:56.123456");
}

#[test]
fn how_a_file_is_written_makes_no_difference() {
    let first = fixture("none");
    for (name, bytes) in FIXTURES.iter().filter(|(name, _)| *name != "int96") {
        let told = diff(
            &first,
            &parquet(Bytes::from_static(bytes)),
            &DiffOptions::default(),
        )
        .unwrap();
        assert!(told.same, "{name}: {told:?}");
        assert_eq!(told.rows.unchanged, 5);
    }
}

#[test]
fn rows_are_found_at_any_offset() {
    for (name, bytes) in FIXTURES {
        let table = parquet(Bytes::from_static(bytes));
        let all = table.preview(0, 10).unwrap();
        for offset in 0..7 {
            for limit in 0..6 {
                let some = table.preview(offset as u64, limit).unwrap();
                let end = (offset + limit).min(5);
                assert_eq!(
                    some.rows,
                    all.rows[offset.min(5)..end.max(offset.min(5))],
                    "{name} {offset} {limit}"
                );
                assert_eq!(some.next_offset, (end < 5 && offset < 5).then_some(end as u64));
            }
        }
    }
}

/// A file with one required column of numbers and one of texts.
fn written(groups: usize, rows: usize, properties: WriterProperties) -> Vec<u8> {
    let schema = "message m { required int64 id; required binary name (STRING); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
    for group in 0..groups {
        let ids: Vec<i64> = (0..rows)
            .map(|row| i64::try_from(group * rows + row).unwrap())
            .collect();
        let names: Vec<ByteArray> = ids
            .iter()
            .map(|id| ByteArray::from(format!("prefix-{id:08}").into_bytes()))
            .collect();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&names, None, None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

fn small_pages() -> ::parquet::file::properties::WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
}

#[test]
fn every_encoding_of_texts_is_read_from_the_middle_of_a_group() {
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for encoding in [
            Encoding::PLAIN,
            Encoding::DELTA_LENGTH_BYTE_ARRAY,
            Encoding::DELTA_BYTE_ARRAY,
        ] {
            let properties = small_pages()
                .set_writer_version(version)
                .set_dictionary_enabled(false)
                .set_column_encoding("name".into(), encoding)
                .build();
            let table = parquet(written(3, 1000, properties));
            let rows = table.preview(1950, 100).unwrap();
            assert_eq!(rows.rows.len(), 100);
            for (row, cells) in rows.rows.iter().enumerate() {
                assert_eq!(
                    common::text(&cells[1]),
                    format!("prefix-{:08}", 1950 + row),
                    "{encoding}"
                );
            }
        }
    }
}

/// Counts the bytes that are read.
struct Counted(Bytes, Arc<AtomicU64>);

impl RandomRead for Counted {
    fn len(&self) -> u64 {
        RandomRead::len(&self.0)
    }

    fn read_at(&self, offset: u64, len: usize) -> std::io::Result<Bytes> {
        let bytes = RandomRead::read_at(&self.0, offset, len)?;
        self.1.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

#[test]
fn a_preview_reads_little_of_a_large_file() {
    let bytes = Bytes::from(written(
        20,
        5000,
        small_pages().set_dictionary_enabled(false).build(),
    ));
    let read = Arc::new(AtomicU64::new(0));
    let source = Arc::new(Counted(bytes.clone(), Arc::clone(&read)));
    let table = Table::open(source, Format::Parquet, TextOptions::default()).unwrap();
    let rows = table.preview(72_000, 10).unwrap();
    assert_eq!(common::text(&rows.rows[0][0]), "72000");
    let share = read.load(Ordering::Relaxed) * 10 / bytes.len() as u64;
    assert!(
        share < 1,
        "{} of {} bytes were read",
        read.load(Ordering::Relaxed),
        bytes.len()
    );
}

#[test]
fn lists_of_old_writers_and_bare_repetition_are_read() {
    let schema = "message m {
        repeated int64 bare;
        required group two (LIST) { repeated int64 array; }
    }";
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        // [1, 2], [], [3]
        let (definitions, repetitions) = ([1, 1, 0, 1], [0, 1, 0, 0]);
        column
            .typed::<Int64Type>()
            .write_batch(&[1, 2, 3], Some(&definitions), Some(&repetitions))
            .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let table = parquet(bytes);
    let kinds: Vec<_> = table
        .schema()
        .columns
        .into_iter()
        .map(|column| column.kind)
        .collect();
    assert_eq!(kinds, ["list<int64>", "list<int64>"]);
    let rows = table.preview(0, 10).unwrap();
    assert_eq!(texts(&rows), [["[1, 2]", "[1, 2]"], ["[]", "[]"], ["[3]", "[3]"]]);
    let rows = table.preview(2, 1).unwrap();
    assert_eq!(texts(&rows), [["[3]", "[3]"]]);
}

#[test]
fn long_lists_are_passed_over_batch_by_batch() {
    // 4,300 rows of 1,000 numbers: more in a group than one batch may touch.
    let schema = Arc::new(parse_message_type("message m { repeated int64 bare; }").unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let repetitions: Vec<i16> = (0..1000).map(|at| i16::from(at > 0)).collect();
    for row in 0..4300 {
        column
            .typed::<Int64Type>()
            .write_batch(&[row; 1000], Some(&[1; 1000]), Some(&repetitions))
            .unwrap();
    }
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let rows = parquet(bytes).preview(4298, 10).unwrap();
    assert_eq!(rows.rows.len(), 2);
    assert!(common::text(&rows.rows[1][0]).starts_with("[4299, 4299"));
    assert!(rows.rows[1][0].cut);
}
