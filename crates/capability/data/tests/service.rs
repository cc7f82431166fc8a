//! Datasets, versions and lineage, on every metadata store.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use corliss_blobstore::{Backend, BlobError, BlobId, BlobStore, MemoryBackend, Object};
use corliss_clock::{ManualClock, Sources};
use corliss_data::{
    DataError, DataService, Direction, Edge, Entry, Limits, MIGRATIONS, NodeKind, NodeRef, Reference,
    Relation, Tree, snapshot,
};
use corliss_keyring::MemoryRootKey;
use corliss_metastore::Metastore;
use corliss_testkit::metastore::for_each_backend;
use corliss_types::{DatasetName, DurationMs, Timestamp};

fn service_with(store: Metastore, blobs: BlobStore, limits: Limits) -> (DataService, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
    (
        DataService::new(store, blobs, Sources::replayable(Arc::clone(&clock), 7), limits),
        clock,
    )
}

async fn service(store: Metastore) -> (DataService, Arc<ManualClock>) {
    service_with(store, BlobStore::in_memory().await.unwrap(), Limits::default())
}

async fn entry(service: &DataService, path: &str, text: &str) -> Entry {
    let blob = BlobId::of(text.as_bytes());
    service.put_blob(&mut text.as_bytes()).await.unwrap();
    Entry {
        path: path.parse().unwrap(),
        blob,
        size_bytes: text.len() as u64,
        executable: false,
    }
}

async fn tree(service: &DataService, files: &[(&str, &str)]) -> Tree {
    let mut entries = Vec::new();
    for (path, text) in files {
        entries.push(entry(service, path, text).await);
    }
    Tree::new(entries).unwrap()
}

fn name(text: &str) -> DatasetName {
    text.parse().unwrap()
}

#[tokio::test]
async fn names_move_and_versions_stay() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, clock) = service(store).await;
        let digits = Some(name("digits"));
        let first = tree(&service, &[("a", "1"), ("b/c", "22")]).await;
        let committed = service
            .commit(digits.clone(), first.clone(), "start")
            .await
            .unwrap();
        assert_eq!(
            (committed.created, committed.files, committed.size_bytes),
            (true, 2, 3)
        );
        assert_eq!(committed.version, first.version());
        assert!(
            !service
                .commit(digits.clone(), first.clone(), "again")
                .await
                .unwrap()
                .created
        );
        clock.advance(DurationMs(5));
        let second = tree(&service, &[("a", "1")]).await;
        service
            .commit(digits.clone(), second.clone(), "less")
            .await
            .unwrap();
        clock.advance(DurationMs(5));
        assert!(
            service
                .commit(digits.clone(), first.clone(), "back")
                .await
                .unwrap()
                .created
        );

        let detail = service.dataset(&name("digits")).await.unwrap();
        let moves: Vec<(&str, i64)> = detail
            .history
            .iter()
            .map(|version| (version.message.as_str(), version.created_ms.as_millis()))
            .collect();
        assert_eq!(moves, [("back", 1010), ("less", 1005), ("start", 1000)]);
        assert_eq!(
            (detail.summary.latest, detail.summary.files),
            (first.version(), 2)
        );
        let summary = service.version(&first.version()).await.unwrap();
        assert_eq!(
            (summary.created_ms.as_millis(), summary.names),
            (1000, vec![name("digits")])
        );
        assert_eq!(*service.tree(&second.version()).await.unwrap(), second);

        for (text, expected) in [
            ("digits".to_owned(), &first),
            ("digits@latest".to_owned(), &first),
            (format!("digits@v_{}", second.version().short()), &second),
            (second.version().to_string(), &second),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(
                service.resolve(&reference).await.unwrap(),
                expected.version(),
                "{text}"
            );
        }
        for text in [
            "letters",
            "digits@v_000000000000",
            &format!("v_{}", "0".repeat(64)),
        ] {
            assert!(service.resolve(&text.parse().unwrap()).await.is_err(), "{text}");
        }
        service.commit(Some(name("apples")), second, "").await.unwrap();
        let page = service.datasets("", 10).await.unwrap();
        assert_eq!(
            page.iter()
                .map(|dataset| dataset.name.as_str())
                .collect::<Vec<_>>(),
            ["apples", "digits"]
        );
        assert_eq!(page[1].versions, 3);
        assert_eq!(
            service.datasets("apples", 1).await.unwrap()[0].name,
            name("digits")
        );
        assert_eq!(
            service.dataset(&name("none")).await,
            Err(DataError::DatasetNotFound { name: name("none") })
        );
    })
    .await;
}

#[tokio::test]
async fn a_version_is_refused_until_its_bytes_are_stored() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, _) = service(store).await;
        let blob = BlobId::of(b"later");
        let mut late = Entry {
            path: "late".parse().unwrap(),
            blob,
            size_bytes: 5,
            executable: false,
        };
        let tree = Tree::new(vec![late.clone()]).unwrap();
        let refused = service.commit(Some(name("d")), tree.clone(), "").await;
        assert_eq!(
            refused,
            Err(DataError::BlobMissing {
                path: "late".into(),
                blob
            })
        );
        assert!(matches!(
            service.tree(&tree.version()).await,
            Err(DataError::VersionNotFound { .. })
        ));
        assert_eq!(service.missing_blobs(vec![blob]).await.unwrap(), [blob]);
        service.put_blob(&mut &b"later"[..]).await.unwrap();
        assert!(service.missing_blobs(vec![blob]).await.unwrap().is_empty());
        late.size_bytes = 6;
        let lying = service.commit(None, Tree::new(vec![late]).unwrap(), "").await;
        assert_eq!(
            lying,
            Err(DataError::SizeMismatch {
                path: "late".into(),
                announced: 6,
                stored: 5
            })
        );
        assert!(service.commit(Some(name("d")), tree, "").await.unwrap().created);
        let empty = service
            .commit(None, Tree::new(Vec::new()).unwrap(), "")
            .await
            .unwrap();
        assert_eq!((empty.created, empty.files), (true, 0));
    })
    .await;
}

fn node(text: &str) -> NodeRef {
    text.parse().unwrap()
}

fn edge(from: &str, relation: Relation, to: &str) -> Edge {
    Edge {
        from: node(from),
        to: node(to),
        relation,
    }
}

#[tokio::test]
async fn lineage_is_followed_one_way_at_a_time() {
    for_each_backend(&[MIGRATIONS], |store| async move {
        let (service, _) = service_with(
            store,
            BlobStore::in_memory().await.unwrap(),
            Limits {
                lineage_nodes: 6,
                ..Limits::default()
            },
        );
        let data = tree(&service, &[("a", "1")]).await;
        service
            .commit(Some(name("digits")), data.clone(), "")
            .await
            .unwrap();
        let data = format!("version:{}", data.version());
        let edges = vec![
            edge(&data, Relation::Input, "run:run_1"),
            edge("version:code", Relation::Code, "run:run_1"),
            edge("run:run_1", Relation::Output, "version:weights"),
            edge("version:weights", Relation::Registered, "model:digits/1"),
            edge("model:digits/1", Relation::Deployed, "endpoint:digits"),
            edge(&data, Relation::Input, "run:run_2"),
        ];
        service.record_lineage(edges.clone()).await.unwrap();
        service.record_lineage(edges).await.unwrap();
        let ids = |graph: &corliss_data::LineageGraph| {
            graph
                .nodes
                .iter()
                .map(|node| node.id.to_string())
                .collect::<Vec<_>>()
        };
        let up = service
            .lineage(&node("model:digits/1"), Direction::Up)
            .await
            .unwrap();
        assert_eq!(
            ids(&up),
            [
                "model:digits/1",
                "version:weights",
                "run:run_1",
                "version:code",
                &data
            ]
        );
        assert_eq!((up.edges.len(), up.truncated), (4, false));
        assert!(up.nodes[4].label.starts_with("digits@"), "{}", up.nodes[4].label);
        let down = service.lineage(&node(&data), Direction::Down).await.unwrap();
        assert_eq!(down.nodes.len(), 6);
        assert!(!down.truncated);
        let both = service
            .lineage(&node("run:run_1"), Direction::Both)
            .await
            .unwrap();
        assert_eq!(
            (both.nodes.len(), both.truncated),
            (6, false),
            "not the run beside it"
        );
        service
            .record_lineage(vec![edge(&data, Relation::Input, "run:run_3")])
            .await
            .unwrap();
        let down = service.lineage(&node(&data), Direction::Down).await.unwrap();
        assert_eq!((down.nodes.len(), down.truncated), (6, true));
        let alone = service
            .lineage(&NodeRef::new(NodeKind::Run, "none").unwrap(), Direction::Both)
            .await
            .unwrap();
        assert_eq!((alone.nodes.len(), alone.edges.len()), (1, 0));
        // A ring, which nothing makes on purpose, must end too.
        service
            .record_lineage(vec![edge("run:a", Relation::Output, "run:b")])
            .await
            .unwrap();
        service
            .record_lineage(vec![edge("run:b", Relation::Output, "run:a")])
            .await
            .unwrap();
        assert_eq!(
            service
                .lineage(&node("run:a"), Direction::Both)
                .await
                .unwrap()
                .nodes
                .len(),
            2
        );
    })
    .await;
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
    let taken = snapshot::take(folder, &snapshot::Options::of(snapshot::Kind::Data), &()).unwrap();
    let entries = taken.tree().entries().iter();
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
    let published = service
        .publish_directory(&source, Some(name("out")), "from a step")
        .await
        .unwrap();
    assert_eq!((published.files, published.created), (701, true));
    let again = service
        .publish_directory(&source, Some(name("out")), "again")
        .await
        .unwrap();
    assert_eq!((&again.version, again.created), (&published.version, false));
    let client = snapshot::take(&source, &snapshot::Options::of(snapshot::Kind::Data), &()).unwrap();
    assert_eq!(
        client.tree().version(),
        published.version,
        "client and server agree"
    );

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
    let republished = service.publish_directory(&target, None, "").await.unwrap();
    assert_eq!(republished.version, published.version);
}

#[tokio::test]
async fn a_laid_out_folder_is_reused_untouched_and_replaced_when_spoilt() {
    let folder = tempfile::tempdir().unwrap();
    let service = on_disk(folder.path()).await;
    let tree = tree(&service, &[("a/b", "kept"), ("c", "kept too")]).await;
    let version = service.commit(None, tree, "").await.unwrap().version;
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
    let tree = tree(&service, &[("a/b", "1"), ("c", "2")]).await;
    let version = service.commit(None, tree, "").await.unwrap().version;
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
    let tree = tree(&first, &[("a", "1")]).await;
    let version = first.commit(None, tree, "").await.unwrap().version;
    // Other bytes under the metadata: the version is known, its tree and files are not.
    let empty = BlobStore::in_memory().await.unwrap();
    let (second, _) = service_with(store, empty.clone(), Limits::default());
    let target = folder.path().join("input");
    let gone = second.materialise(&version, &target).await.unwrap_err();
    assert!(matches!(gone, DataError::Damaged { .. }), "{gone:?}");
    let canonical = first.tree(&version).await.unwrap().canonical();
    empty.put(&mut canonical.as_slice(), None).await.unwrap();
    let gone = second.materialise(&version, &target).await.unwrap_err();
    assert!(matches!(gone, DataError::Blob(_)), "{gone:?}");
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
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        self.inner.get(name).await
    }
    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        self.step()?;
        self.inner.read(name, ranges).await
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
        let first = service.publish_directory(&source, Some(name("out")), "").await;
        let laid_out = match &first {
            Ok(published) => service.materialise(&published.version, &target).await.is_ok(),
            Err(_) => false,
        };
        // Started again, the same call ends the work.
        backend.left.store(usize::MAX, Ordering::SeqCst);
        for dataset in service.datasets("", 10).await.unwrap() {
            let tree = service.tree(&dataset.latest).await.unwrap();
            for entry in tree.entries() {
                blobs.verify(entry.blob).await.unwrap();
            }
        }
        assert_eq!(target.exists(), laid_out, "a folder appears whole or not at all");
        let second = service
            .publish_directory(&source, Some(name("out")), "")
            .await
            .unwrap();
        service.materialise(&second.version, &target).await.unwrap();
        assert_eq!(second.created, first.is_err());
        assert_eq!(service.dataset(&name("out")).await.unwrap().history.len(), 1);
        assert_eq!(read_back(&target), read_back(&source));
        if laid_out {
            break;
        }
        stopped += 1;
    }
    assert_eq!(
        stopped, 4,
        "the pack of the files, that of the tree, reading the tree, reading the files"
    );
}
