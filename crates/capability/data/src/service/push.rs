//! Sending what a remote lacks of a dataset's history, and moving its names there.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use corliss_blobstore::BlobId;
use corliss_types::{CommitId, DatasetName};

use super::DataService;
use super::exchange::has_behind;
use crate::history::{CommitInfo, RefKind};
use crate::remote::{
    COMMITS_AT_ONCE, Counters, HISTORY_PAGE, Here, RefChange, RefState, RefsUpdate, Remote, RemoteRefs, copy,
};
use crate::tree::root_of;
use crate::types::{RefOutcome, RefReport, Transfer, TransferReport};
use crate::{DataError, RefName};

/// Commits that one transfer may bring.
pub(super) const HISTORY_MAX: usize = 200_000;
/// How often a transfer is begun anew when the other side lost what it had, or was written to by others.
pub(super) const ATTEMPTS: u32 = 4;
/// The first page of a history; later ones are larger, since most transfers bring little.
pub(super) const FIRST_PAGE: usize = 32;

/// What is to move at the remote.
struct Plan {
    changes: Vec<RefChange>,
    reports: Vec<RefReport>,
}

impl DataService {
    /// Sends a dataset's branches and tags to a remote, with all that it lacks below them. All names move, or none.
    /// It may be broken off anywhere and begun again: what was sent is not sent twice.
    ///
    /// # Errors
    /// There is no such remote, dataset or name; a branch there has commits that are not here, or a tag is elsewhere,
    /// and `force` is not set; a branch there is protected, or moved meanwhile; or the remote or a store failed.
    pub async fn push(
        &self,
        remote: &str,
        transfer: &Transfer,
        counters: &Counters,
    ) -> Result<TransferReport, DataError> {
        for attempt in 1.. {
            let opened = self.remotes.open(remote).await?;
            match self.push_to(opened.as_ref(), transfer, counters).await {
                Err(DataError::Remote { trouble, .. }) if trouble.begins_anew() && attempt < ATTEMPTS => {
                    tracing::info!(remote, ?trouble, "a push is begun anew");
                }
                done => return done,
            }
        }
        Err(DataError::Busy)
    }

    async fn push_to(
        &self,
        remote: &dyn Remote,
        transfer: &Transfer,
        counters: &Counters,
    ) -> Result<TransferReport, DataError> {
        // Before anything is asked, and until the names have moved.
        let _hold = remote.hold();
        let ours = self.all_refs(&transfer.dataset).await?;
        for (kind, name) in transfer.named() {
            ours.get(kind, name).ok_or_else(|| DataError::RefNotFound {
                dataset: transfer.dataset.clone(),
                kind,
                name: name.clone(),
            })?;
        }
        let theirs = remote.refs(transfer.there()).await?;
        let plan = self.plan_push(&ours, theirs.as_ref(), transfer).await?;
        let heads: Vec<CommitId> = plan.changes.iter().map(|change| change.new.clone()).collect();
        let new = self
            .lacking(remote, &transfer.dataset, transfer.there(), heads)
            .await?;
        let commits = new.len() as u64;
        counters.commits_total.store(commits, Ordering::Relaxed);
        counters.commits.store(0, Ordering::Relaxed);
        let here = Here(self.blobs.clone());
        for batch in new.chunks(COMMITS_AT_ONCE) {
            let roots = batch.iter().filter_map(|info| root_of(&info.what.version));
            let roots: Vec<BlobId> = roots.collect();
            copy(&here, remote, roots, counters).await?;
            let commits = batch.iter().map(|info| info.what.clone()).collect();
            remote.put_commits(transfer.there(), commits).await?;
            counters.commits.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        if !plan.changes.is_empty() {
            let update = RefsUpdate {
                default_branch: default_for(&ours.default_branch, &plan.changes),
                changes: plan.changes,
                force: transfer.force,
            };
            remote.update_refs(transfer.there(), &update).await?;
        }
        Ok(TransferReport {
            remote: remote.name().to_owned(),
            dataset: transfer.dataset.clone(),
            remote_dataset: transfer.there().clone(),
            commits,
            refs: plan.reports,
        })
    }

    async fn plan_push(
        &self,
        ours: &RemoteRefs,
        theirs: Option<&RemoteRefs>,
        transfer: &Transfer,
    ) -> Result<Plan, DataError> {
        let is_all = transfer.branches.is_none() && transfer.tags.is_none();
        let mut plan = Plan {
            changes: Vec::new(),
            reports: Vec::new(),
        };
        for our in ours.refs.iter().filter(|our| transfer.has(our.kind, &our.name)) {
            // What a pull kept of a remote is not this dataset's own work.
            if is_all && our.kind == RefKind::Branch && self.remotes.tracks(&our.name) {
                continue;
            }
            let their = theirs.and_then(|theirs| theirs.get(our.kind, &our.name));
            let outcome = self.outcome(our, their, transfer.force).await?;
            if outcome != RefOutcome::UpToDate {
                plan.changes.push(RefChange {
                    kind: our.kind,
                    name: our.name.clone(),
                    old: their.map(|their| their.commit.clone()),
                    new: our.commit.clone(),
                });
            }
            plan.reports.push(RefReport {
                kind: our.kind,
                name: our.name.clone(),
                outcome,
                old: their.map(|their| their.commit.clone()),
                new: our.commit.clone(),
                kept_as: None,
            });
        }
        Ok(plan)
    }

    async fn outcome(
        &self,
        our: &RefState,
        their: Option<&RefState>,
        force: bool,
    ) -> Result<RefOutcome, DataError> {
        let Some(their) = their else {
            return Ok(RefOutcome::Created);
        };
        if their.commit == our.commit {
            return Ok(RefOutcome::UpToDate);
        }
        if their.protected {
            let branch = our.name.clone();
            return Err(DataError::BranchProtected { branch });
        }
        let (kind, name) = (our.kind, our.name.clone());
        let is_forward = match kind {
            RefKind::Tag => false,
            RefKind::Branch => self.is_behind(&our.commit, &their.commit).await?,
        };
        match (is_forward, force, kind) {
            (true, ..) => Ok(RefOutcome::Moved),
            (false, true, _) => Ok(RefOutcome::Forced),
            (false, false, RefKind::Tag) => Err(DataError::RefExists { kind, name }),
            (false, false, RefKind::Branch) => Err(DataError::NotFastForward {
                branch: name,
                head: their.commit.clone(),
            }),
        }
    }

    /// Whether `earlier` is `later` or came before it.
    pub(super) async fn is_behind(&self, later: &CommitId, earlier: &CommitId) -> Result<bool, DataError> {
        let (later, earlier) = (later.clone(), earlier.clone());
        self.store.read(move |tx| has_behind(tx, &later, &earlier)).await
    }

    /// Commits below the heads that the remote does not have, parents first.
    async fn lacking(
        &self,
        remote: &dyn Remote,
        dataset: &DatasetName,
        there: &DatasetName,
        heads: Vec<CommitId>,
    ) -> Result<Vec<CommitInfo>, DataError> {
        let mut lacking: HashMap<CommitId, CommitInfo> = HashMap::new();
        let mut open: HashSet<CommitId> = heads.into_iter().collect();
        let mut page = FIRST_PAGE;
        while !open.is_empty() {
            let from: Vec<CommitId> = open.drain().collect();
            let found = self.history(dataset, &from, page).await?;
            page = (page * 2).min(HISTORY_PAGE);
            let asked: Vec<(CommitId, u64)> = found
                .iter()
                .filter(|info| !lacking.contains_key(&info.commit))
                .map(|info| (info.commit.clone(), info.generation))
                .collect();
            let missing = remote.missing_commits(there, &asked).await?;
            let missing: HashSet<CommitId> = missing.into_iter().collect();
            let known: HashSet<CommitId> = asked.into_iter().map(|(id, _)| id).collect();
            let known: HashSet<CommitId> = known.difference(&missing).cloned().collect();
            let shown: HashSet<CommitId> = found.iter().map(|info| info.commit.clone()).collect();
            // What did not fit into the page.
            open.extend(from.into_iter().filter(|id| !shown.contains(id)));
            for info in found.into_iter().filter(|info| missing.contains(&info.commit)) {
                open.extend(
                    info.what
                        .parents
                        .iter()
                        .filter(|id| !shown.contains(*id))
                        .cloned(),
                );
                lacking.insert(info.commit.clone(), info);
            }
            open.retain(|id| !lacking.contains_key(id) && !known.contains(id));
            if lacking.len() > HISTORY_MAX {
                return Err(history_too_long());
            }
        }
        let mut lacking: Vec<CommitInfo> = lacking.into_values().collect();
        lacking
            .sort_by(|left, right| (left.generation, &left.commit).cmp(&(right.generation, &right.commit)));
        Ok(lacking)
    }
}

pub(super) const fn history_too_long() -> DataError {
    DataError::TooMany {
        what: "commits at once; send or fetch an older tag first",
        limit: HISTORY_MAX,
    }
}

/// The default branch of a dataset that is made by these changes: ours if it is among them.
pub(super) fn default_for(ours: &RefName, changes: &[RefChange]) -> RefName {
    let branches = changes.iter().filter(|change| change.kind == RefKind::Branch);
    let names: Vec<&RefName> = branches.map(|change| &change.name).collect();
    match names.first() {
        Some(first) if !names.contains(&ours) => (*first).clone(),
        _ => ours.clone(),
    }
}
