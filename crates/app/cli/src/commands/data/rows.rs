//! `corliss data diff --rows`: which rows and columns of a table differ.

use serde::Deserialize;
use serde_json::Value;

use crate::api::segment;
use crate::context::Context;
use crate::error::CliResult;
use crate::{output, text, units};

/// Rows of a kind that are shown; a program reads more of them from `--json`.
const SHOWN: usize = 20;
/// Characters of a cell.
const CELL_WIDTH: usize = 40;

#[derive(Deserialize)]
struct Answer {
    same: bool,
    schema: Schema,
    rows: Counts,
    columns: Vec<String>,
    added: Vec<Row>,
    removed: Vec<Row>,
    changed: Vec<Changed>,
}

#[derive(Deserialize)]
struct Schema {
    added: Vec<Column>,
    removed: Vec<Column>,
    changed: Vec<Retyped>,
    reordered: bool,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Retyped {
    name: String,
    old_type: String,
    new_type: String,
    old_nullable: bool,
    new_nullable: bool,
}

#[derive(Deserialize)]
struct Counts {
    added: u64,
    removed: u64,
    changed: u64,
    unchanged: u64,
    reordered: bool,
}

#[derive(Deserialize)]
struct Row {
    count: u64,
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Changed {
    key: Vec<Cell>,
    cells: Vec<ChangedCell>,
    cells_changed: usize,
}

#[derive(Deserialize)]
struct ChangedCell {
    #[serde(default)]
    column: Option<String>,
    old: Cell,
    new: Cell,
}

#[derive(Deserialize)]
struct Cell {
    #[serde(default)]
    text: Option<String>,
}

impl Cell {
    fn shown(&self) -> String {
        let text = self.text.as_deref().unwrap_or("null");
        text::tame(text, CELL_WIDTH)
    }
}

pub(super) fn diff(context: &Context, from: &str, to: &str, path: &str, key: &[String]) -> CliResult {
    let asked = format!(
        "/api/v1/data/diff/table?from={}&to={}&path={}&key={}",
        segment(from),
        segment(to),
        segment(path),
        segment(&key.join(","))
    );
    let answer: Value = context.api()?.get(&asked)?;
    context.answer(answer, |answer: Answer| tell(path, key, &answer))
}

fn tell(path: &str, key: &[String], answer: &Answer) {
    if answer.same {
        output::say(&format!("{path}: the tables are the same"));
        return;
    }
    for line in schema(&answer.schema) {
        output::say(&line);
    }
    let rows = &answer.rows;
    output::say(&format!(
        "rows: {} added, {} removed, {} changed, {} the same{}",
        rows.added,
        rows.removed,
        rows.changed,
        rows.unchanged,
        if rows.reordered { ", in another order" } else { "" }
    ));
    if !answer.added.is_empty() || !answer.removed.is_empty() {
        output::say(&format!("  {}", answer.columns.join("  ")));
    }
    for (sign, rows, total) in [
        ("-", &answer.removed, rows.removed),
        ("+", &answer.added, rows.added),
    ] {
        let mut told = 0;
        for row in rows.iter().take(SHOWN) {
            let times = match row.count {
                1 => String::new(),
                count => format!("  ({count} times)"),
            };
            output::say(&format!("{sign} {}{times}", cells(&row.cells)));
            told += row.count;
        }
        more(sign, total.saturating_sub(told));
    }
    for row in answer.changed.iter().take(SHOWN) {
        let each = row.cells.iter().map(|cell| {
            let column = cell.column.as_deref().unwrap_or("?");
            format!("{column}: {} to {}", cell.old.shown(), cell.new.shown())
        });
        let each: Vec<String> = each.collect();
        let left = match row.cells_changed.saturating_sub(row.cells.len()) {
            0 => String::new(),
            left => format!(", and {}", units::plural(left as u64, "column")),
        };
        output::say(&format!("~ {}  {}{left}", cells(&row.key), each.join(", ")));
    }
    more(
        "~",
        rows.changed
            .saturating_sub(answer.changed.len().min(SHOWN) as u64),
    );
    if key.is_empty() && rows.added > 0 && rows.removed > 0 {
        output::say("--key COLUMN tells rows that changed from others");
    }
}

fn schema(schema: &Schema) -> Vec<String> {
    let each = |verb: &str, columns: &[Column]| -> Vec<String> {
        let line = |column: &Column| {
            format!(
                "column {verb}: {} ({})",
                text::tame(&column.name, CELL_WIDTH),
                column.kind
            )
        };
        columns.iter().map(line).collect()
    };
    let mut lines = each("removed", &schema.removed);
    lines.extend(each("added", &schema.added));
    lines.extend(schema.changed.iter().map(|column| {
        let kind = |kind: &str, nullable: bool| match nullable {
            true => format!("{kind} or null"),
            false => kind.to_owned(),
        };
        format!(
            "column changed: {} ({} to {})",
            text::tame(&column.name, CELL_WIDTH),
            kind(&column.old_type, column.old_nullable),
            kind(&column.new_type, column.new_nullable)
        )
    }));
    if schema.reordered {
        lines.push("columns: in another order".to_owned());
    }
    lines
}

fn cells(cells: &[Cell]) -> String {
    let cells: Vec<String> = cells.iter().map(Cell::shown).collect();
    cells.join("  ")
}

fn more(sign: &str, left: u64) {
    if left > 0 {
        output::say(&format!(
            "{sign} … and {}",
            units::plural_of(left, "more row", "more rows")
        ));
    }
}
