//! A column of one row group: its leaves read in step and put together to values.

use std::sync::Arc;

use parquet::column::reader::get_column_reader;
use parquet::file::metadata::RowGroupMetaData;

use super::leaf::{Leaf, disagree};
use super::page::{Budget, Pages};
use super::tree::{Column, Node, Shape};
use super::{Guarded, guarded};
use crate::TabularError;
use crate::source::RandomRead;
use crate::value::Value;

/// Rows read at a time. Rows of nested columns have many values, so there are fewer of them.
const FLAT_ROWS: usize = 1024;
const NESTED_ROWS: usize = 128;

/// Reads a column of a row group from its first row on.
pub(super) struct ColumnRows<'a> {
    column: &'a Column,
    leaves: Vec<Leaf>,
    budget: Arc<Budget>,
}

impl<'a> ColumnRows<'a> {
    pub fn open(
        source: &Arc<dyn RandomRead>,
        group: &RowGroupMetaData,
        column: &'a Column,
        budget: &Arc<Budget>,
    ) -> Result<Self, TabularError> {
        let mut meanings = Vec::new();
        collect(&column.node, &mut meanings);
        let mut leaves = Vec::new();
        for (index, meaning) in meanings.into_iter().enumerate() {
            let chunk = group.columns().get(column.first_leaf + index).ok_or_else(|| {
                TabularError::parquet(format!("a row group has no data for column '{}'", column.name))
            })?;
            let description = chunk.column_descr_ptr();
            let greatest = description.max_def_level();
            let pages = Pages::open(source, chunk, budget)?;
            leaves.push(Leaf::new(
                get_column_reader(description, Box::new(pages)),
                meaning,
                greatest,
            ));
        }
        Ok(Self {
            column,
            leaves,
            budget: Arc::clone(budget),
        })
    }

    /// Passes over so many rows: of a flat column page by page, of a nested one batch by batch, since what
    /// a batch may touch is bounded.
    pub fn skip(&mut self, rows: u64) -> Result<(), TabularError> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let most = if self.column.is_flat() {
            usize::MAX
        } else {
            NESTED_ROWS
        };
        for leaf in &mut self.leaves {
            let mut left = rows;
            while left > 0 {
                let want = left.min(most);
                self.budget.begin_batch();
                let skipped = guarded(Guarded::Column(&self.column.name), || Ok(leaf.skip(want)?))?;
                if skipped != want {
                    return Err(short(self.column));
                }
                left -= want;
            }
        }
        Ok(())
    }

    /// Hands the next rows to `each`, which are all there: fewer than asked for is an error.
    pub fn read(
        &mut self,
        rows: u64,
        each: &mut dyn FnMut(Value) -> Result<(), TabularError>,
    ) -> Result<(), TabularError> {
        let most = if self.column.is_flat() {
            FLAT_ROWS
        } else {
            NESTED_ROWS
        };
        let mut left = rows;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(most).min(most);
            for leaf in &mut self.leaves {
                self.budget.begin_batch();
                let read = guarded(Guarded::Column(&self.column.name), || Ok(leaf.read(want)?))?;
                if read != want {
                    return Err(short(self.column));
                }
            }
            for _ in 0..want {
                each(assemble(&self.column.node, &mut self.leaves)?)?;
            }
            if self.leaves.iter().any(|leaf| leaf.peek().is_some()) {
                return Err(disagree());
            }
            left -= want as u64;
        }
        Ok(())
    }
}

fn short(column: &Column) -> TabularError {
    TabularError::parquet(format!(
        "column '{}' has fewer values than there are rows",
        column.name
    ))
}

fn collect(node: &Node, meanings: &mut Vec<super::kinds::Meaning>) {
    match &node.shape {
        Shape::Leaf(meaning) => meanings.push(*meaning),
        Shape::Struct(members) => members.iter().for_each(|(_, member)| collect(member, meanings)),
        Shape::List(_, element) => collect(element, meanings),
        Shape::Map(_, key, value) => {
            collect(key, meanings);
            if let Some(value) = value {
                collect(value, meanings);
            }
        }
    }
}

/// Puts the next value of a node together.
///
/// Dremel's levels: an entry's definition level says how far down it exists, its repetition level which
/// list goes on. Each leaf below a null or an empty list has one entry for it.
fn assemble(node: &Node, leaves: &mut [Leaf]) -> Result<Value, TabularError> {
    if let Shape::Leaf(_) = node.shape {
        return leaves[node.first_leaf].take();
    }
    let (definition, _) = leaves[node.first_leaf].peek().ok_or_else(disagree)?;
    if definition < node.present {
        pass(node, leaves)?;
        return Ok(Value::Null);
    }
    match &node.shape {
        Shape::Leaf(_) => leaves[node.first_leaf].take(),
        Shape::Struct(members) => {
            let mut made = Vec::with_capacity(members.len());
            for (name, member) in members {
                made.push((Arc::clone(name), assemble(member, leaves)?));
            }
            Ok(Value::Struct(made))
        }
        Shape::List(repeat, element) => {
            let mut items = Vec::new();
            if definition < repeat.filled {
                pass(node, leaves)?;
                return Ok(Value::List(items));
            }
            loop {
                items.push(assemble(element, leaves)?);
                if !goes_on(node, repeat.again, leaves) {
                    return Ok(Value::List(items));
                }
            }
        }
        Shape::Map(repeat, key, value) => {
            let mut entries = Vec::new();
            if definition < repeat.filled {
                pass(node, leaves)?;
                return Ok(Value::Map(entries));
            }
            loop {
                let key = assemble(key, leaves)?;
                let value = match value {
                    Some(value) => assemble(value, leaves)?,
                    None => Value::Null,
                };
                entries.push((key, value));
                if !goes_on(node, repeat.again, leaves) {
                    return Ok(Value::Map(entries));
                }
            }
        }
    }
}

fn goes_on(node: &Node, again: i16, leaves: &[Leaf]) -> bool {
    leaves[node.first_leaf]
        .peek()
        .is_some_and(|(_, repetition)| repetition >= again)
}

/// Passes over the entry that stands for nothing.
fn pass(node: &Node, leaves: &mut [Leaf]) -> Result<(), TabularError> {
    for leaf in &mut leaves[node.first_leaf..node.first_leaf + node.leaves] {
        leaf.take()?;
    }
    Ok(())
}
