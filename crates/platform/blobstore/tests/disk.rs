//! What is particular to the folder: it survives, is swept, notices damage and knows its format.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use corliss_blobstore::{BlobError, BlobId, BlobStore, DiskStore, Placement, PutOptions};
use corliss_testkit::full_disk::tiny_disk;

fn scratch_folders(root: &Path) -> usize {
    fs::read_dir(root.join("tmp")).unwrap().count()
}

#[tokio::test]
async fn blobs_survive_and_damage_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path()).await.unwrap();
    let id = store
        .put(&mut &b"bytes"[..], PutOptions::default())
        .await
        .unwrap()
        .blob
        .id;
    drop(store);
    let store = DiskStore::open(folder.path()).await.unwrap();
    store.verify(id).await.unwrap();
    let path = folder.path().join(&id.to_string()[..2]).join(id.to_string());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, "byteZ").unwrap();
    assert_eq!(store.verify(id).await, Err(BlobError::Damaged { id }));
}

#[tokio::test]
async fn a_newer_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("format"), "corliss-blobs 2\n").unwrap();
    let error = DiskStore::open(folder.path()).await.unwrap_err();
    assert!(
        matches!(&error, BlobError::Newer { found, .. } if found == "corliss-blobs 2"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let Some(folder) = tiny_disk("a_full_disk_is_told_and_leaves_nothing_behind", 4 << 20) else {
        return;
    };
    let store = DiskStore::open(folder.join("blobs")).await.unwrap();
    let kept = store
        .put(&mut &b"kept"[..], PutOptions::default())
        .await
        .unwrap()
        .blob
        .id;
    let mut endless = tokio::io::repeat(7);
    let error = store.put(&mut endless, PutOptions::default()).await.unwrap_err();
    assert_eq!(error, BlobError::StorageFull);
    // The scratch file went with the failure, so there is room again.
    let half = store
        .put(&mut vec![1; 2 << 20].as_slice(), PutOptions::default())
        .await
        .unwrap()
        .blob
        .id;
    let file = folder.join("copy");
    fs::write(&file, vec![2; 1 << 20]).unwrap();
    let open = move || fs::File::open(file);
    assert_eq!(
        store.put_files(vec![Box::new(open)]).await,
        Err(BlobError::StorageFull)
    );
    let place = Placement {
        id: half,
        path: folder.join("laid-out").into(),
        executable: false,
    };
    assert_eq!(store.materialise(vec![place]).await, Err(BlobError::StorageFull));
    for id in [kept, half] {
        store.verify(id).await.unwrap();
    }
    assert_eq!(store.list(None, 10).await.unwrap().len(), 2);
}

const CHILD_VARIABLE: &str = "CORLISS_BLOBSTORE_TEST_FOLDER";

/// Not a test of its own: puts until the test below kills it in the middle of a large one.
#[tokio::test]
#[ignore = "started by a_killed_put_leaves_nothing"]
async fn put_until_killed() {
    let Some(folder) = std::env::var_os(CHILD_VARIABLE) else {
        return;
    };
    let store = DiskStore::open(&folder).await.unwrap();
    let id = store
        .put(&mut &b"acknowledged"[..], PutOptions::default())
        .await
        .unwrap()
        .blob
        .id;
    println!("\nstored {id}");
    let mut endless = tokio::io::repeat(7);
    store.put(&mut endless, PutOptions::default()).await.unwrap();
}

#[tokio::test]
async fn a_killed_put_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "put_until_killed", "--nocapture"])
        .env(CHILD_VARIABLE, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let large = |entry: fs::DirEntry| entry.metadata().is_ok_and(|metadata| metadata.len() > 1 << 20);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let tmp = folder.path().join("tmp");
    // Until the endless put has brought in its first megabyte.
    while !fs::read_dir(&tmp).into_iter().flatten().flatten().any(|entry| {
        fs::read_dir(entry.path())
            .into_iter()
            .flatten()
            .flatten()
            .any(large)
    }) {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let living = DiskStore::open(folder.path()).await.unwrap();
    assert_eq!(
        scratch_folders(folder.path()),
        2,
        "a living process's scratch files are left alone"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    drop(living);
    let store = DiskStore::open(folder.path()).await.unwrap();
    assert_eq!(scratch_folders(folder.path()), 1, "only our own");
    let blobs = store.list(None, 10).await.unwrap();
    assert_eq!(
        blobs.iter().map(|blob| blob.id).collect::<Vec<_>>(),
        [BlobId::of(b"acknowledged")]
    );
    store.verify(blobs[0].id).await.unwrap();
}
