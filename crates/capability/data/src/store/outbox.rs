//! Events that are to be delivered to hooks: whom a move is told to.

use corliss_metastore::{StoreError, Tx, params};
use corliss_webhook::{Delivery, PENDING_MAX, Queue, Timeout};

use super::hooks::split;
use super::refs::Move;
use crate::DataError;
use crate::hook::{Happening, HookDelivery, When, is_about, message_id};

/// Where the events are.
pub(crate) const QUEUE: Queue = Queue {
    receivers: "data_hook",
    is_told: "is_enabled",
    timeout: Timeout::Each("timeout_ms"),
    events: "data_hook_delivery",
    receiver: "hook",
};

/// Writes down what the hooks of a dataset are to be told of a move, in the transaction that moves the name.
pub(super) fn enqueue(tx: &mut dyn Tx, step: &Move<'_>, sequence: u64) -> Result<(), StoreError> {
    let rows = tx.query(
        "SELECT id, events, branches FROM data_hook
         WHERE dataset = $1 AND phase = 'after' AND is_enabled = 1 ORDER BY id",
        params![step.dataset],
    )?;
    if rows.is_empty() {
        return Ok(());
    }
    let happening = happening(tx, step)?;
    let event = happening.event();
    let body = happening.body(When::After);
    for row in &rows {
        let (events, branches) = (split(row, "events")?, split(row, "branches")?);
        if is_about(&events, &branches, event, step.kind, step.name) {
            let hook = row.text("id")?;
            match waiting(tx, &hook)? >= PENDING_MAX {
                true => QUEUE.drop_one(tx, &hook)?,
                false => QUEUE.add(tx, (&hook, sequence), event.as_str(), &body, step.at)?,
            }
        }
    }
    Ok(())
}

fn waiting(tx: &mut dyn Tx, hook: &str) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) AS waiting FROM data_hook_delivery WHERE hook = $1 AND state = 'pending'";
    tx.query_one(sql, params![hook])?.unsigned("waiting")
}

fn happening(tx: &mut dyn Tx, step: &Move<'_>) -> Result<Happening, StoreError> {
    let commit = match step.new.or(step.old) {
        Some(id) => super::commits::get(tx, id)?,
        None => None,
    };
    Ok(Happening {
        dataset: step.dataset.clone(),
        kind: step.kind,
        name: step.name.clone(),
        action: step.action.to_owned(),
        by: step.author.to_owned(),
        old: step.old.cloned(),
        new: step.new.cloned(),
        source: step.source.cloned(),
        commit: commit.map(|commit| (commit.what.version, commit.what.author, commit.what.message)),
        at: step.at,
    })
}

/// A page of a hook's events, newest first, from before `before` on.
pub(crate) fn list(
    tx: &mut dyn Tx,
    hook: &str,
    before: u64,
    limit: u32,
) -> Result<Vec<HookDelivery>, StoreError> {
    let shown = |one: Delivery| {
        Ok(HookDelivery {
            id: message_id(hook, one.sequence),
            sequence: one.sequence,
            event: one
                .event
                .parse()
                .map_err(|error: DataError| StoreError::Malformed {
                    column: "event".to_owned(),
                    message: error.to_string(),
                })?,
            created_ms: one.created,
            state: one.state,
            tries: one.tries,
            tried_ms: one.tried,
            next_ms: one.next,
            status: one.status,
            outcome: one.outcome,
        })
    };
    let newest = QUEUE.newest(tx, hook, before, limit)?;
    newest.into_iter().map(shown).collect()
}
