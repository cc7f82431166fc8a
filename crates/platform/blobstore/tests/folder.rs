//! What is particular to the folder: it survives, is swept, notices damage and knows its format.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};

use corliss_blobstore::{BlobError, BlobId, BlobStore, OpenFile, Piece, Placement};
use corliss_keyring::FileRootKey;
use corliss_testkit::full_disk::tiny_disk;
use corliss_testkit::noise::noise;
use tokio::io::{AsyncRead, ReadBuf};

/// The root key lies beside the folder, as in a home.
async fn open(folder: &Path) -> Result<BlobStore, BlobError> {
    let root = FileRootKey::open(&folder.with_extension("key"))?;
    BlobStore::open_folder(folder, Arc::new(root)).await
}

async fn put(store: &BlobStore, bytes: &[u8]) -> BlobId {
    let stored = store.put(&mut &*bytes, None).await;
    stored.unwrap().blob.id
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files
}

/// Bytes without end that no two chunks of are the same.
struct Endless(u64);

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0 += 1;
        buf.put_slice(&noise(buf.remaining().min(1 << 16), self.0));
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn blobs_survive_a_restart_and_the_loss_of_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs");
    let store = open(&blobs).await.unwrap();
    let (small, large) = (b"bytes".to_vec(), noise(2_000_000, 1));
    let ids = [put(&store, &small).await, put(&store, &large).await];
    let busy = open(&blobs).await.err().unwrap();
    assert!(matches!(busy, BlobError::InUse { .. }), "{busy:?}");
    let pieces = store.pieces().await.unwrap();
    drop(store);
    let same = async |store: &BlobStore| {
        assert_eq!(store.read_all(ids[0], 5).await.unwrap(), small);
        assert_eq!(store.read_all(ids[1], u64::MAX).await.unwrap(), large);
        assert_eq!(store.pieces().await.unwrap(), pieces);
    };
    let store = reopen(&blobs).await;
    same(&store).await;
    drop(store);
    wait_until_free(&blobs).await;
    fs::remove_dir_all(blobs.join("index")).unwrap();
    let store = reopen(&blobs).await;
    same(&store).await;
    drop(store);
    wait_until_free(&blobs).await;
    for file in files(&blobs.join("index")) {
        fs::write(file, "nonsense").unwrap();
    }
    same(&reopen(&blobs).await).await;
}

/// The task that writes packs lets go of the folder a moment after the store.
async fn reopen(folder: &Path) -> BlobStore {
    wait_until_free(folder).await;
    open(folder).await.unwrap()
}

async fn wait_until_free(folder: &Path) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let lock = fs::File::open(folder.join("lock")).unwrap();
        match lock.try_lock() {
            Ok(()) => return,
            Err(_) => assert!(std::time::Instant::now() < deadline),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn nothing_that_is_kept_can_be_read_without_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs");
    let store = open(&blobs).await.unwrap();
    let secret = "the patient's name is Ada Lovelace; ";
    put(&store, secret.as_bytes()).await;
    put(&store, secret.repeat(20_000).as_bytes()).await;
    drop(store);
    wait_until_free(&blobs).await;
    let kept = files(&blobs);
    assert!(kept.len() > 4, "{kept:?}");
    for file in kept {
        let bytes = fs::read(&file).unwrap();
        assert!(
            !bytes.windows(8).any(|window| window == b"Lovelace"),
            "{}",
            file.display()
        );
    }
    fs::remove_file(folder.path().join("blobs.key")).unwrap();
    let error = open(&blobs).await.err().unwrap();
    assert!(error.to_string().contains("root key"), "{error}");
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_a_pack_is_told_and_wrong_bytes_are_never_read() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs");
    let store = open(&blobs).await.unwrap();
    let bytes = noise(900_000, 5);
    let id = put(&store, &bytes).await;
    let pack = |blobs: &Path| {
        let mut packs = files(&blobs.join("packs"));
        packs.sort_by_key(|path| fs::metadata(path).unwrap().len());
        packs.pop().unwrap()
    };
    let path = pack(&blobs);
    let good = fs::read(&path).unwrap();
    for at in (20..good.len()).step_by(good.len() / 40) {
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        // In a piece it is noticed; in the table, which is only read when the index is made, it does no harm.
        match store.verify(id).await {
            Ok(()) => assert!(at > good.len() - 3000, "byte {at}"),
            Err(error) => assert_eq!(error, BlobError::Damaged { id }, "byte {at}"),
        }
        let mut reader = store.open(id, None).await;
        if let Ok(reader) = &mut reader {
            let mut read = Vec::new();
            let outcome = tokio::io::AsyncReadExt::read_to_end(&mut reader.bytes, &mut read).await;
            assert!(bytes.starts_with(&read), "byte {at}");
            assert_eq!(outcome.is_ok(), read.len() == bytes.len());
        }
    }
    fs::write(&path, &good).unwrap();
    store.verify(id).await.unwrap();
    // A pack that is gone: what it held is no longer taken for stored.
    fs::remove_file(&path).unwrap();
    assert_eq!(store.verify(id).await, Err(BlobError::Damaged { id }));
    drop(store);
    let store = reopen(&blobs).await;
    let missing = store.missing(vec![id, BlobId::of(b"absent")]).await.unwrap();
    assert!(missing.contains(&BlobId::of(b"absent")));
    assert_eq!(put(&store, &bytes).await, id);
    store.verify(id).await.unwrap();
}

#[tokio::test]
async fn a_folder_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs");
    fs::create_dir(&blobs).unwrap();
    for format in ["corliss-blobs 2", "corliss-blobs 4"] {
        fs::write(blobs.join("format"), format!("{format}\n")).unwrap();
        let error = open(&blobs).await.err().unwrap();
        assert!(
            matches!(&error, BlobError::Newer { found, .. } if found == format),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let Some(folder) = tiny_disk("a_full_disk_is_told_and_leaves_nothing_behind", 24 << 20) else {
        return;
    };
    let store = open(&folder.join("blobs")).await.unwrap();
    let kept = put(&store, b"kept").await;
    // Full in the middle of packs, then in the index too, again and again.
    for round in 0..6 {
        let filler = folder.join("filler");
        fs::write(&filler, noise(6 << 20, round)).unwrap();
        let error = store.put(&mut Endless(round << 32), None).await.unwrap_err();
        assert_eq!(error, BlobError::StorageFull, "round {round}");
        fill(&folder.join("rest"));
        let copied: OpenFile = Box::new({
            let path = filler.clone();
            move || Ok(Box::new(fs::File::open(path)?))
        });
        assert_eq!(store.put_files(vec![copied]).await, Err(BlobError::StorageFull));
        let small = store.put(&mut &noise(9000, 99 + round)[..], None).await;
        assert_eq!(small, Err(BlobError::StorageFull));
        // Room for a pack, but for less and less beside it: some time the index has none.
        for pages in 1..12 {
            let rest = fs::OpenOptions::new()
                .write(true)
                .open(folder.join("rest"))
                .unwrap();
            let len = rest.metadata().unwrap().len();
            rest.set_len(len - 4096 * pages).unwrap();
            let seed = 1000 * round + 10 * pages;
            let many: Vec<Piece> = (0..100)
                .map(|n| Piece::chunk(noise(20, seed ^ n << 40)))
                .collect();
            match store.put_pieces(many.clone()).await {
                Ok(_) => store.verify(many[99].id).await.unwrap(),
                Err(error) => assert_eq!(error, BlobError::StorageFull, "{pages} pages"),
            }
            fill(&folder.join("more"));
        }
        fs::remove_file(folder.join("more")).unwrap();
        let place = Placement::new(kept, folder.join(format!("laid-out-{round}")), 0o444);
        let _ = store.materialise(vec![place]).await;
        store.verify(kept).await.unwrap();
        fs::remove_file(filler).unwrap();
        fs::remove_file(folder.join("rest")).unwrap();
        // There is room again: it goes on without a restart.
        let id = put(&store, &noise(50_000, 1000 + round)).await;
        store.verify(id).await.unwrap();
        // What the endless puts left is garbage of whole packs, which nothing refers to.
        for pack in files(&folder.join("blobs/packs")) {
            assert!(fs::metadata(pack).unwrap().len() < 20 << 20);
        }
        if files(&folder.join("blobs/packs")).len() > 3 {
            break;
        }
    }
}

/// Takes the last page of the disk.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    while io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
}

const CHILD_VARIABLE: &str = "CORLISS_BLOBSTORE_TEST_FOLDER";

/// Not a test of its own: puts until the test below kills it in the middle of a large one.
#[tokio::test]
#[ignore = "started by a_killed_put_loses_nothing…"]
async fn put_until_killed() {
    let Some(folder) = std::env::var_os(CHILD_VARIABLE) else {
        return;
    };
    let store = open(Path::new(&folder)).await.unwrap();
    let id = put(&store, b"acknowledged").await;
    println!("\nstored {id}");
    store.put(&mut Endless(1), None).await.unwrap();
}

#[tokio::test]
async fn a_killed_put_loses_nothing_that_was_acknowledged_and_leaves_no_scratch_file() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "put_until_killed", "--nocapture"])
        .env(CHILD_VARIABLE, &blobs)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    // Until the endless put has brought in its first packs.
    while files(&blobs.join("packs")).len() < 4 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let store = open(&blobs).await.unwrap();
    assert!(files(&blobs.join("tmp")).is_empty());
    store.verify(BlobId::of(b"acknowledged")).await.unwrap();
    assert!(
        store.pieces().await.unwrap() > 1,
        "chunks of the cut off put may be used again"
    );
    put(&store, b"goes on").await;
}
