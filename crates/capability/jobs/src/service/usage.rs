//! Who held what for how long.

use super::Jobs;
use crate::usage::{ITEMS_MAX, Ledger, Usage, UsageQuery};
use crate::{JobsError, store};

/// Jobs that are read at once.
const PAGE: usize = 2_000;

impl Jobs {
    /// What was held in a time and what came of it. What has not ended counts until now.
    ///
    /// # Errors
    /// The time is none, or the answer would be too long; the store failed.
    pub async fn usage(&self, query: UsageQuery) -> Result<Usage, JobsError> {
        query.check()?;
        let now = self.sources.clock.now();
        // Jobs that come while this reads are not read, so it ends.
        let time = (query.from, query.to.min(now));
        let mut ledger = Ledger::new(query, now);
        let mut after = None;
        loop {
            let last = after.take();
            let page = self
                .store
                .read(move |tx| store::accounts(tx, time, last.as_ref(), PAGE))
                .await?;
            for (_, account) in &page {
                ledger.add(account);
            }
            if ledger.len() > ITEMS_MAX {
                return Err(JobsError::InvalidUsage {
                    field: "by",
                    reason: format!("the answer would have more than {ITEMS_MAX} lines; ask for less of it"),
                });
            }
            match page.into_iter().last() {
                Some((id, _)) => after = Some(id),
                None => return Ok(ledger.close()),
            }
        }
    }
}
