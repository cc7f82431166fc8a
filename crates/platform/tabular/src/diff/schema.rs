//! Which columns differ, and which are compared.

use std::collections::HashMap;

use super::model::{ColumnChange, SchemaDiff};
use crate::model::Column;
use crate::{Format, TabularError};

/// The columns of both tables side by side.
pub(super) struct Match {
    pub schema: SchemaDiff,
    /// Columns that both have, in the old table's order: name, place in the old, place in the new.
    pub common: Vec<(String, usize, usize)>,
}

/// Matches columns by name.
pub(super) fn compare(format: Format, old: &[Column], new: &[Column]) -> Match {
    let places: HashMap<&str, usize> = new
        .iter()
        .enumerate()
        .map(|(place, column)| (column.name.as_str(), place))
        .collect();
    let mut common = Vec::new();
    let mut removed = Vec::new();
    let mut changed = Vec::new();
    let mut matched = vec![false; new.len()];
    for (place, before) in old.iter().enumerate() {
        let Some(other) = places.get(before.name.as_str()) else {
            removed.push(before.clone());
            continue;
        };
        matched[*other] = true;
        let after = &new[*other];
        // In text a column is nullable if the sample had a null, which is no property of the column.
        let nullability = format == Format::Parquet && before.nullable != after.nullable;
        if before.kind != after.kind || nullability {
            changed.push(ColumnChange {
                name: before.name.clone(),
                old_type: before.kind.clone(),
                new_type: after.kind.clone(),
                old_nullable: before.nullable,
                new_nullable: after.nullable,
            });
        }
        common.push((before.name.clone(), place, *other));
    }
    // Members of JSON have no order.
    let ordered = format == Format::JsonLines || common.is_sorted_by_key(|(_, _, place)| *place);
    let added = new
        .iter()
        .zip(matched)
        .filter(|(_, matched)| !matched)
        .map(|(column, _)| column.clone());
    Match {
        schema: SchemaDiff {
            added: added.collect(),
            removed,
            changed,
            reordered: !ordered,
        },
        common,
    }
}

/// Which columns make the key and which the rest, as places in `Match::common`.
pub(super) fn split(
    matched: &Match,
    key: &[String],
    old: &[Column],
    new: &[Column],
) -> Result<(Vec<usize>, Vec<usize>), TabularError> {
    let mut keys = Vec::new();
    for name in key {
        for (side, columns) in [("old", old), ("new", new)] {
            if !columns.iter().any(|column| column.name == *name) {
                let known = columns.iter().map(|column| column.name.as_str());
                return Err(TabularError::unknown_column(side, name, known));
            }
        }
        keys.extend(matched.common.iter().position(|(common, _, _)| common == name));
    }
    if matched.common.is_empty() {
        return Err(TabularError::NothingInCommon);
    }
    let rest = (0..matched.common.len())
        .filter(|place| !keys.contains(place))
        .collect();
    Ok((keys, rest))
}
