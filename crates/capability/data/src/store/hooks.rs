//! Hooks of datasets. Their secrets are sealed before they come here.

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::{DatasetName, Timestamp};
use corliss_webhook::SealedSecret;

use crate::hook::{Hook, When};

const SELECT: &str =
    "SELECT h.id, h.dataset, h.url, h.events, h.branches, h.phase, h.is_enabled, h.disabled_reason,
        h.timeout_ms, h.created_by, h.created_ms, h.updated_ms, h.dropped, h.secret, h.secret_key,
        (SELECT COUNT(*) FROM data_hook_delivery d WHERE d.hook = h.id AND d.state = 'pending') AS pending
    FROM data_hook h";

/// A list that is kept as one text.
pub(super) fn joined<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(",")
}

/// The list of such a text.
pub(super) fn split<T>(row: &Row, column: &str) -> Result<Vec<T>, StoreError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let malformed = |error: T::Err| StoreError::Malformed {
        column: column.to_owned(),
        message: error.to_string(),
    };
    let text = row.text(column)?;
    let items = text.split(',').filter(|item| !item.is_empty());
    items.map(|item| item.parse().map_err(malformed)).collect()
}

/// Every hook has one.
fn sealed(row: &Row) -> Result<SealedSecret, StoreError> {
    SealedSecret::of_row(row)?.ok_or_else(|| StoreError::Malformed {
        column: "secret_key".to_owned(),
        message: "it is empty".to_owned(),
    })
}

fn hook(row: &Row) -> Result<Hook, StoreError> {
    Ok(Hook {
        id: row.text("id")?,
        dataset: row.parse("dataset")?,
        url: row.text("url")?,
        events: split(row, "events")?,
        branches: split(row, "branches")?,
        when: match row.text("phase")?.as_str() {
            "before" => When::Before,
            _ => When::After,
        },
        enabled: row.boolean("is_enabled")?,
        disabled_reason: row.opt_text("disabled_reason")?,
        timeout_ms: row.unsigned("timeout_ms")?,
        created_by: row.text("created_by")?,
        created_ms: row.timestamp("created_ms")?,
        updated_ms: row.timestamp("updated_ms")?,
        pending: row.unsigned("pending")?,
        dropped: row.unsigned("dropped")?,
    })
}

/// Adds a hook.
pub(crate) fn insert(tx: &mut dyn Tx, hook: &Hook, secret: &SealedSecret) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO data_hook (id, dataset, url, events, branches, phase, is_enabled, timeout_ms, secret,
            secret_key, created_by, created_ms, updated_ms, dropped)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, 0)",
        params![
            &hook.id,
            &hook.dataset,
            &hook.url,
            joined(&hook.events),
            joined(&hook.branches),
            hook.when,
            hook.enabled,
            hook.timeout_ms,
            secret.bytes.as_slice(),
            secret.key,
            &hook.created_by,
            hook.created_ms
        ],
    )?;
    Ok(())
}

/// Writes what of a hook may change; its secret, if there is a new one.
pub(crate) fn update(tx: &mut dyn Tx, hook: &Hook, secret: Option<&SealedSecret>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE data_hook SET url = $2, events = $3, branches = $4, phase = $5, is_enabled = $6,
            disabled_reason = $7, timeout_ms = $8, updated_ms = $9 WHERE id = $1",
        params![
            &hook.id,
            &hook.url,
            joined(&hook.events),
            joined(&hook.branches),
            hook.when,
            hook.enabled,
            hook.disabled_reason.as_deref(),
            hook.timeout_ms,
            hook.updated_ms
        ],
    )?;
    if let Some(secret) = secret {
        tx.execute(
            "UPDATE data_hook SET secret = $2, secret_key = $3 WHERE id = $1",
            params![&hook.id, secret.bytes.as_slice(), secret.key],
        )?;
    }
    Ok(())
}

/// Calls a hook no more.
pub(crate) fn disable(tx: &mut dyn Tx, id: &str, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE data_hook SET is_enabled = 0, disabled_reason = $2, updated_ms = $3 WHERE id = $1",
        params![id, reason, now],
    )?;
    Ok(())
}

/// One hook of a dataset, with its secret.
pub(crate) fn get(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    id: &str,
) -> Result<Option<(Hook, SealedSecret)>, StoreError> {
    let sql = format!("{SELECT} WHERE h.dataset = $1 AND h.id = $2");
    let row = tx.query_opt(&sql, params![dataset, id])?;
    row.map(|row| Ok((hook(&row)?, sealed(&row)?))).transpose()
}

/// All hooks of a dataset, oldest first.
pub(crate) fn list(tx: &mut dyn Tx, dataset: &DatasetName) -> Result<Vec<Hook>, StoreError> {
    let sql = format!("{SELECT} WHERE h.dataset = $1 ORDER BY h.id");
    tx.query(&sql, params![dataset])?.iter().map(hook).collect()
}

/// Those that are asked before something moves, oldest first, with their secrets.
pub(crate) fn before(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
) -> Result<Vec<(Hook, SealedSecret)>, StoreError> {
    let sql =
        format!("{SELECT} WHERE h.dataset = $1 AND h.phase = 'before' AND h.is_enabled = 1 ORDER BY h.id");
    let rows = tx.query(&sql, params![dataset])?;
    rows.iter().map(|row| Ok((hook(row)?, sealed(row)?))).collect()
}

/// Removes a hook and what was to be delivered; `false` if there is none.
pub(crate) fn delete(tx: &mut dyn Tx, dataset: &DatasetName, id: &str) -> Result<bool, StoreError> {
    tx.execute(
        "DELETE FROM data_hook_delivery WHERE hook IN (SELECT id FROM data_hook WHERE dataset = $1 AND id = $2)",
        params![dataset, id],
    )?;
    let deleted = tx.execute(
        "DELETE FROM data_hook WHERE dataset = $1 AND id = $2",
        params![dataset, id],
    )?;
    Ok(deleted == 1)
}

/// Removes all hooks of a dataset.
pub(crate) fn delete_all(tx: &mut dyn Tx, dataset: &DatasetName) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM data_hook_delivery WHERE hook IN (SELECT id FROM data_hook WHERE dataset = $1)",
        params![dataset],
    )?;
    tx.execute("DELETE FROM data_hook WHERE dataset = $1", params![dataset])?;
    Ok(())
}
