//! A remote without a server: a blob store in a folder or bucket, with commits and names in it.
//!
//! A commit is a record whose links are the root of its tree and the records of its parents, so that whoever knows
//! it has all of its history (see `commits`). The names of a dataset are a record too, whose links are a blob that
//! says them and the records of the commits. The one thing that changes is an object `refs/DIGEST`, which holds the
//! id of that record and is replaced by compare-and-set. So nothing lies there in the clear but ids, and nothing is
//! to be seen of a push before that object changes.

mod collect;
mod commits;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use corliss_blobstore::{Backend, BlobError, BlobId, BlobStore, Hold, Kind, Piece, Progress, Record};
use corliss_keyring::RootKey;
use corliss_types::{CommitId, DatasetName};
use serde::{Deserialize, Serialize};

use super::trouble::OrRemote;
use super::{
    Pieces, REFS_MAX, RefState, RefsUpdate, Remote, RemoteCollectWish, RemoteCollected, RemoteRefs,
    RemoteTrouble,
};
use crate::history::{Commit, RefKind, RefName};
use crate::{DataError, transfer};

/// What the record of the names says; what they are is in a blob, which may be larger than a record.
const REFS_BODY: &[u8] = b"corliss-refs 1\n";
/// Where the objects are that name those records.
const FOLDER: &str = "refs";
/// Names of a dataset are a few kilobytes.
const NAMES_MAX_BYTES: u64 = 16 << 20;
/// How often names are read and compared anew when others are faster.
const TRIES: u32 = 8;

/// A remote over a blob store.
pub struct StoreRemote {
    name: String,
    blobs: BlobStore,
    backend: Arc<dyn Backend>,
    known: Mutex<HashMap<CommitId, Known>>,
    /// Of the last collection that what the store says agrees with.
    generation: Mutex<String>,
}

/// A commit whose record is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    record: BlobId,
    generation: u64,
}

/// The names of a dataset as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Names {
    dataset: DatasetName,
    default_branch: RefName,
    refs: Vec<Named>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    kind: RefKind,
    name: RefName,
    commit: CommitId,
    generation: u64,
}

/// What names a dataset has, and the object that says so.
struct Current {
    names: Names,
    /// Of the commits, in the order of the names.
    records: Vec<BlobId>,
}

impl StoreRemote {
    /// Opens the store over a backend; the index is a local folder of this remote alone.
    ///
    /// # Errors
    /// As [`BlobStore::open_backend`].
    pub async fn open(
        name: &str,
        backend: Arc<dyn Backend>,
        key: Arc<dyn RootKey>,
        index: &Path,
    ) -> Result<Self, BlobError> {
        // In this order: what was condemned up to this generation is not known to the store.
        let generation = Self::generation_in(backend.as_ref()).await?;
        let blobs = BlobStore::open_backend(Arc::clone(&backend), key, index).await?;
        Ok(Self {
            name: name.to_owned(),
            blobs,
            backend,
            known: Mutex::default(),
            generation: Mutex::new(generation),
        })
    }

    fn generation(&self) -> MutexGuard<'_, String> {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<CommitId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self, message: impl Into<String>) -> DataError {
        DataError::Remote {
            remote: self.name.clone(),
            trouble: RemoteTrouble::Answer,
            message: message.into(),
        }
    }

    fn told(&self, trouble: RemoteTrouble, message: impl Into<String>) -> DataError {
        DataError::Remote {
            remote: self.name.clone(),
            trouble,
            message: message.into(),
        }
    }

    /// The pointer of a dataset, and what it leads to.
    async fn current(&self, dataset: &DatasetName) -> Result<Option<(Bytes, Current)>, DataError> {
        let pointer = self
            .backend
            .get(&pointer_of(dataset))
            .await
            .or_remote(&self.name)?;
        let Some(pointer) = pointer else { return Ok(None) };
        let current = self.read(&pointer).await?;
        if current.names.dataset != *dataset {
            return Err(self.wrong(format!("the names of '{dataset}' are those of another dataset")));
        }
        let mut known = self.known();
        for (named, record) in current.names.refs.iter().zip(&current.records) {
            let generation = named.generation;
            let record = *record;
            known.insert(named.commit.clone(), Known { record, generation });
        }
        drop(known);
        Ok(Some((pointer, current)))
    }

    async fn read(&self, pointer: &[u8]) -> Result<Current, DataError> {
        let damaged = || self.wrong("what names the branches of a dataset cannot be read");
        let id = std::str::from_utf8(pointer)
            .ok()
            .and_then(|text| text.parse().ok());
        let id: BlobId = id.ok_or_else(damaged)?;
        let record = self.blobs.read_records(vec![id]).await.or_remote(&self.name)?;
        let record = record.into_iter().next().ok_or_else(damaged)?;
        let (names, records) = record.links.split_first().ok_or_else(damaged)?;
        let bytes = self
            .blobs
            .read_all(*names, NAMES_MAX_BYTES)
            .await
            .or_remote(&self.name)?;
        let names: Names = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if record.body != REFS_BODY || names.refs.len() != records.len() {
            return Err(damaged());
        }
        let records = records.to_vec();
        Ok(Current { names, records })
    }

    /// What the names are after an update; None if they are so already.
    async fn updated(
        &self,
        dataset: &DatasetName,
        current: Option<&Current>,
        update: &RefsUpdate,
    ) -> Result<Option<Current>, DataError> {
        let mut next = match current {
            Some(current) => Current {
                names: current.names.clone(),
                records: current.records.clone(),
            },
            None => Current {
                names: Names {
                    dataset: dataset.clone(),
                    default_branch: update.default_branch.clone(),
                    refs: Vec::new(),
                },
                records: Vec::new(),
            },
        };
        let mut is_changed = false;
        for change in &update.changes {
            let at = next.names.refs.iter().position(|one| one.name == change.name);
            let there = at.map(|at| &next.names.refs[at]);
            if there.is_some_and(|there| there.kind != change.kind) {
                let kind = there.map_or(RefKind::Branch, |there| there.kind);
                let name = change.name.clone();
                return Err(DataError::RefExists { kind, name });
            }
            let old = there.map(|there| &there.commit);
            if old == Some(&change.new) {
                continue;
            }
            if old != change.old.as_ref() {
                let (kind, name) = (change.kind, &change.name);
                return Err(self.told(RemoteTrouble::Moved, format!("{kind} '{name}' has moved")));
            }
            let known = self.locate(dataset, &change.new).await?;
            let known = known.ok_or_else(|| {
                let message = format!("commit {} is not there any more", change.new);
                self.told(RemoteTrouble::Lost, message)
            })?;
            let named = Named {
                kind: change.kind,
                name: change.name.clone(),
                commit: change.new.clone(),
                generation: known.generation,
            };
            is_changed = true;
            match at {
                Some(at) => (next.names.refs[at], next.records[at]) = (named, known.record),
                None => {
                    next.names.refs.push(named);
                    next.records.push(known.record);
                }
            }
        }
        if next.names.refs.len() > REFS_MAX {
            return Err(DataError::TooMany {
                what: "branches and tags",
                limit: REFS_MAX,
            });
        }
        Ok(is_changed.then_some(next))
    }

    async fn write(&self, next: &Current) -> Result<Bytes, DataError> {
        let json = serde_json::to_vec(&next.names).map_err(|error| self.wrong(error.to_string()))?;
        self.check_generation().await?;
        let names = self
            .blobs
            .put(&mut json.as_slice(), None)
            .await
            .or_remote(&self.name)?;
        let record = Record {
            links: std::iter::once(names.blob.id)
                .chain(next.records.clone())
                .collect(),
            body: Bytes::from_static(REFS_BODY),
        };
        let piece = record.to_piece();
        let pointer = Bytes::from(piece.id.to_string());
        self.blobs.put_pieces(vec![piece]).await.or_remote(&self.name)?;
        Ok(pointer)
    }
}

/// Digests, so that names of datasets do not lie in the clear.
fn pointer_of(dataset: &DatasetName) -> String {
    format!("{FOLDER}/{}", BlobId::of(dataset.as_str().as_bytes()))
}

#[async_trait]
impl Pieces for StoreRemote {
    async fn missing(&self, ids: Vec<BlobId>) -> Result<Vec<BlobId>, DataError> {
        self.blobs.missing(ids).await.or_remote(&self.name)
    }

    async fn put(&self, pieces: Vec<Piece>) -> Result<(), DataError> {
        // What lists something that was condemned must not come to lie there after it was removed.
        if pieces.iter().any(|piece| piece.kind != Kind::Chunk) {
            self.check_generation().await?;
        }
        let put = self.blobs.put_pieces(pieces).await;
        put.map(drop).or_remote(&self.name)
    }

    async fn read(&self, ids: Vec<BlobId>) -> Result<Vec<Piece>, DataError> {
        let limit = transfer::BODY_BYTES as u64;
        self.blobs.read_pieces(ids, limit).await.or_remote(&self.name)
    }
}

#[async_trait]
impl Remote for StoreRemote {
    fn name(&self) -> &str {
        &self.name
    }

    fn hold(&self) -> Option<Hold> {
        Some(self.blobs.hold())
    }

    async fn collect(
        &self,
        wish: &RemoteCollectWish,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<RemoteCollected, DataError> {
        self.collect_due(wish, progress).await
    }

    async fn datasets(&self, after: &str, limit: usize) -> Result<Vec<DatasetName>, DataError> {
        let mut names = Vec::new();
        for object in self.backend.list(FOLDER).await.or_remote(&self.name)? {
            // A list may show what is not there any more.
            if let Some(pointer) = self.backend.get(&object.name).await.or_remote(&self.name)? {
                names.push(self.read(&pointer).await?.names.dataset);
            }
        }
        names.sort();
        names.retain(|name| name.as_str() > after);
        names.truncate(limit);
        Ok(names)
    }

    async fn refs(&self, dataset: &DatasetName) -> Result<Option<RemoteRefs>, DataError> {
        let current = self.current(dataset).await?;
        Ok(current.map(|(_, current)| RemoteRefs {
            default_branch: current.names.default_branch,
            refs: current
                .names
                .refs
                .into_iter()
                .map(|named| RefState {
                    kind: named.kind,
                    name: named.name,
                    commit: named.commit,
                    protected: false,
                })
                .collect(),
        }))
    }

    async fn missing_commits(
        &self,
        dataset: &DatasetName,
        commits: &[(CommitId, u64)],
    ) -> Result<Vec<CommitId>, DataError> {
        self.find(dataset, commits).await?;
        let known = self.known();
        let missing = commits.iter().map(|(id, _)| id);
        Ok(missing.filter(|id| !known.contains_key(*id)).cloned().collect())
    }

    async fn put_commits(&self, dataset: &DatasetName, commits: Vec<Commit>) -> Result<(), DataError> {
        self.write_commits(dataset, &commits).await
    }

    async fn history(
        &self,
        dataset: &DatasetName,
        from: &[CommitId],
        limit: usize,
    ) -> Result<Vec<Commit>, DataError> {
        self.walk(dataset, from, limit).await
    }

    async fn update_refs(&self, dataset: &DatasetName, update: &RefsUpdate) -> Result<(), DataError> {
        let object = pointer_of(dataset);
        for _ in 0..TRIES {
            let there = self.current(dataset).await?;
            let current = there.as_ref().map(|(_, current)| current);
            let Some(next) = self.updated(dataset, current, update).await? else {
                return Ok(());
            };
            let pointer = self.write(&next).await?;
            self.check_generation().await?;
            let expected = there.as_ref().map(|(pointer, _)| pointer.as_ref());
            let put = self.backend.put_if(&object, expected, pointer).await;
            if put.or_remote(&self.name)? {
                return Ok(());
            }
        }
        Err(self.told(RemoteTrouble::Moved, "the names moved each time this was tried"))
    }
}
