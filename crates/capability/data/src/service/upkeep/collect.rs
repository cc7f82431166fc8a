//! Collecting: first the commits and versions to which nothing leads, then the bytes that no version has.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_blobstore::{BlobError, BlobId, CollectOptions, CollectReport, Progress, Roots};
use corliss_types::{CommitId, Timestamp, VersionId};
use serde::Serialize;

use super::super::operations::{Kind, Operation, Outcome, Subject};
use super::prune::{Prune, View, decide};
use crate::ports::InUse;
use crate::store::{imports, upkeep};
use crate::{DataError, DataService, tree};

/// What somebody wants of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectWish {
    /// What is younger than so many seconds stays, whatever refers to it.
    pub grace_seconds: u64,
    /// Find out what would go, and change nothing.
    pub dry_run: bool,
    /// Collect though something that is in use is damaged or missing: what only that leads to goes then.
    pub despite_missing: bool,
}

impl Default for CollectWish {
    fn default() -> Self {
        Self {
            grace_seconds: 14 * 24 * 3600,
            dry_run: false,
            despite_missing: false,
        }
    }
}

/// What a collection did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Collected {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Commits to which no branch or tag leads any more.
    pub commits_removed: u64,
    /// Versions to which nothing refers any more.
    pub versions_removed: u64,
    /// Versions whose files are older than their dataset keeps them.
    pub versions_expired: u64,
    /// Pieces that went.
    pub pieces_removed: u64,
    /// What they took, compressed.
    pub bytes_removed: u64,
    /// Pieces that stay.
    pub pieces_kept: u64,
    /// What they take.
    pub bytes_kept: u64,
    /// What the disk or bucket got back.
    pub bytes_freed: u64,
    /// Packs before.
    pub packs_before: u64,
    /// Packs after.
    pub packs_after: u64,
    /// Records and blobs that are in use and not readable.
    pub missing: Vec<BlobId>,
    /// Why something was left as it was, in words.
    pub skipped: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Roots of what is in use, read when the store asks.
struct Living<'a> {
    service: &'a DataService,
    in_use: &'a dyn InUse,
    /// Of a dry run: what would not be there any more.
    without: BTreeSet<VersionId>,
    step: u8,
}

#[async_trait]
impl Roots for Living<'_> {
    async fn next(&mut self) -> Result<Vec<BlobId>, BlobError> {
        self.step += 1;
        let told = match self.step {
            1 => self.versions().await,
            2 => self.in_use.blobs().await.map_err(DataError::from),
            _ => Ok(Vec::new()),
        };
        told.map_err(|error| BlobError::Incoming {
            message: format!("what is in use could not be told: {error}"),
        })
    }
}

impl Living<'_> {
    async fn versions(&self) -> Result<Vec<BlobId>, DataError> {
        let all = self
            .service
            .store
            .read(|tx| Ok::<_, DataError>(upkeep::versions(tx)?));
        let all = all.await?.into_keys();
        let living = all.filter(|version| !self.without.contains(version));
        Ok(living.filter_map(|version| tree::root_of(&version)).collect())
    }
}

impl DataService {
    /// Starts a collection in the background.
    ///
    /// # Errors
    /// A collection or check was started and runs.
    pub(crate) fn start_collect(
        &self,
        in_use: Arc<dyn InUse>,
        wish: CollectWish,
    ) -> Result<Operation, DataError> {
        let subject = Subject::of_all(Kind::Collect);
        self.start(subject, move |service, counters| async move {
            let progress = |progress| counters.upkeep(progress);
            let collected = service.collect(in_use.as_ref(), wish, &progress).await;
            collected.map(Outcome::Collect)
        })
    }

    /// Removes what nothing refers to: commits to which no branch or tag leads, versions that no commit, run, model
    /// or endpoint has, and then the bytes. Everything else may go on beside it.
    ///
    /// # Errors
    /// Another one is under way, what is in use could not be told, or a store failed. What was done so far is safe.
    pub async fn collect(
        &self,
        in_use: &dyn InUse,
        wish: CollectWish,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Collected, DataError> {
        let prune = Arc::new(self.prune(in_use, wish).await?);
        if !wish.dry_run {
            self.apply(Arc::clone(&prune)).await?;
        }
        let mut roots = Living {
            service: self,
            in_use,
            without: prune.versions.union(&prune.expired).cloned().collect(),
            step: 0,
        };
        let options = CollectOptions {
            grace: Duration::from_secs(wish.grace_seconds),
            dry_run: wish.dry_run,
            despite_missing: wish.despite_missing,
            ..CollectOptions::default()
        };
        let report = self.blobs.collect(&mut roots, options, progress).await?;
        Ok(told(wish, &prune, report))
    }

    async fn prune(&self, in_use: &dyn InUse, wish: CollectWish) -> Result<Prune, DataError> {
        let elsewhere = in_use.versions().await?;
        let now = self.sources.clock.now();
        let grace_ms = i64::try_from(wish.grace_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        let since = Timestamp::from_millis(now.as_millis().saturating_sub(grace_ms));
        let view = self
            .store
            .read(move |tx| {
                let mut in_use = upkeep::in_lineage(tx)?;
                in_use.extend(elsewhere.iter().cloned());
                Ok::<_, DataError>(View {
                    now,
                    grace_ms,
                    starts: upkeep::starts(tx, since)?,
                    heads: upkeep::heads(tx)?,
                    commits: upkeep::commits(tx)?,
                    versions: upkeep::versions(tx)?,
                    in_use,
                })
            })
            .await?;
        super::super::blocking(move || Ok(decide(&view))).await
    }

    /// In one transaction, and only what is still so: a name may have been moved meanwhile.
    async fn apply(&self, prune: Arc<Prune>) -> Result<(), DataError> {
        self.store
            .write(move |tx| {
                let commits = upkeep::commits(tx)?;
                let goes = |id: &CommitId| prune.commits.contains(id);
                let is_named = upkeep::heads(tx)?.iter().any(goes);
                let mut others = commits.iter().filter(|(id, _)| !goes(id));
                // A name was pointed at what was to go, or something was put upon it: all of it stays until the
                // next time.
                let is_revived = is_named || others.any(|(_, node)| node.parents.iter().any(goes));
                if !is_revived {
                    upkeep::remove_commits(tx, &prune.commits)?;
                }
                let still: BTreeSet<&VersionId> = commits
                    .iter()
                    .filter(|(id, _)| is_revived || !goes(id))
                    .map(|(_, node)| &node.version)
                    .collect();
                let lineage = upkeep::in_lineage(tx)?;
                for id in &prune.versions {
                    if !still.contains(id) && !lineage.contains(id) {
                        upkeep::remove_version(tx, id)?;
                    }
                }
                imports::forget_others(tx)?;
                for id in prune.expired.iter().filter(|id| !lineage.contains(*id)) {
                    upkeep::expire_version(tx, id)?;
                }
                Ok(())
            })
            .await
    }
}

fn told(wish: CollectWish, prune: &Prune, report: CollectReport) -> Collected {
    let mut missing = report.missing_roots;
    missing.extend(report.missing);
    missing.extend(report.damaged);
    Collected {
        dry_run: wish.dry_run,
        commits_removed: prune.commits.len() as u64,
        versions_removed: prune.versions.len() as u64,
        versions_expired: prune.expired.len() as u64,
        pieces_removed: report.removed_pieces,
        bytes_removed: report.removed_bytes,
        pieces_kept: report.kept_pieces,
        bytes_kept: report.kept_bytes,
        bytes_freed: report.freed_bytes,
        packs_before: report.packs_before,
        packs_after: report.packs_after,
        missing,
        skipped: report.skipped.iter().map(ToString::to_string).collect(),
        took_ms: u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
    }
}
