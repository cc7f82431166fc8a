//! Branches and tags: made, moved, protected and removed. A name never moves unseen: each move is compared with
//! where the caller saw it, and written down.

use corliss_metastore::Tx;
use corliss_types::{CommitId, DatasetName, Timestamp};

use super::{DataService, resolve};
use crate::history::{RefKind, RefName};
use crate::hook::Happening;
use crate::store::{commits, datasets, refs};
use crate::types::RefInfo;
use crate::{DataError, Reference};

impl DataService {
    /// A page of a dataset's branches or tags by name, from after `after` on.
    ///
    /// # Errors
    /// There is no such dataset, or the metadata store failed.
    pub async fn refs(
        &self,
        dataset: &DatasetName,
        kind: RefKind,
        after: &str,
        limit: u32,
    ) -> Result<Vec<RefInfo>, DataError> {
        let (dataset, after) = (dataset.clone(), after.to_owned());
        self.store
            .read(move |tx| {
                is_there(tx, &dataset)?;
                Ok(refs::list(tx, &dataset, kind, &after, limit)?)
            })
            .await
    }

    /// One branch.
    ///
    /// # Errors
    /// There is none of this name, or the metadata store failed.
    pub async fn branch(&self, dataset: &DatasetName, branch: &RefName) -> Result<RefInfo, DataError> {
        self.one_ref(dataset, RefKind::Branch, branch).await
    }

    async fn one_ref(
        &self,
        dataset: &DatasetName,
        kind: RefKind,
        name: &RefName,
    ) -> Result<RefInfo, DataError> {
        let (dataset, name) = (dataset.clone(), name.clone());
        self.store.read(move |tx| found(tx, &dataset, kind, &name)).await
    }

    /// Makes a branch or tag where a reference points.
    ///
    /// # Errors
    /// The name is taken, the reference means no commit of the dataset, or the metadata store failed.
    pub async fn create_ref(
        &self,
        dataset: &DatasetName,
        kind: RefKind,
        name: &RefName,
        at: &Reference,
        author: &str,
    ) -> Result<RefInfo, DataError> {
        let commit = self.commit_of(dataset, at).await?;
        let now = self.sources.clock.now();
        let made = Happening {
            new: Some(commit.clone()),
            ..happening(dataset, kind, name, "create", author, now)
        };
        self.ask_before(dataset, vec![made], None).await?;
        let (dataset, name, author) = (dataset.clone(), name.clone(), author.to_owned());
        self.write_refs(move |tx| {
            // Again: the dataset may have been deleted since.
            belongs(tx, &dataset, &commit)?;
            if refs::get(tx, &dataset, kind, &name)?.is_some() {
                let (kind, name) = (kind, name.clone());
                return Err(DataError::RefExists { kind, name });
            }
            // A name that is both would be a guess wherever it is written.
            let other = match kind {
                RefKind::Branch => RefKind::Tag,
                RefKind::Tag => RefKind::Branch,
            };
            if refs::get(tx, &dataset, other, &name)?.is_some() {
                let (kind, name) = (other, name.clone());
                return Err(DataError::RefExists { kind, name });
            }
            let step = refs::Move {
                dataset: &dataset,
                kind,
                name: &name,
                old: None,
                new: Some(&commit),
                author: &author,
                action: "create",
                source: None,
                at: now,
            };
            refs::apply(tx, &step)?;
            found(tx, &dataset, kind, &name)
        })
        .await
    }

    /// Points a branch at another commit of the dataset, forwards or back.
    ///
    /// # Errors
    /// There is no such branch or commit, the branch is protected or elsewhere than expected, or the metadata store
    /// failed.
    pub async fn move_branch(
        &self,
        dataset: &DatasetName,
        branch: &RefName,
        to: &Reference,
        expected: Option<&CommitId>,
        author: &str,
    ) -> Result<RefInfo, DataError> {
        let commit = self.commit_of(dataset, to).await?;
        let now = self.sources.clock.now();
        let seen = self.branch(dataset, branch).await?;
        let moved = Happening {
            old: Some(seen.commit.clone()),
            new: Some(commit.clone()),
            ..happening(dataset, RefKind::Branch, branch, "move", author, now)
        };
        let asked = self.ask_before(dataset, vec![moved], None).await?;
        let agreed = asked.then_some(seen.commit);
        let (dataset, branch, author) = (dataset.clone(), branch.clone(), author.to_owned());
        let expected = expected.cloned();
        self.write_refs(move |tx| {
            let info = found(tx, &dataset, RefKind::Branch, &branch)?;
            may_move(&info, expected.as_ref(), agreed.as_ref())?;
            belongs(tx, &dataset, &commit)?;
            let step = refs::Move {
                dataset: &dataset,
                kind: RefKind::Branch,
                name: &branch,
                old: Some(&info.commit),
                new: Some(&commit),
                author: &author,
                action: "move",
                source: None,
                at: now,
            };
            if info.commit != commit {
                refs::apply(tx, &step)?;
            }
            found(tx, &dataset, RefKind::Branch, &branch)
        })
        .await
    }

    /// Removes a branch or tag; what only it led to stays until it is collected. Answers where it pointed.
    ///
    /// # Errors
    /// There is no such name, it is protected, the default branch or elsewhere than expected, or the metadata
    /// store failed.
    pub async fn delete_ref(
        &self,
        dataset: &DatasetName,
        kind: RefKind,
        name: &RefName,
        expected: Option<&CommitId>,
        author: &str,
    ) -> Result<RefInfo, DataError> {
        let now = self.sources.clock.now();
        let seen = self.one_ref(dataset, kind, name).await?;
        let gone = Happening {
            old: Some(seen.commit.clone()),
            ..happening(dataset, kind, name, "delete", author, now)
        };
        let asked = self.ask_before(dataset, vec![gone], None).await?;
        let agreed = asked.then_some(seen.commit);
        let (dataset, name, author) = (dataset.clone(), name.clone(), author.to_owned());
        let expected = expected.cloned();
        self.write_refs(move |tx| {
            let info = found(tx, &dataset, kind, &name)?;
            may_move(&info, expected.as_ref(), agreed.as_ref())?;
            let default = datasets::default_branch(tx, &dataset)?;
            if kind == RefKind::Branch && default.as_ref() == Some(&name) {
                return Err(DataError::DefaultBranch { branch: name.clone() });
            }
            let step = refs::Move {
                dataset: &dataset,
                kind,
                name: &name,
                old: Some(&info.commit),
                new: None,
                author: &author,
                action: "delete",
                source: None,
                at: now,
            };
            refs::apply(tx, &step)?;
            Ok(info)
        })
        .await
    }

    /// Closes a branch to everything but merges, or opens it again.
    ///
    /// # Errors
    /// There is no such branch, or the metadata store failed.
    pub async fn protect_branch(
        &self,
        dataset: &DatasetName,
        branch: &RefName,
        is_protected: bool,
    ) -> Result<RefInfo, DataError> {
        let (dataset, branch) = (dataset.clone(), branch.clone());
        self.store
            .write(move |tx| {
                refs::protect(tx, &dataset, &branch, is_protected)?;
                found(tx, &dataset, RefKind::Branch, &branch)
            })
            .await
    }

    /// The commit of this dataset that a reference means.
    pub(super) async fn commit_of(
        &self,
        dataset: &DatasetName,
        reference: &Reference,
    ) -> Result<CommitId, DataError> {
        let (dataset, reference) = (dataset.clone(), reference.clone());
        self.store
            .read(move |tx| {
                is_there(tx, &dataset)?;
                let resolved = resolve::resolve_in(tx, &dataset, &reference)?;
                let commit = resolved.commit.ok_or(DataError::NoCommit {
                    version: resolved.version,
                })?;
                belongs(tx, &dataset, &commit)?;
                Ok(commit)
            })
            .await
    }
}

/// The dataset is there and has the commit: an id alone may be that of another one's.
fn belongs(tx: &mut dyn Tx, dataset: &DatasetName, commit: &CommitId) -> Result<(), DataError> {
    is_there(tx, dataset)?;
    if commits::belongs(tx, dataset, commit)? {
        return Ok(());
    }
    Err(DataError::VersionNotFound {
        version: commit.to_string(),
    })
}

pub(super) fn is_there(tx: &mut dyn Tx, dataset: &DatasetName) -> Result<(), DataError> {
    let found = datasets::default_branch(tx, dataset)?;
    found.map(|_| ()).ok_or_else(|| DataError::DatasetNotFound {
        name: dataset.clone(),
    })
}

pub(super) fn found(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    kind: RefKind,
    name: &RefName,
) -> Result<RefInfo, DataError> {
    is_there(tx, dataset)?;
    refs::get(tx, dataset, kind, name)?.ok_or_else(|| DataError::RefNotFound {
        dataset: dataset.clone(),
        kind,
        name: name.clone(),
    })
}

/// A move of a name by hand, from nowhere to nowhere yet.
fn happening(
    dataset: &DatasetName,
    kind: RefKind,
    name: &RefName,
    action: &str,
    by: &str,
    at: Timestamp,
) -> Happening {
    Happening {
        dataset: dataset.clone(),
        kind,
        name: name.clone(),
        action: action.to_owned(),
        by: by.to_owned(),
        old: None,
        new: None,
        source: None,
        commit: None,
        at,
    }
}

/// It is where the caller saw it, and where it was when hooks were asked.
fn may_move(info: &RefInfo, expected: Option<&CommitId>, agreed: Option<&CommitId>) -> Result<(), DataError> {
    if [expected, agreed]
        .into_iter()
        .flatten()
        .any(|at| *at != info.commit)
    {
        return Err(DataError::BranchMoved {
            branch: info.name.clone(),
            head: Some(info.commit.clone()),
        });
    }
    if info.protected {
        return Err(DataError::BranchProtected {
            branch: info.name.clone(),
        });
    }
    Ok(())
}
