//! The log: rows that are added with the change that they tell of, and never changed but for a model's new name.

use corliss_metastore::{Row, StoreError, Tx, params};
use serde_json::Value;

use super::versions::json;
use crate::events::{Action, By, ModelEvent};

/// Adds a line, in the transaction of the change.
pub(crate) fn add(
    tx: &mut dyn Tx,
    by: &By,
    (name, version): (&str, Option<i64>),
    action: Action,
    details: &Value,
) -> Result<(), StoreError> {
    let sequence = next(tx)?;
    tx.execute(
        "INSERT INTO registry_events (sequence, name, version, action, actor, details_json, at_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![
            sequence,
            name,
            version,
            action.as_str(),
            &*by.actor,
            details.to_string(),
            by.now_ms
        ],
    )?;
    Ok(())
}

/// Adds a line unless one of this key is there: for whoever tells again after a crash.
pub(crate) fn add_once(
    tx: &mut dyn Tx,
    by: &By,
    (name, version): (&str, Option<i64>),
    action: Action,
    details: &Value,
    key: &str,
) -> Result<(), StoreError> {
    let sql = "SELECT 1 AS one FROM registry_events WHERE once_key = $1";
    if tx.query_opt(sql, params![key])?.is_some() {
        return Ok(());
    }
    let sequence = next(tx)?;
    tx.execute(
        "INSERT INTO registry_events (sequence, name, version, action, actor, details_json, at_ms, once_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (once_key) DO NOTHING",
        params![
            sequence,
            name,
            version,
            action.as_str(),
            &*by.actor,
            details.to_string(),
            by.now_ms,
            key
        ],
    )?;
    Ok(())
}

/// The counter's row is locked until the transaction ends, so the order of numbers is the order of changes.
fn next(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    let sql = "UPDATE registry_event_counter SET last = last + 1 WHERE id = 1 RETURNING last";
    tx.query_one(sql, params![])?.integer("last")
}

/// A page of a model's log, newest first, from before a number on.
pub(crate) fn page(
    tx: &mut dyn Tx,
    name: &str,
    before: i64,
    limit: i64,
) -> Result<Vec<ModelEvent>, StoreError> {
    let rows = tx.query(
        "SELECT sequence, version, action, actor, details_json, at_ms FROM registry_events
         WHERE name = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3",
        params![name, before, limit],
    )?;
    let read = |row: &Row| {
        Ok(ModelEvent {
            sequence: row.integer("sequence")?,
            at_ms: row.integer("at_ms")?,
            actor: row.text("actor")?,
            action: row.text("action")?,
            version: row.opt_integer("version")?,
            details: json(row, "details_json")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Takes a model's log along to its new name.
pub(crate) fn rename(tx: &mut dyn Tx, name: &str, new_name: &str) -> Result<(), StoreError> {
    let sql = "UPDATE registry_events SET name = $2 WHERE name = $1";
    tx.execute(sql, params![name, new_name])?;
    Ok(())
}
