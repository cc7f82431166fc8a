//! Webhooks. Their secrets are sealed before they come here.

use corliss_metastore::{Row, StoreError, Tx, params};

use crate::SealedSecret;
use crate::webhook::{Webhook, WebhookEvent};

const COLUMNS: &str =
    "id, name, url, description, is_active, created_by, created_ms, updated_ms, secret, secret_key";

/// A webhook and what its requests are signed with.
pub(crate) type WithSecret = (Webhook, Option<SealedSecret>);

fn webhook(row: &Row) -> Result<Webhook, StoreError> {
    Ok(Webhook {
        id: row.text("id")?,
        name: row.text("name")?,
        url: row.text("url")?,
        description: row.text("description")?,
        events: Vec::new(),
        is_active: row.boolean("is_active")?,
        created_by: row.text("created_by")?,
        created_ms: row.integer("created_ms")?,
        updated_ms: row.integer("updated_ms")?,
    })
}

fn add_events(tx: &mut dyn Tx, webhooks: &mut [Webhook]) -> Result<(), StoreError> {
    for webhook in webhooks {
        let sql = "SELECT event FROM registry_webhook_event WHERE webhook = $1";
        for row in tx.query(sql, params![&webhook.id])? {
            // One that a newer program has written is not ours to show.
            webhook.events.extend(WebhookEvent::of_name(&row.text("event")?));
        }
        webhook.events.sort_by_key(|event| event.name());
    }
    Ok(())
}

fn put_events(tx: &mut dyn Tx, webhook: &Webhook) -> Result<(), StoreError> {
    for event in &webhook.events {
        tx.execute(
            "INSERT INTO registry_webhook_event (event, webhook) VALUES ($1, $2)",
            params![event.name(), &webhook.id],
        )?;
    }
    Ok(())
}

pub(crate) fn count_webhooks(tx: &mut dyn Tx) -> Result<u64, StoreError> {
    tx.query_one("SELECT COUNT(*) AS total FROM registry_webhook", params![])?
        .unsigned("total")
}

pub(crate) fn insert_webhook(
    tx: &mut dyn Tx,
    webhook: &Webhook,
    secret: Option<&SealedSecret>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO registry_webhook (id, name, url, description, is_active, created_by, created_ms, updated_ms,
             secret, secret_key, last_sequence, dropped)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0)",
        params![
            &webhook.id,
            &webhook.name,
            &webhook.url,
            &webhook.description,
            webhook.is_active,
            &webhook.created_by,
            webhook.created_ms,
            webhook.updated_ms,
            secret.map(|secret| secret.bytes.as_slice()),
            secret.map(|secret| secret.key)
        ],
    )?;
    put_events(tx, webhook)
}

/// Writes what of a webhook may change. The secret stays unless there is another one, or none, in its place.
pub(crate) fn update_webhook(
    tx: &mut dyn Tx,
    webhook: &Webhook,
    secret: Option<Option<&SealedSecret>>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE registry_webhook SET name = $2, url = $3, description = $4, is_active = $5, updated_ms = $6
         WHERE id = $1",
        params![
            &webhook.id,
            &webhook.name,
            &webhook.url,
            &webhook.description,
            webhook.is_active,
            webhook.updated_ms
        ],
    )?;
    tx.execute(
        "DELETE FROM registry_webhook_event WHERE webhook = $1",
        params![&webhook.id],
    )?;
    put_events(tx, webhook)?;
    if let Some(secret) = secret {
        tx.execute(
            "UPDATE registry_webhook SET secret = $2, secret_key = $3 WHERE id = $1",
            params![
                &webhook.id,
                secret.map(|secret| secret.bytes.as_slice()),
                secret.map(|secret| secret.key)
            ],
        )?;
    }
    Ok(())
}

/// Tells a webhook no more.
pub(crate) fn disable_webhook(tx: &mut dyn Tx, id: &str, now_ms: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE registry_webhook SET is_active = 0, updated_ms = $2 WHERE id = $1",
        params![id, now_ms],
    )?;
    Ok(())
}

pub(crate) fn webhook_of(tx: &mut dyn Tx, id: &str) -> Result<Option<WithSecret>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM registry_webhook WHERE id = $1");
    let Some(row) = tx.query_opt(&sql, params![id])? else {
        return Ok(None);
    };
    let mut webhooks = [webhook(&row)?];
    add_events(tx, &mut webhooks)?;
    let [webhook] = webhooks;
    Ok(Some((webhook, SealedSecret::of_row(&row)?)))
}

/// A page of webhooks, the newest first.
pub(crate) fn list_webhooks(tx: &mut dyn Tx, limit: i64, offset: i64) -> Result<Vec<Webhook>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM registry_webhook ORDER BY created_ms DESC, id LIMIT $1 OFFSET $2");
    let rows = tx.query(&sql, params![limit, offset])?;
    let mut webhooks = rows.iter().map(webhook).collect::<Result<Vec<_>, _>>()?;
    add_events(tx, &mut webhooks)?;
    Ok(webhooks)
}

/// Removes a webhook with what it was yet to be told; `false` if there is none.
pub(crate) fn delete_webhook(tx: &mut dyn Tx, id: &str) -> Result<bool, StoreError> {
    for table in ["registry_webhook_delivery", "registry_webhook_event"] {
        tx.execute(&format!("DELETE FROM {table} WHERE webhook = $1"), params![id])?;
    }
    Ok(tx.execute("DELETE FROM registry_webhook WHERE id = $1", params![id])? == 1)
}
