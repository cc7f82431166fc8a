//! A folder that an earlier version of the program wrote is read by this one: `tests/fixtures/blobs-3`.
//!
//! When the form of anything in it changes, this test must go on with the old folder: raise the format, keep
//! reading the old one or refuse it by name, and add a folder of the new one beside it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap here is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use corliss_blobstore::{BlobId, BlobStore, Record};
use corliss_keyring::FileRootKey;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/blobs-3")
}

/// One blob of each sort: nothing, a little, one that is compressed, one that is cut.
fn blobs() -> Vec<(&'static str, Vec<u8>)> {
    let text: String = (0..40_000).map(|line| format!("line {line}\n")).collect();
    vec![
        (
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            Vec::new(),
        ),
        (
            "1d82dd3cc47328a55cced36926844b21223226d26d2eb42042f65c9bdd84a123",
            b"a little".to_vec(),
        ),
        (
            "bfb02885de833918920a995a1265df9915828bb49907efc07a1e8056c1a47735",
            text.as_bytes()[..5000].to_vec(),
        ),
        (
            "4bcb498bf5ed577c85c2ad9c240cdb2b905501a17b417aa96a5c8c7052bbb56d",
            text.into_bytes(),
        ),
    ]
}

/// A record that lists all of them.
fn record() -> Record {
    Record {
        links: blobs().iter().map(|(id, _)| id.parse().unwrap()).collect(),
        body: Bytes::from_static(b"four blobs"),
    }
}

async fn open(folder: &Path) -> BlobStore {
    let root = FileRootKey::open(&folder.join("root.key")).unwrap();
    BlobStore::open_folder(&folder.join("blobs"), Arc::new(root))
        .await
        .unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_folder_of_format_3_is_read() {
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(), folder.path());
    let store = open(folder.path()).await;
    for (id, bytes) in blobs() {
        let id: BlobId = id.parse().unwrap();
        assert_eq!(BlobId::of_blob(&bytes), id);
        assert_eq!(store.read_all(id, u64::MAX).await.unwrap(), bytes);
    }
    assert_eq!(
        store.read_records(vec![record().to_piece().id]).await.unwrap(),
        [record()]
    );
    assert_eq!(store.pieces().await.unwrap(), 12);
}

/// Not a test: writes the folder. It was run once.
#[tokio::test]
#[ignore = "writes tests/fixtures/blobs-3"]
async fn write_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for (_, bytes) in blobs() {
        let stored = store.put(&mut bytes.as_slice(), None).await.unwrap();
        eprintln!("{} {}", stored.blob.id, stored.blob.size_bytes);
    }
    store.put_pieces(vec![record().to_piece()]).await.unwrap();
    for name in ["root.key", "blobs/format", "blobs/keys", "blobs/packs"] {
        let (from, to) = (folder.path().join(name), fixture().join(name));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}
