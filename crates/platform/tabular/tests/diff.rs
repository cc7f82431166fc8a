//! What differs between two tables.

#![allow(clippy::unwrap_used, reason = "a failed unwrap here is a failed test")]

mod common;

use std::collections::BTreeMap;

use bytes::Bytes;
use common::{csv, fixture, jsonl, text};
use corliss_diagnostics::Diagnose;
use corliss_tabular::{DiffOptions, Table, TableDiff, diff};
use proptest::prelude::*;

fn keyed(key: &[&str]) -> DiffOptions {
    DiffOptions {
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        ..DiffOptions::default()
    }
}

fn whole(old: &Table, new: &Table) -> TableDiff {
    diff(old, new, &DiffOptions::default()).unwrap()
}

#[test]
fn rows_with_a_key_are_added_removed_and_changed() {
    let old = csv("id,name,age\n1,ann,30\n2,bob,40\n3,cyd,50\n");
    let new = csv("id,name,age\n3,cyd,51\n1,ann,30\n4,dan,\n");
    let told = diff(&old, &new, &keyed(&["id"])).unwrap();
    let counts = told.rows;
    assert_eq!(
        (counts.added, counts.removed, counts.changed, counts.unchanged),
        (1, 1, 1, 1)
    );
    assert!(!told.same && !counts.reordered && told.schema.is_empty());
    assert_eq!((told.added[0].row, text(&told.added[0].cells[1])), (2, "dan"));
    assert_eq!((told.removed[0].row, text(&told.removed[0].cells[1])), (1, "bob"));
    let changed = &told.changed[0];
    assert_eq!(
        (changed.old_row, changed.new_row, changed.cells_changed),
        (2, 0, 1)
    );
    assert_eq!(text(&changed.key[0]), "3");
    assert_eq!(changed.cells[0].column.as_deref(), Some("age"));
    assert_eq!(
        (text(&changed.cells[0].old), text(&changed.cells[0].new)),
        ("50", "51")
    );
}

#[test]
fn rows_without_a_key_are_a_multiset() {
    let old = csv("a,b\nx,1\nx,1\ny,2\nz,3\n");
    let new = csv("a,b\nx,1\nw,9\nw,9\nz,3\nw,9\n");
    let told = whole(&old, &new);
    assert_eq!(
        (told.rows.added, told.rows.removed, told.rows.unchanged),
        (3, 2, 2)
    );
    assert_eq!(told.added.len(), 1);
    assert_eq!(
        (
            told.added[0].row,
            told.added[0].count,
            text(&told.added[0].cells[0])
        ),
        (1, 3, "w")
    );
    let removed: Vec<_> = told.removed.iter().map(|row| (row.row, row.count)).collect();
    assert_eq!(removed, [(0, 1), (2, 1)]);
}

#[test]
fn another_order_alone_is_told() {
    let (old, new) = (csv("a\nx\ny\n"), csv("a\ny\nx\n"));
    for options in [DiffOptions::default(), keyed(&["a"])] {
        let told = diff(&old, &new, &options).unwrap();
        assert!(told.rows.reordered && !told.same);
        assert_eq!((told.rows.added, told.rows.removed), (0, 0));
        assert!(diff(&old, &old, &options).unwrap().same);
    }
}

#[test]
fn columns_are_told_apart_from_rows() {
    let old = csv("a,b,c\n1,x,2\n");
    let new = csv("c,a,d\nz,1,2024-01-01\n");
    let told = whole(&old, &new);
    let names = |columns: &[corliss_tabular::Column]| -> Vec<String> {
        columns.iter().map(|column| column.name.clone()).collect()
    };
    assert_eq!(
        (names(&told.schema.added), names(&told.schema.removed)),
        (vec!["d".into()], vec!["b".into()])
    );
    assert_eq!(told.schema.changed[0].name, "c");
    assert_eq!(
        (
            told.schema.changed[0].old_type.as_str(),
            told.schema.changed[0].new_type.as_str()
        ),
        ("integer", "string")
    );
    assert!(told.schema.reordered);
    assert_eq!(told.compared, ["a", "c"]);
    assert_eq!((told.rows.added, told.rows.removed), (1, 1));

    let more = csv("a,b\n1,x\n");
    let told = whole(&csv("a\n1\n"), &more);
    assert_eq!((told.rows.unchanged, told.same), (1, false));
}

#[test]
fn csv_is_text_and_json_is_not() {
    assert_eq!(whole(&csv("a\n1\n"), &csv("a\n1.0\n")).rows.added, 1);
    assert!(
        whole(
            &jsonl("{\"a\": 1, \"b\": {\"x\": 1, \"y\": 2}}"),
            &jsonl("{\"b\": {\"y\": 2, \"x\": 1}, \"a\": 1.0}")
        )
        .rows
        .added
            == 0
    );
    assert!(
        whole(&jsonl("{\"a\": null, \"b\": 1}"), &jsonl("{\"b\": 1}"))
            .rows
            .added
            == 0
    );
    assert_eq!(
        whole(
            &jsonl("{\"a\": null, \"b\": 1}"),
            &jsonl("{\"a\": \"\", \"b\": 1}")
        )
        .rows
        .added,
        1
    );
    assert_eq!(whole(&csv("a,b\nx\n"), &csv("a,b\nx,\n")).rows.added, 1);
}

#[test]
fn a_row_that_grew_a_cell_is_not_the_same() {
    let (old, new) = (csv("a,b\n1,2\n3,4\n"), csv("a,b\n1,2,9\n3,4\n"));
    assert_eq!(whole(&old, &new).rows.added, 1);
    let told = diff(&old, &new, &keyed(&["a"])).unwrap();
    assert_eq!((told.rows.changed, told.changed[0].cells_changed), (1, 1));
    assert_eq!(told.changed[0].cells[0].column, None);
    assert_eq!(text(&told.changed[0].cells[0].new), "[\"9\"]");
}

#[test]
fn a_member_that_comes_late_is_compared() {
    let line = "{\"a\": 1}\n".repeat(20_000);
    let told = whole(
        &jsonl(&format!("{line}{{\"z\": 1}}")),
        &jsonl(&format!("{line}{{\"z\": 2}}")),
    );
    assert_eq!(
        (told.rows.added, told.rows.removed, told.rows.unchanged),
        (1, 1, 20_000)
    );
    assert_eq!(text(&told.added[0].cells[1]), "2");
}

#[test]
fn parquet_rows_are_compared_by_value() {
    // The same instants and numbers in other types: only the schema differs.
    let told = whole(&fixture("none"), &fixture("int96"));
    let changed: Vec<_> = told
        .schema
        .changed
        .iter()
        .map(|change| change.name.as_str())
        .collect();
    assert_eq!(
        changed,
        ["seen", "local"]
            .into_iter()
            .filter(|name| changed.contains(name))
            .collect::<Vec<_>>()
    );
    assert!(changed.contains(&"seen"));
    let told = diff(&fixture("none"), &fixture("int96"), &keyed(&["id"])).unwrap();
    // An instant is not a wall clock's reading, so `seen` differs where it is not null.
    assert_eq!((told.rows.changed, told.rows.unchanged), (1, 4));
    assert_eq!(told.changed[0].cells_changed, 1);
    assert_eq!(told.changed[0].cells[0].column.as_deref(), Some("seen"));
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_reason() {
    let table = csv("a,b\n1,2\n1,3\n");
    let code =
        |old: &Table, new: &Table, options: &DiffOptions| diff(old, new, options).err().unwrap().code();
    assert_eq!(
        code(&table, &jsonl("{}"), &DiffOptions::default()),
        "table_formats_differ"
    );
    assert_eq!(
        code(&table, &csv("x\ny\n"), &DiffOptions::default()),
        "table_nothing_in_common"
    );
    assert_eq!(code(&table, &table, &keyed(&["c"])), "table_unknown_column");
    let error = diff(&table, &table, &keyed(&["a"])).err().unwrap();
    assert_eq!(error.code(), "table_key_not_unique");
    assert_eq!(
        error.to_string(),
        "the key (a) is not unique in the old table: rows 0 and 1 have the same"
    );
    let few = DiffOptions {
        rows: 1,
        ..DiffOptions::default()
    };
    assert_eq!(code(&table, &table, &few), "table_too_large");
    assert_eq!(code(&fixture("none"), &fixture("none"), &few), "table_too_large");
    let little = DiffOptions {
        decoded_bytes: 100,
        ..DiffOptions::default()
    };
    assert_eq!(
        code(&fixture("none"), &fixture("none"), &little),
        "table_too_large"
    );
}

#[test]
fn examples_are_the_first_and_no_more_than_asked_for() {
    let rows: String = (0..500).map(|n| format!("{n},v\n")).collect();
    let new = csv(&format!("id,v\n{rows}"));
    let old = csv("id,v\nz,v\n");
    let options = DiffOptions {
        examples: 7,
        ..DiffOptions::default()
    };
    let told = diff(&old, &new, &options).unwrap();
    assert_eq!(told.rows.added, 500);
    assert_eq!(
        told.added.iter().map(|row| row.row).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5, 6]
    );
}

fn table_of(rows: &[(u16, u8)]) -> Table {
    let lines: String = rows
        .iter()
        .map(|(key, value)| format!("k{key},{value}\n"))
        .collect();
    csv(&format!("key,value\n{lines}"))
}

/// 64 entries a side is the least index there is, so tables of some hundred rows need several passes.
fn cramped(key: &[&str]) -> DiffOptions {
    DiffOptions {
        memory_bytes: 1,
        examples: 1000,
        ..keyed(key)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn multisets_differ_as_in_memory(
        old in prop::collection::vec((0_u16..300, 0_u8..3), 0..400),
        new in prop::collection::vec((0_u16..300, 0_u8..3), 0..400),
    ) {
        let told = diff(&table_of(&old), &table_of(&new), &cramped(&[])).unwrap();
        let mut counts: BTreeMap<(u16, u8), (u64, u64)> = BTreeMap::new();
        old.iter().for_each(|row| counts.entry(*row).or_default().0 += 1);
        new.iter().for_each(|row| counts.entry(*row).or_default().1 += 1);
        let sum = |of: fn(&(u64, u64)) -> u64| counts.values().map(of).sum::<u64>();
        prop_assert_eq!(told.rows.added, sum(|(old, new)| new.saturating_sub(*old)));
        prop_assert_eq!(told.rows.removed, sum(|(old, new)| old.saturating_sub(*new)));
        prop_assert_eq!(told.rows.unchanged, sum(|(old, new)| *(old.min(new))));
        prop_assert_eq!((told.rows.old, told.rows.new), (old.len() as u64, new.len() as u64));
        for example in &told.added {
            let row = new[usize::try_from(example.row).unwrap()];
            let (before, after) = counts[&row];
            prop_assert_eq!(example.count, after - before);
            prop_assert_eq!(text(&example.cells[0]), format!("k{}", row.0));
        }
        prop_assert_eq!(told.added.len(), counts.values().filter(|(old, new)| new > old).count());
        prop_assert_eq!(told.removed.len(), counts.values().filter(|(old, new)| old > new).count());
        prop_assert_eq!(told.same, old == new);
    }

    #[test]
    fn keyed_rows_differ_as_in_memory(
        old in prop::collection::hash_map(0_u16..400, 0_u8..3, 0..300),
        new in prop::collection::hash_map(0_u16..400, 0_u8..3, 0..300),
    ) {
        let old: Vec<(u16, u8)> = old.into_iter().collect();
        let new: Vec<(u16, u8)> = new.into_iter().collect();
        let told = diff(&table_of(&old), &table_of(&new), &cramped(&["key"])).unwrap();
        let before: BTreeMap<_, _> = old.iter().copied().collect();
        let after: BTreeMap<_, _> = new.iter().copied().collect();
        let both = || after.iter().filter_map(|(key, value)| Some((value, before.get(key)?)));
        prop_assert_eq!(told.rows.changed, both().filter(|(new, old)| new != old).count() as u64);
        prop_assert_eq!(told.rows.unchanged, both().filter(|(new, old)| new == old).count() as u64);
        prop_assert_eq!(told.rows.added, after.keys().filter(|key| !before.contains_key(key)).count() as u64);
        prop_assert_eq!(told.rows.removed, before.keys().filter(|key| !after.contains_key(key)).count() as u64);
        prop_assert_eq!(told.changed.len() as u64, told.rows.changed);
        prop_assert!(told.changed.is_sorted_by_key(|row| row.new_row));
        for row in &told.changed {
            let (key, value) = new[usize::try_from(row.new_row).unwrap()];
            prop_assert_eq!(text(&row.key[0]), format!("k{key}"));
            prop_assert_eq!(text(&row.cells[0].new), value.to_string());
            prop_assert_eq!(text(&row.cells[0].old), before[&key].to_string());
        }
    }

    #[test]
    fn any_bytes_are_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in [corliss_tabular::Format::Csv, corliss_tabular::Format::JsonLines] {
            if let Ok(table) = common::open(Bytes::from(bytes.clone()), format) {
                let shown = table.preview(0, 1000).unwrap();
                prop_assert_eq!(shown.rows_total, table.schema().rows);
                if !shown.columns.is_empty() {
                    prop_assert!(whole(&table, &table).same);
                }
            }
        }
    }
}
