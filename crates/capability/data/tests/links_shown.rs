//! Linked files as they are shown, summed up, checked, and laid out in folders that clients lend.
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

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use api::{call, router};
use corliss_blobstore::BlobStore;
use corliss_clock::Sources;
use corliss_data::remote::Counters;
use corliss_data::{
    DataService, ImportSources, ImportWish, Imported, Limits, LinkedUsage, MIGRATIONS, SourceSettings,
};
use corliss_diagnostics::Diagnose;
use corliss_http::App;
use corliss_keyring::MemoryRootKey;
use corliss_lend::{Folders, Loan};
use corliss_metastore::Metastore;
use corliss_testkit::noise::noise;
use corliss_testkit::s3::fresh_bucket;
use http::{Method, StatusCode};
use lake::{Lake, of_bucket};
use serde_json::{Value, json};
use support::{by, name, on};

async fn service(sources: ImportSources) -> DataService {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let blobs = BlobStore::in_memory().await.unwrap();
    DataService::new(store, blobs, Sources::system(), Limits::default()).with_sources(sources)
}

async fn link(service: &DataService, source: &str, dataset: &str, prefix: &str) -> Imported {
    let wish = ImportWish {
        source: source.to_owned(),
        prefix: prefix.to_owned(),
        to: None,
        target: on(dataset),
        link: true,
        by: by(""),
    };
    let counters = Arc::new(Counters::default());
    service.import(&wish, &counters).await.unwrap()
}

async fn checked(router: &App, quick: bool) -> Value {
    let (_, started) = call(router, Method::POST, "check", json!({ "quick": quick })).await;
    let path = format!("operations/{}", started["id"].as_str().unwrap());
    loop {
        let (_, operation) = call(router, Method::GET, &path, Value::Null).await;
        if operation["state"] != json!("running") {
            assert_eq!(operation["state"], json!("done"), "{operation}");
            return operation["result"].clone();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_tells_what_is_linked_and_where_it_lies() {
    let bucket = fresh_bucket().await;
    bucket.put("in/a", b"four").await;
    let service = service(of_bucket(&bucket)).await;
    support::commit(&service, "d", &[("own", "own")], "first").await;
    let version = link(&service, "lake", "d", "in").await.committed.version;
    let router = router(&service);
    let (_, shown) = call(&router, Method::GET, &format!("versions/{version}"), Value::Null).await;
    assert_eq!(
        (&shown["linked_files"], &shown["linked_bytes"]),
        (&json!(1), &json!(4))
    );
    let (a, own) = (&shown["entries"][0], &shown["entries"][1]);
    assert_eq!(
        (&a["path"], &a["link"], &a["size_bytes"]),
        (&json!("a"), &json!(true), &json!(4))
    );
    let linked = &a["linked"];
    assert_eq!(
        (&linked["source"], &linked["key"]),
        (&json!("lake"), &json!("in/a"))
    );
    // What a program must not be told is not there to be told.
    assert!(!shown.to_string().contains("hunter2") && !shown.to_string().contains("http"));
    assert!(own.get("linked").is_none() && own.get("link").is_none(), "{own}");

    // A commit over HTTP that leaves the linked file as it is.
    let blob = service.put_blob(&mut &b"more"[..]).await.unwrap().blob.id;
    let edits = json!({ "edits": [{ "path": "more", "blob": blob }] });
    let (status, done) = call(&router, Method::POST, "datasets/d/commits", edits).await;
    assert_eq!(status, StatusCode::CREATED, "{done}");
    let version = done["version"].as_str().unwrap();
    let (_, shown) = call(&router, Method::GET, &format!("versions/{version}"), Value::Null).await;
    assert_eq!((&shown["linked_files"], &shown["files"]), (&json!(1), &json!(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_linked_is_summed_up_by_source_and_each_object_once() {
    let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for number in 0..40 {
        fs::write(left.path().join(format!("{number}")), noise(100, number)).unwrap();
    }
    fs::write(right.path().join("only"), noise(7, 1)).unwrap();
    let sources = ImportSources::default()
        .with("left", SourceSettings::Folder(left.path().to_path_buf()))
        .unwrap()
        .with("right", SourceSettings::Folder(right.path().to_path_buf()))
        .unwrap();
    let service = service(sources).await;
    assert_eq!(service.storage().await.unwrap().linked, []);
    let usage = |source: &str, objects, bytes| LinkedUsage {
        source: source.to_owned(),
        objects,
        bytes,
    };
    link(&service, "left", "d", "").await;
    // Twice in one dataset, and in another one.
    link(&service, "left", "e", "").await;
    let stored = service.storage().await.unwrap();
    assert_eq!(stored.linked, [usage("left", 40, 4000)]);
    assert_eq!(stored.versions_bytes, 0, "nothing of it is stored here");
    assert!(stored.stored_bytes > 0, "the links are");
    link(&service, "right", "d", "").await;
    let expected = [usage("left", 40, 4000), usage("right", 1, 7)];
    assert_eq!(service.storage().await.unwrap().linked, expected);
    assert_eq!(
        service.storage().await.unwrap().linked,
        expected,
        "summed up before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_asks_for_each_object_and_names_what_is_not_what_it_was() {
    for lake in Lake::both().await {
        for key in ["in/a", "in/b", "in/c"] {
            lake.put(key, b"text").await;
        }
        let service = service(lake.sources()).await;
        let version = link(&service, "lake", "d", "in").await.committed.version;
        link(&service, "lake", "e", "in").await;
        let router = router(&service);
        let sound = checked(&router, false).await;
        assert_eq!(
            sound["links"],
            json!({ "asked": 3, "broken_total": 0, "broken": [], "unasked": [] })
        );
        lake.put("in/a", b"longer text").await;
        lake.remove("in/b").await;
        let found = checked(&router, false).await;
        let links = &found["links"];
        assert_eq!((&links["asked"], &links["broken_total"]), (&json!(3), &json!(2)));
        assert_eq!(found["findings_total"], json!(0), "what is stored is sound");
        let mut codes: Vec<(&str, &str)> = links["broken"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                assert_eq!(one["version"], json!(version));
                assert_eq!(one["datasets"], json!(["d", "e"]));
                (one["path"].as_str().unwrap(), one["code"].as_str().unwrap())
            })
            .collect();
        codes.sort_unstable();
        assert_eq!(codes, [("a", "data_link_changed"), ("b", "data_link_gone")]);
        assert!(
            checked(&router, true).await.get("links").is_none(),
            "a quick check asks nobody"
        );

        let elsewhere = service.clone().with_sources(ImportSources::default());
        let unasked = elsewhere.check_links(&Counters::default()).await.unwrap();
        assert_eq!((unasked.asked, unasked.broken_total), (0, 0));
        let source = &unasked.unasked[0];
        assert_eq!((source.source.as_str(), source.objects), ("lake", 3));
        assert!(source.problem.contains("not configured"));
    }
}

/// What is damaged of the links is told as of anything that is stored, and hides nothing of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_link_is_one_file_that_is_damaged() {
    let (lake, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for number in 0..60 {
        fs::write(lake.path().join(format!("{number:02}")), "text").unwrap();
    }
    let sources = ImportSources::default();
    let sources = sources.with("lake", SourceSettings::Folder(lake.path().to_path_buf()));
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let key = Arc::new(MemoryRootKey::new().unwrap());
    let blobs = BlobStore::open_folder(&folder.path().join("blobs"), key)
        .await
        .unwrap();
    let service =
        DataService::new(store, blobs, Sources::system(), Limits::default()).with_sources(sources.unwrap());
    let version = link(&service, "lake", "d", "").await.committed.version;
    let packs = fs::read_dir(folder.path().join("blobs/packs")).unwrap();
    let packs = packs.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    // The links take more than the tree.
    let of_links = packs
        .map(|pack| pack.unwrap().path())
        .max_by_key(|pack| fs::metadata(pack).unwrap().len())
        .unwrap();
    let mut bytes = fs::read(&of_links).unwrap();
    bytes[40] ^= 0x40;
    fs::write(&of_links, bytes).unwrap();

    let router = router(&service);
    let found = checked(&router, false).await;
    assert_eq!(found["findings_total"], json!(1), "{found}");
    assert_eq!(found["versions"][0]["version"], json!(version));
    assert_eq!(found["versions"][0]["files_total"], json!(1));
    let damaged = found["versions"][0]["paths"][0]["path"].as_str().unwrap();
    let links = &found["links"];
    assert_eq!((&links["asked"], &links["broken_total"]), (&json!(59), &json!(0)));
    assert_eq!(service.storage().await.unwrap().linked[0].objects, 59);
    let (_, shown) = call(&router, Method::GET, &format!("versions/{version}"), Value::Null).await;
    for entry in shown["entries"].as_array().unwrap() {
        assert_eq!(entry["link"], json!(true));
        let is_damaged = entry["path"] == json!(damaged);
        assert_eq!(entry.get("linked").is_none(), is_damaged, "{entry}");
    }
    // Linking again heals it: a link is what the list says.
    link(&service, "lake", "d", "").await;
    assert_eq!(checked(&router, false).await["links"]["asked"], json!(60));
    assert_eq!(service.storage().await.unwrap().linked[0].objects, 60);
}

/// A version that was overwritten and is kept is no broken link.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_asks_for_the_version_that_was_linked() {
    let bucket = fresh_bucket().await;
    bucket.keep_versions().await;
    bucket.put("one", b"first").await;
    let service = service(of_bucket(&bucket)).await;
    link(&service, "lake", "d", "one").await;
    bucket.put("one", b"other").await;
    let check = service.check_links(&Counters::default()).await.unwrap();
    assert_eq!((check.asked, check.broken_total, check.unasked.len()), (1, 0, 0));
}

/// A source that does not answer is asked a few times, and not for each of its objects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_is_told_once() {
    let lake = tempfile::tempdir().unwrap();
    for number in 0..2500 {
        fs::write(lake.path().join(format!("{number}")), "x").unwrap();
    }
    let sources = ImportSources::default()
        .with("lake", SourceSettings::Folder(lake.path().to_path_buf()))
        .unwrap();
    let service = service(sources).await;
    link(&service, "lake", "d", "").await;
    // As a share that is not mounted.
    let away = lake.path().with_extension("away");
    fs::rename(lake.path(), &away).unwrap();
    let check = service.check_links(&Counters::default()).await.unwrap();
    let version = service.dataset(&name("d")).await.unwrap().summary.latest;
    let error = service.open_file(&version, "7").await.err().unwrap();
    fs::rename(&away, lake.path()).unwrap();
    assert_eq!(
        (error.code(), error.retryable()),
        ("data_link_source_away", true),
        "{error}"
    );
    assert!(service.open_file(&version, "7").await.is_ok());
    assert_eq!((check.asked, check.broken_total, check.unasked.len()), (0, 0, 1));
    assert_eq!(
        (check.unasked[0].source.as_str(), check.unasked[0].objects),
        ("lake", 2500)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_files_are_laid_out_in_a_lent_folder_as_part_of_their_version_alone() {
    let work = tempfile::tempdir().unwrap();
    let bucket = fresh_bucket().await;
    let large = noise(5 << 20, 1);
    bucket.put("large", &large).await;
    bucket.put("secret", b"secret").await;
    let folders = Folders::listen(&work.path().join("folders")).unwrap();
    let service = service(of_bucket(&bucket)).await.with_folders(folders);
    support::commit(&service, "d", &[("own", "own")], "first").await;
    let version = link(&service, "lake", "d", "large").await.committed.version;
    let entries = service.files(&version, "", 10).await.unwrap();
    let router = router(&service);
    let target = work.path().join("target");
    fs::create_dir(&target).unwrap();
    let (folder, socket) = (fs::File::open(&target).unwrap(), work.path().join("folders"));
    let loan = tokio::task::spawn_blocking(move || Loan::of(&folder, &socket).unwrap());
    let loan = loan.await.unwrap();
    let files: Vec<Value> = entries
        .iter()
        .map(|entry| json!({ "path": entry.path, "blob": entry.blob, "mode": 0o640, "link": entry.link }))
        .collect();
    let wish = json!({ "folder": loan.handle(), "version": version, "files": files });
    let (_, told) = call(&router, Method::POST, "local/lay-out", wish).await;
    assert_eq!(told, json!({ "laid_out": 2 }));
    assert!(fs::read(target.join("large")).unwrap() == large);
    assert_eq!(fs::read(target.join("own")).unwrap(), b"own");

    // A text that would be a link, which whoever may read could name by its id, is followed by nobody.
    let other = link(&service, "lake", "aside", "secret").await.committed.version;
    let secret = service.files(&other, "", 10).await.unwrap()[0].blob;
    for (version, path) in [
        (None, "secret"),
        (Some(version.as_str()), "secret"),
        (Some(version.as_str()), "own"),
    ] {
        let file = json!({ "path": path, "blob": secret, "mode": 0o644, "link": true });
        let wish = json!({ "folder": loan.handle(), "version": version, "files": [file] });
        let (_, told) = call(&router, Method::POST, "local/lay-out", wish).await;
        let code = told["error"]["code"].as_str().unwrap();
        assert!(["data_link_invalid", "file_not_found"].contains(&code), "{told}");
        assert!(!target.join("secret").exists());
    }
    bucket.put("large", b"another").await;
    fs::remove_file(target.join("large")).unwrap();
    let file = json!({ "path": "large", "blob": secret, "mode": 0o644, "link": true });
    let wish = json!({ "folder": loan.handle(), "version": version, "files": [file] });
    let (_, told) = call(&router, Method::POST, "local/lay-out", wish).await;
    assert_eq!(told["error"]["code"], json!("data_link_changed"), "{told}");
    assert_eq!(service.datasets("", 10).await.unwrap()[0].name, name("aside"));
}
