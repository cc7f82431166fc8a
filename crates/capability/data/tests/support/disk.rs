//! A home on a disk, and commits whose content a number decides.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use corliss_blobstore::{BlobError, BlobStore};
use corliss_clock::Sources;
use corliss_data::tree::Builder;
use corliss_data::{
    CollectWish, Committed, DataError, DataService, Entry, Limits, MIGRATIONS, Remotes, transfer,
};
use corliss_keyring::{FileRootKey, RootKey};
use corliss_metastore::{Metastore, MetastoreConfig};
use corliss_testkit::noise::noise;
use corliss_types::CommitId;

use super::support::{NothingElse, by, name, on};

/// The stores of a home, and the service over them.
pub struct Home {
    pub blobs: BlobStore,
    pub service: DataService,
}

impl Home {
    pub async fn open(folder: &Path, remotes: Remotes) -> Result<Self, DataError> {
        let path = folder.join("corliss.db");
        let store = Metastore::open(&MetastoreConfig::Sqlite { path }, &[MIGRATIONS]).await?;
        let root = FileRootKey::open(&folder.join("key")).map_err(BlobError::from)?;
        let root: Arc<dyn RootKey> = Arc::new(root);
        let blobs = loop {
            match BlobStore::open_folder(&folder.join("blobs"), Arc::clone(&root)).await {
                // A store that was open lets go of it a moment after it is dropped.
                Err(BlobError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                blobs => break blobs?,
            }
        };
        Ok(Self::over(store, blobs, remotes))
    }

    pub async fn in_memory(remotes: Remotes) -> Self {
        let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
        Self::over(store, BlobStore::in_memory().await.unwrap(), remotes)
    }

    fn over(store: Metastore, blobs: BlobStore, remotes: Remotes) -> Self {
        let service = DataService::new(store, blobs.clone(), Sources::system(), Limits::default());
        let service = service.with_remotes(remotes);
        Self { blobs, service }
    }

    pub async fn commit(&self, dataset: &str, round: u64) -> Result<Committed, DataError> {
        let mut builder = Builder::default();
        for (path, bytes) in files(round) {
            let blob = self.service.put_blob(&mut &bytes[..]).await?.blob;
            builder.push(&Entry {
                path: path.parse()?,
                blob: blob.id,
                size_bytes: blob.size_bytes,
                executable: false,
                link: false,
            })?;
        }
        let root = builder.finish()?;
        let mut body = Vec::new();
        for piece in builder.take_pieces() {
            transfer::append(piece.kind, &piece.bytes, &mut body);
        }
        self.service.put_pieces(body.into()).await?;
        let by = by(&format!("round {round}"));
        self.service.commit(&on(dataset), &root.version(), by).await
    }

    /// Lets what was committed beside go, and collects.
    pub async fn collect(&self, round: u64) -> Result<(), DataError> {
        self.commit("scrap", 100 + round).await?;
        self.service.delete_dataset(&name("scrap")).await?;
        let wish = CollectWish {
            grace_seconds: 0,
            ..CollectWish::default()
        };
        self.service.collect(&NothingElse, wish, &|_| {}).await?;
        Ok(())
    }

    /// The commit has the files of its round.
    pub async fn is_whole(&self, commit: &CommitId, round: u64) {
        let info = self.service.commit_info(commit).await.unwrap();
        assert_eq!(info.what.message, format!("round {round}"));
        for (path, bytes) in files(round) {
            let entry = self.service.file(&info.what.version, path).await.unwrap();
            let read = self.blobs.read_all(entry.blob, u64::MAX).await;
            assert!(read.unwrap() == bytes, "{path} of round {round}");
        }
    }
}

/// Small, larger than a chunk, and larger than what passes the page cache.
pub fn files(round: u64) -> Vec<(&'static str, Vec<u8>)> {
    let large = if round.is_multiple_of(3) {
        1_300_000
    } else {
        300_000
    };
    vec![
        ("large", noise(large, 7 * round)),
        ("small", noise(900, 7 * round + 1)),
    ]
}
