//! Events that are to be delivered to webhooks: written with the change that they tell of, taken one at a time for each
//! webhook, in order.
//!
//! Whoever sends one has claimed it: a compare-and-set with a lease, so that two workers do not send the same at once,
//! and what a worker left behind that died is sent by another one when the lease is over.

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::{DurationMs, Timestamp};

use super::webhooks::sealed;
use crate::SealedSecret;
use crate::webhook::{DeliveryState, Happening, WebhookDelivery, WebhookEvent, delivery_id};

/// Events of one webhook that may wait. What comes then is dropped and counted: a receiver that is gone must not fill
/// the disk.
const PENDING_MAX: u64 = 10_000;
/// Events of one webhook that are remembered after they ended.
const ENDED_MAX: u64 = 1_000;

/// Writes down what webhooks are to be told, in the transaction of the change.
pub(crate) fn tell(tx: &mut dyn Tx, happening: &Happening, now_ms: i64) -> Result<(), StoreError> {
    let event = happening.event.name();
    let rows = tx.query(
        "SELECT w.id, w.last_sequence,
            (SELECT MIN(d.sequence) FROM registry_webhook_delivery d
             WHERE d.webhook = w.id AND d.state = 'pending') AS oldest
         FROM registry_webhook_event e JOIN registry_webhook w ON w.id = e.webhook
         WHERE e.event = $1 AND w.is_active = 1 ORDER BY w.id",
        params![&event],
    )?;
    if rows.is_empty() {
        return Ok(());
    }
    let body = happening.body(now_ms);
    for row in &rows {
        let (webhook, last) = (row.text("id")?, row.unsigned("last_sequence")?);
        // They end in order, so all from the oldest on wait.
        let waiting = row.opt_unsigned("oldest")?.map_or(0, |oldest| last + 1 - oldest);
        if waiting >= PENDING_MAX {
            let sql = "UPDATE registry_webhook SET dropped = dropped + 1 WHERE id = $1";
            tx.execute(sql, params![webhook])?;
            continue;
        }
        tx.execute(
            "UPDATE registry_webhook SET last_sequence = $2 WHERE id = $1",
            params![&webhook, last + 1],
        )?;
        tx.execute(
            "INSERT INTO registry_webhook_delivery
                 (webhook, sequence, event, body, created_ms, state, tries, next_ms)
             VALUES ($1, $2, $3, $4, $5, 'pending', 0, $5)",
            params![&webhook, last + 1, &event, &body, now_ms],
        )?;
    }
    Ok(())
}

/// The webhooks that have something to be told, each with the time from which on it may be sent.
pub(crate) fn waiting(tx: &mut dyn Tx) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let rows = tx.query(
        "SELECT d.webhook, d.next_ms, d.lease_until_ms FROM registry_webhook w
         JOIN registry_webhook_delivery d ON d.webhook = w.id AND d.sequence =
            (SELECT MIN(e.sequence) FROM registry_webhook_delivery e
             WHERE e.webhook = w.id AND e.state = 'pending')
         WHERE w.is_active = 1 ORDER BY d.next_ms, d.webhook",
        params![],
    )?;
    let ready = |row: &Row| {
        let lease = row.opt_timestamp("lease_until_ms")?;
        let next = row.timestamp("next_ms")?;
        Ok((row.text("webhook")?, lease.map_or(next, |lease| lease.max(next))))
    };
    rows.iter().map(ready).collect()
}

/// An event that a worker may send until its lease is over.
pub(crate) struct Claimed {
    pub webhook: String,
    pub url: String,
    pub secret: Option<SealedSecret>,
    pub sequence: u64,
    pub body: String,
    pub created: Timestamp,
    pub tries: u32,
}

/// Takes the oldest event of a webhook that waits, if it is time for it and nobody else has it.
pub(crate) fn claim(
    tx: &mut dyn Tx,
    webhook: &str,
    owner: &str,
    now: Timestamp,
    lease: DurationMs,
) -> Result<Option<Claimed>, StoreError> {
    let row = tx.query_opt(
        "SELECT w.url, w.secret, w.secret_key, d.sequence, d.body, d.created_ms, d.tries
         FROM registry_webhook w JOIN registry_webhook_delivery d ON d.webhook = w.id
         WHERE w.id = $1 AND w.is_active = 1 AND d.next_ms <= $2 AND d.sequence =
            (SELECT MIN(e.sequence) FROM registry_webhook_delivery e
             WHERE e.webhook = $1 AND e.state = 'pending')",
        params![webhook, now],
    )?;
    let Some(row) = row else { return Ok(None) };
    let claimed = Claimed {
        webhook: webhook.to_owned(),
        url: row.text("url")?,
        secret: sealed(&row)?,
        sequence: row.unsigned("sequence")?,
        body: row.text("body")?,
        created: row.timestamp("created_ms")?,
        tries: tries(&row)?,
    };
    let taken = tx.execute(
        "UPDATE registry_webhook_delivery SET lease_owner = $3, lease_until_ms = $4
         WHERE webhook = $1 AND sequence = $2 AND state = 'pending'
            AND (lease_until_ms IS NULL OR lease_until_ms <= $5)",
        params![webhook, claimed.sequence, owner, now + lease, now],
    )?;
    Ok((taken == 1).then_some(claimed))
}

/// What came of a try.
pub(crate) struct Settled {
    pub state: DeliveryState,
    pub status: Option<u16>,
    pub outcome: String,
    pub at: Timestamp,
    /// When it is tried again, if it is pending.
    pub next: Timestamp,
}

/// Writes down what came of a try, and gives the event back; `false` if the lease was over and another worker has it.
pub(crate) fn settle(
    tx: &mut dyn Tx,
    claimed: &Claimed,
    owner: &str,
    settled: &Settled,
) -> Result<bool, StoreError> {
    let written = tx.execute(
        "UPDATE registry_webhook_delivery SET state = $4, tries = tries + 1, status = $5, outcome = $6,
            tried_ms = $7, next_ms = $8, lease_owner = NULL, lease_until_ms = NULL
         WHERE webhook = $1 AND sequence = $2 AND state = 'pending' AND lease_owner = $3",
        params![
            &claimed.webhook,
            claimed.sequence,
            owner,
            settled.state.as_str(),
            settled.status,
            &settled.outcome,
            settled.at,
            settled.next
        ],
    )?;
    if settled.state != DeliveryState::Pending {
        tx.execute(
            "DELETE FROM registry_webhook_delivery WHERE webhook = $1 AND state <> 'pending' AND sequence <= $2",
            params![&claimed.webhook, claimed.sequence.saturating_sub(ENDED_MAX)],
        )?;
    }
    Ok(written == 1)
}

/// Forgets what is older, whatever became of it; answers how many.
pub(crate) fn forget(tx: &mut dyn Tx, before: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM registry_webhook_delivery WHERE created_ms < $1",
        params![before],
    )
}

/// The newest events of a webhook, newest first.
pub(crate) fn deliveries(
    tx: &mut dyn Tx,
    webhook: &str,
    limit: i64,
) -> Result<Vec<WebhookDelivery>, StoreError> {
    let rows = tx.query(
        "SELECT sequence, event, state, tries, status, outcome FROM registry_webhook_delivery
         WHERE webhook = $1 ORDER BY sequence DESC LIMIT $2",
        params![webhook, limit],
    )?;
    let malformed = |column: &str| StoreError::Malformed {
        column: column.to_owned(),
        message: "it is a word that this program does not know".to_owned(),
    };
    let delivery = |row: &Row| {
        Ok(WebhookDelivery {
            id: delivery_id(webhook, row.unsigned("sequence")?),
            event: WebhookEvent::of_name(&row.text("event")?).ok_or_else(|| malformed("event"))?,
            state: DeliveryState::parse(&row.text("state")?).ok_or_else(|| malformed("state"))?,
            tries: tries(row)?,
            status: row
                .opt_unsigned("status")?
                .and_then(|status| u16::try_from(status).ok()),
            outcome: row.opt_text("outcome")?,
        })
    };
    rows.iter().map(delivery).collect()
}

fn tries(row: &Row) -> Result<u32, StoreError> {
    Ok(u32::try_from(row.unsigned("tries")?).unwrap_or(u32::MAX))
}
