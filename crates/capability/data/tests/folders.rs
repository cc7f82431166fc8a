//! Folders of this machine as versions, and versions as folders.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use corliss_blobstore::{Backend, BlobError, BlobStore, MemoryBackend, Object};
use corliss_data::snapshot::{self, Memory, Snapshot};
use corliss_data::{DataError, DataService, Limits, MIGRATIONS};
use corliss_keyring::MemoryRootKey;
use corliss_metastore::Metastore;
use corliss_types::VersionId;
use support::{send, service_with};

fn take(folder: &Path) -> Snapshot {
    let options = snapshot::Options::of(snapshot::Kind::Data);
    let listing = snapshot::list(folder, &options, &Memory::default()).unwrap();
    listing.read(&|_| ()).unwrap()
}

/// A version of some files that belongs to no dataset.
async fn recorded(service: &DataService, files: &[(&str, &str)]) -> VersionId {
    let version = send(service, files).await;
    service.record_version(&version).await.unwrap().version
}

async fn blobs_in(folder: &Path) -> BlobStore {
    let root = Arc::new(MemoryRootKey::new().unwrap());
    BlobStore::open_folder(&folder.join("blobs"), root).await.unwrap()
}

async fn on_disk(folder: &Path) -> DataService {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let blobs = blobs_in(folder).await;
    service_with(store, blobs, Limits::default()).0
}

fn read_back(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let taken = take(folder);
    let entries = taken.entries().iter();
    entries
        .map(|entry| {
            (
                entry.path.to_string(),
                fs::read(folder.join(entry.path.as_str())).unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_folder_published_and_laid_out_is_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let service = on_disk(folder.path()).await;
    let source = folder.path().join("source");
    fs::create_dir_all(source.join("deep/er")).unwrap();
    for index in 0..700 {
        fs::write(source.join(format!("f{index}")), format!("{}", index % 50)).unwrap();
    }
    fs::write(source.join("deep/er/tool"), vec![9; 2_000_000]).unwrap();
    fs::set_permissions(source.join("deep/er/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    let published = service.publish_directory(&source).await.unwrap();
    assert_eq!((published.files, published.created), (701, true));
    let again = service.publish_directory(&source).await.unwrap();
    assert_eq!((&again.version, again.created), (&published.version, false));
    let client = take(&source).tree().unwrap().0;
    assert_eq!(client.version(), published.version, "client and server agree");

    let target = folder.path().join("work/input");
    service.materialise(&published.version, &target).await.unwrap();
    assert_eq!(read_back(&target), read_back(&source));
    let mode = |path: &str| fs::metadata(target.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("f1"), mode("deep/er/tool"), mode("deep"), mode("")),
        (0o444, 0o555, 0o555, 0o555)
    );
    service
        .verify_directory(&published.version, &target)
        .await
        .unwrap();
    let republished = service.publish_directory(&target).await.unwrap();
    assert_eq!(republished.version, published.version);
}

#[tokio::test]
async fn a_laid_out_folder_is_reused_untouched_and_replaced_when_spoilt() {
    let folder = tempfile::tempdir().unwrap();
    let service = on_disk(folder.path()).await;
    let version = recorded(&service, &[("a/b", "kept"), ("c", "kept too")]).await;
    let target = folder.path().join("input");
    service.materialise(&version, &target).await.unwrap();
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let first = inode(&target);
    service.materialise(&version, &target).await.unwrap();
    assert_eq!(inode(&target), first, "reused");

    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil); 4] = [
        ("same length, old time", |root| {
            let path = root.join("a/b");
            let times = fs::metadata(&path).unwrap().modified().unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(&path, "SPOT").unwrap();
            fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(times)
                .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        }),
        ("a file too many", |root| {
            fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
            fs::write(root.join("extra"), "").unwrap();
            fs::set_permissions(root, fs::Permissions::from_mode(0o555)).unwrap();
        }),
        ("a file too few", |root| {
            fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
            fs::remove_file(root.join("c")).unwrap();
            fs::set_permissions(root, fs::Permissions::from_mode(0o555)).unwrap();
        }),
        ("another version's folder", |root| {
            let stamps = root.with_file_name(".input.stamps");
            let text = fs::read_to_string(&stamps).unwrap();
            fs::write(&stamps, text.replacen("v_", "v_0", 1)).unwrap();
        }),
    ];
    for (how, spoil) in spoil {
        spoil(&target);
        service.materialise(&version, &target).await.unwrap();
        service.verify_directory(&version, &target).await.unwrap();
        assert_eq!(fs::read(target.join("a/b")).unwrap(), b"kept", "{how}");
        assert!(!target.join("extra").exists(), "{how}");
    }
    let beside: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".input"))
        .collect();
    assert_eq!(beside, [".input.stamps"], "nothing else is left behind");
    // What a crash in the middle would leave.
    fs::create_dir_all(folder.path().join(".fresh.building/half")).unwrap();
    service
        .materialise(&version, &folder.path().join("fresh"))
        .await
        .unwrap();
    assert!(!folder.path().join(".fresh.building").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_steps_may_want_the_same_folder_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let service = on_disk(folder.path()).await;
    let version = recorded(&service, &[("a/b", "1"), ("c", "2")]).await;
    let target = folder.path().join("input");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (service, version, target) = (service.clone(), version.clone(), target.clone());
            tokio::spawn(async move {
                service.materialise(&version, &target).await.unwrap();
                assert_eq!(fs::read(target.join("a/b")).unwrap(), b"1");
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn damage_is_named_and_nothing_is_laid_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let blobs = blobs_in(folder.path()).await;
    let (first, _) = service_with(store.clone(), blobs, Limits::default());
    let version = recorded(&first, &[("a", "1")]).await;
    // Other bytes under the metadata: the version is known, its tree and files are not.
    let empty = BlobStore::in_memory().await.unwrap();
    let (second, _) = service_with(store, empty.clone(), Limits::default());
    let target = folder.path().join("input");
    let gone = second.materialise(&version, &target).await.unwrap_err();
    assert!(matches!(gone, DataError::TreeDamaged { .. }), "{gone:?}");
    assert!(!target.exists());
}

/// Fails every operation after the first few, as a machine does that stops.
struct Stopping {
    inner: MemoryBackend,
    left: AtomicUsize,
}

impl Stopping {
    fn step(&self) -> Result<(), BlobError> {
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(|_| ()).map_err(|_| BlobError::Incoming {
            message: "stopped".to_owned(),
        })
    }
}

#[async_trait::async_trait]
impl Backend for Stopping {
    fn place(&self) -> String {
        self.inner.place()
    }
    async fn put(&self, name: &str, parts: Vec<Bytes>) -> Result<(), BlobError> {
        self.step()?;
        self.inner.put(name, parts).await
    }
    async fn put_if(&self, name: &str, expected: Option<&[u8]>, new: Bytes) -> Result<bool, BlobError> {
        self.step()?;
        self.inner.put_if(name, expected, new).await
    }
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        self.inner.get(name).await
    }
    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        self.step()?;
        self.inner.read(name, ranges).await
    }
    async fn size(&self, name: &str) -> Result<Option<u64>, BlobError> {
        self.inner.size(name).await
    }
    async fn list(&self, folder: &str) -> Result<Vec<Object>, BlobError> {
        self.inner.list(folder).await
    }
    async fn remove(&self, name: &str) -> Result<(), BlobError> {
        self.step()?;
        self.inner.remove(name).await
    }
}

#[tokio::test]
async fn wherever_publishing_stops_what_is_recorded_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(source.join(name), name).unwrap();
    }
    let version = take(&source).tree().unwrap().0.version();
    let mut stopped = 0;
    for steps in 0.. {
        let backend = Arc::new(Stopping {
            inner: MemoryBackend::default(),
            left: usize::MAX.into(),
        });
        let root = Arc::new(MemoryRootKey::new().unwrap());
        let index = folder.path().join(format!("index-{steps}"));
        let blobs = BlobStore::open_backend(Arc::clone(&backend) as _, root, &index);
        let blobs = blobs.await.unwrap();
        let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
        let (service, _) = service_with(store, blobs.clone(), Limits::default());
        backend.left.store(steps, Ordering::SeqCst);
        let target = folder.path().join(format!("input-{steps}"));
        let first = service.publish_directory(&source).await;
        let laid_out = match &first {
            Ok(published) => service.materialise(&published.version, &target).await.is_ok(),
            Err(_) => false,
        };
        // Started again, the same call ends the work.
        backend.left.store(usize::MAX, Ordering::SeqCst);
        if service.version(&version).await.is_ok() {
            for entry in service.files(&version, "", 10).await.unwrap() {
                blobs.verify(entry.blob).await.unwrap();
            }
        }
        assert_eq!(target.exists(), laid_out, "a folder appears whole or not at all");
        let second = service.publish_directory(&source).await.unwrap();
        service.materialise(&second.version, &target).await.unwrap();
        assert_eq!(second.created, first.is_err());
        assert_eq!(read_back(&target), read_back(&source));
        if laid_out {
            break;
        }
        stopped += 1;
    }
    assert_eq!(
        stopped, 5,
        "the count of what the key sealed, the pack of the files, that of the tree, reading the tree, reading the files"
    );
}
