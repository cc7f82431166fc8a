//! Numbers of batches, and how many each run has, remembered: to look would be a read beside which no other run could log,
//! since a serialisable transaction guards the neighbours of what it has read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use corliss_metastore::{Metastore, StoreError, Tx, params};

/// Numbers that a server takes when it starts. It gives each once, so none has to be asked for.
const NUMBERS: i64 = 1 << 32;
/// Runs whose batches are remembered; beyond, all are forgotten and looked for again.
const REMEMBERED: usize = 100_000;

/// The batches of a store that nobody else writes.
#[derive(Debug)]
pub(crate) struct Batches {
    next: AtomicI64,
    /// At least as many as the run has: more after a transaction that was lost, so that they are put into chunks sooner.
    counts: Mutex<HashMap<i64, i64>>,
}

impl Batches {
    pub async fn open(store: &Metastore) -> Result<Self, StoreError> {
        let end = store
            .write(|tx| {
                tx.query_one(
                    "INSERT INTO tracking_numbers AS n (what, next) VALUES ('batch', $1)
                     ON CONFLICT (what) DO UPDATE SET next = n.next + excluded.next - $2 RETURNING next",
                    params![2 * NUMBERS, NUMBERS],
                )?
                .integer("next")
            })
            .await?;
        Ok(Self {
            next: AtomicI64::new(end - NUMBERS),
            counts: Mutex::default(),
        })
    }

    /// A number that no batch has, greater than those before.
    pub fn next(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub fn count(&self, tx: &mut dyn Tx, run_no: i64) -> Result<i64, StoreError> {
        if let Some(count) = self.counts().get(&run_no) {
            return Ok(*count);
        }
        let count = tx
            .query_one(
                "SELECT COUNT(*) AS n FROM tracking_batches WHERE run_no = $1",
                params![run_no],
            )?
            .integer("n")?;
        let mut counts = self.counts();
        if counts.len() >= REMEMBERED {
            counts.clear();
        }
        counts.insert(run_no, count);
        Ok(count)
    }

    /// The run has one more.
    pub fn added(&self, run_no: i64) {
        if let Some(count) = self.counts().get_mut(&run_no) {
            *count += 1;
        }
    }

    /// The run has none any more, if the transaction is kept: whoever wants to know looks.
    pub fn forget(&self, run_no: i64) {
        self.counts().remove(&run_no);
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
