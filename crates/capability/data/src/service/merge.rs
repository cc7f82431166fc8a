//! Bringing two lines of work together, and taking one commit back or over: three-way, file by file.

use std::cmp::Ordering;

use corliss_blobstore::BlobId;
use corliss_types::{CommitId, DatasetName, VersionId};

use super::DataService;
use super::commit::{Change, Head, check_signature};
use super::{log, refs as ref_service};
use crate::history::{CommitInfo, RefKind};
use crate::hook::Happening;
use crate::store::refs;
use crate::tree::{self, Diff, Editor, Root};
use crate::types::{Committed, ConflictPolicy, Merged, Signature, Target};
use crate::{DataError, EntryPath, Reference};

/// Conflicts that an error names; it counts all of them.
const CONFLICTS_TOLD: usize = 100;

/// What came of two trees.
struct Joined {
    root: Root,
    settled: u64,
}

impl DataService {
    /// Merges what a reference means into a branch. If the branch has nothing of its own since, it is moved forward,
    /// unless `always_commit`.
    ///
    /// # Errors
    /// Both changed a file and the policy is to fail; the histories have nothing in common; the branch moved
    /// meanwhile; or a store failed.
    pub async fn merge(
        &self,
        target: &Target,
        source: &Reference,
        policy: ConflictPolicy,
        always_commit: bool,
        by: Signature,
    ) -> Result<Merged, DataError> {
        // What is said to be stored now must be so when the version is recorded.
        let _hold = self.blobs.hold();
        check_signature(&by)?;
        let theirs = self.commit_of(&target.dataset, source).await?;
        let head = self.head(target).await?;
        let ours = self.head_commit(target, &head)?;
        let (left, right) = (ours.clone(), theirs.clone());
        let base = self
            .store
            .read(move |tx| log::merge_base(tx, &left, &right))
            .await?
            .ok_or(DataError::UnrelatedHistories)?;
        if base == theirs {
            let (committed, fast_forward) = (self.unchanged(target, &head).await?, true);
            return Ok(Merged {
                committed,
                fast_forward,
                settled: 0,
            });
        }
        if base == ours && !always_commit {
            return self.forward(target, &head, &theirs, by).await;
        }
        let joined = self
            .join(
                &base_root(&self.commit_info(&base).await?)?,
                &base_root(&self.commit_info(&ours).await?)?,
                &base_root(&self.commit_info(&theirs).await?)?,
                policy,
            )
            .await?;
        let tree = self.checked(&joined.root.version(), head.base()).await?;
        let change = Change {
            by,
            action: "merge",
            merged: Some(theirs),
        };
        let committed = self.record(target, &head, tree, change).await?;
        Ok(Merged {
            committed,
            fast_forward: false,
            settled: joined.settled,
        })
    }

    /// Commits the opposite of what a commit changed.
    ///
    /// # Errors
    /// What it changed was changed again since and the policy is to fail; it is a merge or has nothing before it; or
    /// as [`Self::commit`].
    pub async fn revert(
        &self,
        target: &Target,
        commit: &Reference,
        policy: ConflictPolicy,
        by: Signature,
    ) -> Result<Committed, DataError> {
        let (of, before) = self.with_parent(&target.dataset, commit).await?;
        self.apply_between(target, &of, &before, policy, by, "revert")
            .await
    }

    /// Commits what a commit changed, onto a branch that does not have it.
    ///
    /// # Errors
    /// The branch changed the same and the policy is to fail; it is a merge or has nothing before it; or as
    /// [`Self::commit`].
    pub async fn cherry_pick(
        &self,
        target: &Target,
        commit: &Reference,
        policy: ConflictPolicy,
        by: Signature,
    ) -> Result<Committed, DataError> {
        let (of, before) = self.with_parent(&target.dataset, commit).await?;
        self.apply_between(target, &before, &of, policy, by, "cherry-pick")
            .await
    }

    async fn apply_between(
        &self,
        target: &Target,
        from: &VersionId,
        to: &VersionId,
        policy: ConflictPolicy,
        by: Signature,
        action: &'static str,
    ) -> Result<Committed, DataError> {
        // What is said to be stored now must be so when the version is recorded.
        let _hold = self.blobs.hold();
        check_signature(&by)?;
        let head = self.head(target).await?;
        let ours = head.root.ok_or_else(|| DataError::DatasetNotFound {
            name: target.dataset.clone(),
        })?;
        let joined = self.join(&root(from)?, &ours, &root(to)?, policy).await?;
        let tree = self.checked(&joined.root.version(), head.base()).await?;
        let change = Change {
            by,
            action,
            merged: None,
        };
        self.record(target, &head, tree, change).await
    }

    /// The versions of a commit and of what it came after.
    async fn with_parent(
        &self,
        dataset: &DatasetName,
        commit: &Reference,
    ) -> Result<(VersionId, VersionId), DataError> {
        let id = self.commit_of(dataset, commit).await?;
        let info = self.commit_info(&id).await?;
        match info.what.parents.as_slice() {
            [parent] => {
                let before = self.commit_info(parent).await?.what.version;
                Ok((info.what.version, before))
            }
            parents => Err(DataError::NotOneParent {
                commit: id,
                parents: parents.len(),
            }),
        }
    }

    fn head_commit(&self, target: &Target, head: &Head) -> Result<CommitId, DataError> {
        let info = head.info.as_ref().ok_or_else(|| DataError::DatasetNotFound {
            name: target.dataset.clone(),
        })?;
        Ok(info.commit.clone())
    }

    async fn unchanged(&self, target: &Target, head: &Head) -> Result<Committed, DataError> {
        let commit = self.head_commit(target, head)?;
        let info = self.commit_info(&commit).await?;
        Ok(Committed {
            version: info.what.version,
            dataset: Some(target.dataset.clone()),
            branch: Some(head.branch.clone()),
            commit: Some(commit),
            created: false,
            files: info.files,
            size_bytes: info.size_bytes,
        })
    }

    async fn forward(
        &self,
        target: &Target,
        head: &Head,
        to: &CommitId,
        by: Signature,
    ) -> Result<Merged, DataError> {
        let info = self.commit_info(to).await?;
        let ours = self.head_commit(target, head)?;
        let now = self.sources.clock.now();
        let (dataset, branch, to) = (target.dataset.clone(), head.branch.clone(), to.clone());
        let committed = Committed {
            version: info.what.version,
            dataset: Some(dataset.clone()),
            branch: Some(branch.clone()),
            commit: Some(to.clone()),
            created: true,
            files: info.files,
            size_bytes: info.size_bytes,
        };
        let forward = Happening {
            dataset: dataset.clone(),
            kind: RefKind::Branch,
            name: branch.clone(),
            action: "merge".to_owned(),
            by: by.author.clone(),
            old: Some(ours.clone()),
            new: Some(to.clone()),
            source: Some(to.clone()),
            commit: None,
            at: now,
        };
        self.ask_before(&target.dataset, vec![forward], None).await?;
        self.write_refs(move |tx| {
            let found = ref_service::found(tx, &dataset, RefKind::Branch, &branch)?;
            if found.commit != ours {
                return Err(DataError::BranchMoved {
                    branch: branch.clone(),
                    head: Some(found.commit),
                });
            }
            let step = refs::Move {
                dataset: &dataset,
                kind: RefKind::Branch,
                name: &branch,
                old: Some(&ours),
                new: Some(&to),
                author: &by.author,
                action: "merge",
                source: Some(&to),
                at: now,
            };
            Ok(refs::apply(tx, &step)?)
        })
        .await?;
        Ok(Merged {
            committed,
            fast_forward: true,
            settled: 0,
        })
    }

    /// Ours, with what theirs changed since the base.
    async fn join(
        &self,
        base: &BlobId,
        ours: &BlobId,
        theirs: &BlobId,
        policy: ConflictPolicy,
    ) -> Result<Joined, DataError> {
        let mut of_ours = self.diff_of(*base, *ours).await?;
        let mut of_theirs = self.diff_of(*base, *theirs).await?;
        let mut editor = Editor::new(self.reader.cursor(*ours).await?, self.blobs.clone());
        let mut conflicts: Vec<EntryPath> = Vec::new();
        let mut both = 0;
        let mut our_change = of_ours.next().await?;
        while let Some(change) = of_theirs.next().await? {
            while our_change.as_ref().is_some_and(|ours| ours.path < change.path) {
                our_change = of_ours.next().await?;
            }
            let same_file = our_change.as_ref().map(|ours| ours.path.cmp(&change.path));
            let is_conflict = same_file == Some(Ordering::Equal)
                && our_change.as_ref().is_some_and(|ours| ours.new != change.new);
            if is_conflict {
                both += 1;
                if conflicts.len() < CONFLICTS_TOLD {
                    conflicts.push(change.path.clone());
                }
            }
            let takes_theirs = !is_conflict || policy == ConflictPolicy::Theirs;
            if takes_theirs && same_file.is_none_or(|order| order != Ordering::Equal || is_conflict) {
                editor.apply(&change.path, change.new.as_ref()).await?;
            }
        }
        if both > 0 && policy == ConflictPolicy::Fail {
            return Err(DataError::Conflicts {
                count: both,
                paths: conflicts,
            });
        }
        Ok(Joined {
            root: editor.finish().await?,
            settled: both,
        })
    }

    pub(super) async fn diff_of(&self, old: BlobId, new: BlobId) -> Result<Diff, DataError> {
        Ok(Diff::new(
            self.reader.cursor(old).await?,
            self.reader.cursor(new).await?,
        ))
    }
}

fn base_root(info: &CommitInfo) -> Result<BlobId, DataError> {
    root(&info.what.version)
}

pub(super) fn root(version: &VersionId) -> Result<BlobId, DataError> {
    tree::root_of(version).ok_or_else(|| DataError::VersionNotFound {
        version: version.to_string(),
    })
}
