//! Events that are to be delivered to hooks: written with the move that they tell of, taken one at a time for each
//! hook, in order.
//!
//! Whoever sends one has claimed it: a compare-and-set with a lease, so that two workers do not send the same at once,
//! and what a worker left behind that died is sent by another one when the lease is over.

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::{DatasetName, Timestamp};

use super::hooks::{Sealed, sealed, split};
use super::refs::Move;
use crate::hook::{DeliveryState, Happening, HookDelivery, HookEvent, When, is_about, message_id};

/// Events of one hook that may wait. What comes then is dropped and counted: a receiver that is gone must not fill
/// the disk.
const PENDING_MAX: u64 = 10_000;
/// Events of one hook that are remembered after they ended.
const ENDED_MAX: u64 = 1_000;

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
            insert(tx, &row.text("id")?, sequence, event, &body, step.at)?;
        }
    }
    Ok(())
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

fn insert(
    tx: &mut dyn Tx,
    hook: &str,
    sequence: u64,
    event: HookEvent,
    body: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let waiting = tx.query_one(
        "SELECT COUNT(*) AS waiting FROM data_hook_delivery WHERE hook = $1 AND state = 'pending'",
        params![hook],
    )?;
    if waiting.unsigned("waiting")? >= PENDING_MAX {
        tx.execute(
            "UPDATE data_hook SET dropped = dropped + 1 WHERE id = $1",
            params![hook],
        )?;
        return Ok(());
    }
    tx.execute(
        "INSERT INTO data_hook_delivery (hook, sequence, event, body, created_ms, state, tries, next_ms)
         VALUES ($1, $2, $3, $4, $5, 'pending', 0, $5)",
        params![hook, sequence, event.as_str(), body, at],
    )?;
    Ok(())
}

/// The hooks that have something to deliver, each with the time from which on it may be sent.
pub(crate) fn waiting(tx: &mut dyn Tx) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let rows = tx.query(
        "SELECT d.hook, d.next_ms, d.lease_until_ms FROM data_hook h
         JOIN data_hook_delivery d ON d.hook = h.id AND d.sequence =
            (SELECT MIN(e.sequence) FROM data_hook_delivery e WHERE e.hook = h.id AND e.state = 'pending')
         WHERE h.is_enabled = 1 ORDER BY d.next_ms, d.hook",
        params![],
    )?;
    let ready = |row: &Row| {
        let lease = row.opt_timestamp("lease_until_ms")?;
        let next = row.timestamp("next_ms")?;
        Ok((row.text("hook")?, lease.map_or(next, |lease| lease.max(next))))
    };
    rows.iter().map(ready).collect()
}

/// An event that a worker may send until its lease is over.
pub(crate) struct Claimed {
    pub hook: String,
    pub dataset: DatasetName,
    pub url: String,
    pub secret: Sealed,
    pub timeout_ms: u64,
    pub sequence: u64,
    pub body: String,
    pub created_ms: Timestamp,
    pub tries: u32,
}

/// Takes the oldest event of a hook that waits, if it is time for it and nobody else has it. `lease_ms` is added to
/// the hook's own timeout.
pub(crate) fn claim(
    tx: &mut dyn Tx,
    hook: &str,
    owner: &str,
    now: Timestamp,
    lease_ms: u64,
) -> Result<Option<Claimed>, StoreError> {
    let row = tx.query_opt(
        "SELECT h.dataset, h.url, h.secret, h.secret_key, h.timeout_ms, d.sequence, d.body, d.created_ms, d.tries
         FROM data_hook h JOIN data_hook_delivery d ON d.hook = h.id
         WHERE h.id = $1 AND h.is_enabled = 1 AND d.next_ms <= $2 AND d.sequence =
            (SELECT MIN(e.sequence) FROM data_hook_delivery e WHERE e.hook = $1 AND e.state = 'pending')",
        params![hook, now],
    )?;
    let Some(row) = row else { return Ok(None) };
    let claimed = Claimed {
        hook: hook.to_owned(),
        dataset: row.parse("dataset")?,
        url: row.text("url")?,
        secret: sealed(&row)?,
        timeout_ms: row.unsigned("timeout_ms")?,
        sequence: row.unsigned("sequence")?,
        body: row.text("body")?,
        created_ms: row.timestamp("created_ms")?,
        tries: tries(&row)?,
    };
    let lease = corliss_types::DurationMs(claimed.timeout_ms.saturating_add(lease_ms));
    let taken = tx.execute(
        "UPDATE data_hook_delivery SET lease_owner = $3, lease_until_ms = $4
         WHERE hook = $1 AND sequence = $2 AND state = 'pending'
            AND (lease_until_ms IS NULL OR lease_until_ms <= $5)",
        params![hook, claimed.sequence, owner, now + lease, now],
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
        "UPDATE data_hook_delivery SET state = $4, tries = tries + 1, status = $5, outcome = $6, tried_ms = $7,
            next_ms = $8, lease_owner = NULL, lease_until_ms = NULL
         WHERE hook = $1 AND sequence = $2 AND state = 'pending' AND lease_owner = $3",
        params![
            &claimed.hook,
            claimed.sequence,
            owner,
            settled.state,
            settled.status,
            &settled.outcome,
            settled.at,
            settled.next
        ],
    )?;
    if settled.state != DeliveryState::Pending {
        tx.execute(
            "DELETE FROM data_hook_delivery WHERE hook = $1 AND state <> 'pending' AND sequence <= $2",
            params![&claimed.hook, claimed.sequence.saturating_sub(ENDED_MAX)],
        )?;
    }
    Ok(written == 1)
}

/// Forgets what is older, whatever became of it; answers how many.
pub(crate) fn forget(tx: &mut dyn Tx, before: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM data_hook_delivery WHERE created_ms < $1",
        params![before],
    )
}

/// A page of a hook's events, newest first, from before `before` on.
pub(crate) fn list(
    tx: &mut dyn Tx,
    hook: &str,
    before: u64,
    limit: u32,
) -> Result<Vec<HookDelivery>, StoreError> {
    let rows = tx.query(
        "SELECT sequence, event, created_ms, state, tries, tried_ms, next_ms, status, outcome
         FROM data_hook_delivery WHERE hook = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3",
        params![hook, before, limit],
    )?;
    let delivery = |row: &Row| {
        let (sequence, state) = (row.unsigned("sequence")?, row.parse("state")?);
        Ok(HookDelivery {
            id: message_id(hook, sequence),
            sequence,
            event: row.parse("event")?,
            created_ms: row.timestamp("created_ms")?,
            state,
            tries: tries(row)?,
            tried_ms: row.opt_timestamp("tried_ms")?,
            next_ms: match state {
                DeliveryState::Pending => Some(row.timestamp("next_ms")?),
                DeliveryState::Delivered | DeliveryState::Failed => None,
            },
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
