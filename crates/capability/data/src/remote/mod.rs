//! Other places that have datasets: Corliss servers, and folders and buckets without one.
//!
//! A port, [`Remote`], with two behind it: [`ServerRemote`] speaks to another server's native API,
//! [`StoreRemote`] keeps pieces, commits and names in a blob store of its own. Both hold to the rule by which a
//! transfer is cheap: what is known is whole, so a copy goes from the root down and skips what is known.
//!
//! Invariants:
//! - Where a remote is, is the administrator's setting; no request names a URL or a path.
//! - Nothing that comes from a remote is believed: pieces and commits are what their ids say, or refused.
//! - Names move last, by compare-and-set, when everything below them is stored; before, nothing is to be seen.
//! - A token is read when it is needed, and is part of no error and no `Debug`.

mod copy;
mod server;
mod settings;
mod store;
mod trouble;

use std::time::Duration;

use async_trait::async_trait;
use corliss_blobstore::{BlobId, BlobStore, Hold, Piece, Progress};
use corliss_types::{CommitId, DatasetName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::history::{Commit, RefKind, RefName};
use crate::{DataError, transfer};

pub use crate::counters::{Counted, Counters};
pub(crate) use copy::copy;
pub use server::{ServerLimits, ServerRemote, ServerSettings};
pub(crate) use settings::RemoteInfo;
pub use settings::{RemoteSettings, Remotes};
pub use store::StoreRemote;
pub use trouble::RemoteTrouble;

/// Branches and tags that a dataset may have to be pushed or pulled.
pub(crate) const REFS_MAX: usize = 8000;
/// Commits of one page of a history.
pub(crate) const HISTORY_PAGE: usize = 1000;
/// Commits that are sent together.
pub(crate) const COMMITS_AT_ONCE: usize = 128;

/// Somewhere pieces are stored: here, or at a remote.
#[async_trait]
pub trait Pieces: Send + Sync {
    /// Those of the ids that are not stored; of what is stored, everything below is.
    async fn missing(&self, ids: Vec<BlobId>) -> Result<Vec<BlobId>, DataError>;

    /// Stores pieces, each after what it lists; durable when this returns.
    async fn put(&self, pieces: Vec<Piece>) -> Result<(), DataError>;

    /// Pieces in the order of the ids: as many from the front as fit into a body, and at least one.
    async fn read(&self, ids: Vec<BlobId>) -> Result<Vec<Piece>, DataError>;
}

/// A place that has datasets.
#[async_trait]
pub trait Remote: Pieces {
    /// What the administrator calls it.
    fn name(&self) -> &str;

    /// Names of datasets in order, after one.
    async fn datasets(&self, after: &str, limit: usize) -> Result<Vec<DatasetName>, DataError>;

    /// Branches and tags of a dataset; None if there is no such dataset.
    async fn refs(&self, dataset: &DatasetName) -> Result<Option<RemoteRefs>, DataError>;

    /// Those of the commits that it does not have; of one that it has, it has all before it. Each comes with its
    /// generation, below which nobody needs to look for it.
    async fn missing_commits(
        &self,
        dataset: &DatasetName,
        commits: &[(CommitId, u64)],
    ) -> Result<Vec<CommitId>, DataError>;

    /// Records commits, parents first; their trees are stored. Nothing is to be seen of them yet.
    async fn put_commits(&self, dataset: &DatasetName, commits: Vec<Commit>) -> Result<(), DataError>;

    /// These commits and what came before them, newest first, as many as asked for.
    async fn history(
        &self,
        dataset: &DatasetName,
        from: &[CommitId],
        limit: usize,
    ) -> Result<Vec<Commit>, DataError>;

    /// What was said to be stored stays so as long as this lives, whatever this process collects there. None if the
    /// other side sees to that.
    fn hold(&self) -> Option<Hold> {
        None
    }

    /// Removes what no name leads to, as far as that is due. Refused where somebody there sees to it, who knows what else
    /// refers to what is stored.
    async fn collect(
        &self,
        _wish: &RemoteCollectWish,
        _progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<RemoteCollected, DataError> {
        let remote = self.name().to_owned();
        Err(DataError::CollectsItself { remote })
    }

    /// Points branches and tags at commits, all of them or none; makes the dataset if it is not there. What points
    /// there already is left as it is, so that it may be asked for twice.
    async fn update_refs(&self, dataset: &DatasetName, update: &RefsUpdate) -> Result<(), DataError>;
}

/// How to collect a remote.
#[derive(Debug, Clone)]
pub struct RemoteCollectWish {
    /// What came to be known here within this time stays, whatever leads to it.
    pub grace: Duration,
    /// How long what is condemned waits to be removed. Longer than a push takes between asking for the last time whether
    /// something was condemned, and moving its names; and than the clocks of those who collect may differ.
    pub wait: Duration,
    /// How long to wait for readers of this process.
    pub readers: Duration,
    /// Find out what would be condemned, and change nothing.
    pub dry_run: bool,
    /// A name that no other collection has.
    pub owner: String,
    /// When it is.
    pub now: Timestamp,
}

/// What a collection of a remote did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RemoteCollected {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Pieces to which no name leads; they are removed by a later collection.
    pub pieces_condemned: u64,
    /// What they take, compressed.
    pub bytes_condemned: u64,
    /// From when on, in milliseconds since 1970; None if nothing waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removable_ms: Option<Timestamp>,
    /// Packs that were removed, of what was condemned before.
    pub packs_removed: u64,
    /// Their bytes.
    pub bytes_freed: u64,
    /// Whether what was condemned before was taken back, since something there is in use or missing.
    pub taken_back: bool,
    /// Pieces that stay, and what they take.
    pub pieces_kept: u64,
    /// See [`Self::pieces_kept`].
    pub bytes_kept: u64,
    /// Pieces that names lead to and that cannot be read.
    pub missing: Vec<BlobId>,
    /// Why something was left as it was, in words.
    pub skipped: Vec<String>,
}

/// The names of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRefs {
    /// The branch that the dataset's name alone means.
    pub default_branch: RefName,
    /// Branches and tags.
    pub refs: Vec<RefState>,
}

impl RemoteRefs {
    /// Where a name points.
    pub(crate) fn get(&self, kind: RefKind, name: &RefName) -> Option<&RefState> {
        self.refs.iter().find(|one| one.kind == kind && one.name == *name)
    }
}

/// Where a name points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefState {
    /// Branch or tag.
    pub kind: RefKind,
    /// Its name.
    pub name: RefName,
    /// The commit.
    pub commit: CommitId,
    /// Whether only merges move it.
    #[serde(default)]
    pub protected: bool,
}

/// Names that are to move, together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefsUpdate {
    /// What moves.
    pub changes: Vec<RefChange>,
    /// The default branch of a dataset that is made by this.
    pub default_branch: RefName,
    /// Whether a branch may lose commits, and a tag move.
    #[serde(default)]
    pub force: bool,
}

/// One name that is to move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefChange {
    /// Branch or tag.
    pub kind: RefKind,
    /// Its name.
    pub name: RefName,
    /// Where it has to be; none is not there.
    #[serde(default)]
    pub old: Option<CommitId>,
    /// Where it goes.
    pub new: CommitId,
}

/// This server's own pieces.
pub(crate) struct Here(pub BlobStore);

#[async_trait]
impl Pieces for Here {
    async fn missing(&self, ids: Vec<BlobId>) -> Result<Vec<BlobId>, DataError> {
        Ok(self.0.missing(ids).await?)
    }

    async fn put(&self, pieces: Vec<Piece>) -> Result<(), DataError> {
        Ok(self.0.put_pieces(pieces).await.map(drop)?)
    }

    async fn read(&self, ids: Vec<BlobId>) -> Result<Vec<Piece>, DataError> {
        Ok(self.0.read_pieces(ids, transfer::BODY_BYTES as u64).await?)
    }
}
