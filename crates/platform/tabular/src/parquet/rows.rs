//! What is asked of a Parquet table: its schema, some rows, fingerprints of all rows.

use std::sync::Arc;

use super::ParquetTable;
use super::column::ColumnRows;
use super::page::Budget;
use crate::TabularError;
use crate::limits::{PREVIEW_BYTES, PREVIEW_COLUMNS, PREVIEW_DECODED_BYTES};
use crate::model::{Cell, Column, Notice, Rows};
use crate::table::{Example, Pair, cell_bytes, columns_left_out, rows_left_out};
use crate::value::{Digest, Value, short};

impl ParquetTable {
    /// Its columns.
    pub fn columns(&self) -> Vec<Column> {
        let nulls = |column: &super::Column| {
            // Statistics of a nested leaf count its entries, not rows.
            column.is_flat().then_some(())?;
            let chunk = |group: &parquet::file::metadata::RowGroupMetaData| {
                group
                    .columns()
                    .get(column.first_leaf)?
                    .statistics()?
                    .null_count_opt()
            };
            let counts: Option<Vec<u64>> = self.metadata.row_groups().iter().map(chunk).collect();
            counts?.into_iter().try_fold(0_u64, u64::checked_add)
        };
        let told = self.columns.iter().map(|column| Column {
            name: column.name.clone(),
            kind: column.words.clone(),
            nullable: column.nullable,
            nulls: nulls(column),
        });
        told.collect()
    }

    /// What is odd about it.
    pub fn notices(&self) -> Vec<Notice> {
        let told = (self.repeated_names > 0).then(|| {
            Notice::new(
                "duplicate_names",
                format!(
                    "{} with a name that came before; their names are numbered.",
                    corliss_diagnostics::counted(self.repeated_names, "column", "columns")
                ),
            )
        });
        told.into_iter().collect()
    }

    /// Rows as text. Only row groups with some of the rows are read, and of those what lies before the
    /// first row is passed over page by page.
    pub fn preview(&self, offset: u64, limit: usize) -> Result<Rows, TabularError> {
        let width = self.columns.len().min(PREVIEW_COLUMNS);
        let left = self.rows.saturating_sub(offset);
        let mut count = usize::try_from(left).unwrap_or(limit).min(limit);
        let budget = Budget::new(PREVIEW_DECODED_BYTES);
        let mut notices = self.notices();
        let mut columns: Vec<Vec<Cell>> = Vec::new();
        let mut bytes = 0;
        let asked = count;
        for column in &self.columns[..width] {
            let mut cells = Vec::with_capacity(count);
            self.read(column, offset, count as u64, &budget, &mut |value| {
                cells.push(value.cell());
                Ok(())
            })?;
            bytes += cells.iter().map(cell_bytes).sum::<usize>();
            columns.push(cells);
            // Columns are read one after the other, so what is too much is cut off every column's end.
            while bytes > PREVIEW_BYTES && count > 1 {
                count = count.div_ceil(2);
                bytes = 0;
                for cells in &mut columns {
                    cells.truncate(count);
                    bytes += cells.iter().map(cell_bytes).sum::<usize>();
                }
            }
        }
        if count < asked {
            notices.push(rows_left_out());
        }
        notices.extend(columns_left_out(self.columns.len()));
        let mut rows: Vec<Vec<Cell>> = (0..count).map(|_| Vec::with_capacity(width)).collect();
        for cells in columns {
            for (row, cell) in rows.iter_mut().zip(cells) {
                row.push(cell);
            }
        }
        let end = offset.saturating_add(count as u64);
        Ok(Rows {
            columns: self.columns[..width]
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            columns_total: self.columns.len(),
            offset,
            rows,
            rows_total: Some(self.rows),
            next_offset: (end < self.rows).then_some(end),
            notices,
        })
    }

    /// Hands `count` values of a column from row `start` on to `each`.
    fn read(
        &self,
        column: &super::Column,
        start: u64,
        count: u64,
        budget: &Arc<Budget>,
        each: &mut dyn FnMut(Value) -> Result<(), TabularError>,
    ) -> Result<(), TabularError> {
        let (mut before, mut left) = (start, count);
        for (group, rows) in self.metadata.row_groups().iter().zip(&self.groups) {
            if left == 0 {
                return Ok(());
            }
            if before >= *rows {
                before -= rows;
                continue;
            }
            let here = left.min(rows - before);
            let mut reader = ColumnRows::open(&self.source, group, column, budget)?;
            if before > 0 {
                reader.skip(before)?;
            }
            reader.read(here, each)?;
            (before, left) = (0, left - here);
        }
        Ok(())
    }

    /// Hands a pair of fingerprints of every row to `each`, made of the key's columns and of the others'.
    ///
    /// Columns are read one after the other within a row group, each folded into what the rows have so far:
    /// that needs the pages of one column at a time, whatever the number of columns.
    pub fn fingerprints(
        &self,
        key: &[usize],
        rest: &[usize],
        most_bytes: u64,
        each: &mut dyn FnMut(Pair) -> Result<(), TabularError>,
    ) -> Result<(), TabularError> {
        let budget = Budget::new(most_bytes);
        let mut weight = 0_u64;
        for (group, rows) in self.metadata.row_groups().iter().zip(&self.groups) {
            let mut fold = |indexes: &[usize]| {
                let mut digests: Vec<Digest> = Vec::new();
                for index in indexes {
                    let mut reader = ColumnRows::open(&self.source, group, &self.columns[*index], &budget)?;
                    let mut row = 0;
                    reader.read(*rows, &mut |value| {
                        weight = weight.saturating_add(value.weight());
                        if weight > most_bytes {
                            return Err(TabularError::too_large(
                                "what has to be compared",
                                format!("{most_bytes} bytes"),
                            ));
                        }
                        let mut hasher = blake3::Hasher::new();
                        match digests.get_mut(row) {
                            Some(digest) => {
                                hasher.update(digest);
                                value.feed(&mut hasher);
                                *digest = short(&hasher);
                            }
                            // The first column: memory grows with what is there, not with what is claimed.
                            None => digests.push(value.digest()),
                        }
                        row += 1;
                        Ok(())
                    })?;
                }
                Ok::<_, TabularError>(digests)
            };
            let (keys, rests) = (fold(key)?, fold(rest)?);
            for row in 0..keys.len().max(rests.len()) {
                each(Pair {
                    key: keys.get(row).copied().unwrap_or_default(),
                    rest: rests.get(row).copied().unwrap_or_default(),
                })?;
            }
        }
        Ok(())
    }

    /// The rows of the given numbers, which ascend, with the values of some columns.
    pub fn rows_at(
        &self,
        numbers: &[u64],
        columns: &[usize],
        most_bytes: u64,
    ) -> Result<Vec<Example>, TabularError> {
        let budget = Budget::new(most_bytes);
        let mut examples: Vec<Example> = numbers.iter().map(|number| Example::new(*number)).collect();
        for index in columns {
            let mut at = 0;
            let mut start = 0;
            for (group, rows) in self.metadata.row_groups().iter().zip(&self.groups) {
                let end = start + rows;
                let here = at + numbers[at..].iter().take_while(|number| **number < end).count();
                if here > at {
                    let mut reader = ColumnRows::open(&self.source, group, &self.columns[*index], &budget)?;
                    let mut next = start;
                    for (number, example) in numbers[at..here].iter().zip(&mut examples[at..here]) {
                        if *number > next {
                            reader.skip(number - next)?;
                        }
                        next = number + 1;
                        reader.read(1, &mut |value| {
                            example.push(&value);
                            Ok(())
                        })?;
                    }
                }
                (at, start) = (here, end);
            }
        }
        Ok(examples)
    }
}
