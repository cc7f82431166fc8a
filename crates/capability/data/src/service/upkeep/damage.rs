//! Whose files are damaged: every version of which something is known as damaged or missing, by the names under which
//! people know it, and the paths. Only what is bad is followed, and a folder that versions share is looked at once.

use std::collections::{BTreeMap, HashMap};

use corliss_blobstore::{BlobError, BlobId};
use corliss_types::VersionId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::store::{upkeep, versions};
use crate::{DataError, DataService, tree};

/// Versions that are told one by one.
const VERSIONS_TOLD: usize = 1000;
/// Names of a version, and paths in it, that are told.
const NAMES_TOLD: usize = 100;
const PATHS_TOLD: usize = 20;
/// Ids that are asked for together.
const TOGETHER: usize = 1000;

/// A version of which files cannot be read whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedVersion {
    /// The version.
    pub version: VersionId,
    /// How it is referred to: `dataset@branch` and `dataset@tag` of what points at it, `dataset@c_…` of other commits of
    /// it; the first hundred. None if no dataset has it.
    pub names: Vec<String>,
    /// How many names that are.
    pub names_total: u64,
    /// What is damaged in it; the first twenty.
    pub paths: Vec<DamagedPath>,
    /// How many files that are.
    pub files_total: u64,
}

/// What of a version is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedPath {
    /// The file; or where a part of the list of files begins, empty for all of it.
    pub path: String,
    /// Of a list that cannot be read: how many files it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_listed: Option<u64>,
}

/// Whose files are damaged.
#[derive(Debug, Clone, Default)]
pub(super) struct Damage {
    pub versions: Vec<DamagedVersion>,
    pub versions_total: u64,
}

/// What is damaged below a record of a tree.
#[derive(Debug, Clone, Default)]
struct Below {
    files: u64,
    paths: Vec<DamagedPath>,
}

impl Below {
    fn add(&mut self, files: u64, paths: impl IntoIterator<Item = DamagedPath>) {
        self.files = self.files.saturating_add(files);
        let room = PATHS_TOLD.saturating_sub(self.paths.len());
        self.paths.extend(paths.into_iter().take(room));
    }
}

type Memo = HashMap<BlobId, Below>;

impl DataService {
    /// The versions whose files are kept, by the roots of their trees.
    pub(super) async fn version_roots(&self) -> Result<BTreeMap<BlobId, VersionId>, DataError> {
        let all = self.store.read(|tx| Ok::<_, DataError>(upkeep::versions(tx)?));
        let all = all.await?.into_keys();
        Ok(all
            .filter_map(|version| Some((tree::root_of(&version)?, version)))
            .collect())
    }

    /// The roots of the trees in which something is damaged.
    pub(super) async fn damaged_roots(&self) -> Result<BTreeMap<BlobId, VersionId>, DataError> {
        let all: Vec<(BlobId, VersionId)> = self.version_roots().await?.into_iter().collect();
        let mut roots = BTreeMap::new();
        for some in all.chunks(TOGETHER) {
            let ids = some.iter().map(|(root, _)| *root).collect();
            let damaged = self.blobs.are_damaged(ids).await?;
            let damaged = some.iter().zip(damaged).filter(|(_, is_damaged)| *is_damaged);
            roots.extend(damaged.map(|(one, _)| one.clone()));
        }
        Ok(roots)
    }

    /// Whose files are damaged, as far as the last check and the scrubs since have seen.
    pub(super) async fn known_damage(&self) -> Result<Damage, DataError> {
        let roots = self.damaged_roots().await?;
        let mut damage = Damage {
            versions: Vec::new(),
            versions_total: roots.len() as u64,
        };
        let mut memo = Memo::new();
        for (root, version) in roots.iter().take(VERSIONS_TOLD) {
            let version = self.damaged_version(*root, version, &mut memo).await?;
            damage.versions.push(version);
        }
        Ok(damage)
    }

    async fn damaged_version(
        &self,
        root: BlobId,
        version: &VersionId,
        memo: &mut Memo,
    ) -> Result<DamagedVersion, DataError> {
        let of = version.clone();
        let (files, (names, names_total)) = self
            .store
            .read(move |tx| {
                let files = versions::get(tx, &of)?.map_or(0, |summary| summary.files);
                Ok::<_, DataError>((files, versions::references(tx, &of, NAMES_TOLD)?))
            })
            .await?;
        let list = DamagedPath {
            path: String::new(),
            files_listed: Some(files),
        };
        let below = self.damaged_below(root, list, memo).await?;
        Ok(DamagedVersion {
            version: version.clone(),
            names,
            names_total,
            paths: below.paths,
            files_total: below.files,
        })
    }

    /// What is damaged below a record that is bad; `list` is what to say if it cannot be read itself. As deep as a tree
    /// is high.
    fn damaged_below<'a>(
        &'a self,
        id: BlobId,
        list: DamagedPath,
        memo: &'a mut Memo,
    ) -> BoxFuture<'a, Result<Below, DataError>> {
        async move {
            if let Some(below) = memo.get(&id) {
                return Ok(below.clone());
            }
            let mut below = Below::default();
            // Not from the records that are kept in memory: those are good.
            let read = match self.blobs.read_records(vec![id]).await {
                Ok(records) => records.first().and_then(|record| tree::Node::decode(record).ok()),
                Err(BlobError::Damaged { .. } | BlobError::NotFound { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            match read {
                None => below.add(list.files_listed.unwrap_or(0), [list]),
                Some(tree::Node::Leaf(entries)) => {
                    let ids = entries.iter().map(|entry| entry.blob).collect();
                    let damaged = self.blobs.are_damaged(ids).await?;
                    for (entry, _) in entries.into_iter().zip(damaged).filter(|(_, is)| *is) {
                        let path = entry.path.to_string();
                        let files_listed = None;
                        below.add(1, [DamagedPath { path, files_listed }]);
                    }
                }
                Some(tree::Node::Branch { children, .. }) => {
                    let ids = children.iter().map(|child| child.id).collect();
                    let damaged = self.blobs.are_damaged(ids).await?;
                    for (child, _) in children.into_iter().zip(damaged).filter(|(_, is)| *is) {
                        let list = DamagedPath {
                            path: child.first.to_string(),
                            files_listed: Some(child.files),
                        };
                        let more = self.damaged_below(child.id, list, memo).await?;
                        below.add(more.files, more.paths);
                    }
                }
            }
            memo.insert(id, below.clone());
            Ok(below)
        }
        .boxed()
    }
}
