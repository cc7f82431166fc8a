//! Tags and metadata. Reads take many traces at once.

use std::collections::BTreeMap;

use corliss_metastore::{StoreError, Tx, Value, params};

use super::filter::Pair;
use crate::json::cut;
use crate::limits;

type ByTrace = BTreeMap<i64, BTreeMap<String, String>>;

/// Sets pairs of a trace.
pub(crate) fn put_pairs(
    tx: &mut dyn Tx,
    table: Pair,
    number: i64,
    pairs: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    let pairs: Vec<(&String, &String)> = pairs.iter().collect();
    for chunk in pairs.chunks(super::ROWS) {
        let values: Vec<Value> = chunk
            .iter()
            .flat_map(|(key, value)| {
                [
                    number.into(),
                    Value::from(*key),
                    cut(value, limits::HEAD_LEN).into(),
                    Value::from(*value),
                ]
            })
            .collect();
        let sql = format!(
            "INSERT INTO {} (number, key, head, value) VALUES {}
             ON CONFLICT (number, key) DO UPDATE SET head = excluded.head, value = excluded.value",
            table.table(),
            super::placeholders(chunk.len(), 4)
        );
        tx.execute(&sql, &values)?;
    }
    Ok(())
}

/// Sets a metadata entry of a trace unless it has one of this key.
pub(crate) fn add_metadata(tx: &mut dyn Tx, number: i64, key: &str, value: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO traces_metadata (number, key, head, value) VALUES ($1, $2, $3, $4)
         ON CONFLICT (number, key) DO NOTHING",
        params![number, key, cut(value, limits::HEAD_LEN), value],
    )?;
    Ok(())
}

/// How many pairs a trace has.
pub(crate) fn count_pairs(tx: &mut dyn Tx, table: Pair, number: i64) -> Result<u64, StoreError> {
    let sql = format!("SELECT COUNT(*) AS n FROM {} WHERE number = $1", table.table());
    tx.query_one(&sql, params![number])?.unsigned("n")
}

/// Pairs of these traces, by number and key.
pub(crate) fn pairs_of(tx: &mut dyn Tx, table: Pair, numbers: &[i64]) -> Result<ByTrace, StoreError> {
    let mut found = ByTrace::new();
    for numbers in super::number_lists(numbers) {
        let sql = format!(
            "SELECT number, key, value FROM {} WHERE number IN ({})",
            table.table(),
            super::list(numbers.len())
        );
        for row in tx.query(&sql, &numbers)? {
            found
                .entry(row.integer("number")?)
                .or_default()
                .insert(row.text("key")?, row.text("value")?);
        }
    }
    Ok(found)
}

/// Removes a tag; answers whether it was there.
pub(crate) fn delete_tag(tx: &mut dyn Tx, number: i64, key: &str) -> Result<bool, StoreError> {
    let deleted = tx.execute(
        "DELETE FROM traces_tags WHERE number = $1 AND key = $2",
        params![number, key],
    )?;
    Ok(deleted == 1)
}
