//! Fetching what is lacking of a remote's history, and moving names here to it where that loses nothing.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use corliss_blobstore::BlobId;
use corliss_types::{CommitId, DatasetName};

use super::DataService;
use super::exchange::Mover;
use super::push::{ATTEMPTS, FIRST_PAGE, HISTORY_MAX, default_for, history_too_long};
use crate::history::{Commit, RefKind};
use crate::remote::{
    COMMITS_AT_ONCE, Counters, HISTORY_PAGE, Here, RefChange, RefState, RefsUpdate, Remote, RemoteRefs,
    RemoteTrouble, copy,
};
use crate::tree::root_of;
use crate::types::{RefOutcome, RefReport, Transfer, TransferReport};
use crate::{DataError, RefName};

/// Bytes of messages and names that one transfer may bring.
const HISTORY_BYTES: usize = 64 << 20;

impl DataService {
    /// Fetches a dataset's branches and tags from a remote, with all that is lacking below them. A branch that has
    /// nothing of its own is moved forward; one that has is left alone, and what the remote has is put at the branch
    /// `REMOTE/BRANCH`, to be merged. A tag that is elsewhere is left alone. It may be broken off and begun again.
    ///
    /// # Errors
    /// There is no such remote, dataset or name; what the remote has is not valid; or the remote or a store failed.
    pub async fn pull(
        &self,
        remote: &str,
        transfer: &Transfer,
        author: &str,
        counters: &Counters,
    ) -> Result<TransferReport, DataError> {
        self.all_refs(&transfer.dataset).await?;
        self.fetch(remote, transfer, (author, "pull"), counters).await
    }

    /// Makes a dataset of a remote one of this server, by a name that is free here.
    ///
    /// # Errors
    /// The name is taken; or as [`Self::pull`].
    pub async fn clone_dataset(
        &self,
        remote: &str,
        transfer: &Transfer,
        author: &str,
        counters: &Counters,
    ) -> Result<TransferReport, DataError> {
        match self.all_refs(&transfer.dataset).await {
            Err(DataError::DatasetNotFound { .. }) => {}
            Err(error) => return Err(error),
            Ok(_) => {
                return Err(DataError::DatasetExists {
                    name: transfer.dataset.clone(),
                });
            }
        }
        self.fetch(remote, transfer, (author, "clone"), counters).await
    }

    async fn fetch(
        &self,
        remote: &str,
        transfer: &Transfer,
        by: (&str, &'static str),
        counters: &Counters,
    ) -> Result<TransferReport, DataError> {
        // Names of what cannot be read would be no success, though nothing may be left to be fetched.
        self.blobs.check_keys()?;
        for attempt in 1.. {
            let opened = self.remotes.open(remote).await?;
            match self.fetch_from(opened.as_ref(), transfer, by, counters).await {
                Err(DataError::Remote { trouble, .. }) if trouble.begins_anew() && attempt < ATTEMPTS => {
                    tracing::info!(remote, ?trouble, "a pull is begun anew");
                }
                // A branch here moved while it was looked at.
                Err(DataError::BranchMoved { .. }) if attempt < ATTEMPTS => {}
                done => return done,
            }
        }
        Err(DataError::Busy)
    }

    async fn fetch_from(
        &self,
        remote: &dyn Remote,
        transfer: &Transfer,
        (author, action): (&str, &'static str),
        counters: &Counters,
    ) -> Result<TransferReport, DataError> {
        let there = transfer.there();
        let theirs = remote.refs(there).await?.ok_or_else(|| DataError::Remote {
            remote: remote.name().to_owned(),
            trouble: RemoteTrouble::NotFound,
            message: format!("it has no dataset '{there}'"),
        })?;
        for (kind, name) in transfer.named() {
            theirs.get(kind, name).ok_or_else(|| DataError::RefNotFound {
                dataset: there.clone(),
                kind,
                name: name.clone(),
            })?;
        }
        let wanted = theirs
            .refs
            .iter()
            .filter(|their| transfer.has(their.kind, &their.name));
        let wanted: Vec<&RefState> = wanted.collect();
        // From the answer that something is stored here to the names that keep it.
        let _hold = self.blobs.hold();
        let heads = wanted.iter().map(|their| their.commit.clone()).collect();
        let new = self.unknown(remote, there, heads).await?;
        let commits = new.len() as u64;
        counters.commits_total.store(commits, Ordering::Relaxed);
        counters.commits.store(0, Ordering::Relaxed);
        let here = Here(self.blobs.clone());
        for batch in new.chunks(COMMITS_AT_ONCE) {
            let roots: Vec<BlobId> = batch.iter().filter_map(|one| root_of(&one.version)).collect();
            copy(remote, &here, roots, counters).await?;
            self.store_commits(batch.to_vec()).await?;
            counters.commits.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        let ours = match self.all_refs(&transfer.dataset).await {
            Ok(ours) => Some(ours),
            Err(DataError::DatasetNotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let (changes, reports) = self.plan_pull(remote.name(), ours.as_ref(), &wanted).await?;
        if !changes.is_empty() {
            let update = RefsUpdate {
                default_branch: default_for(&theirs.default_branch, &changes),
                changes,
                // What would lose commits was decided above, and each name is compared with where it was then.
                force: true,
            };
            let mover = Mover {
                author: author.to_owned(),
                action,
                is_merge: true,
            };
            self.update_refs(&transfer.dataset, update, mover).await?;
        }
        Ok(TransferReport {
            remote: remote.name().to_owned(),
            dataset: transfer.dataset.clone(),
            remote_dataset: there.clone(),
            commits,
            refs: reports,
        })
    }

    async fn plan_pull(
        &self,
        remote: &str,
        ours: Option<&RemoteRefs>,
        wanted: &[&RefState],
    ) -> Result<(Vec<RefChange>, Vec<RefReport>), DataError> {
        let (mut changes, mut reports) = (Vec::new(), Vec::new());
        let any = |name: &RefName| ours.and_then(|ours| ours.refs.iter().find(|one| one.name == *name));
        for their in wanted {
            let our = any(&their.name);
            let outcome = self.pulled(our, their).await?;
            let old = our.map(|our| our.commit.clone());
            let change = |name: RefName, old: Option<CommitId>| RefChange {
                kind: their.kind,
                name,
                old,
                new: their.commit.clone(),
            };
            let mut kept_as = None;
            match outcome {
                RefOutcome::Created | RefOutcome::Moved => {
                    changes.push(change(their.name.clone(), old.clone()));
                }
                // A name that is too long for it is only told.
                RefOutcome::Diverged => kept_as = format!("{remote}/{}", their.name).parse().ok(),
                _ => {}
            }
            if let Some(name) = &kept_as {
                let at = any(name).map(|one| one.commit.clone());
                changes.push(change(name.clone(), at));
            }
            reports.push(RefReport {
                kind: their.kind,
                name: their.name.clone(),
                outcome,
                old,
                new: their.commit.clone(),
                kept_as,
            });
        }
        Ok((changes, reports))
    }

    async fn pulled(&self, our: Option<&RefState>, their: &RefState) -> Result<RefOutcome, DataError> {
        let Some(our) = our else {
            return Ok(RefOutcome::Created);
        };
        if our.kind == their.kind && our.commit == their.commit {
            return Ok(RefOutcome::UpToDate);
        }
        if our.kind != their.kind || their.kind == RefKind::Tag {
            return Ok(RefOutcome::Kept);
        }
        if self.is_behind(&their.commit, &our.commit).await? {
            return Ok(RefOutcome::Moved);
        }
        match self.is_behind(&our.commit, &their.commit).await? {
            true => Ok(RefOutcome::Ahead),
            false => Ok(RefOutcome::Diverged),
        }
    }

    /// Commits below the heads that are not recorded here, parents first. What the remote says is only taken where
    /// it was asked for by its digest.
    async fn unknown(
        &self,
        remote: &dyn Remote,
        there: &DatasetName,
        heads: Vec<CommitId>,
    ) -> Result<Vec<Commit>, DataError> {
        let nonsense = |message: &str| DataError::Remote {
            remote: remote.name().to_owned(),
            trouble: RemoteTrouble::Answer,
            message: message.to_owned(),
        };
        let mut unknown: HashMap<CommitId, Commit> = HashMap::new();
        let mut open: HashSet<CommitId> = self.not_here(heads).await?;
        let (mut page, mut bytes) = (FIRST_PAGE, 0);
        while !open.is_empty() {
            // A request has room for so many; the others come with the next page.
            let from: Vec<CommitId> = open.iter().take(HISTORY_PAGE).cloned().collect();
            let found = remote.history(there, &from, page).await?;
            page = (page * 2).min(HISTORY_PAGE);
            let parents = found.iter().flat_map(|commit| commit.parents.iter().cloned());
            let not_here = self.not_here(parents.collect()).await?;
            let mut is_further = false;
            for commit in found {
                let id = commit.id();
                // What is known here, or came before it, is shown too.
                if !open.remove(&id) {
                    continue;
                }
                is_further = true;
                bytes += commit.author.len() + commit.message.len();
                for parent in commit.parents.iter().filter(|id| not_here.contains(*id)) {
                    if !unknown.contains_key(parent) {
                        open.insert(parent.clone());
                    }
                }
                unknown.insert(id, commit);
            }
            if !is_further {
                return Err(nonsense(
                    "it does not show the commits that its branches point at",
                ));
            }
            if unknown.len() > HISTORY_MAX || bytes > HISTORY_BYTES {
                return Err(history_too_long());
            }
        }
        in_order(unknown).ok_or_else(|| nonsense("its commits go in a circle"))
    }

    async fn not_here(&self, ids: Vec<CommitId>) -> Result<HashSet<CommitId>, DataError> {
        let mut missing = HashSet::new();
        for ids in ids.chunks(super::pieces::IDS_MAX) {
            missing.extend(self.missing_commits(ids.to_vec()).await?);
        }
        Ok(missing)
    }
}

/// Parents before children; None if that cannot be.
fn in_order(mut commits: HashMap<CommitId, Commit>) -> Option<Vec<Commit>> {
    let mut waits_for: HashMap<CommitId, usize> = HashMap::new();
    let mut before: HashMap<CommitId, Vec<CommitId>> = HashMap::new();
    for (id, commit) in &commits {
        let parents: HashSet<&CommitId> = commit
            .parents
            .iter()
            .filter(|one| commits.contains_key(*one))
            .collect();
        waits_for.insert(id.clone(), parents.len());
        for parent in parents {
            before.entry(parent.clone()).or_default().push(id.clone());
        }
    }
    let mut ready: Vec<CommitId> = waits_for
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(id, _)| id.clone())
        .collect();
    ready.sort();
    let mut ordered = Vec::with_capacity(commits.len());
    while let Some(id) = ready.pop() {
        for after in before.remove(&id).unwrap_or_default() {
            if let Some(count) = waits_for.get_mut(&after) {
                *count -= 1;
                if *count == 0 {
                    ready.push(after);
                }
            }
        }
        ordered.extend(commits.remove(&id));
    }
    commits.is_empty().then_some(ordered)
}

#[cfg(test)]
mod tests {
    use corliss_types::{Timestamp, VersionId};

    use super::*;

    /// Ids are digests, so a circle cannot be sent; were it, nothing would wait for it.
    #[test]
    fn parents_come_first_and_circles_come_to_nothing() {
        let id = |number: u8| CommitId::from_digest([number; 32]);
        let commits = |links: &[(u8, &[u8])]| {
            let each = links.iter().map(|(number, parents)| {
                let commit = Commit {
                    version: VersionId::from_digest([*number; 32]),
                    parents: parents.iter().map(|parent| id(*parent)).collect(),
                    author: String::new(),
                    created_ms: Timestamp::from_millis(0),
                    message: number.to_string(),
                };
                (id(*number), commit)
            });
            each.collect::<HashMap<_, _>>()
        };
        let ordered = in_order(commits(&[(4, &[2, 3]), (3, &[1, 1]), (2, &[1]), (1, &[0])])).unwrap();
        let order: Vec<&str> = ordered.iter().map(|commit| commit.message.as_str()).collect();
        assert!(
            order == ["1", "2", "3", "4"] || order == ["1", "3", "2", "4"],
            "{order:?}"
        );
        assert_eq!(
            in_order(commits(&[(1, &[3]), (2, &[1]), (3, &[2]), (4, &[])])),
            None
        );
    }
}
