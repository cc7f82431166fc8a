//! Recording versions whose bytes are stored, and putting them at the head of a branch.

use corliss_blobstore::BlobId;
use corliss_metastore::Tx;
use corliss_types::{CommitId, DatasetName, Timestamp, VersionId};

use super::DataService;
use crate::config::MESSAGE_MAX_BYTES;
use crate::history::{Commit, RefKind, RefName, is_id_like};
use crate::hook::Happening;
use crate::link;
use crate::store::{commits, datasets, refs, versions};
use crate::tree::{self, Builder, Checked, Editor, Linked, RecordWriter, Root};
use crate::types::{Committed, Edit, RefInfo, Signature, Target};
use crate::{DataError, Entry, EntryPath};

/// Edits of one commit that are sent as a list; who has more sends a tree.
pub(crate) const EDITS_MAX: usize = 100_000;
/// Bytes of an author's name.
const AUTHOR_MAX_BYTES: usize = 200;
/// How often an edit is tried again when somebody else was faster.
const ATTEMPTS: u32 = 5;

/// The head that a commit goes on.
pub(super) struct Head {
    pub branch: RefName,
    /// None in a dataset that is yet to be made.
    pub info: Option<RefInfo>,
    pub root: Option<BlobId>,
    linked: Linked,
}

impl Head {
    /// What a commit on it is compared with.
    pub fn base(&self) -> Option<Base> {
        let linked = self.linked;
        self.root.map(|root| Base { root, linked })
    }
}

/// A tree that was checked before another that came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    pub root: BlobId,
    pub linked: Linked,
}

impl From<Checked> for Base {
    fn from(tree: Checked) -> Self {
        Self {
            root: tree.root.id,
            linked: tree.linked,
        }
    }
}

impl DataService {
    /// Puts a tree whose records are stored at the head of a branch. The version that is there already changes
    /// nothing.
    ///
    /// # Errors
    /// The tree is not valid or a blob is missing, the branch is protected or elsewhere than expected, a limit;
    /// or a store failed.
    pub async fn commit(
        &self,
        target: &Target,
        version: &VersionId,
        by: Signature,
    ) -> Result<Committed, DataError> {
        // What is said to be stored now must be so when the version is recorded.
        let _hold = self.blobs.hold();
        check_signature(&by)?;
        let head = self.head(target).await?;
        let tree = self.checked(version, head.base()).await?;
        let by_whom = Change {
            by,
            action: "commit",
            merged: None,
        };
        self.record(target, &head, tree, by_whom).await
    }

    /// Puts a version that differs in some files from the head of a branch there in its place.
    ///
    /// # Errors
    /// As [`Self::commit`]; or a file to be removed is not there.
    pub async fn commit_edits(
        &self,
        target: &Target,
        mut edits: Vec<Edit>,
        by: Signature,
    ) -> Result<Committed, DataError> {
        // What is said to be stored now must be so when the version is recorded.
        let _hold = self.blobs.hold();
        check_signature(&by)?;
        if edits.len() > EDITS_MAX {
            return Err(DataError::TooMany {
                what: "edits",
                limit: EDITS_MAX,
            });
        }
        edits.sort_by(|left, right| left.path.cmp(&right.path));
        if let Some(twice) = edits.windows(2).find(|pair| pair[0].path == pair[1].path) {
            let path = twice[0].path.to_string();
            return Err(DataError::DuplicatePath { path });
        }
        let entries = self.entries_of(&edits).await?;
        let changes: Vec<_> = edits.into_iter().map(|edit| edit.path).zip(entries).collect();
        self.commit_changes(target, &changes, by, "commit").await
    }

    /// Puts what differs from the head of a branch there: files that are stored, or None to remove one, in order of
    /// their paths. Whoever calls holds what it was told to be stored.
    pub(super) async fn commit_changes(
        &self,
        target: &Target,
        changes: &[(EntryPath, Option<Entry>)],
        by: Signature,
        action: &'static str,
    ) -> Result<Committed, DataError> {
        for attempt in 1.. {
            let head = self.head(target).await?;
            let edited = self.edited(&head, changes).await?;
            let tree = self.checked(&edited.version(), head.base()).await?;
            let change = Change {
                by: by.clone(),
                action,
                merged: None,
            };
            match self.record(target, &head, tree, change).await {
                // Edits go on whatever is there, unless the caller said on what.
                Err(DataError::BranchMoved { .. }) if target.expected.is_none() && attempt < ATTEMPTS => {}
                result => return result,
            }
        }
        Err(DataError::Busy)
    }

    /// Records a list of files as a version that belongs to no dataset.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn record_files(&self, mut entries: Vec<Entry>) -> Result<Committed, DataError> {
        // What is said to be stored now must be so when the version is recorded.
        let _hold = self.blobs.hold();
        entries.sort_by(|left, right| left.path.cmp(&right.path));
        let mut builder = Builder::default();
        let mut writer = RecordWriter::new(self.blobs.clone());
        for entry in &entries {
            builder.push(entry)?;
            writer.add(builder.take_pieces()).await?;
        }
        let root = builder.finish()?;
        writer.add(builder.take_pieces()).await?;
        writer.flush().await?;
        self.record_version(&root.version()).await
    }

    /// Records a tree as a version that belongs to no dataset.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn record_version(&self, version: &VersionId) -> Result<Committed, DataError> {
        // What is said to be stored now must be so when the version is recorded.
        let _hold = self.blobs.hold();
        let tree = self.checked(version, None).await?;
        let now = self.sources.clock.now();
        let created = self
            .store
            .write(move |tx| Ok::<_, DataError>(versions::insert(tx, &tree, now)?))
            .await?;
        let root = tree.root;
        Ok(Committed {
            version: root.version(),
            dataset: None,
            branch: None,
            commit: None,
            created,
            files: root.files,
            size_bytes: root.size_bytes,
        })
    }

    /// A tree that may be recorded; what it shares with `base` is not looked at again.
    pub(super) async fn checked(
        &self,
        version: &VersionId,
        base: Option<Base>,
    ) -> Result<Checked, DataError> {
        let not_found = || DataError::VersionNotFound {
            version: version.to_string(),
        };
        let id = tree::root_of(version).ok_or_else(not_found)?;
        if !self.blobs.missing(vec![id]).await?.is_empty() {
            return Err(DataError::TreeMissing {
                version: version.clone(),
            });
        }
        let (root, linked) = tree::check(&self.reader, &self.blobs, id, base.map(|base| base.root)).await?;
        if root.files > self.limits.files as u64 {
            return Err(DataError::TooManyFiles {
                limit: self.limits.files,
            });
        }
        // Of what they are in the records that the one before does not have, it may have some elsewhere.
        let linked = match base {
            None => linked,
            Some(base) if linked == Linked::default() && base.linked == linked => linked,
            Some(base) => self.linked_since(base, id).await?,
        };
        Ok(Checked { root, linked })
    }

    async fn linked_since(&self, base: Base, id: BlobId) -> Result<Linked, DataError> {
        let mut linked = base.linked;
        let mut diff = self.diff_of(base.root, id).await?;
        while let Some(change) = diff.next().await? {
            let gone = Linked::default().and(change.old.as_ref());
            linked = linked.and(change.new.as_ref()).without(gone);
        }
        Ok(linked)
    }

    /// The head of the branch that is meant, which is where the caller expects it. Whoever moves the branch compares
    /// it with this again.
    pub(super) async fn head(&self, target: &Target) -> Result<Head, DataError> {
        let target = target.clone();
        let (branch, found) = self
            .store
            .read(move |tx| {
                let default = datasets::default_branch(tx, &target.dataset)?;
                let Some(default) = default else {
                    // Its name alone would be taken for an id wherever a reference is written.
                    if is_id_like(target.dataset.as_str()) {
                        let name = target.dataset.clone();
                        return Err(DataError::BadDatasetName { name });
                    }
                    let branch = target.branch.clone().unwrap_or_else(RefName::main);
                    return Ok::<_, DataError>((branch, None));
                };
                let branch = target.branch.clone().unwrap_or(default);
                let found = refs::get(tx, &target.dataset, RefKind::Branch, &branch)?;
                let info = found.ok_or_else(|| DataError::RefNotFound {
                    dataset: target.dataset.clone(),
                    kind: RefKind::Branch,
                    name: branch.clone(),
                })?;
                if target.expected.as_ref().is_some_and(|at| *at != info.commit) {
                    let head = Some(info.commit);
                    return Err(DataError::BranchMoved { branch, head });
                }
                let commit = commits::get(tx, &info.commit)?;
                let base = match commit {
                    Some(commit) => base(tx, &commit.what.version)?,
                    None => None,
                };
                Ok((branch, Some((info, base))))
            })
            .await?;
        let (info, base) = found.unzip();
        let base = base.flatten();
        Ok(Head {
            branch,
            info,
            root: base.map(|base| base.root),
            linked: base.map_or_else(Linked::default, |base| base.linked),
        })
    }

    async fn entries_of(&self, edits: &[Edit]) -> Result<Vec<Option<Entry>>, DataError> {
        let ids: Vec<BlobId> = edits.iter().filter_map(|edit| edit.blob).collect();
        let found = self.blobs.stat_all(ids).await?;
        let edited = edits.iter().filter(|edit| edit.blob.is_some()).zip(&found);
        let linked = edited.filter_map(|(edit, found)| found.filter(|_| edit.link).map(|found| found.id));
        let mut links = link::read(&self.blobs, linked.collect()).await?.into_iter();
        let mut found = found.into_iter();
        let mut entries = Vec::with_capacity(edits.len());
        for edit in edits {
            entries.push(match edit.blob {
                None => None,
                Some(blob) => {
                    let missing = || DataError::BlobMissing {
                        path: edit.path.to_string(),
                        blob,
                    };
                    let info = found.next().flatten().ok_or_else(missing)?;
                    let link = edit.link.then(|| links.next()).flatten().transpose();
                    let link = link.map_err(|problem| link::invalid(edit.path.as_str(), problem))?;
                    Some(Entry {
                        path: edit.path.clone(),
                        blob,
                        size_bytes: link.map_or(info.size_bytes, |link| link.object.size_bytes),
                        executable: edit.executable,
                        link: edit.link,
                    })
                }
            });
        }
        Ok(entries)
    }

    async fn edited(&self, head: &Head, changes: &[(EntryPath, Option<Entry>)]) -> Result<Root, DataError> {
        let base = match head.root {
            Some(root) => root,
            None => self.empty_tree().await?,
        };
        let mut editor = Editor::new(self.reader.cursor(base).await?, self.blobs.clone());
        for (path, entry) in changes {
            if entry.is_none() && self.reader.find(base, path).await?.is_none() {
                return Err(DataError::FileNotFound {
                    version: tree::version_of(base),
                    path: path.to_string(),
                });
            }
            editor.apply(path, entry.as_ref()).await?;
        }
        editor.finish().await
    }

    async fn empty_tree(&self) -> Result<BlobId, DataError> {
        let mut builder = Builder::default();
        let root = builder.finish()?;
        self.blobs.put_pieces(builder.take_pieces()).await?;
        Ok(root.id)
    }

    /// Makes the commit and moves the branch, if it still is where `head` says.
    pub(super) async fn record(
        &self,
        target: &Target,
        head: &Head,
        tree: Checked,
        change: Change,
    ) -> Result<Committed, DataError> {
        let step = Step {
            dataset: target.dataset.clone(),
            branch: head.branch.clone(),
            expected: target.expected.clone(),
            seen: head.info.as_ref().map(|info| info.commit.clone()),
            tree,
            change,
            now: self.sources.clock.now(),
        };
        // Without a change there is no commit, unless it is a merge.
        if step.change.merged.is_some() || head.root != Some(step.tree.root.id) {
            self.ask_before(&target.dataset, vec![step.happening()], Some(step.tree))
                .await?;
        }
        self.write_refs(move |tx| step.run(tx)).await
    }
}

/// What a commit is made of beside its tree.
pub(super) struct Change {
    pub by: Signature,
    pub action: &'static str,
    /// The second parent, of a merge.
    pub merged: Option<CommitId>,
}

struct Step {
    dataset: DatasetName,
    branch: RefName,
    expected: Option<CommitId>,
    seen: Option<CommitId>,
    tree: Checked,
    change: Change,
    now: Timestamp,
}

impl Step {
    fn run(&self, tx: &mut dyn Tx) -> Result<Committed, DataError> {
        datasets::create(tx, &self.dataset, &self.branch, self.now)?;
        let head = refs::get(tx, &self.dataset, RefKind::Branch, &self.branch)?;
        let commit = head.as_ref().map(|head| head.commit.clone());
        let is_elsewhere = self
            .expected
            .as_ref()
            .is_some_and(|at| commit.as_ref() != Some(at));
        if is_elsewhere || commit != self.seen {
            return Err(DataError::BranchMoved {
                branch: self.branch.clone(),
                head: commit,
            });
        }
        let is_merge = self.change.merged.is_some();
        if !is_merge && head.as_ref().is_some_and(|head| head.protected) {
            return Err(DataError::BranchProtected {
                branch: self.branch.clone(),
            });
        }
        versions::insert(tx, &self.tree, self.now)?;
        let version = self.tree.root.version();
        let current = commit
            .as_ref()
            .map(|commit| commits::get(tx, commit))
            .transpose()?;
        let is_same = current
            .flatten()
            .is_some_and(|current| current.what.version == version);
        let commit = match commit {
            Some(commit) if is_same && !is_merge => {
                return Ok(self.committed(commit, false));
            }
            commit => commit,
        };
        let new = commits::insert(tx, &self.dataset, &self.commit(commit.as_ref()), self.now)?;
        let step = refs::Move {
            dataset: &self.dataset,
            kind: RefKind::Branch,
            name: &self.branch,
            old: commit.as_ref(),
            new: Some(&new),
            author: &self.change.by.author,
            action: self.change.action,
            source: self.change.merged.as_ref(),
            at: self.now,
        };
        refs::apply(tx, &step)?;
        Ok(self.committed(new, true))
    }

    /// What hooks are asked about: the commit as it will be if the branch stays where it was seen.
    fn happening(&self) -> Happening {
        let commit = self.commit(self.seen.as_ref());
        Happening {
            dataset: self.dataset.clone(),
            kind: RefKind::Branch,
            name: self.branch.clone(),
            action: self.change.action.to_owned(),
            by: self.change.by.author.clone(),
            old: self.seen.clone(),
            new: Some(commit.id()),
            source: self.change.merged.clone(),
            commit: Some((commit.version, commit.author, commit.message)),
            at: self.now,
        }
    }

    fn commit(&self, parent: Option<&CommitId>) -> Commit {
        Commit {
            version: self.tree.root.version(),
            parents: parent.into_iter().chain(&self.change.merged).cloned().collect(),
            author: self.change.by.author.clone(),
            created_ms: self.now,
            message: self.change.by.message.clone(),
        }
    }

    fn committed(&self, commit: CommitId, created: bool) -> Committed {
        Committed {
            version: self.tree.root.version(),
            dataset: Some(self.dataset.clone()),
            branch: Some(self.branch.clone()),
            commit: Some(commit),
            created,
            files: self.tree.root.files,
            size_bytes: self.tree.root.size_bytes,
        }
    }
}

/// A version that is recorded, as what another came of.
pub(super) fn base(tx: &mut dyn Tx, version: &VersionId) -> Result<Option<Base>, DataError> {
    let linked = versions::linked(tx, version)?;
    Ok(tree::root_of(version).map(|root| Base { root, linked }))
}

pub(super) fn check_signature(by: &Signature) -> Result<(), DataError> {
    if by.message.len() > MESSAGE_MAX_BYTES {
        return Err(DataError::MessageTooLong {
            limit: MESSAGE_MAX_BYTES,
        });
    }
    if by.message.contains('\0') {
        return Err(DataError::BadMessage);
    }
    if by.author.len() > AUTHOR_MAX_BYTES {
        return Err(DataError::TooMany {
            what: "bytes of an author's name",
            limit: AUTHOR_MAX_BYTES,
        });
    }
    Ok(())
}
