//! Histories on their way between servers: what there is, taking commits in, and moving names to them.
//!
//! Commits come before the names that lead to them and belong to no dataset until then, so nothing is to be seen of
//! a transfer that was cut off.

use std::collections::{HashMap, HashSet};

use corliss_metastore::Tx;
use corliss_types::{CommitId, DatasetName, Timestamp};

use super::DataService;
use super::commit::{Base, base, check_signature};
use super::log::{self, known};
use crate::history::{Commit, CommitInfo, RefKind};
use crate::hook::Happening;
use crate::remote::{COMMITS_AT_ONCE, HISTORY_PAGE, REFS_MAX, RefChange, RefState, RefsUpdate, RemoteRefs};
use crate::store::{commits, datasets, refs, versions};
use crate::tree::Checked;
use crate::types::{RefInfo, Signature};
use crate::{DataError, RefName};

/// Commits that a move of names may look at.
const VISITS_MAX: usize = 1_000_000;
/// A commit has none, one, or those of a merge.
const PARENTS_MAX: usize = 2;

/// Who moves names, and how.
pub(crate) struct Mover {
    pub author: String,
    /// As it is written down: `push`, `pull`, `clone`.
    pub action: &'static str,
    /// Whether it counts as a merge, which protected branches allow.
    pub is_merge: bool,
}

impl DataService {
    /// All branches and tags of a dataset.
    ///
    /// # Errors
    /// There is no such dataset, it has too many names, or the metadata store failed.
    pub async fn all_refs(&self, dataset: &DatasetName) -> Result<RemoteRefs, DataError> {
        let dataset = dataset.clone();
        self.store.read(move |tx| all_refs(tx, &dataset)).await
    }

    /// Those of the commits that are not recorded here; of one that is, all before it are.
    ///
    /// # Errors
    /// Too many ids, or the metadata store failed.
    pub async fn missing_commits(&self, ids: Vec<CommitId>) -> Result<Vec<CommitId>, DataError> {
        if ids.len() > super::pieces::IDS_MAX {
            return Err(DataError::TooMany {
                what: "commits",
                limit: super::pieces::IDS_MAX,
            });
        }
        self.store
            .read(move |tx| {
                let mut missing = Vec::new();
                for id in &ids {
                    if !commits::is_recorded(tx, id)? {
                        missing.push(id.clone());
                    }
                }
                Ok(missing)
            })
            .await
    }

    /// These commits of a dataset and what came before them, newest first.
    ///
    /// # Errors
    /// The dataset does not have one of them, or the metadata store failed.
    pub async fn history(
        &self,
        dataset: &DatasetName,
        from: &[CommitId],
        limit: usize,
    ) -> Result<Vec<CommitInfo>, DataError> {
        let (dataset, from) = (dataset.clone(), from.to_vec());
        let limit = limit.min(HISTORY_PAGE);
        self.store
            .read(move |tx| {
                for id in &from {
                    if !commits::belongs(tx, &dataset, id)? {
                        let commit = id.clone();
                        return Err(DataError::CommitMissing { commit });
                    }
                }
                log::log(tx, &from, 0, limit)
            })
            .await
    }

    /// Records commits, parents first, whose trees are stored; they belong to no dataset yet. Answers how many were
    /// new.
    ///
    /// # Errors
    /// A commit cannot be one, its parents or its tree are not stored, its tree is not valid; or a store failed.
    pub async fn store_commits(&self, new: Vec<Commit>) -> Result<usize, DataError> {
        if new.len() > COMMITS_AT_ONCE {
            return Err(DataError::TooMany {
                what: "commits",
                limit: COMMITS_AT_ONCE,
            });
        }
        // From the answer that a tree is stored to its version in the metadata.
        let _hold = self.blobs.hold();
        let unknown = self.missing_commits(new.iter().map(Commit::id).collect()).await?;
        let unknown: HashSet<CommitId> = unknown.into_iter().collect();
        let mut checked: Vec<(Commit, Checked)> = Vec::new();
        let mut trees_before = HashMap::new();
        for commit in new.into_iter().filter(|commit| unknown.contains(&commit.id())) {
            check_commit(&commit)?;
            let base = match commit.parents.first() {
                None => None,
                Some(parent) => match trees_before.get(parent) {
                    Some(tree) => Some(Base::from(*tree)),
                    None => {
                        let before = self.parent(parent).await?.what.version;
                        self.store.read(move |tx| base(tx, &before)).await?
                    }
                },
            };
            let tree = self.checked(&commit.version, base).await?;
            trees_before.insert(commit.id(), tree);
            checked.push((commit, tree));
        }
        let now = self.sources.clock.now();
        self.store
            .write(move |tx| {
                for (commit, tree) in &checked {
                    for parent in &commit.parents {
                        check_recorded(tx, parent)?;
                    }
                    versions::insert(tx, tree, now)?;
                    commits::record(tx, commit, now)?;
                }
                Ok(checked.len())
            })
            .await
    }

    async fn parent(&self, id: &CommitId) -> Result<CommitInfo, DataError> {
        let missing = |_| DataError::CommitMissing { commit: id.clone() };
        self.commit_info(id).await.map_err(missing)
    }

    /// Moves names, all of them or none; makes the dataset if it is not there. See
    /// [`crate::remote::Remote::update_refs`].
    ///
    /// # Errors
    /// A name is elsewhere than expected or protected, would lose commits without `force`, or points at a commit that
    /// is not stored; or a store failed.
    pub(crate) async fn update_refs(
        &self,
        dataset: &DatasetName,
        update: RefsUpdate,
        mover: Mover,
    ) -> Result<(), DataError> {
        if update.changes.len() > REFS_MAX {
            return Err(too_many_refs());
        }
        let step = Step {
            dataset: dataset.clone(),
            update,
            mover,
            now: self.sources.clock.now(),
        };
        let moves = step.update.changes.iter().map(|change| step.happening(change));
        self.ask_before(dataset, moves.collect(), None).await?;
        self.write_refs(move |tx| step.run(tx)).await
    }
}

fn too_many_refs() -> DataError {
    DataError::TooMany {
        what: "branches and tags",
        limit: REFS_MAX,
    }
}

fn check_commit(commit: &Commit) -> Result<(), DataError> {
    let wrong = |problem| {
        Err(DataError::BadCommit {
            commit: commit.id(),
            problem,
        })
    };
    if commit.parents.len() > PARENTS_MAX {
        return wrong("it has more than two parents");
    }
    // The digest is of the author with blanks for these: two commits would have one id.
    if commit.author.contains(['\n', '\r']) {
        return wrong("its author has more than one line");
    }
    check_signature(&Signature {
        author: commit.author.clone(),
        message: commit.message.clone(),
    })
}

fn check_recorded(tx: &mut dyn Tx, id: &CommitId) -> Result<(), DataError> {
    match commits::is_recorded(tx, id)? {
        true => Ok(()),
        false => Err(DataError::CommitMissing { commit: id.clone() }),
    }
}

fn all_refs(tx: &mut dyn Tx, dataset: &DatasetName) -> Result<RemoteRefs, DataError> {
    let default_branch = datasets::default_branch(tx, dataset)?;
    let default_branch = default_branch.ok_or_else(|| DataError::DatasetNotFound {
        name: dataset.clone(),
    })?;
    let mut all = Vec::new();
    for kind in [RefKind::Branch, RefKind::Tag] {
        let limit = u32::try_from(REFS_MAX).unwrap_or(u32::MAX) + 1;
        let found = refs::list(tx, dataset, kind, "", limit)?;
        all.extend(found.into_iter().map(|info: RefInfo| RefState {
            kind: info.kind,
            name: info.name,
            commit: info.commit,
            protected: info.protected,
        }));
    }
    if all.len() > REFS_MAX {
        return Err(too_many_refs());
    }
    Ok(RemoteRefs {
        default_branch,
        refs: all,
    })
}

/// Whether a commit is another one or came after it.
pub(super) fn has_behind(tx: &mut dyn Tx, later: &CommitId, earlier: &CommitId) -> Result<bool, DataError> {
    if !commits::is_recorded(tx, earlier)? {
        return Ok(false);
    }
    let lowest = known(tx, earlier)?.generation;
    let mut seen: HashSet<CommitId> = HashSet::from([later.clone()]);
    let mut open = vec![later.clone()];
    while let Some(id) = open.pop() {
        if id == *earlier {
            return Ok(true);
        }
        if known(tx, &id)?.generation > lowest {
            open.extend(
                commits::parents(tx, &id)?
                    .into_iter()
                    .filter(|id| seen.insert(id.clone())),
            );
        }
        check_visits(seen.len())?;
    }
    Ok(false)
}

fn check_visits(visits: usize) -> Result<(), DataError> {
    match visits > VISITS_MAX {
        true => Err(DataError::TooMany {
            what: "commits",
            limit: VISITS_MAX,
        }),
        false => Ok(()),
    }
}

struct Step {
    dataset: DatasetName,
    update: RefsUpdate,
    mover: Mover,
    now: Timestamp,
}

impl Step {
    fn run(&self, tx: &mut dyn Tx) -> Result<(), DataError> {
        let RefsUpdate {
            changes,
            default_branch,
            ..
        } = &self.update;
        if datasets::default_branch(tx, &self.dataset)?.is_none() {
            // Without that branch it could be neither shown nor named.
            let is_made =
                |change: &RefChange| change.kind == RefKind::Branch && change.name == *default_branch;
            if !changes.iter().any(is_made) {
                return Err(DataError::RefNotFound {
                    dataset: self.dataset.clone(),
                    kind: RefKind::Branch,
                    name: default_branch.clone(),
                });
            }
            datasets::create(tx, &self.dataset, default_branch, self.now)?;
        }
        changes.iter().try_for_each(|change| self.change(tx, change))
    }

    fn change(&self, tx: &mut dyn Tx, change: &RefChange) -> Result<(), DataError> {
        let (kind, name) = (change.kind, &change.name);
        let found = refs::get(tx, &self.dataset, kind, name)?;
        let old = found.as_ref().map(|found| &found.commit);
        if old == Some(&change.new) {
            return Ok(());
        }
        if old != change.old.as_ref() {
            return Err(self.elsewhere(kind, name, old));
        }
        let other = match kind {
            RefKind::Branch => RefKind::Tag,
            RefKind::Tag => RefKind::Branch,
        };
        if refs::get(tx, &self.dataset, other, name)?.is_some() {
            let (kind, name) = (other, name.clone());
            return Err(DataError::RefExists { kind, name });
        }
        if found.as_ref().is_some_and(|found| found.protected) && !self.mover.is_merge {
            let branch = name.clone();
            return Err(DataError::BranchProtected { branch });
        }
        check_recorded(tx, &change.new)?;
        if let Some(old) = old.filter(|_| !self.update.force)
            && (kind == RefKind::Tag || !has_behind(tx, &change.new, old)?)
        {
            return Err(self.loses(kind, name, old));
        }
        self.adopt(tx, &change.new)?;
        let step = refs::Move {
            dataset: &self.dataset,
            kind,
            name,
            old,
            new: Some(&change.new),
            author: &self.mover.author,
            action: self.mover.action,
            source: None,
            at: self.now,
        };
        Ok(refs::apply(tx, &step)?)
    }

    fn happening(&self, change: &RefChange) -> Happening {
        Happening {
            dataset: self.dataset.clone(),
            kind: change.kind,
            name: change.name.clone(),
            action: self.mover.action.to_owned(),
            by: self.mover.author.clone(),
            old: change.old.clone(),
            new: Some(change.new.clone()),
            source: None,
            commit: None,
            at: self.now,
        }
    }

    fn elsewhere(&self, kind: RefKind, name: &RefName, at: Option<&CommitId>) -> DataError {
        match (kind, at) {
            (RefKind::Tag, Some(_)) => DataError::RefExists {
                kind,
                name: name.clone(),
            },
            (RefKind::Tag, None) => DataError::RefNotFound {
                dataset: self.dataset.clone(),
                kind,
                name: name.clone(),
            },
            (RefKind::Branch, head) => DataError::BranchMoved {
                branch: name.clone(),
                head: head.cloned(),
            },
        }
    }

    fn loses(&self, kind: RefKind, name: &RefName, old: &CommitId) -> DataError {
        match kind {
            RefKind::Tag => self.elsewhere(kind, name, Some(old)),
            RefKind::Branch => DataError::NotFastForward {
                branch: name.clone(),
                head: old.clone(),
            },
        }
    }

    /// Makes a commit and what came before it commits of the dataset. What is one already has all before it there.
    fn adopt(&self, tx: &mut dyn Tx, head: &CommitId) -> Result<(), DataError> {
        let mut visits = 0;
        let mut open = vec![head.clone()];
        while let Some(id) = open.pop() {
            if commits::belongs(tx, &self.dataset, &id)? {
                continue;
            }
            commits::adopt(tx, &self.dataset, &id)?;
            open.extend(commits::parents(tx, &id)?);
            visits += 1;
            check_visits(visits)?;
        }
        Ok(())
    }
}
