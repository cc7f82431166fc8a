//! What differs between two tables.
//!
//! Rows are compared by fingerprints of 128 bits over the columns that both tables have; the texts of the
//! first examples are fetched when it is known which rows they are. Values are compared as what they are:
//! see `value`. Columns that only one table has are told with the schema and make no row different.

mod index;
mod model;
mod schema;

use std::collections::BinaryHeap;

use self::index::{Entry, Passes, Side, Whole};
pub use self::model::{
    ChangedCell, ChangedRow, ColumnChange, DiffOptions, RowCounts, RowExample, SchemaDiff, TableDiff,
};
use crate::TabularError;
use crate::limits::{DIFF_CELLS, DIFF_EXAMPLES, PREVIEW_BYTES, PREVIEW_COLUMNS};
use crate::model::Cell;
use crate::table::{Example, Table, cell_bytes};

/// Cells that are fetched for the examples of one kind, each of up to 4 KB.
const EXAMPLE_CELLS: usize = 50_000;

/// Compares two tables of one format.
///
/// In CSV, cells are compared as text, a missing cell is null and not empty. In JSON lines a member that is
/// missing is null. In Parquet numbers are compared by value and times as instants, so a column of another
/// width or unit does not make its rows different, while NaN equals NaN and null equals nothing but null.
///
/// # Errors
/// The formats differ, a key column is missing or its values are not unique, a table is damaged or exceeds
/// a limit, or the bytes cannot be read.
pub fn diff(old: &Table, new: &Table, options: &DiffOptions) -> Result<TableDiff, TabularError> {
    if old.format() != new.format() {
        return Err(TabularError::FormatsDiffer {
            old: old.format(),
            new: new.format(),
        });
    }
    for (side, table) in [("old", old), ("new", new)] {
        // Told before anything is read, where it is known.
        if table.rows().is_some_and(|rows| rows > options.rows) {
            return Err(index::too_many(side, options.rows));
        }
    }
    let (old, new) = (old.whole()?, new.whole()?);
    let (old_columns, new_columns) = (old.columns(), new.columns());
    let matched = schema::compare(old.format(), &old_columns, &new_columns);
    let (key, rest) = schema::split(&matched, &options.key, &old_columns, &new_columns)?;
    let common = &matched.common;
    let side = |name, table, old_side: bool| {
        let place = |at: &usize| if old_side { common[*at].1 } else { common[*at].2 };
        Side {
            name,
            table,
            key: key.iter().map(place).collect(),
            rest: rest.iter().map(place).collect(),
        }
    };
    let (old, new) = (side("old", &old, true), side("new", &new, false));
    let most = options
        .examples
        .min(DIFF_EXAMPLES)
        .min((EXAMPLE_CELLS / common.len()).max(1));
    let found = find(&old, &new, options, most)?;
    let order: Vec<usize> = (0..common.len()).collect();
    let fetch = Fetch {
        old: &old,
        new: &new,
        common,
        key: &key,
        order: &order,
        most_bytes: options.decoded_bytes,
    };
    let shown = &order[..order.len().min(PREVIEW_COLUMNS)];
    let schema = matched.schema.clone();
    Ok(TableDiff {
        same: schema.is_empty() && found.same(),
        added: fetch.rows(&new, false, shown, found.added.ascending())?,
        removed: fetch.rows(&old, true, shown, found.removed.ascending())?,
        changed: fetch.changed(found.changed.ascending())?,
        schema,
        key: options.key.clone(),
        compared: common.iter().map(|(name, _, _)| name.clone()).collect(),
        rows: found.counts,
        columns: shown.iter().map(|at| common[*at].0.clone()).collect(),
    })
}

/// A row to show: its number, the number of what it is compared with, how many there are.
type Sight = (u64, u64, u64);

/// The first rows of a kind, whatever order they are found in.
struct First {
    most: usize,
    rows: BinaryHeap<Sight>,
}

impl First {
    fn new(most: usize) -> Self {
        Self {
            most,
            rows: BinaryHeap::new(),
        }
    }

    fn push(&mut self, sight: Sight) {
        self.rows.push(sight);
        if self.rows.len() > self.most {
            self.rows.pop();
        }
    }

    fn ascending(self) -> Vec<Sight> {
        self.rows.into_sorted_vec()
    }
}

struct Found {
    counts: RowCounts,
    added: First,
    removed: First,
    changed: First,
}

impl Found {
    fn same(&self) -> bool {
        let counts = &self.counts;
        counts.added == 0 && counts.removed == 0 && counts.changed == 0 && !counts.reordered
    }
}

fn find(old: &Side<'_>, new: &Side<'_>, options: &DiffOptions, most: usize) -> Result<Found, TabularError> {
    let mut passes = Passes::new(
        &options.key,
        options.rows,
        options.decoded_bytes,
        options.memory_bytes,
    );
    let mut found = Found {
        counts: RowCounts::default(),
        added: First::new(most),
        removed: First::new(most),
        changed: First::new(most),
    };
    let mut orders = (Whole::default(), Whole::default());
    while !passes.done() {
        let (mut before, whole_old) = passes.read(old)?;
        let (after, whole_new) = passes.read(new)?;
        passes.narrow(&mut before);
        join(&before, &after, !old.key.is_empty(), &mut found);
        orders = (whole_old, whole_new);
        passes.advance();
    }
    found.counts.old = orders.0.rows;
    found.counts.new = orders.1.rows;
    found.counts.reordered = found.same() && orders.0.order != orders.1.order;
    Ok(found)
}

/// Walks over both sides, which are sorted by id, in step.
fn join(old: &[Entry], new: &[Entry], keyed: bool, found: &mut Found) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let (before, after) = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => (old.next(), None),
            (None, Some(_)) => (None, new.next()),
            (Some(left), Some(right)) => match left.id.cmp(&right.id) {
                std::cmp::Ordering::Less => (old.next(), None),
                std::cmp::Ordering::Greater => (None, new.next()),
                std::cmp::Ordering::Equal => (old.next(), new.next()),
            },
        };
        judge(before, after, keyed, found);
    }
}

fn judge(before: Option<&Entry>, after: Option<&Entry>, keyed: bool, found: &mut Found) {
    let count = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.count);
    let both = count(before).min(count(after));
    match (before, after) {
        (Some(left), Some(right)) if keyed && left.rest != right.rest => {
            found.counts.changed += both;
            found.changed.push((right.row, left.row, 1));
        }
        _ => found.counts.unchanged += both,
    }
    let (more, fewer) = (count(after) - both, count(before) - both);
    if let Some(entry) = after.filter(|_| more > 0) {
        found.counts.added += more;
        found.added.push((entry.row, 0, more));
    }
    if let Some(entry) = before.filter(|_| fewer > 0) {
        found.counts.removed += fewer;
        found.removed.push((entry.row, 0, fewer));
    }
}

/// Fetches the texts of examples.
struct Fetch<'a> {
    old: &'a Side<'a>,
    new: &'a Side<'a>,
    common: &'a [(String, usize, usize)],
    key: &'a [usize],
    order: &'a [usize],
    most_bytes: u64,
}

impl Fetch<'_> {
    fn at(
        &self,
        side: &Side<'_>,
        old: bool,
        columns: &[usize],
        rows: &[u64],
    ) -> Result<Vec<Example>, TabularError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let place = |at: &usize| {
            if old {
                self.common[*at].1
            } else {
                self.common[*at].2
            }
        };
        let places: Vec<usize> = columns.iter().map(place).collect();
        side.table.rows_at(rows, &places, self.most_bytes)
    }

    fn rows(
        &self,
        side: &Side<'_>,
        old: bool,
        columns: &[usize],
        sights: Vec<Sight>,
    ) -> Result<Vec<RowExample>, TabularError> {
        let numbers: Vec<u64> = sights.iter().map(|sight| sight.0).collect();
        let examples = self.at(side, old, columns, &numbers)?;
        let mut left = PREVIEW_BYTES;
        let told = sights
            .into_iter()
            .zip(examples)
            .map(|((row, _, count), example)| {
                let cells = example.cells.into_iter().take(columns.len());
                RowExample {
                    row,
                    count,
                    cells: cells.map(|(cell, _)| cell).collect(),
                }
            });
        Ok(told
            .take_while(|example: &RowExample| within(&mut left, example.cells.iter()))
            .collect())
    }

    fn changed(&self, sights: Vec<Sight>) -> Result<Vec<ChangedRow>, TabularError> {
        let new_numbers: Vec<u64> = sights.iter().map(|sight| sight.0).collect();
        let mut old_numbers: Vec<u64> = sights.iter().map(|sight| sight.1).collect();
        old_numbers.sort_unstable();
        let after = self.at(self.new, false, self.order, &new_numbers)?;
        let before = self.at(self.old, true, self.order, &old_numbers)?;
        let mut left = PREVIEW_BYTES;
        let mut told = Vec::new();
        for ((new_row, old_row, _), after) in sights.into_iter().zip(after) {
            let Ok(at) = before.binary_search_by_key(&old_row, |example| example.number) else {
                continue;
            };
            let row = self.changed_row(old_row, new_row, &before[at], &after);
            if !within(
                &mut left,
                row.cells.iter().flat_map(|cell| [&cell.old, &cell.new]),
            ) {
                break;
            }
            told.push(row);
        }
        Ok(told)
    }

    fn changed_row(&self, old_row: u64, new_row: u64, before: &Example, after: &Example) -> ChangedRow {
        let mut row = ChangedRow {
            old_row,
            new_row,
            key: self
                .key
                .iter()
                .filter_map(|at| Some(after.cells.get(*at)?.0.clone()))
                .collect(),
            cells: Vec::new(),
            cells_changed: 0,
        };
        let nothing = || Cell {
            text: None,
            cut: false,
        };
        for at in 0..before.cells.len().max(after.cells.len()) {
            let (old, new) = (before.cells.get(at), after.cells.get(at));
            if old.map(|cell| cell.1) == new.map(|cell| cell.1) {
                continue;
            }
            row.cells_changed += 1;
            if row.cells.len() < DIFF_CELLS {
                row.cells.push(ChangedCell {
                    column: self.common.get(at).map(|(name, _, _)| name.clone()),
                    old: old.map_or_else(nothing, |cell| cell.0.clone()),
                    new: new.map_or_else(nothing, |cell| cell.0.clone()),
                });
            }
        }
        row
    }
}

/// Whether cells fit into what is left for examples of a kind.
fn within<'a>(left: &mut usize, cells: impl Iterator<Item = &'a Cell>) -> bool {
    let bytes: usize = cells.map(cell_bytes).sum();
    let fits = bytes <= *left;
    *left = left.saturating_sub(bytes);
    fits
}
