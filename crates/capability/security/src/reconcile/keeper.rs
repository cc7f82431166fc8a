//! The keeper: writes down what waits (refusals, last uses) and deletes what has had its time.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use corliss_diagnostics::counted;
use corliss_reconcile::{BoxedDiagnose, Outcome, Reconciler};
use corliss_types::{DurationMs, Timestamp, TokenId};

use crate::store::{audit, sessions, tokens};
use crate::types::AuditRecord;
use crate::{Security, SecurityError};

const DAY: DurationMs = DurationMs::from_secs(24 * 3600);
const RECORD_KEPT: DurationMs = DurationMs::from_secs(90 * 24 * 3600);
const PURGE_EVERY: DurationMs = DurationMs::from_secs(600);
/// Lines per transaction.
const BATCH_MAX: usize = 256;

/// Run it with a period of about a second, and once more after the listeners have closed.
pub struct Keeper {
    security: Arc<Security>,
    purged_at: Mutex<Option<Timestamp>>,
}

impl Keeper {
    /// The keeper of this service.
    #[must_use]
    pub fn new(security: Arc<Security>) -> Self {
        Self {
            security,
            purged_at: Mutex::new(None),
        }
    }

    /// Writes down everything that waits.
    ///
    /// # Errors
    /// If the store fails; what was not written keeps waiting.
    pub async fn flush(&self) -> Result<usize, SecurityError> {
        let mut written = 0;
        loop {
            let (used, records) = self.take();
            if used.is_empty() && records.is_empty() {
                return Ok(written);
            }
            let lines = records.len();
            let result = {
                let (used, records) = (used.clone(), records.clone());
                self.security
                    .store()
                    .write::<_, SecurityError, _>(move |tx| {
                        for (token, at) in &used {
                            tokens::used(tx, token, *at)?;
                        }
                        Ok(audit::append(tx, &records)?)
                    })
                    .await
            };
            if let Err(error) = result {
                self.put_back(used, records);
                return Err(error);
            }
            written += lines;
        }
    }

    fn take(&self) -> (Vec<(TokenId, Timestamp)>, Vec<AuditRecord>) {
        let mut pending = self.security.pending();
        let count = pending.records.len().min(BATCH_MAX);
        let records = pending.records.drain(..count).collect();
        (std::mem::take(&mut pending.used).into_iter().collect(), records)
    }

    fn put_back(&self, used: Vec<(TokenId, Timestamp)>, mut records: Vec<AuditRecord>) {
        let mut pending = self.security.pending();
        for (token, at) in used {
            pending.used.entry(token).or_insert(at);
        }
        records.append(&mut pending.records);
        pending.records = records;
    }

    async fn purge(&self) -> Result<u64, SecurityError> {
        let now = self.security.sources().clock.now();
        {
            let mut purged_at = self.purged_at.lock().unwrap_or_else(PoisonError::into_inner);
            if purged_at.is_some_and(|at| now.since(at) < PURGE_EVERY) {
                return Ok(0);
            }
            *purged_at = Some(now);
        }
        self.security
            .store()
            .write::<_, SecurityError, _>(move |tx| {
                let sessions = sessions::purge(tx, now)?;
                let tokens = tokens::purge(tx, now - DAY, now - RECORD_KEPT)?;
                let lines = audit::purge(tx, now - RECORD_KEPT)?;
                Ok(sessions + tokens + lines)
            })
            .await
    }
}

#[async_trait]
impl Reconciler for Keeper {
    fn name(&self) -> &'static str {
        "security.keeper"
    }

    async fn reconcile(&self) -> Result<Outcome, BoxedDiagnose> {
        let written = self.flush().await?;
        let purged = self.purge().await?;
        let lost = self.security.pending().lost;
        let mut progress = format!(
            "{} recorded, {} deleted",
            counted(written, "line", "lines"),
            counted(purged, "expired row", "expired rows")
        );
        if lost > 0 {
            progress.push_str(&format!(
                ", {} not recorded since the start",
                counted(lost, "refusal", "refusals")
            ));
        }
        Ok(Outcome::done(progress))
    }
}
