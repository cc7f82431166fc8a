//! Changing keys touches no byte of data; destroying them ends it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use corliss_blobstore::{
    Backend, BlobError, BlobId, BlobStore, CheckOptions, CollectOptions, DiskBackend, MemoryBackend,
    ScrubOptions,
};
use corliss_keyring::{FileRootKey, KeyError, MemoryRootKey, RootKey, RootKeys, TenantKeys, inspect};
use corliss_testkit::noise::noise;
use tokio::io::AsyncReadExt;

fn root(folder: &Path, name: &str) -> Arc<FileRootKey> {
    Arc::new(FileRootKey::open(&folder.join(name)).unwrap())
}

/// The task that writes packs lets go of the folder a moment after the store.
async fn open(folder: &Path, root: Arc<dyn RootKey>) -> Result<BlobStore, BlobError> {
    let blobs = folder.join("blobs");
    for _ in 0..500 {
        match BlobStore::open_folder(&blobs, root.clone()).await {
            Err(BlobError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            other => return other,
        }
    }
    panic!("the folder is still in use");
}

/// Every pack, with its bytes and when it was written.
fn packs(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut packs = BTreeMap::new();
    let mut folders = vec![folder.join("blobs/packs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let written = fs::metadata(&path).unwrap().modified().unwrap();
                packs.insert(path.clone(), (fs::read(&path).unwrap(), written));
            }
        }
    }
    packs
}

#[tokio::test]
async fn keys_are_rotated_moved_and_retired_without_touching_a_pack() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = root(folder, "first.key");
    let store = open(folder, first.clone()).await.unwrap();
    let blob = store.put(&mut &b"what stays"[..], None).await.unwrap().blob.id;
    let before = packs(folder);
    assert_eq!(before.len(), 1);

    // A newer root key in the same file, the older one gone for good.
    first.add().unwrap();
    let summary = store.keyring().rewrap().await.unwrap().unwrap();
    assert_eq!(
        first.retire(&BTreeSet::from([summary.root_key])).unwrap().len(),
        1
    );
    store.keyring().rotate().await.unwrap();
    assert_eq!(store.read_all(blob, u64::MAX).await.unwrap(), b"what stays");
    drop(store);

    // Another keeper, the first one gone for good.
    let both = RootKeys::new(root(folder, "second.key"), vec![root(folder, "first.key")]);
    let store = open(folder, Arc::new(both)).await.unwrap();
    store.keyring().rewrap().await.unwrap().unwrap();
    drop(store);
    fs::remove_file(folder.join("first.key")).unwrap();
    let store = open(folder, root(folder, "second.key")).await.unwrap();
    assert_eq!(store.read_all(blob, u64::MAX).await.unwrap(), b"what stays");
    assert_eq!(packs(folder), before);
    let newer = store.put(&mut &b"what is new"[..], None).await.unwrap().blob.id;
    assert_eq!(store.read_all(newer, u64::MAX).await.unwrap(), b"what is new");
}

#[tokio::test]
async fn destroyed_keys_end_the_data_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let store = open(folder, root(folder, "root.key")).await.unwrap();
    let blob = store.put(&mut &b"a secret"[..], None).await.unwrap().blob.id;
    let large = noise(20 << 20, 1);
    let large = store.put(&mut &large[..], None).await.unwrap().blob.id;
    // A reader under way, of which the first windows were read before.
    let mut reading = store.open(large, None).await.unwrap();
    let mut some = vec![0; 1000];
    reading.bytes.read_exact(&mut some).await.unwrap();
    let destroyed = store.keyring().destroy("ada").await.unwrap();
    let mut rest = Vec::new();
    let broken = reading.bytes.read_to_end(&mut rest).await.unwrap_err();
    assert!(
        broken.to_string().contains("were destroyed by ada on 2"),
        "{broken}"
    );
    let is_so = |error: BlobError| assert_eq!(error, BlobError::Key(KeyError::Destroyed(destroyed.clone())));
    let mut store = store;
    for _ in 0..2 {
        is_so(store.read_all(blob, u64::MAX).await.unwrap_err());
        is_so(store.open(large, Some(0..10)).await.err().unwrap());
        is_so(store.read_pieces(vec![blob], 1).await.unwrap_err());
        is_so(store.stat(blob).await.unwrap_err());
        is_so(store.missing(vec![blob]).await.unwrap_err());
        is_so(store.put(&mut &b"another"[..], None).await.map(drop).unwrap_err());
        is_so(store.check(&CheckOptions::default(), &|_| {}).await.unwrap_err());
        is_so(
            store
                .scrub(ScrubOptions::default(), &|_| {})
                .await
                .map(drop)
                .unwrap_err(),
        );
        let mut none: Vec<BlobId> = Vec::new();
        is_so(
            store
                .collect(&mut none, CollectOptions::default(), &|_| {})
                .await
                .map(drop)
                .unwrap_err(),
        );
        // And after a start, which the store survives.
        drop(store);
        store = open(folder, root(folder, "root.key")).await.unwrap();
        assert!(!folder.join("blobs/index").exists(), "it tells what was stored");
    }
    assert_eq!(store.keyring().destroy("bob").await.unwrap(), destroyed);
    drop(store);
    let backend = loop {
        match DiskBackend::open(&folder.join("blobs")).await {
            Err(BlobError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
            backend => break Arc::new(backend.unwrap()),
        }
    };
    let shelf = BlobStore::shelf(backend);
    let seen = inspect("default", shelf.as_ref()).await.unwrap();
    assert_eq!(seen, Some(TenantKeys::Destroyed(destroyed.clone())));
}

/// Two servers share a bucket: neither may lose the keys that the other has made.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_that_somebody_else_made_are_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let root: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
    let mut opening = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (backend, root) = (Arc::clone(&backend), Arc::clone(&root));
        let index = folder.path().join(number.to_string());
        opening.spawn(async move { BlobStore::open_backend(backend, root, &index).await.unwrap() });
    }
    let stores = opening.join_all().await;
    let blob = stores[0].put(&mut &b"first"[..], None).await.unwrap().blob.id;
    // Its use of the keys was counted; who does not know of that must look again.
    let stale = stores[1].keyring().rotate().await.unwrap_err();
    assert!(matches!(stale, KeyError::Changed { .. }), "{stale:?}");
    let index = folder.path().join("later");
    let later = BlobStore::open_backend(backend, root, &index).await.unwrap();
    assert_eq!(later.read_all(blob, u64::MAX).await.unwrap(), b"first");
    later.keyring().rotate().await.unwrap();
    assert!(stores[0].keyring().rotate().await.is_err());
    let newer = later.put(&mut &b"newer"[..], None).await.unwrap().blob.id;
    assert_eq!(later.read_all(newer, u64::MAX).await.unwrap(), b"newer");
}
