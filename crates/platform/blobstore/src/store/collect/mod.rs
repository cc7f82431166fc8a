//! Collection: what no root needs goes, and packs that are mostly garbage or small are written together.
//!
//! Order of effects, each safe to be the last one:
//!
//! 1. `survey`, `mark`: what is in use, from the roots, from packs that are young, and from all that anybody is
//!    told meanwhile. Changes nothing.
//! 2. `sweep`: at one moment everything else is condemned: first in memory, then in one durable object, which an
//!    index made from the packs obeys too. So a record is never known without what it lists.
//! 3. `settle`: once the readers that began before have ended, the index forgets it, and packs of which all is
//!    condemned are removed.
//! 4. `compact`: what is needed of sparse packs is verified and written to new ones; the index finds it there;
//!    then the old packs are condemned whole, and removed as before.

mod compact;
mod mark;
mod settle;
mod survey;
mod sweep;

use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use corliss_keyring::KeyError;

use super::BlobStore;
use super::turns::Guard;
use crate::condemned::Condemned;
use crate::{BlobError, BlobId};

pub(super) use compact::{Moving, read_sealed, write_moved};
pub(super) use mark::read_each;
pub(super) use settle::{forget_condemned, is_foreign};
pub(super) use survey::packs_there;

/// Ids of a report that are told one by one; others are counted.
const TOLD: usize = 1000;

/// Where a collection begins to follow what is in use: ids of records or blobs.
#[async_trait]
pub trait Roots: Send {
    /// Some more; none if there are no more. First asked once the store has begun to note what it answers, so
    /// that a list that is read then, and whoever made a root before, miss nothing between them.
    ///
    /// # Errors
    /// They cannot be told; then nothing is collected.
    async fn next(&mut self) -> Result<Vec<BlobId>, BlobError>;
}

#[async_trait]
impl Roots for Vec<BlobId> {
    async fn next(&mut self) -> Result<Vec<BlobId>, BlobError> {
        Ok(std::mem::take(self))
    }
}

/// How to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectOptions {
    /// Packs that became known within this time are kept, with everything that their pieces list: what is being
    /// uploaded has no root yet.
    pub grace: Duration,
    /// Find out what would go, and change nothing.
    pub dry_run: bool,
    /// Collect though a root, or something below one, is not stored or not readable. What only that leads to goes
    /// then.
    pub despite_missing: bool,
    /// Packs of which less than this is needed are written anew.
    pub live_percent: u8,
    /// Packs that are smaller are written together.
    pub small_bytes: u64,
    /// Bytes of pieces to write anew at most, in one collection.
    pub rewrite_limit_bytes: u64,
    /// How long to wait for readers of what goes; after that it goes with the next collection.
    pub wait: Duration,
    /// Condemn, and write packs anew, but remove nothing: others use the same objects, and rely on what they were told
    /// before. See [`BlobStore::remove_condemned`].
    pub is_shared: bool,
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self {
            grace: Duration::from_hours(24),
            dry_run: false,
            despite_missing: false,
            live_percent: 50,
            small_bytes: 1 << 20,
            rewrite_limit_bytes: 64 << 30,
            wait: Duration::from_mins(1),
            is_shared: false,
        }
    }
}

/// Why something was left as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// A root or something below one is missing, or a pack cannot be read: nothing was removed.
    Incomplete,
    /// Readers that began before have not ended: packs are removed by the next collection.
    Readers,
    /// The limit of bytes to write anew was reached; so many packs are left.
    Limit {
        /// How many.
        packs: u64,
    },
    /// The disk is full: packs are left as they are.
    StorageFull,
    /// A pack in which something is damaged.
    Damaged {
        /// Its name.
        pack: String,
    },
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("something in use is missing or damaged, so nothing was removed"),
            Self::Readers => f.write_str("packs that are being read are removed the next time"),
            Self::Limit { packs } => write!(f, "{packs} packs are to be written anew the next time"),
            Self::StorageFull => f.write_str("the disk is full, so packs were not written anew"),
            Self::Damaged { pack } => write!(f, "{pack} has something damaged in it and is left as it is"),
        }
    }
}

/// What a collection did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectReport {
    /// Pieces that stay, and what they take in packs.
    pub kept_pieces: u64,
    /// See [`Self::kept_pieces`].
    pub kept_bytes: u64,
    /// Pieces that went, and what they took in packs; of a dry run, that would go.
    pub removed_pieces: u64,
    /// See [`Self::removed_pieces`].
    pub removed_bytes: u64,
    /// Packs before and after.
    pub packs_before: u64,
    /// See [`Self::packs_before`].
    pub packs_after: u64,
    /// Packs whose needed pieces were written to new ones; of a dry run, that would be.
    pub packs_rewritten: u64,
    /// Bytes of pieces that were written to new packs.
    pub rewritten_bytes: u64,
    /// Packs that were removed, and their bytes.
    pub packs_removed: u64,
    /// See [`Self::packs_removed`].
    pub freed_bytes: u64,
    /// Roots that are not stored; the first thousand.
    pub missing_roots: Vec<BlobId>,
    /// Pieces below roots that are not stored; the first thousand.
    pub missing: Vec<BlobId>,
    /// Pieces that were found damaged, which stay where they are; the first thousand.
    pub damaged: Vec<BlobId>,
    /// Packs whose tables cannot be read, and that the index does not know or finds nothing in. Nobody can read what
    /// they held, so they go once nothing in use is missing without them.
    pub unreadable_packs: Vec<String>,
    /// What was left as it was.
    pub skipped: Vec<Skipped>,
    /// How long it took.
    pub took: Duration,
}

impl CollectReport {
    /// Whether everything in use is there and can be read.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing_roots.is_empty() && self.missing.is_empty() && self.damaged.is_empty()
    }
}

fn tell(list: &mut Vec<BlobId>, id: BlobId) {
    if list.len() < TOLD {
        list.push(id);
    }
}

/// What a collection or check is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Comparing the packs with the index.
    Surveying,
    /// Following links from the roots; counts pieces.
    Marking,
    /// Looking for what was not reached; counts pieces.
    Sweeping,
    /// Waiting for readers.
    Waiting,
    /// Writing what is needed of sparse packs anew; counts packs.
    Compacting,
    /// Removing packs; counts packs.
    Removing,
    /// Reading packs; counts packs.
    Reading,
    /// Following links of what is damaged; counts pieces.
    Tracing,
}

/// How far a collection or check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is at.
    pub phase: Phase,
    /// Done in this phase so far.
    pub done: u64,
    /// Out of how many, where that is known.
    pub of: Option<u64>,
}

/// Called now and then; it should return at once.
pub(super) type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// One collection under way.
struct Run<'a> {
    store: &'a BlobStore,
    options: CollectOptions,
    progress: OnProgress<'a>,
    report: CollectReport,
}

impl Run<'_> {
    fn at(&self, phase: Phase, done: u64, of: Option<u64>) {
        (self.progress)(Progress { phase, done, of });
    }
}

impl BlobStore {
    /// Removes what no root needs. Everything else may go on beside it: what is stored meanwhile stays, readers
    /// that began before finish, and whoever asks for something that goes is told that it is not there. May be
    /// dropped at any time.
    ///
    /// # Errors
    /// Another one is under way, the roots could not be told, or the storage failed. What was done so far is safe.
    pub async fn collect(
        &self,
        roots: &mut dyn Roots,
        options: CollectOptions,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<CollectReport, BlobError> {
        let mut guard = self.upkeep().await?;
        if options.is_shared {
            self.is_up_to_date(&guard).await?;
            // Written even if nothing goes: whoever decided by what was there before is refused from then on.
            guard.is_unsaved |= !options.dry_run;
        }
        let started = Instant::now();
        let mut run = Run {
            store: self,
            options,
            progress,
            report: CollectReport::default(),
        };
        run.collect(roots, guard).await?;
        run.report.took = started.elapsed();
        Ok(run.report)
    }

    /// Removes the packs that were condemned before, by whomever, once nobody relies on them any more: whoever calls
    /// knows that. What is condemned must be what this store knows of.
    ///
    /// # Errors
    /// Another collection or check is under way, somebody else has changed what is condemned, or the storage failed.
    pub async fn remove_condemned(
        &self,
        wait: Duration,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<CollectReport, BlobError> {
        let guard = self.upkeep().await?;
        self.is_up_to_date(&guard).await?;
        let started = Instant::now();
        let mut run = Run {
            store: self,
            options: CollectOptions {
                wait,
                ..CollectOptions::default()
            },
            progress,
            report: CollectReport::default(),
        };
        run.settle(guard).await?;
        run.report.took = started.elapsed();
        Ok(run.report)
    }

    /// Writes down under another name what is condemned now, to be taken back to.
    ///
    /// # Errors
    /// As [`Self::remove_condemned`].
    pub async fn note_condemned(&self, object: &str) -> Result<(), BlobError> {
        let guard = self.upkeep().await?;
        self.is_up_to_date(&guard).await?;
        let bytes = guard.object.clone().unwrap_or_default();
        self.inner.backend.put(object, vec![bytes]).await
    }

    /// Takes back all that was condemned since that was noted, of which nothing was removed. This store does not know it again before it is
    /// opened anew, with an index that is made from the packs.
    ///
    /// # Errors
    /// As [`Self::remove_condemned`].
    pub async fn acquit_condemned(&self, noted: &str) -> Result<(), BlobError> {
        let mut guard = self.upkeep().await?;
        self.is_up_to_date(&guard).await?;
        // First: an index that does not know what is there only costs sending it again.
        self.inner.index.doubt();
        let inner = &self.inner;
        guard.packs = match inner.backend.get(noted).await? {
            Some(bytes) if !bytes.is_empty() => {
                let before = Condemned::read(bytes, inner.backend.as_ref(), &inner.keyring).await?;
                before.packs
            }
            _ => std::collections::BTreeMap::new(),
        };
        self.save_condemned(guard, true).await.map(drop)
    }

    /// Whether what is condemned lies there as this store knows it.
    async fn is_up_to_date(&self, guard: &Guard) -> Result<(), BlobError> {
        let there = Condemned::object_in(self.inner.backend.as_ref()).await?;
        match there == guard.object {
            true => Ok(()),
            false => Err(KeyError::Changed {
                place: self.inner.backend.place(),
            }
            .into()),
        }
    }
}

impl Run<'_> {
    async fn collect(&mut self, roots: &mut dyn Roots, mut guard: Guard) -> Result<(), BlobError> {
        self.at(Phase::Surveying, 0, None);
        if !self.options.dry_run {
            // What an earlier one had to leave.
            guard = self.settle(guard).await?;
        }
        self.adopt(&mut guard).await?;
        let mut watching = Watching::begin(self.store);
        let survey = self.survey(&guard, &watching).await?;
        let copies = self.sweep_copies(&survey, &guard, &mut watching).await?;
        self.mark_roots(roots).await?;
        self.mark_young(&survey, &watching, &guard).await?;
        let mut swept = self.sweep(&survey, &guard, copies).await?;
        if self.options.dry_run {
            swept.needed_bytes.retain(|_, bytes| *bytes > 0);
            self.report.packs_rewritten = self.plan(&guard, &swept).len() as u64;
        }
        if !self.report.is_complete() && !self.options.despite_missing {
            self.report.skipped.push(Skipped::Incomplete);
        } else if !self.options.dry_run {
            let before = self.report.skipped.len();
            guard = self.condemn(guard, &survey, swept.unused.clone()).await?;
            self.condemn_unreadable(&mut guard);
            guard = self.settle(guard).await?;
            if self.report.skipped.len() == before {
                guard = self.compact(guard, &swept).await?;
            }
        }
        self.report.packs_after = packs_there(self.store.inner.backend.as_ref(), &guard)
            .await?
            .len() as u64;
        Ok(())
    }
}

/// Answers are noted as uses until this is dropped.
struct Watching<'a> {
    store: &'a BlobStore,
    /// What holders of the store were told before.
    said: crate::marks::Marks,
    /// Packs from this number on may hold what has no root yet.
    first_pack: u32,
}

impl<'a> Watching<'a> {
    fn begin(store: &'a BlobStore) -> Self {
        let (said, first_pack) = store.inner.answers.begin_watch(&store.inner.index);
        Self {
            store,
            said,
            first_pack,
        }
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.store.inner.answers.end_watch();
    }
}
