//! Collecting a folder or bucket that others push to meanwhile, without a server that could tell them.
//!
//! A push relies on what it was told to be stored, and moves its names long after. So what is collected goes in two
//! steps with a day between them, and an object, `collection`, says how far that is. It is replaced by compare-and-set
//! only; docs/design/data-remotes.md says why nothing that a name leads to can be lost.
//!
//! 1. *Condemn.* What no name leads to is condemned in the store, durably. Then the generation in the object changes.
//!    Whoever pushes compares it, before writing what lists something and before the names move, with what it was when
//!    the store was opened, and begins anew if it is another one.
//! 2. *Remove*, a day later. Everything that lies there is followed once more: a push that had compared before the
//!    generation changed has written by now. If something that is listed is condemned, all that was condemned in the first
//!    step is taken back. If not, the packs are removed.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use corliss_blobstore::{BlobError, BlobId, CollectOptions, CollectReport, Progress, Roots};
use corliss_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::{FOLDER, StoreRemote};
use crate::DataError;
use crate::remote::trouble::OrRemote;
use crate::remote::{RemoteCollectWish, RemoteCollected, RemoteTrouble};

/// The object that says how far a collection is.
const OBJECT: &str = "collection";
/// What was condemned before the first step.
const BEFORE: &str = "condemned-before";
/// A step that takes longer has died, and another collection does it again. What a step that still lives writes after
/// that is refused.
const STEP_MAX_MS: i64 = 6 * 3600 * 1000;

/// How far a collection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Idle,
    Condemning,
    Condemned,
    Removing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    step: Step,
    /// Another one each time that something was condemned. Those who push compare it.
    generation: String,
    /// Whoever took the step: two never write the same bytes.
    by: String,
    at_ms: Timestamp,
    /// Whoever took the step has given up in it; anybody may do it again.
    #[serde(default)]
    has_failed: bool,
}

impl State {
    fn is_stuck(&self, now: Timestamp) -> bool {
        self.has_failed || now.as_millis().saturating_sub(self.at_ms.as_millis()) > STEP_MAX_MS
    }
}

/// Where all names lead, read when the store asks.
struct Names<'a> {
    remote: &'a StoreRemote,
    is_told: bool,
}

#[async_trait]
impl Roots for Names<'_> {
    async fn next(&mut self) -> Result<Vec<BlobId>, BlobError> {
        if std::mem::replace(&mut self.is_told, true) {
            return Ok(Vec::new());
        }
        let mut roots = Vec::new();
        for object in self.remote.backend.list(FOLDER).await? {
            if let Some(pointer) = self.remote.backend.get(&object.name).await? {
                let id = std::str::from_utf8(&pointer)
                    .ok()
                    .and_then(|text| text.parse().ok());
                roots.push(id.ok_or_else(|| BlobError::Incoming {
                    message: format!("{} does not name a record", object.name),
                })?);
            }
        }
        Ok(roots)
    }
}

/// The object, and what it says.
type Seen = (Option<Bytes>, Option<State>);

impl StoreRemote {
    /// The generation that an opened store agrees with; to be asked before it is opened.
    pub(super) async fn generation_in(backend: &dyn corliss_blobstore::Backend) -> Result<String, BlobError> {
        Ok(seen(backend)
            .await?
            .1
            .map_or_else(String::new, |state| state.generation))
    }

    /// To be called when everything is sent and before names move: whether all that was said to be stored still is.
    pub(super) async fn check_generation(&self) -> Result<(), DataError> {
        let now = Self::generation_in(self.backend.as_ref())
            .await
            .or_remote(&self.name)?;
        match now == *self.generation() {
            true => Ok(()),
            false => Err(self.told(
                RemoteTrouble::Changed,
                "a collection has condemned what no name led to since it was opened",
            )),
        }
    }

    /// Does the steps of a collection that are due.
    pub(super) async fn collect_due(
        &self,
        wish: &RemoteCollectWish,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<RemoteCollected, DataError> {
        let mut done = RemoteCollected {
            dry_run: wish.dry_run,
            ..RemoteCollected::default()
        };
        if wish.dry_run {
            let report = self.mark(wish, progress).await?;
            done.add_condemned(&report);
            done.removable_ms = self.removable(wish, &self.seen().await?.1);
            return Ok(done);
        }
        let mut seen = self.seen().await?;
        if let Some(state) = &seen.1 {
            let is_busy = matches!(state.step, Step::Condemning | Step::Removing);
            if is_busy && !state.is_stuck(wish.now) {
                let message = "a collection is under way, here or from another server";
                return Err(self.told(RemoteTrouble::Unavailable, message));
            }
            if let Some(at) = self.removable(wish, &seen.1)
                && (at > wish.now)
            {
                done.removable_ms = Some(at);
                return Ok(done);
            }
            if matches!(state.step, Step::Condemned | Step::Removing) {
                let state = state.clone();
                seen = self.remove(wish, seen, &state, &mut done, progress).await?;
                if done.taken_back {
                    return Ok(done);
                }
            }
        }
        self.condemn(wish, seen, &mut done, progress).await?;
        Ok(done)
    }

    /// When what is condemned may be removed.
    fn removable(&self, wish: &RemoteCollectWish, state: &Option<State>) -> Option<Timestamp> {
        let state = state.as_ref().filter(|state| state.step == Step::Condemned)?;
        let wait = i64::try_from(wish.wait.as_millis()).unwrap_or(i64::MAX);
        Some(Timestamp::from_millis(
            state.at_ms.as_millis().saturating_add(wait),
        ))
    }

    async fn condemn(
        &self,
        wish: &RemoteCollectWish,
        seen: Seen,
        done: &mut RemoteCollected,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), DataError> {
        let (step, before) = match &seen.1 {
            Some(state) => (state.step, state.generation.clone()),
            None => (Step::Idle, String::new()),
        };
        // Of somebody who died in this step it is noted already, and more may be condemned since.
        if step != Step::Condemning {
            self.blobs.note_condemned(BEFORE).await.or_remote(&self.name)?;
        }
        let seen = self.step(wish, seen, Step::Condemning, before.clone()).await?;
        let report = match self.mark(wish, progress).await {
            Ok(report) => report,
            Err(error) => return Err(self.give_up(wish, seen, error).await),
        };
        done.add_condemned(&report);
        let is_condemned = report.is_complete()
            && (report.removed_pieces > 0
                || report.packs_rewritten > 0
                || !report.unreadable_packs.is_empty());
        if !is_condemned && step != Step::Condemning {
            // All that anybody was told still holds.
            return self.step(wish, seen, Step::Idle, before).await.map(drop);
        }
        self.step(wish, seen, Step::Condemned, wish.owner.clone()).await?;
        // What this store says since agrees with what is condemned; whom it told something before holds it.
        self.generation().clone_from(&wish.owner);
        self.known().clear();
        let wait = i64::try_from(wish.wait.as_millis()).unwrap_or(i64::MAX);
        done.removable_ms = Some(Timestamp::from_millis(wish.now.as_millis().saturating_add(wait)));
        Ok(())
    }

    async fn remove(
        &self,
        wish: &RemoteCollectWish,
        seen: Seen,
        state: &State,
        done: &mut RemoteCollected,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Seen, DataError> {
        // Everything that lies there counts, whatever leads to it: what lists something that is gone must not be known.
        let look = RemoteCollectWish {
            grace: Duration::MAX,
            dry_run: true,
            ..wish.clone()
        };
        let generation = state.generation.clone();
        if state.step == Step::Condemned && !self.mark(&look, progress).await?.is_complete() {
            // Nothing is removed yet, and nobody else can begin to: that would need this object to be as it is.
            let seen = self.step(wish, seen, Step::Condemning, generation).await?;
            self.blobs.acquit_condemned(BEFORE).await.or_remote(&self.name)?;
            // Nobody pushes by what this store knows: it does not know again what was taken back.
            self.generation().push('?');
            done.taken_back = true;
            return self.step(wish, seen, Step::Idle, wish.owner.clone()).await;
        }
        let seen = self.step(wish, seen, Step::Removing, generation.clone()).await?;
        let removed = self.blobs.remove_condemned(wish.readers, progress).await;
        let removed = match removed.or_remote(&self.name) {
            Ok(removed) => removed,
            Err(error) => return Err(self.give_up(wish, seen, error).await),
        };
        done.packs_removed += removed.packs_removed;
        done.bytes_freed += removed.freed_bytes;
        if removed.skipped.is_empty() {
            return self.step(wish, seen, Step::Idle, generation).await;
        }
        let message = "what is condemned is being read by this server: collect again later";
        let error = self.told(RemoteTrouble::Unavailable, message);
        Err(self.give_up(wish, seen, error).await)
    }

    /// Lets anybody do the step again at once.
    async fn give_up(&self, wish: &RemoteCollectWish, seen: Seen, error: DataError) -> DataError {
        if let (before, Some(state)) = seen {
            let failed = State {
                has_failed: true,
                ..state
            };
            if let Err(error) = self.write_state(wish, before, failed).await {
                let remote = &self.name;
                tracing::warn!(remote, %error, "that a collection has failed could not be noted");
            }
        }
        error
    }

    async fn mark(
        &self,
        wish: &RemoteCollectWish,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<CollectReport, DataError> {
        let options = CollectOptions {
            grace: wish.grace,
            dry_run: wish.dry_run,
            is_shared: true,
            ..CollectOptions::default()
        };
        let mut names = Names {
            remote: self,
            is_told: false,
        };
        let report = self.blobs.collect(&mut names, options, progress).await;
        report.or_remote(&self.name)
    }

    async fn seen(&self) -> Result<Seen, DataError> {
        seen(self.backend.as_ref()).await.or_remote(&self.name)
    }

    /// Takes a step, if nobody else has taken one since.
    async fn step(
        &self,
        wish: &RemoteCollectWish,
        seen: Seen,
        step: Step,
        generation: String,
    ) -> Result<Seen, DataError> {
        let state = State {
            step,
            generation,
            by: wish.owner.clone(),
            at_ms: wish.now,
            has_failed: false,
        };
        self.write_state(wish, seen.0, state).await
    }

    async fn write_state(
        &self,
        wish: &RemoteCollectWish,
        before: Option<Bytes>,
        state: State,
    ) -> Result<Seen, DataError> {
        let json = serde_json::to_vec(&state).map_err(|error| self.wrong(error.to_string()))?;
        let new = Bytes::from(json);
        let put = self.backend.put_if(OBJECT, before.as_deref(), new.clone()).await;
        match put.or_remote(&self.name)? {
            true => Ok((Some(new), Some(state))),
            false => Err(self.told(
                RemoteTrouble::Unavailable,
                format!("another server collects it, and {} gives way", wish.owner),
            )),
        }
    }
}

async fn seen(backend: &dyn corliss_blobstore::Backend) -> Result<Seen, BlobError> {
    let Some(bytes) = backend.get(OBJECT).await? else {
        return Ok((None, None));
    };
    let state = serde_json::from_slice(&bytes).map_err(|error| BlobError::Incoming {
        message: format!("{OBJECT} in {} cannot be read: {error}", backend.place()),
    })?;
    Ok((Some(bytes), Some(state)))
}

impl RemoteCollected {
    fn add_condemned(&mut self, report: &CollectReport) {
        if report.is_complete() {
            self.pieces_condemned = report.removed_pieces;
            self.bytes_condemned = report.removed_bytes;
        }
        self.pieces_kept = report.kept_pieces;
        self.bytes_kept = report.kept_bytes;
        self.skipped
            .extend(report.skipped.iter().map(ToString::to_string));
        let missing = report
            .missing_roots
            .iter()
            .chain(&report.missing)
            .chain(&report.damaged);
        self.missing.extend(missing.copied());
    }
}

impl Default for RemoteCollectWish {
    fn default() -> Self {
        Self {
            grace: Duration::from_hours(14 * 24),
            wait: Duration::from_hours(24),
            readers: Duration::from_mins(1),
            dry_run: false,
            owner: String::new(),
            now: Timestamp::from_millis(0),
        }
    }
}
