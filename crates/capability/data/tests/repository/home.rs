//! The stores of a repository, and the service over them, done to as a client would.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_blobstore::{BlobError, BlobId, BlobStore, CollectOptions, Roots};
use corliss_clock::{Clock, ManualClock, Sources};
use corliss_data::{DataError, DataService, Edit, Limits, MIGRATIONS, Signature, Target, transfer, tree};
use corliss_keyring::{FileRootKey, RootKey};
use corliss_metastore::{Metastore, MetastoreConfig, StoreError, params};
use corliss_types::{DurationMs, Timestamp, VersionId};

use super::AUTHOR;
use super::call::{Call, On, Outcome, Step};
use super::content::{BLOBS, Files, content, tree as tree_of};

pub struct Home {
    pub store: Metastore,
    pub blobs: BlobStore,
    pub service: DataService,
    clock: Arc<ManualClock>,
}

impl Home {
    pub async fn in_memory() -> Self {
        let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
        Self::over(store, BlobStore::in_memory().await.unwrap())
    }

    /// In a folder, as a server has it. A store that was open lets go of it a moment after it is dropped.
    pub async fn open(folder: &Path) -> Self {
        let root: Arc<dyn RootKey> = Arc::new(FileRootKey::open(&folder.join("key")).unwrap());
        let path = folder.join("corliss.db");
        let config = MetastoreConfig::Sqlite { path };
        let store = Metastore::open(&config, &[MIGRATIONS]).await.unwrap();
        for _ in 0..10_000 {
            match BlobStore::open_folder(&folder.join("blobs"), Arc::clone(&root)).await {
                Err(BlobError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                blobs => return Self::over(store, blobs.unwrap()),
            }
        }
        panic!("the folder is still in use");
    }

    fn over(store: Metastore, blobs: BlobStore) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(0)));
        let sources = Sources::replayable(Arc::clone(&clock), 7);
        let service = DataService::new(store.clone(), blobs.clone(), sources, Limits::default());
        Self {
            store,
            blobs,
            service,
            clock,
        }
    }

    /// The same stores, and nothing remembered from before.
    pub fn again(&self) -> Self {
        Self::over(self.store.clone(), self.blobs.clone())
    }

    pub async fn perform(&self, step: &Step) -> Result<Outcome, DataError> {
        let behind = step.now_ms - self.clock.now().as_millis();
        self.clock.advance(DurationMs(u64::try_from(behind).unwrap_or(0)));
        let by = Signature {
            author: AUTHOR.to_owned(),
            message: step.message.clone(),
        };
        let service = &self.service;
        match &step.call {
            Call::Commit { on, files } => {
                let version = self.send(files).await?;
                let committed = service.commit(&target(on), &version, by).await?;
                Ok(Outcome::Committed(committed))
            }
            Call::Edits { on, edits } => {
                self.send_contents(edits.iter().filter_map(|(_, number, _)| *number))
                    .await?;
                let edit = |(path, number, executable): &(String, Option<u16>, bool)| Edit {
                    path: path.parse().unwrap(),
                    blob: number.map(|number| BLOBS[usize::from(number)].0),
                    executable: *executable,
                    link: false,
                };
                let edits = edits.iter().map(edit).collect();
                let committed = service.commit_edits(&target(on), edits, by).await?;
                Ok(Outcome::Committed(committed))
            }
            Call::Merge {
                on,
                from,
                policy,
                always_commit,
            } => {
                let (on, from) = (target(on), from.reference());
                let merged = service.merge(&on, &from, *policy, *always_commit, by).await?;
                Ok(Outcome::Merged(merged))
            }
            Call::Revert { on, of, policy } => {
                let (on, of) = (target(on), of.reference());
                let committed = service.revert(&on, &of, *policy, by).await?;
                Ok(Outcome::Committed(committed))
            }
            Call::CherryPick { on, of, policy } => {
                let (on, of) = (target(on), of.reference());
                let committed = service.cherry_pick(&on, &of, *policy, by).await?;
                Ok(Outcome::Committed(committed))
            }
            Call::Collect => self.collect().await.map(|()| Outcome::Done),
            call => self.move_names(call).await,
        }
    }

    async fn move_names(&self, call: &Call) -> Result<Outcome, DataError> {
        let service = &self.service;
        let info = match call {
            Call::CreateRef {
                dataset,
                kind,
                name,
                at,
            } => {
                let (dataset, name) = (dataset.parse().unwrap(), name.parse()?);
                service
                    .create_ref(&dataset, *kind, &name, &at.reference(), AUTHOR)
                    .await?
            }
            Call::MoveBranch { on, to } => {
                let (target, to) = (target(on), to.reference());
                let branch = target.branch.unwrap();
                service
                    .move_branch(&target.dataset, &branch, &to, on.expected.as_ref(), AUTHOR)
                    .await?
            }
            Call::DeleteRef { on, kind } => {
                let target = target(on);
                let name = target.branch.unwrap();
                service
                    .delete_ref(&target.dataset, *kind, &name, on.expected.as_ref(), AUTHOR)
                    .await?
            }
            Call::Protect {
                dataset,
                branch,
                protected,
            } => {
                let (dataset, branch) = (dataset.parse().unwrap(), branch.parse()?);
                service.protect_branch(&dataset, &branch, *protected).await?
            }
            Call::DeleteDataset { dataset } => {
                service.delete_dataset(&dataset.parse().unwrap()).await?;
                return Ok(Outcome::Done);
            }
            other => panic!("{other:?}"),
        };
        Ok(Outcome::Ref(info))
    }

    /// Sends what is not stored of these contents.
    async fn send_contents(&self, numbers: impl Iterator<Item = u16>) -> Result<(), DataError> {
        for number in numbers {
            let (blob, _) = BLOBS[usize::from(number)];
            if !self.service.missing_blobs(vec![blob]).await?.is_empty() {
                self.service.put_blob(&mut &*content(number)).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, files: &Files) -> Result<VersionId, DataError> {
        self.send_contents(files.values().map(|(number, _)| *number))
            .await?;
        let (root, pieces) = tree_of(files);
        let mut body = Vec::new();
        for piece in pieces {
            transfer::append(piece.kind, &piece.bytes, &mut body);
        }
        self.service.put_pieces(body.into()).await?;
        Ok(root.version())
    }

    /// Removes what no commit of a dataset needs, at once.
    async fn collect(&self) -> Result<(), DataError> {
        let options = CollectOptions {
            grace: Duration::ZERO,
            live_percent: 90,
            wait: Duration::from_secs(20),
            ..CollectOptions::default()
        };
        let mut roots = VersionRoots(Some(self.store.clone()));
        self.blobs.collect(&mut roots, options, &|_| {}).await?;
        Ok(())
    }
}

fn target(on: &On) -> Target {
    Target {
        dataset: on.dataset.parse().unwrap(),
        branch: on.branch.as_ref().map(|name| name.parse().unwrap()),
        expected: on.expected.clone(),
    }
}

/// The versions of every dataset, asked for once the store notes what it answers.
struct VersionRoots(Option<Metastore>);

#[async_trait]
impl Roots for VersionRoots {
    async fn next(&mut self) -> Result<Vec<BlobId>, BlobError> {
        let Some(store) = self.0.take() else {
            return Ok(Vec::new());
        };
        let versions = store.read(|tx| {
            let sql = "SELECT DISTINCT c.version FROM data_commit c JOIN data_dataset_commit m ON m.commit_id = c.id";
            let rows = tx.query(sql, params![])?;
            let each = rows.iter().map(|row| row.parse::<VersionId>("version"));
            each.collect::<Result<Vec<_>, StoreError>>()
        });
        let versions = versions.await.unwrap();
        Ok(versions.iter().filter_map(tree::root_of).collect())
    }
}
