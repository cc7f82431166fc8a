//! Commits as records: `corliss-commit-record 1\n` and JSON with the commit and its generation; links are the root
//! of its tree and the records of its parents, in their order.
//!
//! Which record a commit is cannot be told from its id alone, so records are walked down from the names. The
//! generation says how far: what is asked for lies in none below its own.

use std::collections::{BinaryHeap, HashSet};

use bytes::Bytes;
use corliss_blobstore::{BlobId, Record};
use corliss_types::{CommitId, DatasetName, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Known, StoreRemote};
use crate::DataError;
use crate::history::Commit;
use crate::remote::RemoteTrouble;
use crate::remote::trouble::OrRemote;
use crate::tree::root_of;

const MAGIC: &[u8] = b"corliss-commit-record 1\n";
/// Commits that one question may look at.
const VISITS_MAX: usize = 1_000_000;

#[derive(Debug, Serialize, Deserialize)]
struct Body {
    generation: u64,
    commit: Commit,
}

/// Later generations first, then later times.
type Order = (u64, Timestamp, CommitId);

impl StoreRemote {
    /// The record of a commit that was found, written, or is to be found below the names of the dataset.
    pub(super) async fn locate(
        &self,
        dataset: &DatasetName,
        commit: &CommitId,
    ) -> Result<Option<Known>, DataError> {
        let found = self.known().get(commit).copied();
        if found.is_none() {
            self.find(dataset, &[(commit.clone(), 0)]).await?;
        }
        Ok(self.known().get(commit).copied())
    }

    /// Makes known those of the commits that are below the names of the dataset.
    pub(super) async fn find(
        &self,
        dataset: &DatasetName,
        asked: &[(CommitId, u64)],
    ) -> Result<(), DataError> {
        let Some((_, current)) = self.current(dataset).await? else {
            return Ok(());
        };
        let mut wanted: HashSet<&CommitId> = HashSet::new();
        let mut lowest = u64::MAX;
        for (id, generation) in asked {
            if !self.known().contains_key(id) {
                lowest = lowest.min(*generation);
                wanted.insert(id);
            }
        }
        let mut open: BinaryHeap<(u64, CommitId)> = BinaryHeap::new();
        let mut seen: HashSet<CommitId> = HashSet::new();
        for named in current.names.refs {
            if seen.insert(named.commit.clone()) {
                open.push((named.generation, named.commit));
            }
        }
        while let Some((generation, id)) = open.pop() {
            if wanted.is_empty() || generation <= lowest {
                break;
            }
            for parent in self.read_commit(&id).await?.1.parents {
                wanted.remove(&parent);
                if seen.insert(parent.clone()) {
                    let generation = self.known().get(&parent).map_or(0, |known| known.generation);
                    open.push((generation, parent));
                }
            }
            self.check_visits(seen.len())?;
        }
        Ok(())
    }

    /// These commits and what came before them, newest first.
    pub(super) async fn walk(
        &self,
        dataset: &DatasetName,
        from: &[CommitId],
        limit: usize,
    ) -> Result<Vec<Commit>, DataError> {
        let asked: Vec<(CommitId, u64)> = from.iter().map(|id| (id.clone(), 0)).collect();
        self.find(dataset, &asked).await?;
        let mut open: BinaryHeap<Order> = BinaryHeap::new();
        let mut read = std::collections::HashMap::new();
        let mut history = Vec::new();
        let mut next: Vec<CommitId> = from.to_vec();
        let mut seen: HashSet<CommitId> = HashSet::new();
        loop {
            for id in next.drain(..) {
                if seen.insert(id.clone()) {
                    let (known, commit) = self.read_commit(&id).await?;
                    open.push((known.generation, commit.created_ms, id.clone()));
                    read.insert(id, commit);
                }
            }
            let Some((_, _, id)) = open.pop().filter(|_| history.len() < limit) else {
                return Ok(history);
            };
            if let Some(commit) = read.remove(&id) {
                next.clone_from(&commit.parents);
                history.push(commit);
            }
        }
    }

    /// Writes commits whose trees and parents are stored.
    pub(super) async fn write_commits(
        &self,
        dataset: &DatasetName,
        commits: &[Commit],
    ) -> Result<(), DataError> {
        let mut pieces = Vec::with_capacity(commits.len());
        let mut written: Vec<(CommitId, Known)> = Vec::with_capacity(commits.len());
        for commit in commits {
            let id = commit.id();
            let invalid = |problem| DataError::BadCommit {
                commit: id.clone(),
                problem,
            };
            let root = root_of(&commit.version).ok_or_else(|| invalid("it has no version"))?;
            let mut links = vec![root];
            let mut generation = 1;
            for parent in &commit.parents {
                let before = written.iter().rev().find(|(id, _)| id == parent);
                let known = match before {
                    Some((_, known)) => Some(*known),
                    None => self.locate(dataset, parent).await?,
                };
                let known = known.ok_or_else(|| {
                    self.told(
                        RemoteTrouble::Lost,
                        format!("commit {parent} is not there any more"),
                    )
                })?;
                links.push(known.record);
                generation = generation.max(known.generation + 1);
            }
            let commit = commit.clone();
            let body = serde_json::to_vec(&Body { generation, commit });
            let body = body.map_err(|_| invalid("it cannot be written"))?;
            let record = Record {
                links,
                body: Bytes::from([MAGIC, &body].concat()),
            };
            let piece = record.to_piece();
            let record = piece.id;
            pieces.push(piece);
            written.push((id, Known { record, generation }));
        }
        self.check_generation().await?;
        self.blobs.put_pieces(pieces).await.or_remote(&self.name)?;
        self.known().extend(written);
        Ok(())
    }

    /// The commit of a record that is known; its parents' records are known from then on.
    async fn read_commit(&self, id: &CommitId) -> Result<(Known, Commit), DataError> {
        let not_there = || self.told(RemoteTrouble::NotFound, format!("it has no commit {id}"));
        let known = self.known().get(id).copied().ok_or_else(not_there)?;
        let records = self.blobs.read_records(vec![known.record]).await;
        let record = records.or_remote(&self.name)?.into_iter().next();
        let record = record.ok_or_else(not_there)?;
        let damaged = || self.wrong(format!("the record of commit {id} is not one"));
        let json = record.body.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let body: Body = serde_json::from_slice(json).map_err(|_| damaged())?;
        let is_right = body.commit.id() == *id
            && body.generation == known.generation
            && record.links.len() == body.commit.parents.len() + 1
            && root_of(&body.commit.version).as_ref() == record.links.first();
        if !is_right {
            return Err(damaged());
        }
        for (parent, record) in body.commit.parents.iter().zip(&record.links[1..]) {
            self.know(parent, *record, body.generation).await?;
        }
        Ok((known, body.commit))
    }

    /// Notes where a parent lies, with its generation, which its own record says.
    async fn know(&self, id: &CommitId, record: BlobId, below: u64) -> Result<(), DataError> {
        if self.known().contains_key(id) {
            return Ok(());
        }
        let damaged = || self.wrong(format!("the record of commit {id} is not one"));
        let read = self
            .blobs
            .read_records(vec![record])
            .await
            .or_remote(&self.name)?;
        let json = read.first().and_then(|read| read.body.strip_prefix(MAGIC));
        let body: Body = serde_json::from_slice(json.ok_or_else(damaged)?).map_err(|_| damaged())?;
        if body.commit.id() != *id || body.generation >= below {
            return Err(damaged());
        }
        let generation = body.generation;
        self.known().insert(id.clone(), Known { record, generation });
        Ok(())
    }

    fn check_visits(&self, visits: usize) -> Result<(), DataError> {
        match visits > VISITS_MAX {
            true => Err(DataError::TooMany {
                what: "commits of a remote",
                limit: VISITS_MAX,
            }),
            false => Ok(()),
        }
    }
}
