//! What the scrub finds, told by the names of the versions whose files are damaged; and fetched from a remote if the
//! administrator has named one for that.

use std::sync::{Mutex, PoisonError};

use corliss_blobstore::{Finding, ScrubOptions, ScrubReport, Scrubbed};

use super::DataRepair;
use super::damage::{Damage, DamagedVersion};
use crate::{DataError, DataService};

/// A round of the scrub.
pub(crate) struct Scrub {
    /// What was read.
    pub report: ScrubReport,
    /// What was put right, or why not, if a remote was to be asked.
    pub repair: Option<Result<DataRepair, DataError>>,
    /// Pieces that are damaged, or list what is, after that.
    pub damaged: u64,
    /// The versions that they are in; the first thousand.
    pub versions: Vec<DamagedVersion>,
    /// How many versions that are.
    pub versions_total: u64,
}

impl DataService {
    /// The same, with a remote from which the scrub fetches what it finds damaged. To be called after
    /// [`Self::with_remotes`], and before the service is cloned.
    ///
    /// # Errors
    /// There is no such remote.
    pub fn with_repair_from(mut self, remote: &str) -> Result<Self, DataError> {
        self.remotes.check(remote)?;
        self.repair_from = Some(remote.into());
        Ok(self)
    }

    /// Reads some packs, from where the last scrub stopped. What is known as damaged after that, from this round or
    /// an earlier one, is fetched from a remote if one was named for it.
    ///
    /// # Errors
    /// The storage failed; damage is no error, nor is a remote that failed.
    pub(crate) async fn scrub(&self, options: ScrubOptions) -> Result<Scrub, DataError> {
        let found: Mutex<Vec<Finding>> = Mutex::default();
        let told = |scrubbed: Scrubbed| {
            for finding in &scrubbed.findings {
                tracing::warn!(%finding, "stored data is damaged");
            }
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.extend(scrubbed.findings);
        };
        let report = self.blobs.scrub(options, &told).await?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut damaged = self.blobs.known_damage().await?.len() as u64;
        let mut repair = None;
        if let Some(remote) = self.repair_from.as_deref()
            && (damaged > 0 || !found.is_empty())
        {
            repair = Some(self.repair_known(remote, &found).await);
            damaged = self.blobs.known_damage().await?.len() as u64;
        }
        let damage = match damaged {
            0 => Damage::default(),
            _ => self.known_damage().await?,
        };
        Ok(Scrub {
            report,
            repair,
            damaged,
            versions: damage.versions,
            versions_total: damage.versions_total,
        })
    }
}
