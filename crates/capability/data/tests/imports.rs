//! Importing what lies in a bucket or a folder: what is copied, what is not copied again, what is refused, and what
//! can be seen of it meanwhile.
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

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{call, router};
use async_trait::async_trait;
use bytes::Bytes;
use corliss_blobstore::{BlobId, BlobStore};
use corliss_clock::Sources;
use corliss_data::remote::Counters;
use corliss_data::source::{BucketSource, Found, Object, Source};
use corliss_data::{
    CollectWish, DataError, DataService, ImportSources, ImportWish, Imported, Limits, MIGRATIONS, RefKind,
    Reference, Signature, SourceSettings,
};
use corliss_http::App;
use corliss_metastore::Metastore;
use corliss_testkit::noise::noise;
use corliss_testkit::s3::{Bucket, fresh_bucket};
use http::{Method, StatusCode};
use lake::{Lake, of_bucket, settings};
use serde_json::{Value, json};
use support::{NothingElse, by, name, on};
use tokio::io::AsyncReadExt;

async fn service(sources: ImportSources) -> DataService {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let blobs = BlobStore::in_memory().await.unwrap();
    DataService::new(store, blobs, Sources::system(), Limits::default()).with_sources(sources)
}

fn wish(prefix: &str) -> ImportWish {
    ImportWish {
        source: "lake".to_owned(),
        prefix: prefix.to_owned(),
        to: None,
        target: on("d"),
        link: false,
        by: by(""),
    }
}

async fn import(service: &DataService, wish: &ImportWish) -> Result<Imported, DataError> {
    service.import(wish, &Arc::new(Counters::default())).await
}

/// All files of the head, with their bytes.
async fn files(service: &DataService) -> BTreeMap<String, Vec<u8>> {
    let version = service.dataset(&name("d")).await.unwrap().summary.latest;
    let mut all = BTreeMap::new();
    for file in service.files(&version, "", 1000).await.unwrap() {
        let (_, mut reader) = service.open_file(&version, file.path.as_str()).await.unwrap();
        let mut bytes = Vec::new();
        reader.bytes.read_to_end(&mut bytes).await.unwrap();
        all.insert(file.path.to_string(), bytes);
    }
    all
}

async fn is_untouched(service: &DataService) {
    let found = service.dataset(&name("d")).await;
    assert!(
        matches!(found, Err(DataError::DatasetNotFound { .. })),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_become_files_and_only_what_changed_is_copied_again() {
    for lake in Lake::both().await {
        let large = noise(9 << 20, 1);
        for (key, bytes) in [
            ("in/a.txt", &b"one"[..]),
            ("in/deep/b c%&é.txt", b"two"),
            ("in/empty", b""),
            ("in/large.bin", &large),
            ("out/no", b"not asked for"),
        ] {
            lake.put(key, bytes).await;
        }
        let service = service(lake.sources()).await;
        let first = import(&service, &wish("in")).await.unwrap();
        assert_eq!((first.copied, first.unchanged), (4, 0));
        assert_eq!(first.copied_bytes, 6 + large.len() as u64);
        assert!(first.committed.created);
        let all = files(&service).await;
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(names, ["a.txt", "deep/b c%&é.txt", "empty", "large.bin"]);
        assert_eq!(all["large.bin"], large);
        assert_eq!(all["deep/b c%&é.txt"], b"two");
        let detail = service.dataset(&name("d")).await.unwrap();
        assert_eq!(detail.history[0].what.message, "Import lake/in");

        let again = import(&service, &wish("in/")).await.unwrap();
        assert_eq!((again.copied, again.unchanged), (0, 4));
        assert!(!again.committed.created, "nothing is new");
        lake.put("in/a.txt", b"ONE").await;
        lake.put("in/new", b"new").await;
        let third = import(&service, &wish("in")).await.unwrap();
        assert_eq!((third.copied, third.unchanged, third.committed.files), (2, 3, 5));
        assert_eq!(files(&service).await["a.txt"], b"ONE");

        // One object, into a folder.
        let one = ImportWish {
            to: Some("more/x".parse().unwrap()),
            ..wish("out/no")
        };
        assert_eq!(import(&service, &one).await.unwrap().copied, 1);
        assert_eq!(files(&service).await["more/x/no"], b"not asked for");
        let nowhere = import(&service, &wish("nowhere")).await;
        assert!(
            matches!(nowhere, Err(DataError::SourceEmpty { .. })),
            "{nowhere:?}"
        );
        assert_eq!(import(&service, &wish("")).await.unwrap().committed.files, 12);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_file_is_refused_by_name_and_nothing_is_committed() {
    let bucket = fresh_bucket().await;
    let long = format!("{}/x", "l".repeat(256));
    for key in ["good", "a//b", "marker/", "up/../x", "both", "both/x", &long] {
        bucket.put(key, b"x").await;
    }
    let service = service(of_bucket(&bucket)).await;
    let refused = import(&service, &wish("")).await.unwrap_err();
    let DataError::ImportRefused { count, objects, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!((*count, objects.len()), (5, 5));
    let told = refused.to_string();
    for part in [
        "'a//b' cannot be a path",
        "'marker/' is a folder's marker",
        "'up/../x' cannot",
        "'both' is also the folder",
        "has a part longer than 255 bytes",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    is_untouched(&service).await;

    for prefix in ["a//b", "../good", "/good", "good/../good"] {
        let nothing = import(&service, &wish(prefix)).await;
        assert!(
            matches!(nothing, Err(DataError::SourceEmpty { .. })),
            "{prefix}: {nothing:?}"
        );
    }
    for number in 0..30 {
        bucket.put(&format!("many//{number}"), b"x").await;
    }
    let told = import(&service, &wish("many")).await.unwrap_err().to_string();
    assert!(
        told.contains("30 objects") && told.ends_with("and 10 more"),
        "{told}"
    );
}

#[tokio::test]
async fn links_and_what_is_no_file_of_a_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("in");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", inside.join("link")).unwrap();
    std::os::unix::fs::symlink("..", inside.join("up")).unwrap();
    std::fs::write(inside.join("file"), "file").unwrap();
    let sources = ImportSources::default()
        .with("lake", SourceSettings::Folder(inside.clone()))
        .unwrap();
    let service = service(sources).await;
    let told = import(&service, &wish("")).await.unwrap_err().to_string();
    assert!(
        told.contains("'link' is a link") && told.contains("'up' is a link"),
        "{told}"
    );
    for prefix in [
        "..",
        "../secret",
        "up",
        "up/secret",
        "link",
        "/etc/passwd",
        "in/../../secret",
    ] {
        let out = import(&service, &wish(prefix)).await;
        assert!(
            matches!(out, Err(DataError::SourceEmpty { .. })),
            "{prefix}: {out:?}"
        );
    }
    is_untouched(&service).await;
}

/// A bucket in which something happens when the object is read.
struct Meddled {
    source: BucketSource,
    bucket: Bucket,
    /// Which object is overwritten when it is first read, and by what.
    overwrite: Mutex<Option<(String, Vec<u8>)>>,
    /// Reads of this object never end.
    stuck: Option<&'static str>,
    reads: AtomicU64,
}

#[async_trait]
impl Source for Meddled {
    fn place(&self) -> String {
        self.source.place()
    }

    async fn list(&self, folder: &str) -> Result<Found, DataError> {
        self.source.list(folder).await
    }

    async fn look(&self, key: &str) -> Result<Option<Object>, DataError> {
        self.source.look(key).await
    }

    async fn read(&self, object: &Object, range: Range<u64>) -> Result<Option<Bytes>, DataError> {
        if self.stuck == Some(&object.key) {
            std::future::pending::<()>().await;
        }
        let is_due = |due: &mut (String, Vec<u8>)| due.0 == object.key;
        let overwrite = self.overwrite.lock().unwrap().take_if(is_due);
        let read = self.source.read(object, range).await;
        if let Some((key, bytes)) = overwrite {
            self.bucket.put(&key, &bytes).await;
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        read
    }
}

fn meddled(bucket: &Bucket, stuck: Option<&'static str>) -> Meddled {
    Meddled {
        source: BucketSource::open("lake", &settings(bucket)).unwrap(),
        bucket: bucket.clone(),
        overwrite: Mutex::default(),
        stuck,
        reads: AtomicU64::new(0),
    }
}

fn opened(source: Arc<dyn Source>) -> ImportSources {
    ImportSources::default()
        .with("lake", SourceSettings::Opened(source))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_changed_while_it_is_read_is_an_error_that_names_it() {
    let bucket = fresh_bucket().await;
    bucket.put("steady", b"steady").await;
    bucket.put("moving", &noise(20 << 20, 2)).await;
    let source = meddled(&bucket, None);
    // Of equal length: only the etag tells.
    *source.overwrite.lock().unwrap() = Some(("moving".to_owned(), noise(20 << 20, 3)));
    let service = service(opened(Arc::new(source))).await;
    let failed = import(&service, &wish("")).await.unwrap_err();
    assert_eq!(
        failed,
        DataError::SourceChanged {
            name: "lake".to_owned(),
            object: "moving".to_owned()
        }
    );
    is_untouched(&service).await;
    let done = import(&service, &wish("")).await.unwrap();
    assert_eq!(
        (done.copied, done.unchanged),
        (1, 1),
        "what was copied is not copied again"
    );
    assert_eq!(
        BlobId::of(&files(&service).await["moving"]),
        BlobId::of(&noise(20 << 20, 3))
    );
}

async fn get(router: &App, path: &str) -> Value {
    call(router, Method::GET, path, Value::Null).await.1
}

async fn ended(router: &App, started: &Value) -> Value {
    let path = format!("operations/{}", started["id"].as_str().unwrap());
    loop {
        let operation = get(router, &path).await;
        if operation["state"] != json!("running") {
            return operation;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_an_import_is_an_operation_that_is_seen_and_cancelled() {
    let bucket = fresh_bucket().await;
    bucket.put("a", b"12345").await;
    bucket.put("slow", b"123").await;
    let service = service(opened(Arc::new(meddled(&bucket, Some("slow"))))).await;
    let router = router(&service);
    let path = "datasets/d/import";
    let (status, started) = call(&router, Method::POST, path, json!({ "source": "lake" })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    assert_eq!(
        (&started["kind"], &started["source"]),
        (&json!("import"), &json!("lake"))
    );
    let at = format!("operations/{}", started["id"].as_str().unwrap());
    let seen = loop {
        let seen = get(&router, &at).await;
        if seen["progress"]["files"] == json!(1) {
            break seen["progress"].clone();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    assert_eq!(
        (&seen["phase"], &seen["files_total"]),
        (&json!("copying"), &json!(2))
    );
    assert_eq!((&seen["bytes"], &seen["bytes_total"]), (&json!(5), &json!(8)));
    let (status, again) = call(&router, Method::POST, path, json!({ "source": "lake" })).await;
    assert_eq!(
        (status, &again["error"]["code"]),
        (StatusCode::CONFLICT, &json!("data_transfer_running"))
    );
    let (_, cancelled) = call(&router, Method::DELETE, &at, Value::Null).await;
    assert_eq!(cancelled["state"], json!("cancelled"));
    is_untouched(&service).await;

    let wanted = json!({ "source": "lake", "prefix": "a", "to": "x", "branch": "main", "message": "why" });
    let (_, started) = call(&router, Method::POST, path, wanted).await;
    let done = ended(&router, &started).await;
    assert_eq!(done["state"], json!("done"), "{done}");
    assert_eq!(
        (&done["result"]["files"], &done["result"]["copied"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(files(&service).await["x/a"], b"12345");

    for (body, status, code) in [
        (
            json!({ "source": "sea" }),
            StatusCode::NOT_FOUND,
            "data_source_not_found",
        ),
        (
            json!({ "source": "s3://lake" }),
            StatusCode::NOT_FOUND,
            "data_source_not_found",
        ),
        (
            json!({ "source": "lake", "to": "../x" }),
            StatusCode::BAD_REQUEST,
            "",
        ),
        (
            json!({ "source": "lake", "url": "s3://x" }),
            StatusCode::BAD_REQUEST,
            "",
        ),
    ] {
        let (answered, error) = call(&router, Method::POST, path, body).await;
        assert_eq!(answered, status, "{error}");
        if !code.is_empty() {
            assert_eq!(error["error"]["code"], json!(code));
        }
    }
    let all = get(&router, "operations").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn sources_are_listed_without_secrets() {
    let bucket = fresh_bucket().await;
    let sources = of_bucket(&bucket);
    let sources = sources
        .with("share", SourceSettings::Folder("/mnt/share".into()))
        .unwrap();
    let router = router(&service(sources.clone()).await);
    let listed = get(&router, "sources").await;
    let place = format!("s3://{} at {}", bucket.name, bucket.endpoint);
    assert_eq!(
        listed["items"],
        json!([
            { "name": "lake", "kind": "bucket", "place": place },
            { "name": "share", "kind": "folder", "place": "/mnt/share" },
        ])
    );
    assert!(!listed.to_string().contains("hunter2"));
    for bad in ["a/b", "lake", "", &"x".repeat(41)] {
        let added = sources.clone().with(bad, SourceSettings::Folder("/".into()));
        assert!(matches!(added.err(), Some(DataError::BadRefName { .. })), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_and_checks_are_operations() {
    let lake = tempfile::tempdir().unwrap();
    std::fs::write(lake.path().join("a"), noise(300_000, 4)).unwrap();
    let sources = ImportSources::default();
    let sources = sources.with("lake", SourceSettings::Folder(lake.path().to_path_buf()));
    let service = service(sources.unwrap()).await;
    import(&service, &wish("")).await.unwrap();
    let router = router(&service);
    let (status, started) = call(&router, Method::POST, "check", json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    assert_eq!(started["kind"], json!("check"));
    let done = ended(&router, &started).await;
    assert_eq!(
        (&done["state"], &done["result"]["findings_total"]),
        (&json!("done"), &json!(0))
    );
    assert_eq!(done["progress"]["packs_total"], done["result"]["packs"], "{done}");

    service.delete_dataset(&name("d")).await.unwrap();
    let wish = json!({ "grace_seconds": 0, "dry_run": false, "despite_missing": false });
    let (_, started) = call(&router, Method::POST, "collect", wish.clone()).await;
    let (status, second) = call(&router, Method::POST, "check", json!({})).await;
    // The first may have ended.
    assert!(
        status == StatusCode::ACCEPTED || second["error"]["code"] == json!("data_upkeep_running"),
        "{second}"
    );
    let done = ended(&router, &started).await;
    assert_eq!(done["state"], json!("done"), "{done}");
    assert!(
        done["result"]["bytes_removed"].as_u64().unwrap() > 290_000,
        "{done}"
    );
    let (_, refused) = call(&router, Method::POST, "collect", json!({ "grace": 1 })).await;
    assert!(refused["error"].is_object(), "{refused}");
}

/// What a collection took is copied again, though the object is as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_collected_meanwhile_is_copied_again() {
    let lake = tempfile::tempdir().unwrap();
    std::fs::write(lake.path().join("a"), noise(300_000, 5)).unwrap();
    std::fs::write(lake.path().join("b"), "b").unwrap();
    let sources = ImportSources::default();
    let sources = sources.with("lake", SourceSettings::Folder(lake.path().to_path_buf()));
    let service = service(sources.unwrap()).await;
    support::commit(&service, "d", &[("b", "b")], "first").await;
    let (dataset, aside) = (name("d"), support::branch("aside"));
    let main = Reference::latest(dataset.clone());
    service
        .create_ref(&dataset, RefKind::Branch, &aside, &main, "ada")
        .await
        .unwrap();
    let mut onto_aside = wish("");
    onto_aside.target.branch = Some(aside.clone());
    assert_eq!(import(&service, &onto_aside).await.unwrap().copied, 2);
    service
        .delete_ref(&dataset, RefKind::Branch, &aside, None, "ada")
        .await
        .unwrap();
    let collected = service
        .collect(
            &NothingElse,
            CollectWish {
                grace_seconds: 0,
                ..CollectWish::default()
            },
            &|_| {},
        )
        .await
        .unwrap();
    assert!(collected.bytes_removed > 290_000);
    let again = import(&service, &wish("")).await.unwrap();
    assert_eq!((again.copied, again.unchanged), (1, 1), "only what is gone");
    assert_eq!(files(&service).await["a"], noise(300_000, 5));
}

#[tokio::test]
async fn a_protected_branch_is_told_before_anything_is_copied() {
    let bucket = fresh_bucket().await;
    bucket.put("a", b"a").await;
    let source = Arc::new(meddled(&bucket, None));
    let service = service(opened(source.clone())).await;
    support::commit(&service, "d", &[("x", "x")], "first").await;
    let main = support::branch("main");
    service.protect_branch(&name("d"), &main, true).await.unwrap();
    let refused = import(&service, &wish("")).await;
    assert!(
        matches!(refused, Err(DataError::BranchProtected { .. })),
        "{refused:?}"
    );
    assert_eq!(source.reads.load(Ordering::SeqCst), 0);
    let by = Signature {
        author: "ada".to_owned(),
        message: "x".repeat(3000),
    };
    let long = import(&service, &ImportWish { by, ..wish("") }).await;
    assert!(matches!(long, Err(DataError::MessageTooLong { .. })), "{long:?}");
    // A file of the dataset where the source has a folder.
    service.protect_branch(&name("d"), &main, false).await.unwrap();
    bucket.put("x/y", b"y").await;
    let clash = import(&service, &wish("")).await;
    assert!(matches!(clash, Err(DataError::PathConflict { .. })), "{clash:?}");
}
