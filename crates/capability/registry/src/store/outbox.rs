//! Events that are to be delivered to webhooks: whom a change is told to.

use corliss_metastore::{StoreError, Tx, params};
use corliss_types::Timestamp;
use corliss_webhook::{Delivery, PENDING_MAX, Queue, Timeout};

use crate::webhook::{Happening, TIMEOUT, WebhookDelivery, WebhookEvent, delivery_id};

/// Where the events are.
pub(crate) const QUEUE: Queue = Queue {
    receivers: "registry_webhook",
    is_told: "is_active",
    timeout: Timeout::All(TIMEOUT),
    events: "registry_webhook_delivery",
    receiver: "webhook",
};

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
            QUEUE.drop_one(tx, &webhook)?;
            continue;
        }
        tx.execute(
            "UPDATE registry_webhook SET last_sequence = $2 WHERE id = $1",
            params![&webhook, last + 1],
        )?;
        let at = Timestamp::from_millis(now_ms);
        QUEUE.add(tx, (&webhook, last + 1), &event, &body, at)?;
    }
    Ok(())
}

/// The newest events of a webhook, newest first.
pub(crate) fn deliveries(
    tx: &mut dyn Tx,
    webhook: &str,
    limit: u32,
) -> Result<Vec<WebhookDelivery>, StoreError> {
    let malformed = || StoreError::Malformed {
        column: "event".to_owned(),
        message: "it is a word that this program does not know".to_owned(),
    };
    let shown = |one: Delivery| {
        Ok(WebhookDelivery {
            id: delivery_id(webhook, one.sequence),
            event: WebhookEvent::of_name(&one.event).ok_or_else(malformed)?,
            state: one.state,
            tries: one.tries,
            status: one.status,
            outcome: one.outcome,
        })
    };
    let newest = QUEUE.newest(tx, webhook, i64::MAX.unsigned_abs(), limit)?;
    newest.into_iter().map(shown).collect()
}
