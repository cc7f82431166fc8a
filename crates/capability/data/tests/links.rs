//! Files that are linked to objects of sources: that they read as if they were stored, what is told when they cannot
//! be, what a client can and cannot do with a link, and what is carried, kept and collected.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

#[path = "support/api.rs"]
mod api;
#[path = "support/lake.rs"]
mod lake;
mod support;
#[path = "support/remotes.rs"]
mod two;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::{call, router};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_blobstore::{BlobId, BlobStore, BucketLimits};
use corliss_clock::Sources;
use corliss_data::remote::Counters;
use corliss_data::{
    ChangeKind, CollectWish, DataError, DataService, Edit, Entry, ImportSources, ImportWish, Imported,
    Limits, Link, LinkTrouble, MIGRATIONS, Preview, Remotes, SourceSettings,
};
use corliss_diagnostics::Diagnose;
use corliss_metastore::Metastore;
use corliss_testkit::noise::noise;
use corliss_testkit::s3::{Bucket, fresh_bucket};
use corliss_types::VersionId;
use http::{Method, Request, StatusCode};
use lake::{Lake, of_bucket, settings};
use serde_json::{Value, json};
use support::{NothingElse, by, name, on, send_tree};
use tokio::io::AsyncReadExt;

/// An installation, whose blobs can be looked at.
struct World {
    store: Metastore,
    blobs: BlobStore,
    service: DataService,
}

impl World {
    async fn new(sources: ImportSources) -> Self {
        let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
        let blobs = BlobStore::in_memory().await.unwrap();
        let service = service(&store, &blobs, sources);
        Self {
            store,
            blobs,
            service,
        }
    }
}

fn service(store: &Metastore, blobs: &BlobStore, sources: ImportSources) -> DataService {
    DataService::new(store.clone(), blobs.clone(), Sources::system(), Limits::default()).with_sources(sources)
}

fn wish(prefix: &str, link: bool) -> ImportWish {
    ImportWish {
        source: "lake".to_owned(),
        prefix: prefix.to_owned(),
        to: None,
        target: on("d"),
        link,
        by: by(""),
    }
}

async fn import(service: &DataService, wish: &ImportWish) -> Result<Imported, DataError> {
    service.import(wish, &Arc::new(Counters::default())).await
}

async fn latest(service: &DataService) -> VersionId {
    service.dataset(&name("d")).await.unwrap().summary.latest
}

async fn read(service: &DataService, version: &VersionId, path: &str) -> Result<Vec<u8>, DataError> {
    let (_, mut reader) = service.open_file(version, path).await?;
    let mut bytes = Vec::new();
    reader.bytes.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(reader.len, bytes.len() as u64);
    Ok(bytes)
}

/// All files of the head, with their bytes.
async fn files(service: &DataService) -> BTreeMap<String, Vec<u8>> {
    let version = latest(service).await;
    let mut all = BTreeMap::new();
    for file in service.files(&version, "", 1000).await.unwrap() {
        let bytes = read(service, &version, file.path.as_str()).await.unwrap();
        all.insert(file.path.to_string(), bytes);
    }
    all
}

fn trouble(error: &DataError) -> &LinkTrouble {
    match error {
        DataError::Link { trouble, .. } => trouble,
        other => panic!("{other:?}"),
    }
}

fn changed(key: &str) -> LinkTrouble {
    let (source, key) = ("lake".to_owned(), key.to_owned());
    LinkTrouble::Changed { source, key }
}

fn gone(key: &str) -> LinkTrouble {
    let (source, key) = ("lake".to_owned(), key.to_owned());
    LinkTrouble::Gone { source, key }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linked_files_read_as_if_they_were_stored_and_are_not() {
    for lake in Lake::both().await {
        let large = noise(9 << 20, 1);
        for (key, bytes) in [
            ("in/a.csv", &b"x,y\n1,2\n3,4\n"[..]),
            ("in/deep/b c%&\u{e9}.txt", b"two"),
            ("in/empty", b""),
            ("in/large.bin", &large),
        ] {
            lake.put(key, bytes).await;
        }
        let world = World::new(lake.sources()).await;
        let service = &world.service;
        let first = import(service, &wish("in", true)).await.unwrap();
        let bytes = 12 + 3 + large.len() as u64;
        assert_eq!((first.copied, first.copied_bytes, first.unchanged), (0, 0, 0));
        assert_eq!((first.linked, first.linked_bytes), (4, bytes));
        assert_eq!((first.committed.files, first.committed.size_bytes), (4, bytes));
        assert!(world.blobs.stat(BlobId::of_blob(&large)).await.unwrap().is_none());
        let stored = service.storage().await.unwrap();
        assert!(stored.unique_bytes < 10_000, "{stored:?}");

        let all = files(service).await;
        assert_eq!(all["deep/b c%&\u{e9}.txt"], b"two");
        assert_eq!((all["large.bin"] == large, all["empty"].len()), (true, 0));
        let version = latest(service).await;
        let summary = service.version(&version).await.unwrap();
        assert_eq!((summary.linked_files, summary.linked_bytes), (4, bytes));
        let preview = service.preview(&version, "a.csv", 1, 10).await.unwrap();
        let Preview::Table { rows, .. } = preview else {
            panic!("{preview:?}");
        };
        assert!(serde_json::to_string(&rows).unwrap().contains('4'), "{rows:?}");
        let detail = service.dataset(&name("d")).await.unwrap();
        assert_eq!(detail.history[0].what.message, "Link lake/in");

        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("laid-out");
        service.materialise(&version, &place).await.unwrap();
        service.verify_directory(&version, &place).await.unwrap();
        assert!(std::fs::read(place.join("large.bin")).unwrap() == large);
        let mode = std::fs::metadata(place.join("empty"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o444);

        let again = import(service, &wish("in/", true)).await.unwrap();
        assert_eq!((again.linked, again.unchanged), (0, 4));
        assert!(!again.committed.created, "nothing is new");
        lake.put("in/new", b"new").await;
        let more = import(service, &wish("in", true)).await.unwrap();
        assert_eq!((more.linked, more.linked_bytes, more.unchanged), (1, 3, 4));
    }
}

/// What an import makes depends on what is asked for and on the objects, and on nothing that was there before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_replaces_a_link_and_a_link_a_copy() {
    for lake in Lake::both().await {
        lake.put("a", b"1").await;
        lake.put("b/c", b"22").await;
        let world = World::new(lake.sources()).await;
        let service = &world.service;
        let linked = import(service, &wish("", true)).await.unwrap().committed.version;
        let copied = import(service, &wish("", false)).await.unwrap();
        assert_eq!((copied.copied, copied.unchanged), (2, 0));
        assert_ne!(copied.committed.version, linked);
        let summary = service.version(&copied.committed.version).await.unwrap();
        assert_eq!((summary.linked_files, summary.linked_bytes), (0, 0));
        assert_eq!(
            files(service).await,
            BTreeMap::from([
                ("a".to_owned(), b"1".to_vec()),
                ("b/c".to_owned(), b"22".to_vec())
            ])
        );
        let changes = service
            .diff(&linked, &copied.committed.version, "", 10)
            .await
            .unwrap();
        assert_eq!(changes.len(), 2, "{changes:?}");
        let again = import(service, &wish("", true)).await.unwrap();
        assert_eq!((again.committed.version, again.linked), (linked, 2));
        // The copies are still there.
        let back = import(service, &wish("", false)).await.unwrap();
        assert_eq!((back.copied, back.unchanged), (0, 2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_or_is_gone_is_told_by_file_and_object() {
    for lake in Lake::both().await {
        for (key, bytes) in [("in/a", "aaaa"), ("in/b", "bbbb"), ("in/c", "cccc")] {
            lake.put(key, bytes.as_bytes()).await;
        }
        let world = World::new(lake.sources()).await;
        let service = &world.service;
        import(service, &wish("in", true)).await.unwrap();
        let version = latest(service).await;
        // Longer: a folder's clock may not have ticked since.
        lake.put("in/a", b"AAAAAA").await;
        lake.remove("in/b").await;
        let error = read(service, &version, "a").await.unwrap_err();
        assert_eq!(trouble(&error), &changed("in/a"));
        assert_eq!(
            error.to_string(),
            "'a' is linked to 'in/a' of source 'lake', which was changed since"
        );
        assert_eq!(error.code(), "data_link_changed");
        assert!(error.hint().unwrap().contains("--link"));
        let error = read(service, &version, "b").await.unwrap_err();
        assert_eq!((trouble(&error), error.code()), (&gone("in/b"), "data_link_gone"));
        assert_eq!(read(service, &version, "c").await.unwrap(), b"cccc");
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("laid-out");
        let error = service.materialise(&version, &place).await.unwrap_err();
        assert!(matches!(
            trouble(&error),
            LinkTrouble::Changed { .. } | LinkTrouble::Gone { .. }
        ));
        assert!(!place.exists(), "a folder appears whole or not at all");
        let error = service.preview(&version, "a", 0, 10).await.unwrap_err();
        assert_eq!(trouble(&error), &changed("in/a"));

        let router = router(service);
        let at = |path: &str| format!("versions/{version}/files/{path}");
        let (status, told) = call(&router, Method::GET, &at("b"), Value::Null).await;
        assert_eq!(
            (status, &told["error"]["code"]),
            (StatusCode::CONFLICT, &json!("data_link_gone"))
        );

        // As the hint says. What is gone stays as it was: an import removes nothing.
        let again = import(service, &wish("in", true)).await.unwrap();
        assert_eq!((again.linked, again.unchanged), (1, 1));
        let now = latest(service).await;
        assert_eq!(read(service, &now, "a").await.unwrap(), b"AAAAAA");
        assert!(
            read(service, &version, "a").await.is_err(),
            "the version before is what it was"
        );
        lake.put("in/b", b"bbbb").await;
        match &lake {
            Lake::Bucket(_) => assert_eq!(read(service, &now, "b").await.unwrap(), b"bbbb"),
            // Another file, though with the same bytes.
            Lake::Folder(_) => assert_eq!(
                trouble(&read(service, &now, "b").await.unwrap_err()),
                &changed("in/b")
            ),
        }
    }
}

/// An object of the same length that is overwritten between two parts of one file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_of_two_states_are_never_mixed() {
    let bucket = fresh_bucket().await;
    bucket.put("moving", &noise(20 << 20, 2)).await;
    let world = World::new(of_bucket(&bucket)).await;
    import(&world.service, &wish("", true)).await.unwrap();
    let version = latest(&world.service).await;
    let (_, mut reader) = world.service.open_file(&version, "moving").await.unwrap();
    let mut start = vec![0; 1 << 20];
    reader.bytes.read_exact(&mut start).await.unwrap();
    bucket.put("moving", &noise(20 << 20, 3)).await;
    let mut rest = Vec::new();
    let broken = reader.bytes.read_to_end(&mut rest).await.unwrap_err();
    assert!(broken.to_string().contains("was changed since"), "{broken}");
    let read = [start, rest].concat();
    assert_eq!(
        read,
        noise(20 << 20, 2)[..read.len()],
        "what came is of the old state"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_the_source_told_is_read_though_it_was_overwritten() {
    let bucket = fresh_bucket().await;
    bucket.keep_versions().await;
    bucket.put("one", b"first").await;
    let world = World::new(of_bucket(&bucket)).await;
    // Of one object more is asked than of a folder.
    import(&world.service, &wish("one", true)).await.unwrap();
    let version = latest(&world.service).await;
    bucket.put("one", b"other").await;
    assert_eq!(read(&world.service, &version, "one").await.unwrap(), b"first");
    import(&world.service, &wish("one", true)).await.unwrap();
    let version = latest(&world.service).await;
    assert_eq!(read(&world.service, &version, "one").await.unwrap(), b"other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_not_configured_here_is_named() {
    let lake = Lake::Folder(tempfile::tempdir().unwrap());
    lake.put("a", b"a").await;
    let world = World::new(lake.sources()).await;
    import(&world.service, &wish("", true)).await.unwrap();
    let version = latest(&world.service).await;
    let without = service(&world.store, &world.blobs, ImportSources::default());
    let error = read(&without, &version, "a").await.unwrap_err();
    assert_eq!(error.code(), "data_link_source_unknown");
    assert!(error.hint().unwrap().contains("[sources.lake]"));
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("laid-out");
    let error = without.materialise(&version, &place).await.unwrap_err();
    assert_eq!(error.code(), "data_link_source_unknown");
    // It is there, listed and compared all the same.
    assert_eq!(without.files(&version, "", 10).await.unwrap().len(), 1);
    // Another place under that name is no way to read something else.
    let other = Lake::Folder(tempfile::tempdir().unwrap());
    other.put("a", b"a").await;
    let elsewhere = service(&world.store, &world.blobs, other.sources());
    assert_eq!(
        trouble(&read(&elsewhere, &version, "a").await.unwrap_err()),
        &changed("a")
    );
}

/// Stores a text as a client can, and answers an entry that says it is a link.
async fn forged(service: &DataService, path: &str, text: &str, size_bytes: u64) -> Entry {
    let blob = service.put_blob(&mut text.as_bytes()).await.unwrap().blob;
    Entry {
        path: path.parse().unwrap(),
        blob: blob.id,
        size_bytes,
        executable: false,
        link: true,
    }
}

fn link(source: &str, key: &str, size_bytes: u64, etag: &str) -> String {
    let json = json!({ "source": source, "key": key, "size_bytes": size_bytes, "etag": etag });
    // In the order of the form.
    format!(
        "corliss-link 1\n{{\"source\":{},\"key\":{},\"size_bytes\":{},\"etag\":{}}}",
        json["source"], json["key"], json["size_bytes"], json["etag"]
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_a_client_makes_up_reach_what_it_could_import_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("in");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", inside.join("out")).unwrap();
    std::os::unix::fs::symlink("..", inside.join("up")).unwrap();
    std::fs::write(inside.join("file"), "file").unwrap();
    let sources = ImportSources::default();
    let sources = sources.with("lake", SourceSettings::Folder(inside.clone()));
    let world = World::new(sources.unwrap()).await;
    let service = &world.service;
    import(service, &wish("", true)).await.unwrap_err();
    import(service, &wish("file", true)).await.unwrap();
    let version = latest(service).await;
    let listed = service.files(&version, "", 10).await.unwrap();
    let good = world.blobs.read_all(listed[0].blob, 10_000).await.unwrap();
    let good = String::from_utf8(good).unwrap();
    let etag = Link::decode(good.as_bytes()).unwrap().object.etag;

    for (text, size_bytes, why) in [
        (good.clone(), 5, "of another size"),
        (link("lake", "../secret", 6, "e"), 6, "cannot be a path"),
        (link("lake", "/etc/passwd", 6, "e"), 6, "cannot be a path"),
        (
            link("file:///etc", "passwd", 6, "e"),
            6,
            "a name that none can have",
        ),
        (good.replace(":4,", ": 4,"), 4, "canonical"),
        (
            good.replace("corliss-link 1", "corliss-link 2"),
            4,
            "another form",
        ),
        ("no link at all".to_owned(), 14, "another form"),
        ("x".repeat(100_000), 100_000, "too long"),
        ("x".repeat(9_000_000), 9_000_000, "too long"),
    ] {
        let entry = forged(service, "evil", &text, size_bytes).await;
        let tree = send_tree(service, std::slice::from_ref(&entry)).await.unwrap();
        for refused in [
            service.commit(&on("d"), &tree, by("")).await.unwrap_err(),
            service.commit(&on("new"), &tree, by("")).await.unwrap_err(),
            service.record_version(&tree).await.unwrap_err(),
        ] {
            assert!(
                matches!(trouble(&refused), LinkTrouble::Invalid(_)),
                "{refused:?}"
            );
            assert!(refused.to_string().contains(why), "{refused} {why}");
        }
    }
    let edit = |blob: BlobId, link: bool| Edit {
        path: "edited".parse().unwrap(),
        blob: Some(blob),
        executable: false,
        link,
    };
    let text = service.put_blob(&mut &b"no link"[..]).await.unwrap().blob.id;
    let refused = service
        .commit_edits(&on("d"), vec![edit(text, true)], by(""))
        .await;
    assert!(matches!(trouble(&refused.unwrap_err()), LinkTrouble::Invalid(_)));
    assert_eq!(latest(service).await, version, "nothing was committed");

    // In form, and leading where no import leads: out of the folder, through links, to what is no file.
    for (key, size_bytes) in [("out", 6), ("up/secret", 6), ("up/in/file", 4), ("absent", 1)] {
        let entry = forged(service, "evil", &link("lake", key, size_bytes, &etag), size_bytes).await;
        let tree = send_tree(service, &[entry]).await.unwrap();
        service.commit(&on("d"), &tree, by("")).await.unwrap();
        let error = read(service, &tree, "evil").await.unwrap_err();
        assert_eq!(trouble(&error), &gone(key));
    }
    // A link that an import would have made is that link, and an edit may carry it.
    let real = forged(service, "file", &good, 4).await;
    assert_eq!(real, listed[0]);
    let edited = service
        .commit_edits(&on("d"), vec![edit(real.blob, true)], by(""))
        .await;
    let edited = edited.unwrap().version;
    assert_eq!(read(service, &edited, "edited").await.unwrap(), b"file");
    // As a stored file it is what it is: a text.
    let text = service
        .commit_edits(&on("d"), vec![edit(real.blob, false)], by(""))
        .await;
    let text = text.unwrap().version;
    assert_eq!(read(service, &text, "edited").await.unwrap(), good.as_bytes());
    let changes = service.diff(&edited, &text, "", 10).await.unwrap();
    assert_eq!(changes[0].change, ChangeKind::Changed, "of the same blob");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_imported_cannot_be_linked() {
    let bucket = fresh_bucket().await;
    for key in ["good", "a//b", "both", "both/x"] {
        bucket.put(key, b"x").await;
    }
    let world = World::new(of_bucket(&bucket)).await;
    let linked = import(&world.service, &wish("", true)).await.unwrap_err();
    let copied = import(&world.service, &wish("", false)).await.unwrap_err();
    assert_eq!(linked, copied);
    let empty = import(&world.service, &wish("absent", true)).await;
    assert!(matches!(empty, Err(DataError::SourceEmpty { .. })), "{empty:?}");
    let nowhere = ImportWish {
        source: "sea".to_owned(),
        ..wish("", true)
    };
    let nowhere = import(&world.service, &nowhere).await;
    assert!(
        matches!(nowhere, Err(DataError::SourceNotFound { .. })),
        "{nowhere:?}"
    );
}

/// Broken off anywhere, it leaves nothing to be seen, and done again it makes what it would have made at once.
#[tokio::test]
async fn a_link_import_that_is_killed_is_done_again() {
    let lake = Lake::Folder(tempfile::tempdir().unwrap());
    for number in 0..300 {
        lake.put(&format!("{number:03}"), format!("{number}").as_bytes())
            .await;
    }
    let whole = World::new(lake.sources()).await;
    let expected = import(&whole.service, &wish("", true))
        .await
        .unwrap()
        .committed
        .version;
    let mut broken_off = 0;
    for polls in 0.. {
        let world = World::new(lake.sources()).await;
        let counters = Arc::new(Counters::default());
        let wish = wish("", true);
        let mut work = Box::pin(world.service.import(&wish, &counters));
        let mut done = false;
        for _ in 0..polls {
            done = futures_util::poll!(&mut work).is_ready();
            if done {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        drop(work);
        if done {
            break;
        }
        broken_off += 1;
        // The commit itself may be on its way when it is dropped; then it is whole.
        if let Ok(detail) = world.service.dataset(&name("d")).await {
            assert_eq!(detail.summary.latest, expected);
        }
        let again = import(&world.service, &wish).await.unwrap();
        assert_eq!(again.committed.version, expected);
    }
    assert!(broken_off > 1, "{broken_off}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_and_pulls_carry_links_and_no_objects() {
    let bucket = fresh_bucket().await;
    let large = noise(3 << 20, 4);
    bucket.put("large", &large).await;
    bucket.put("small", b"small").await;
    let folder = tempfile::tempdir().unwrap();
    let origin = two::in_memory(folder.path()).await;
    let here = two::installation(two::with(origin.clone()))
        .await
        .with_sources(of_bucket(&bucket));
    support::commit(&here, "d", &[("own", "own")], "first").await;
    import(&here, &wish("", true)).await.unwrap();
    let (_, counted) = two::push(&here, "d").await.unwrap();
    assert!(counted.bytes < 100_000, "{counted:?}");

    let there = two::installation(two::with(origin.clone()))
        .await
        .with_sources(of_bucket(&bucket));
    two::clone(&there, "d").await.unwrap();
    assert_eq!(latest(&there).await, latest(&here).await);
    let all = files(&there).await;
    assert!(all["large"] == large && all["own"] == b"own");
    let summary = there.version(&latest(&there).await).await.unwrap();
    assert_eq!(
        (summary.linked_files, summary.linked_bytes),
        (2, 5 + large.len() as u64)
    );

    // To a server, over HTTP, and to one that has no such source.
    let bare = two::installation(Remotes::default()).await;
    let (settings, _faults) = two::serve(&bare, folder.path()).await;
    let remotes = Remotes::default().with("origin", corliss_data::RemoteSettings::Server(settings));
    let pusher = there.clone().with_remotes(remotes.unwrap());
    two::push(&pusher, "d").await.unwrap();
    let version = latest(&bare).await;
    assert_eq!(read(&bare, &version, "own").await.unwrap(), b"own");
    let error = read(&bare, &version, "small").await.unwrap_err();
    assert_eq!(error.code(), "data_link_source_unknown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_kept_and_collected_with_their_versions() {
    let lake = Lake::Folder(tempfile::tempdir().unwrap());
    for number in 0..50 {
        lake.put(&format!("{number}"), b"some").await;
    }
    let world = World::new(lake.sources()).await;
    let service = &world.service;
    import(service, &wish("", true)).await.unwrap();
    let collect = async || {
        let now = CollectWish {
            grace_seconds: 0,
            ..CollectWish::default()
        };
        service.collect(&NothingElse, now, &|_| {}).await.unwrap()
    };
    collect().await;
    assert_eq!(files(service).await.len(), 50);
    let listed = service.files(&latest(service).await, "", 100).await.unwrap();
    service.delete_dataset(&name("d")).await.unwrap();
    assert!(collect().await.pieces_removed > 50);
    let links = listed.iter().map(|entry| entry.blob).collect();
    let left = world.blobs.stat_all(links).await.unwrap();
    assert!(left.iter().all(Option::is_none), "{left:?}");
}

/// What a bucket answers, by how often it was asked for an object.
#[derive(Clone)]
struct Moody {
    asked: Arc<AtomicUsize>,
    moods: &'static [u16],
}

async fn moody(State(moody): State<Moody>, request: Request<Body>) -> Response {
    let object = || {
        [
            ("etag", "\"e\""),
            ("last-modified", "Sun, 22 Nov 2026 06:00:00 GMT"),
        ]
    };
    if request
        .uri()
        .query()
        .is_some_and(|query| query.contains("list-type=2"))
    {
        let list = "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key>\
            <LastModified>2026-11-22T06:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>4</Size></Contents>\
            </ListBucketResult>";
        return list.into_response();
    }
    let asked = moody.asked.fetch_add(1, Ordering::SeqCst);
    match moody.moods.get(asked).copied().unwrap_or(200) {
        200 => {
            let range = ("content-range", "bytes 0-3/4");
            (StatusCode::PARTIAL_CONTENT, object(), [range], "text").into_response()
        }
        status => (StatusCode::from_u16(status).unwrap(), "").into_response(),
    }
}

async fn moody_lake(moods: &'static [u16]) -> (ImportSources, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let state = Moody {
        asked: Arc::clone(&asked),
        moods,
    };
    let router = Router::new().fallback(moody).with_state(state);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let bucket = Bucket {
        endpoint: format!("http://{}", listener.local_addr().unwrap()),
        name: "moody".to_owned(),
    };
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut settings = settings(&bucket);
    settings.limits = BucketLimits {
        pause: std::time::Duration::from_millis(1),
        tries: 3,
        ..settings.limits
    };
    let sources = ImportSources::default().with("lake", SourceSettings::Bucket(Box::new(settings)));
    (sources.unwrap(), asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_busy_is_asked_again_and_one_that_refuses_is_told() {
    let (sources, asked) = moody_lake(&[503, 200, 503, 403, 503, 503, 503]).await;
    let world = World::new(sources).await;
    import(&world.service, &wish("", true)).await.unwrap();
    assert_eq!(
        asked.load(Ordering::SeqCst),
        0,
        "a list is all that an import asks for"
    );
    let version = latest(&world.service).await;
    assert_eq!(read(&world.service, &version, "a").await.unwrap(), b"text");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let refused = read(&world.service, &version, "a").await.unwrap_err();
    assert!(
        matches!(&refused, DataError::Source { name, .. } if name == "lake"),
        "{refused:?}"
    );
    assert!(!refused.retryable(), "its permissions are to be put right");
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    let busy = read(&world.service, &version, "a").await.unwrap_err();
    assert!(
        matches!(busy, DataError::Source { .. }) && busy.retryable(),
        "{busy:?}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 7);
    assert_eq!(read(&world.service, &version, "a").await.unwrap(), b"text");
}
