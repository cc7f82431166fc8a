//! Looking at one pack after another, slowly, for ever: damage is found while a copy elsewhere still helps.

use std::sync::Arc;
use std::time::Duration;

use super::suspects::Suspect;
use super::{BlobStore, Check, Finding, Guard};
use crate::index::PackInfo;
use crate::pack::PackId;
use crate::{BlobError, blocking};

/// How to scrub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubOptions {
    /// Bytes of packs to read each second at most.
    pub bytes_per_second: u64,
    /// Packs to look at before it returns, at most.
    pub packs: u64,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self {
            bytes_per_second: 10 << 20,
            packs: u64::MAX,
        }
    }
}

/// A pack that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrubbed {
    /// Its name.
    pub pack: String,
    /// Its length.
    pub bytes: u64,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

/// What a scrub did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrubReport {
    /// Packs that were looked at.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was found wrong.
    pub findings: u64,
    /// Whether the last pack was reached: the next scrub begins with the first.
    pub is_pass_over: bool,
}

impl BlobStore {
    /// Looks at packs in the order of their names, from where the last scrub stopped, also across restarts, to the
    /// last one. Gives way to whoever collects, checks or repairs, and goes on when they have ended. What is damaged counts as not stored from then on
    /// for whoever may send it anew, and so does what lists it, once the scrub has ended. May be dropped at any time.
    ///
    /// # Errors
    /// The storage failed; damage is no error.
    pub async fn scrub(
        &self,
        options: ScrubOptions,
        on_pack: &(dyn Fn(Scrubbed) + Send + Sync),
    ) -> Result<ScrubReport, BlobError> {
        self.inner.keyring.check()?;
        let index = Arc::clone(&self.inner.index);
        let mut last = blocking(move || index.scrubbed()).await?;
        let mut report = ScrubReport::default();
        let quiet = |_| {};
        let mut check = Check::new(self, false, None, &quiet);
        while report.packs < options.packs {
            let Some((number, pack)) = self.pack_after(last) else {
                report.is_pass_over = true;
                last = None;
                break;
            };
            let findings = loop {
                let guard = self.inner.turns.spare().await;
                tokio::select! {
                    biased;
                    // What somebody asked for goes first; then this pack is looked at again.
                    () = self.inner.turns.is_wanted() => {}
                    findings = self.scrub_pack(&mut check, number, &pack, guard) => break findings?,
                }
            };
            report.packs += 1;
            report.bytes += pack.bytes;
            report.findings += findings.len() as u64;
            on_pack(Scrubbed {
                pack: pack.id.object(),
                bytes: pack.bytes,
                findings,
            });
            last = Some(pack.id);
            let index = Arc::clone(&self.inner.index);
            blocking(move || index.set_scrubbed(last)).await?;
            let millis = pack.bytes.saturating_mul(1000) / options.bytes_per_second.max(1);
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        let index = Arc::clone(&self.inner.index);
        blocking(move || index.set_scrubbed(last)).await?;
        if report.findings > 0 {
            loop {
                let _guard = self.inner.turns.spare().await;
                tokio::select! {
                    biased;
                    () = self.inner.turns.is_wanted() => {}
                    traced = check.trace() => break traced?,
                }
            }
            check.remember(false).await?;
        }
        Ok(report)
    }

    fn pack_after(&self, last: Option<PackId>) -> Option<(u32, PackInfo)> {
        let packs = self.inner.index.numbered().into_iter();
        let left = packs.filter(|(_, pack)| last.is_none_or(|last| pack.id > last));
        left.min_by_key(|(_, pack)| pack.id)
    }

    async fn scrub_pack(
        &self,
        check: &mut Check<'_>,
        number: u32,
        pack: &PackInfo,
        guard: Guard,
    ) -> Result<Vec<Finding>, BlobError> {
        // It may have been collected meanwhile.
        if guard.is_whole(pack.id) || !self.inner.index.numbered().contains_key(&number) {
            return Ok(Vec::new());
        }
        // Of one that was given up in the middle.
        check.report.findings.clear();
        let there = self.inner.backend.size(&pack.id.object()).await?;
        let before = check.damaged.count();
        if there != Some(pack.bytes) || !check.pack(number, pack, &guard).await? {
            check.suspects.insert(number, Suspect::new(*pack, there));
            let pieces = self.pieces_in(number, &guard).await?;
            check.suspect(number, pieces).await?;
            check.tell_suspects();
        }
        if check.damaged.count() > before {
            check.remember(false).await?;
        }
        Ok(std::mem::take(&mut check.report.findings))
    }
}
