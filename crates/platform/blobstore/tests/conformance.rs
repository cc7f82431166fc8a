//! The promises of the store, held over every backend.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

mod support;

use bytes::Bytes;
use corliss_blobstore::{
    Backend, BlobError, BlobId, BlobStore, BucketBackend, CHUNK_MAX, CachedBackend, Cutter, Kind, OpenFile,
    Piece, Placement, Record,
};
use corliss_keyring::MemoryRootKey;
use corliss_testkit::noise::noise;
use tokio::io::{AsyncRead, ReadBuf};

async fn for_each_store<F, Fut>(suite: F)
where
    F: Fn(BlobStore, PathBuf) -> Fut,
    Fut: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    for name in ["folder", "memory", "bucket", "cached bucket"] {
        eprintln!("store: {name}");
        let work = folder.path().join(format!("work-{name}"));
        fs::create_dir(&work).unwrap();
        let root = Arc::new(MemoryRootKey::new().unwrap());
        let store = match name {
            "folder" => BlobStore::open_folder(&folder.path().join("blobs"), root).await,
            "bucket" => {
                let index = folder.path().join("index");
                BlobStore::open_backend(bucket().await, root, &index).await
            }
            "cached bucket" => {
                // Less than the largest blob of these tests.
                let hot = folder.path().join("hot");
                let cached = CachedBackend::open_folder(bucket().await, &hot, 20 << 20).await;
                let index = folder.path().join("index-2");
                BlobStore::open_backend(Arc::new(cached.unwrap()), root, &index).await
            }
            _ => BlobStore::in_memory().await,
        };
        suite(store.unwrap(), work).await;
    }
}

async fn bucket() -> Arc<dyn Backend> {
    let settings = support::fresh_bucket("").await;
    Arc::new(BucketBackend::open(settings).await.unwrap())
}

async fn put(store: &BlobStore, bytes: &[u8]) -> BlobId {
    store.put(&mut &*bytes, None).await.unwrap().blob.id
}

/// Yields some bytes, then breaks, as a connection does.
struct Broken(usize);

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let len = self.0.min(buf.remaining());
        buf.put_slice(&vec![7; len]);
        self.0 -= len;
        Poll::Ready(Ok(()))
    }
}

fn opener(path: PathBuf) -> OpenFile {
    Box::new(move || Ok(Box::new(File::open(path)?)))
}

#[tokio::test]
async fn bytes_come_back_as_they_went_in() {
    for_each_store(|store, _| async move {
        for len in [
            0,
            1,
            4096,
            CHUNK_MAX - 1,
            CHUNK_MAX,
            CHUNK_MAX + 1,
            3_500_000,
            21_000_000,
        ] {
            let bytes = noise(len, 3);
            let first = store.put(&mut &*bytes, None).await.unwrap();
            assert!(first.created);
            assert_eq!(first.blob.id, BlobId::of_blob(&bytes));
            assert_eq!(first.blob.size_bytes, len as u64);
            let again = store.put(&mut &*bytes, None).await.unwrap();
            assert_eq!((again.blob, again.created), (first.blob, false));
            assert_eq!(store.stat(first.blob.id).await.unwrap(), Some(first.blob));
            assert_eq!(store.read_all(first.blob.id, u64::MAX).await.unwrap(), bytes);
            store.verify(first.blob.id).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn ranges_are_exact_and_checked() {
    for_each_store(|store, _| async move {
        let id = put(&store, b"0123456789").await;
        for (range, expected) in [(0..10, "0123456789"), (3..7, "3456"), (10..10, ""), (9..10, "9")] {
            let mut reader = store.open(id, Some(range)).await.unwrap();
            let mut text = String::new();
            tokio::io::AsyncReadExt::read_to_string(&mut reader.bytes, &mut text)
                .await
                .unwrap();
            assert_eq!(text, expected);
            assert_eq!((reader.len, reader.size_bytes), (expected.len() as u64, 10));
        }
        #[allow(clippy::reversed_empty_ranges)]
        for wrong in [5..11, 7..3, 11..11] {
            assert!(matches!(
                store.open(id, Some(wrong)).await,
                Err(BlobError::Range { .. })
            ));
        }
    })
    .await;
}

#[tokio::test]
async fn ranges_of_large_blobs_are_exact() {
    for_each_store(|store, _| async move {
        let bytes = noise(9_000_000, 8);
        let id = put(&store, &bytes).await;
        let len = bytes.len() as u64;
        for (start, end) in [
            (0, 1),
            (len - 1, len),
            (len, len),
            (299_999, 300_001),
            (1, len - 1),
            (4_000_000, 8_500_000),
        ] {
            let mut reader = store.open(id, Some(start..end)).await.unwrap();
            assert_eq!((reader.len, reader.size_bytes), (end - start, len));
            let mut read = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut reader.bytes, &mut read)
                .await
                .unwrap();
            assert!(read == bytes[start as usize..end as usize], "{start}..{end}");
        }
    })
    .await;
}

#[tokio::test]
async fn records_wait_for_what_they_list_and_are_no_blobs() {
    for_each_store(|store, work| async move {
        let blob = BlobId::of(b"listed");
        let record = |links: Vec<BlobId>| Record {
            links,
            body: Bytes::from_static(b"what is said of it"),
        };
        let low = record(vec![blob, blob]);
        let high = record(vec![low.to_piece().id]);
        let early = store.put_pieces(vec![low.to_piece()]).await.unwrap_err();
        let (id, child) = (low.to_piece().id, blob);
        assert_eq!(early, BlobError::Incomplete { id, child });
        let pieces = vec![Piece::chunk(b"listed".to_vec()), low.to_piece(), high.to_piece()];
        assert_eq!(store.put_pieces(pieces).await.unwrap().len(), 3);
        let ids = vec![high.to_piece().id, low.to_piece().id];
        assert!(store.missing(ids.clone()).await.unwrap().is_empty());
        assert_eq!(store.read_records(ids.clone()).await.unwrap(), [high, low]);
        let id = ids[0];
        let not_found = BlobError::NotFound { id };
        assert_eq!(store.stat(id).await.unwrap(), None);
        assert_eq!(store.read_all(id, u64::MAX).await, Err(not_found.clone()));
        let path = work.join("record");
        let laid_out = store.materialise(vec![Placement::new(id, path, 0o444)]);
        assert_eq!(laid_out.await, Err(not_found));
        let sent = Piece::received(Kind::Record, b"no record".to_vec().into());
        assert!(matches!(sent, Err(BlobError::BadPiece { .. })));
    })
    .await;
}

#[tokio::test]
async fn pieces_sent_one_by_one_make_the_blob_and_nodes_wait_for_what_they_list() {
    for_each_store(|store, _| async move {
        let bytes = noise(1_000_000, 21);
        let mut pieces = Vec::new();
        let mut cutter = Cutter::new();
        cutter.push(&bytes, &mut |piece| pieces.push(piece));
        let blob = cutter.finish(&mut |piece| pieces.push(piece));
        let node = pieces.pop().unwrap();
        assert_eq!((node.id, node.kind), (blob.id, Kind::Node(1)));
        let early = store.put_pieces(vec![node.clone()]).await.unwrap_err();
        assert!(matches!(early, BlobError::Incomplete { .. }), "{early:?}");
        let last = pieces.pop().unwrap();
        assert_eq!(
            store.put_pieces(pieces.clone()).await.unwrap().len(),
            pieces.len()
        );
        assert!(
            store.put_pieces(vec![node.clone()]).await.is_err(),
            "one chunk is missing"
        );
        assert_eq!(store.stat(blob.id).await.unwrap(), None);
        // What comes before it in one request counts.
        let written = store.put_pieces(vec![last.clone(), node.clone()]).await.unwrap();
        assert_eq!(written.len(), 2);
        assert_eq!(store.read_all(blob.id, u64::MAX).await.unwrap(), bytes);
        assert!(
            store
                .put_pieces(vec![last, node.clone()])
                .await
                .unwrap()
                .is_empty()
        );
        let kind = BlobError::NotFound { id: node.id };
        assert_eq!(store.read_records(vec![node.id]).await, Err(kind), "not a record");
        let large = Piece::received(Kind::Chunk, vec![0; CHUNK_MAX + 1].into());
        assert!(matches!(large, Err(BlobError::BadPiece { .. })));
        let content = Piece::received(Kind::Node(1), b"no node".to_vec().into());
        assert!(matches!(content, Err(BlobError::BadPiece { .. })));
    })
    .await;
}

#[tokio::test]
async fn what_does_not_hold_is_not_stored() {
    for_each_store(|store, _| async move {
        let error = store.put(&mut &b"large"[..], Some(4)).await.unwrap_err();
        assert_eq!(error, BlobError::TooLarge { limit_bytes: 4 });
        assert!(store.put(&mut &b"four"[..], Some(4)).await.is_ok());
        let error = store.put(&mut Broken(3_000_000), None).await.unwrap_err();
        assert!(matches!(error, BlobError::Incoming { .. }), "{error:?}");
        assert_eq!(store.pieces().await.unwrap(), 1, "only what was within its limit");
        let absent = BlobId::of(b"absent");
        assert_eq!(store.stat(absent).await.unwrap(), None);
        assert!(matches!(
            store.open(absent, None).await,
            Err(BlobError::NotFound { .. })
        ));
        assert!(matches!(
            store.verify(absent).await,
            Err(BlobError::NotFound { .. })
        ));
        assert_eq!(
            store.missing(vec![absent, BlobId::of(b"four")]).await.unwrap(),
            [absent]
        );
    })
    .await;
}

#[tokio::test]
async fn files_are_stored_in_order_and_once() {
    for_each_store(|store, work| async move {
        let mut files: Vec<OpenFile> = Vec::new();
        let mut expected = Vec::new();
        for index in 0..300 {
            // Every third is a repetition; one is larger than what is hashed in memory.
            let bytes = if index == 7 {
                noise(2_500_000, 9)
            } else {
                noise(100, index - index % 3)
            };
            let path = work.join(index.to_string());
            fs::write(&path, &bytes).unwrap();
            expected.push(BlobId::of_blob(&bytes));
            files.push(opener(path));
        }
        let stored = store.put_files(files).await.unwrap();
        assert_eq!(
            stored.iter().map(|stored| stored.blob.id).collect::<Vec<_>>(),
            expected
        );
        for stored in &stored {
            store.verify(stored.blob.id).await.unwrap();
        }
        let large = opener(work.join("7"));
        let again = store.put_files(vec![large]).await.unwrap();
        assert!(!again[0].created);
        assert_eq!(again[0].blob.size_bytes, 2_500_000);
        let gone: OpenFile = Box::new(|| Err(io::ErrorKind::NotFound.into()));
        assert!(matches!(
            store.put_files(vec![gone]).await,
            Err(BlobError::Io { .. })
        ));
        assert!(store.put_files(Vec::new()).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn laid_out_files_share_nothing_with_their_blob() {
    for_each_store(|store, work| async move {
        let bytes = noise(200_000, 5);
        let id = put(&store, &bytes).await;
        let place = |name: &str, mode| Placement::new(id, work.join(name), mode);
        store
            .materialise(vec![place("plain", 0o444), place("tool", 0o555)])
            .await
            .unwrap();
        let mode = |name: &str| fs::metadata(work.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("plain"), mode("tool")), (0o444, 0o555));
        assert_eq!(fs::read(work.join("plain")).unwrap(), bytes);
        // As a careless step would that runs as root, or that changes the mode first.
        fs::set_permissions(work.join("plain"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(work.join("plain"), "spoilt").unwrap();
        store.verify(id).await.unwrap();
        assert_eq!(fs::read(work.join("tool")).unwrap(), bytes);
        let over = store.materialise(vec![place("tool", 0o444)]).await.unwrap_err();
        assert!(
            matches!(over, BlobError::Io { .. }),
            "an existing file is never overwritten"
        );
        let absent = Placement::new(BlobId::of(b"absent"), work.join("x"), 0o444);
        assert!(matches!(
            store.materialise(vec![absent]).await,
            Err(BlobError::NotFound { .. })
        ));
        assert!(!work.join("x").exists());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_bytes_from_many_sides_are_stored_once() {
    for_each_store(|store, _| async move {
        let bytes = Arc::new(noise(1_500_000, 1));
        let mut tasks = Vec::new();
        for _ in 0..16 {
            let (store, bytes) = (store.clone(), Arc::clone(&bytes));
            tasks.push(tokio::spawn(async move { put(&store, &bytes).await }));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), BlobId::of_blob(&bytes));
        }
        let mut pieces = 0;
        let mut cutter = Cutter::new();
        cutter.push(&bytes, &mut |_| pieces += 1);
        let _ = cutter.finish(&mut |_| pieces += 1);
        assert_eq!(store.pieces().await.unwrap(), pieces);
        store.verify(BlobId::of_blob(&bytes)).await.unwrap();
    })
    .await;
}
