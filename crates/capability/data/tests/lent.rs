//! Folders that a client lends: what is stored of them, what is written into them, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use axum::body::Body;
use corliss_blobstore::{BlobId, BlobStore};
use corliss_clock::Sources;
use corliss_data::{DataService, Limits, MIGRATIONS, routes};
use corliss_http::App;
use corliss_lend::{Folders, Loan};
use corliss_metastore::Metastore;
use corliss_testkit::everyone;
use corliss_testkit::noise::noise;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// A server, and the folder `lent` beside its socket.
struct World {
    work: TempDir,
    router: App,
}

impl World {
    async fn new() -> Self {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir(work.path().join("lent")).unwrap();
        let folders = Folders::listen(&work.path().join("folders")).unwrap();
        let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
        let blobs = BlobStore::in_memory().await.unwrap();
        let service =
            DataService::new(store, blobs, Sources::system(), Limits::default()).with_folders(folders);
        let router = routes(service).into_app(everyone::is_admin("test")).unwrap();
        Self { work, router }
    }

    fn folder(&self) -> std::path::PathBuf {
        self.work.path().join("lent")
    }

    async fn lend(&self, folder: &Path) -> Loan {
        let (folder, socket) = (folder.to_path_buf(), self.work.path().join("folders"));
        tokio::task::spawn_blocking(move || Loan::of(&File::open(folder).unwrap(), &socket).unwrap())
            .await
            .unwrap()
    }

    /// The status, and the last line of the answer.
    async fn ask(&self, what: &str, body: Value) -> (u16, Value) {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/api/v1/data/local/{what}"))
            .header("content-type", "application/json")
            .header("authorization", "Bearer x");
        let request = request.body(Body::from(body.to_string())).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let last = text.lines().last().unwrap_or("null");
        (status, serde_json::from_str(last).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_of_one_folder_is_laid_out_in_another() {
    let world = World::new().await;
    let files = [
        ("a", noise(10, 1)),
        ("b/c", noise(700_000, 2)),
        ("empty", Vec::new()),
    ];
    fs::create_dir(world.folder().join("b")).unwrap();
    for (path, bytes) in &files {
        fs::write(world.folder().join(path), bytes).unwrap();
    }
    let loan = world.lend(&world.folder()).await;
    let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
    let wish = json!({ "folder": loan.handle(), "files": paths });
    let (status, told) = world.ask("store", wish).await;
    let blobs: Vec<Value> = files
        .iter()
        .map(|(_, bytes)| json!({ "id": BlobId::of_blob(bytes), "size_bytes": bytes.len() }))
        .collect();
    assert_eq!((status, &told), (200, &json!({ "stored": blobs })));

    let target = world.work.path().join("target");
    fs::create_dir_all(target.join("b")).unwrap();
    let loan = world.lend(&target).await;
    let placed: Vec<Value> = files
        .iter()
        .zip(&blobs)
        .map(|((path, _), blob)| json!({ "path": path, "blob": blob["id"], "mode": 0o4750 }))
        .collect();
    let wish = json!({ "folder": loan.handle(), "files": placed });
    assert_eq!(
        world.ask("lay-out", wish.clone()).await,
        (200, json!({ "laid_out": 3 }))
    );
    for (path, bytes) in &files {
        assert_eq!(&fs::read(target.join(path)).unwrap(), bytes, "{path}");
        let mode = fs::metadata(target.join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o750, "no set-user-id bit is given");
    }
    let (status, told) = world.ask("lay-out", wish).await;
    let message = told["error"]["message"].as_str().unwrap();
    assert!(status == 200 && message.contains("exists"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_folder_is_reached() {
    let world = World::new().await;
    let secret = world.work.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(world.work.path(), world.folder().join("up")).unwrap();
    symlink(&secret, world.folder().join("link")).unwrap();
    fs::write(world.folder().join("file"), "file").unwrap();
    let loan = world.lend(&world.folder()).await;
    let id = BlobId::of(b"file").to_string();
    let (_, stored) = world
        .ask("store", json!({ "folder": loan.handle(), "files": ["file"] }))
        .await;
    assert_eq!(stored["stored"][0]["id"], id);
    for path in ["up/secret", "link", "absent", "file/below"] {
        let (status, told) = world
            .ask("store", json!({ "folder": loan.handle(), "files": [path] }))
            .await;
        assert!(
            status == 200 && told["error"]["message"].is_string(),
            "{path} {told}"
        );
        let file = json!({ "path": path, "blob": id, "mode": 0o644 });
        let wish = json!({ "folder": loan.handle(), "files": [file] });
        let (status, told) = world.ask("lay-out", wish).await;
        let is_made = path == "absent";
        assert!(
            status == 200 && told["error"].is_null() == is_made,
            "{path} {told}"
        );
    }
    for path in ["../secret", "/etc/passwd", "a//b", ""] {
        let (status, told) = world
            .ask("store", json!({ "folder": loan.handle(), "files": [path] }))
            .await;
        assert_eq!(
            (status, &told["error"]["field"]),
            (400, &json!("files[0]")),
            "{path} {told}"
        );
    }
    assert_eq!(fs::read(secret).unwrap(), b"secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_is_needed_and_ends_with_its_client() {
    let world = World::new().await;
    fs::write(world.folder().join("a"), "a").unwrap();
    let not_lent = |told: &Value| told["error"]["code"] == "data_folder_not_lent";
    let (_, told) = world
        .ask("store", json!({ "folder": "0".repeat(32), "files": ["a"] }))
        .await;
    assert!(not_lent(&told), "{told}");
    let loan = world.lend(&world.folder()).await;
    let wish = json!({ "folder": loan.handle(), "files": ["a"] });
    assert!(world.ask("store", wish.clone()).await.1["stored"].is_array());
    drop(loan);
    for _ in 0..1000 {
        if not_lent(&world.ask("store", wish.clone()).await.1) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the folder is lent still");
}
