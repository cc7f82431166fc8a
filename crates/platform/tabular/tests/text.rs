//! CSV and JSON lines: what is guessed, what is told, what is bounded.

#![allow(clippy::unwrap_used, reason = "a failed unwrap here is a failed test")]

mod common;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use common::{csv, jsonl, open, texts};
use corliss_diagnostics::Diagnose;
use corliss_tabular::{Format, RandomRead, Schema, Table, TextOptions};

fn kinds(schema: &Schema) -> Vec<(&str, &str)> {
    schema
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind.as_str()))
        .collect()
}

fn codes(notices: &[corliss_tabular::Notice]) -> Vec<&str> {
    notices.iter().map(|notice| notice.code).collect()
}

#[test]
fn a_plain_file_has_names_types_and_rows() {
    let table = csv(
        "\u{feff}id,score,when,ok,note\r\n1,0.5,2024-02-29,true,\"a, \"\"b\"\"\nc\"\r\n2,7,2024-03-01,false,\r\n",
    );
    let schema = table.schema();
    assert_eq!(
        kinds(&schema),
        [
            ("id", "integer"),
            ("score", "number"),
            ("when", "date"),
            ("ok", "boolean"),
            ("note", "string")
        ]
    );
    assert_eq!(
        (schema.rows, schema.columns[4].nulls, schema.columns[4].nullable),
        (Some(2), Some(1), true)
    );
    let rows = table.preview(0, 10).unwrap();
    assert_eq!(
        texts(&rows),
        [
            ["1", "0.5", "2024-02-29", "true", "a, \"b\"\nc"],
            ["2", "7", "2024-03-01", "false", ""]
        ]
    );
    assert_eq!((rows.rows_total, rows.next_offset), (Some(2), None));
}

#[test]
fn names_are_guessed_and_can_be_told() {
    let bare = csv("1,x\n2,y\n");
    assert_eq!(
        kinds(&bare.schema()),
        [("column_1", "integer"), ("column_2", "string")]
    );
    assert_eq!(bare.schema().rows, Some(2));
    let options = TextOptions {
        header: Some(true),
        delimiter: Some(';'),
    };
    let told = Table::open(
        Arc::new(Bytes::from_static(b"1,x;2\n3;4\n")),
        Format::Csv,
        options,
    )
    .unwrap();
    assert_eq!(kinds(&told.schema()), [("1,x", "integer"), ("2", "integer")]);
    let odd = TextOptions {
        delimiter: Some('ä'),
        header: None,
    };
    assert!(Table::open(Arc::new(Bytes::new()), Format::Csv, odd).is_err());
}

#[test]
fn repeated_names_are_numbered() {
    let table = csv("a,a,a#2,a\n1,2,3,4\n");
    let names: Vec<_> = table
        .schema()
        .columns
        .into_iter()
        .map(|column| column.name)
        .collect();
    assert_eq!(names, ["a", "a#3", "a#2", "a#4"]);
    assert_eq!(codes(&table.schema().notices), ["duplicate_names"]);
}

#[test]
fn ragged_rows_and_foreign_bytes_are_told() {
    let table = open(Bytes::from_static(b"a,b\n1\n1,2,3\nx,\xff\n"), Format::Csv).unwrap();
    assert_eq!(codes(&table.schema().notices), ["ragged_rows", "invalid_utf8"]);
    let rows = table.preview(0, 10).unwrap();
    assert_eq!(texts(&rows), [["1", "∅"], ["1", "2"], ["x", "\u{fffd}"]]);
    assert_eq!(codes(&rows.notices), ["ragged_rows", "invalid_utf8"]);
    assert!(rows.notices[0].message.starts_with("2 rows"));
}

#[test]
fn nothing_and_next_to_nothing_are_tables() {
    assert_eq!(csv("").schema().columns.len(), 0);
    assert_eq!(csv("").preview(0, 10).unwrap().rows_total, Some(0));
    assert_eq!(csv("a,b\n").schema().rows, Some(0));
    assert_eq!(jsonl("\n\n").preview(3, 10).unwrap().rows_total, Some(0));
}

#[test]
fn utf_16_is_refused_by_name() {
    for bytes in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a"] {
        let error = open(Bytes::from_static(bytes), Format::Csv).err().unwrap();
        assert_eq!(error.code(), "table_unsupported");
        assert!(error.to_string().contains("UTF-16"));
    }
}

#[test]
fn pages_of_a_preview_follow_each_other() {
    let text: String = std::iter::once("n\n".to_owned())
        .chain((0..2500).map(|n| format!("{n}\n")))
        .collect();
    let table = csv(&text);
    let (mut offset, mut seen) = (Some(0), Vec::new());
    while let Some(at) = offset {
        let rows = table.preview(at, usize::MAX).unwrap();
        assert!(rows.rows.len() <= 1000);
        seen.extend(rows.rows.iter().map(|row| common::text(&row[0]).to_owned()));
        offset = rows.next_offset;
    }
    assert_eq!(seen, (0..2500).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn json_lines_have_the_union_of_their_members() {
    let table = jsonl(
        "{\"b\": 1, \"a\": [1, {\"x\": null}]}\n\n{\"b\": 2.5, \"c\": {\"z\": 1, \"y\": \"q\"}}\n7\n{\"b\": \"s\", \"c\": null}\n",
    );
    let schema = table.schema();
    assert_eq!(
        kinds(&schema),
        [
            ("b", "mixed"),
            ("a", "list"),
            ("c", "struct"),
            ("value", "integer")
        ]
    );
    assert_eq!(schema.columns[1].nulls, Some(3));
    let rows = table.preview(0, 10).unwrap();
    assert_eq!(
        texts(&rows),
        [
            ["1", "[1, {\"x\": null}]", "∅", "∅"],
            ["2.5", "∅", "{\"z\": 1, \"y\": \"q\"}", "∅"],
            ["∅", "∅", "∅", "7"],
            ["s", "∅", "∅", "∅"]
        ]
    );
}

#[test]
fn damaged_json_is_told_with_its_line() {
    let error = open(Bytes::from_static(b"{}\n\n{\"a\": }\n"), Format::JsonLines)
        .err()
        .unwrap();
    assert!(error.to_string().contains("line 3"), "{error}");
    let deep = "[".repeat(100_000);
    assert_eq!(
        open(Bytes::from(deep), Format::JsonLines).err().unwrap().code(),
        "table_invalid"
    );
}

#[test]
fn results_go_to_json_as_they_are() {
    let table = csv("a\n1\n");
    let schema = serde_json::to_value(table.schema()).unwrap();
    assert_eq!(
        schema,
        serde_json::json!({
            "format": "csv",
            "columns": [{"name": "a", "type": "integer", "nullable": false, "nulls": 0}],
            "rows": 1,
            "sampled_rows": 1,
            "dialect": {"delimiter": ",", "header": true},
            "notices": []
        })
    );
    let rows = serde_json::to_value(table.preview(0, 1).unwrap()).unwrap();
    assert_eq!(rows["rows"], serde_json::json!([[{"text": "1"}]]));
}

/// Bytes that repeat without being held, to be read as a file of any length.
struct Endless {
    repeated: Bytes,
    pattern: u64,
    length: u64,
}

impl RandomRead for Endless {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap();
        let start = usize::try_from(offset % self.pattern).unwrap();
        RandomRead::read_at(&self.repeated, start as u64, len.min(left))
    }
}

fn endless(pattern: &[u8], format: Format) -> Result<Table, corliss_tabular::TabularError> {
    let source = Endless {
        repeated: Bytes::from(pattern.repeat((1 << 20) / pattern.len() + 300_000 / pattern.len() + 1)),
        pattern: pattern.len() as u64,
        length: 10 << 30,
    };
    Table::open(Arc::new(source), format, TextOptions::default())
}

#[test]
fn lines_without_end_are_refused() {
    for (pattern, format) in [
        (&b"x"[..], Format::Csv),
        (b",", Format::Csv),
        (b"[", Format::JsonLines),
        (b" ", Format::JsonLines),
    ] {
        let error = endless(pattern, format).err().unwrap();
        assert_eq!(error.code(), "table_too_large", "{pattern:?}: {error}");
    }
    let unclosed = format!("a,b\n1,\"2\n{}", "3,4\n".repeat(5 << 20));
    let error = open(Bytes::from(unclosed), Format::Csv).err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("record 2 (a quote that is not closed"),
        "{error}"
    );
}

#[test]
fn a_large_file_is_sampled_and_previewed_within_bounds() {
    let table = endless(format!("1,{},3.5\n", "two".repeat(260)).as_bytes(), Format::Csv).unwrap();
    let schema = table.schema();
    assert_eq!((schema.rows, schema.sampled_rows), (None, Some(10_000)));
    assert_eq!(table.preview(0, 3).unwrap().next_offset, Some(3));
    let far = table.preview(1 << 40, 3).unwrap();
    assert!(far.rows.is_empty());
    assert_eq!(codes(&far.notices), ["scan_limit"]);
}

#[test]
fn a_preview_is_bounded_in_columns_cells_and_bytes() {
    let wide: String = (0..2000).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    let table = csv(&format!("{wide}\n{wide}\n"));
    let rows = table.preview(0, 1).unwrap();
    assert_eq!(
        (rows.columns.len(), rows.rows[0].len(), rows.columns_total),
        (1000, 1000, 2000)
    );
    assert_eq!(codes(&rows.notices), ["columns_left_out"]);

    let row = vec!["y".repeat(1200); 20].join(",");
    let names: String = (0..20).map(|n| format!("n{n}")).collect::<Vec<_>>().join(",");
    let table = csv(&format!("{names}\n{}", format!("{row}\n").repeat(1000)));
    let rows = table.preview(0, 1000).unwrap();
    assert!(rows.rows.len() < 1000);
    assert_eq!(codes(&rows.notices), ["rows_left_out"]);
    assert_eq!(rows.next_offset, Some(rows.rows.len() as u64));
    assert!(rows.rows[0][0].cut);
}

#[test]
fn a_failing_source_is_told_as_such() {
    struct Broken;
    impl RandomRead for Broken {
        fn len(&self) -> u64 {
            100
        }
        fn read_at(&self, _: u64, _: usize) -> io::Result<Bytes> {
            Err(io::Error::other("cancelled"))
        }
    }
    for format in [Format::Csv, Format::JsonLines, Format::Parquet] {
        let error = Table::open(Arc::new(Broken), format, TextOptions::default())
            .err()
            .unwrap();
        assert_eq!(error.code(), "table_read");
    }
}
