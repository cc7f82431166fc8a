//! The rows of events that are to be delivered: written with the change that they tell of, taken one at a time for each
//! receiver, in order.
//!
//! Whoever sends one has claimed it: a compare-and-set with a lease, so that two workers do not send the same at once,
//! and what a worker left behind that died is sent by another one when the lease is over.

use std::time::Duration;

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::{DurationMs, Timestamp};

use crate::SealedSecret;

/// Events of one receiver that may wait. What comes then is dropped and counted: a receiver that is gone must not fill
/// the disk.
pub const PENDING_MAX: u64 = 10_000;
/// Events of one receiver that are remembered after they ended.
const ENDED_MAX: u64 = 1_000;
/// What a lease is longer than the receiver may take: for the answer's words, and for writing them down.
const LEASE_MARGIN: DurationMs = DurationMs::from_secs(15);

/// Where the rows of one room lie: a table of receivers (`id`, `url`, `secret`, `secret_key`, `dropped`) and one of their
/// events. All of it becomes SQL text, so it is written in the program.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// The table of receivers.
    pub receivers: &'static str,
    /// Their column that is 1 as long as they are told.
    pub is_told: &'static str,
    /// How long one may take.
    pub timeout: Timeout,
    /// The table of events.
    pub events: &'static str,
    /// Its column that names the receiver.
    pub receiver: &'static str,
}

/// How long receivers may take.
#[derive(Debug, Clone, Copy)]
pub enum Timeout {
    /// All of them.
    All(Duration),
    /// Each as this column of theirs says, in milliseconds.
    Each(&'static str),
}

impl Timeout {
    /// In milliseconds, for a receiver `r`.
    fn sql(self) -> String {
        match self {
            Self::All(duration) => format!("CAST({} AS BIGINT)", duration.as_millis()),
            Self::Each(column) => format!("r.{column}"),
        }
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It is yet to be delivered.
    Pending,
    /// The receiver has taken it.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryState {
    const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The word as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    fn of_row(row: &Row) -> Result<Self, StoreError> {
        let word = row.text("state")?;
        let found = Self::ALL.into_iter().find(|state| state.as_str() == word);
        found.ok_or_else(|| StoreError::Malformed {
            column: "state".to_owned(),
            message: "it is none of pending, delivered and failed".to_owned(),
        })
    }
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number, rising with each event of its receiver.
    pub sequence: u64,
    /// What happened, as the room that kept it calls it.
    pub event: String,
    /// When it happened.
    pub created: Timestamp,
    /// What became of it.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: u32,
    /// When it was last tried.
    pub tried: Option<Timestamp>,
    /// When it is tried next, if it is pending.
    pub next: Option<Timestamp>,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// What came of the last try, in words.
    pub outcome: Option<String>,
}

/// An event that a worker may send until its lease is over.
pub(crate) struct Claimed {
    pub receiver: String,
    pub url: String,
    pub secret: Option<SealedSecret>,
    pub timeout: Duration,
    pub sequence: u64,
    pub body: String,
    pub created: Timestamp,
    pub tries: u32,
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

impl Queue {
    /// Adds an event, in the transaction of the change that it tells of.
    ///
    /// # Errors
    /// The store failed.
    pub fn add(
        &self,
        tx: &mut dyn Tx,
        (receiver, sequence): (&str, u64),
        event: &str,
        body: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO {} ({}, sequence, event, body, created_ms, state, tries, next_ms)
             VALUES ($1, $2, $3, $4, $5, 'pending', 0, $5)",
            self.events, self.receiver
        );
        tx.execute(&sql, params![receiver, sequence, event, body, at])?;
        Ok(())
    }

    /// Counts an event that is not added, because [`PENDING_MAX`] of its receiver wait.
    ///
    /// # Errors
    /// The store failed.
    pub fn drop_one(&self, tx: &mut dyn Tx, receiver: &str) -> Result<(), StoreError> {
        let sql = format!(
            "UPDATE {} SET dropped = dropped + 1 WHERE id = $1",
            self.receivers
        );
        tx.execute(&sql, params![receiver])?;
        Ok(())
    }

    /// The newest events of a receiver with numbers below one, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub fn newest(
        &self,
        tx: &mut dyn Tx,
        receiver: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let sql = format!(
            "SELECT sequence, event, created_ms, state, tries, tried_ms, next_ms, status, outcome FROM {}
             WHERE {} = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3",
            self.events, self.receiver
        );
        let rows = tx.query(&sql, params![receiver, before, limit])?;
        rows.iter().map(delivery).collect()
    }

    /// The receivers that have something to be told, each with the time from which on it may be sent.
    pub(crate) fn waiting(&self, tx: &mut dyn Tx) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let Self {
            receivers,
            is_told,
            events,
            receiver,
            ..
        } = self;
        let sql = format!(
            "SELECT d.{receiver} AS receiver, d.next_ms, d.lease_until_ms FROM {receivers} r
             JOIN {events} d ON d.{receiver} = r.id AND d.sequence =
                (SELECT MIN(e.sequence) FROM {events} e WHERE e.{receiver} = r.id AND e.state = 'pending')
             WHERE r.{is_told} = 1 ORDER BY d.next_ms, d.{receiver}"
        );
        let ready = |row: &Row| {
            let lease = row.opt_timestamp("lease_until_ms")?;
            let next = row.timestamp("next_ms")?;
            Ok((row.text("receiver")?, lease.map_or(next, |lease| lease.max(next))))
        };
        tx.query(&sql, params![])?.iter().map(ready).collect()
    }

    /// Takes the oldest event of a receiver that waits, if it is time for it and nobody else has it.
    pub(crate) fn claim(
        &self,
        tx: &mut dyn Tx,
        id: &str,
        owner: &str,
        now: Timestamp,
    ) -> Result<Option<Claimed>, StoreError> {
        let Self {
            receivers,
            is_told,
            timeout,
            events,
            receiver,
        } = self;
        let timeout = timeout.sql();
        let sql = format!(
            "SELECT r.url, r.secret, r.secret_key, {timeout} AS timeout_ms, d.sequence, d.body, d.created_ms, d.tries
             FROM {receivers} r JOIN {events} d ON d.{receiver} = r.id
             WHERE r.id = $1 AND r.{is_told} = 1 AND d.next_ms <= $2 AND d.sequence =
                (SELECT MIN(e.sequence) FROM {events} e WHERE e.{receiver} = $1 AND e.state = 'pending')"
        );
        let Some(row) = tx.query_opt(&sql, params![id, now])? else {
            return Ok(None);
        };
        let timeout_ms = row.unsigned("timeout_ms")?;
        let claimed = Claimed {
            receiver: id.to_owned(),
            url: row.text("url")?,
            secret: SealedSecret::of_row(&row)?,
            timeout: Duration::from_millis(timeout_ms),
            sequence: row.unsigned("sequence")?,
            body: row.text("body")?,
            created: row.timestamp("created_ms")?,
            tries: tries(&row)?,
        };
        let lease = DurationMs(timeout_ms.saturating_add(LEASE_MARGIN.0));
        let sql = format!(
            "UPDATE {events} SET lease_owner = $3, lease_until_ms = $4
             WHERE {receiver} = $1 AND sequence = $2 AND state = 'pending'
                AND (lease_until_ms IS NULL OR lease_until_ms <= $5)"
        );
        let values = params![id, claimed.sequence, owner, now + lease, now];
        Ok((tx.execute(&sql, values)? == 1).then_some(claimed))
    }

    /// Writes down what came of a try, and gives the event back; `false` if the lease was over and another worker has it.
    pub(crate) fn settle(
        &self,
        tx: &mut dyn Tx,
        claimed: &Claimed,
        owner: &str,
        settled: &Settled,
    ) -> Result<bool, StoreError> {
        let Self { events, receiver, .. } = self;
        let sql = format!(
            "UPDATE {events} SET state = $4, tries = tries + 1, status = $5, outcome = $6, tried_ms = $7,
                next_ms = $8, lease_owner = NULL, lease_until_ms = NULL
             WHERE {receiver} = $1 AND sequence = $2 AND state = 'pending' AND lease_owner = $3"
        );
        let written = tx.execute(
            &sql,
            params![
                &claimed.receiver,
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
            let sql = format!(
                "DELETE FROM {events} WHERE {receiver} = $1 AND state <> 'pending' AND sequence <= $2"
            );
            let values = params![&claimed.receiver, claimed.sequence.saturating_sub(ENDED_MAX)];
            tx.execute(&sql, values)?;
        }
        Ok(written == 1)
    }

    /// Forgets what is older, whatever became of it; answers how many.
    pub(crate) fn forget(&self, tx: &mut dyn Tx, before: Timestamp) -> Result<u64, StoreError> {
        let sql = format!("DELETE FROM {} WHERE created_ms < $1", self.events);
        tx.execute(&sql, params![before])
    }
}

fn delivery(row: &Row) -> Result<Delivery, StoreError> {
    let state = DeliveryState::of_row(row)?;
    Ok(Delivery {
        sequence: row.unsigned("sequence")?,
        event: row.text("event")?,
        created: row.timestamp("created_ms")?,
        state,
        tries: tries(row)?,
        tried: row.opt_timestamp("tried_ms")?,
        next: match state {
            DeliveryState::Pending => Some(row.timestamp("next_ms")?),
            DeliveryState::Delivered | DeliveryState::Failed => None,
        },
        status: row
            .opt_unsigned("status")?
            .and_then(|status| u16::try_from(status).ok()),
        outcome: row.opt_text("outcome")?,
    })
}

fn tries(row: &Row) -> Result<u32, StoreError> {
    Ok(u32::try_from(row.unsigned("tries")?).unwrap_or(u32::MAX))
}
