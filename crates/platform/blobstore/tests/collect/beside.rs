//! Collections beside writers, readers and each other.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use corliss_blobstore::{
    Backend, BlobError, BlobId, BlobStore, CollectOptions, MemoryBackend, Roots, Skipped,
};
use corliss_keyring::{MemoryRootKey, RootKey};
use corliss_testkit::noise::noise;
use tokio::io::AsyncReadExt;

use super::faults::assert_whole;
use super::model::Model;
use super::{collect, eager, open, pieces_of, put, put_record, record};

/// Does something once the store notes its answers.
struct Meanwhile<F>(Option<F>, Vec<BlobId>);

#[async_trait]
impl<F: AsyncFnOnceSend + Send> Roots for Meanwhile<F> {
    async fn next(&mut self) -> Result<Vec<BlobId>, BlobError> {
        if let Some(work) = self.0.take() {
            work.run().await;
        }
        Ok(std::mem::take(&mut self.1))
    }
}

/// An async closure whose future is Send.
trait AsyncFnOnceSend {
    fn run(self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

impl<F, Fut> AsyncFnOnceSend for F
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    fn run(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self())
    }
}

#[tokio::test]
async fn who_is_told_that_it_is_stored_during_a_collection_can_build_on_it() {
    let store = BlobStore::in_memory().await.unwrap();
    let child = put(&store, &noise(500_000, 1)).await;
    let told = put_record(&store, &[child], "told").await;
    let untold = put_record(&store, &[put(&store, b"x").await], "untold").await;
    // Told before, by somebody who does not hold the store.
    assert!(store.missing(vec![untold]).await.unwrap().is_empty());
    let asked = store.clone();
    let work = move || async move {
        assert!(asked.missing(vec![told]).await.unwrap().is_empty());
        let busy = asked.collect(&mut Vec::new(), eager(), &|_| {}).await;
        assert_eq!(busy, Err(BlobError::Busy));
    };
    store
        .collect(&mut Meanwhile(Some(work), Vec::new()), eager(), &|_| {})
        .await
        .unwrap();
    put_record(&store, &[told], "above").await;
    assert_eq!(store.read_all(child, u64::MAX).await.unwrap(), noise(500_000, 1));
    assert_eq!(store.missing(vec![untold, told]).await.unwrap(), [untold]);
    let late = store.put_pieces(vec![record(&[untold], "late")]).await;
    assert!(matches!(late, Err(BlobError::Incomplete { .. })), "{late:?}");
    // As it was asked to, the client sends it anew.
    let again = put(&store, b"x").await;
    put_record(&store, &[again], "untold").await;
    put_record(&store, &[untold], "late").await;
}

#[tokio::test]
async fn who_holds_the_store_can_build_on_what_was_said_and_written_before() {
    let store = BlobStore::in_memory().await.unwrap();
    let old = put_record(&store, &[put(&store, &noise(500_000, 1)).await], "old").await;
    let hold = store.hold();
    assert!(store.missing(vec![old]).await.unwrap().is_empty());
    let new = put(&store, b"written under the hold").await;
    for _ in 0..2 {
        let report = collect(&store, &[]).await;
        assert_eq!(report.removed_pieces, 0, "{report:?}");
    }
    let above = put_record(&store, &[old, new], "above").await;
    drop(hold);
    collect(&store, &[above]).await;
    assert!(store.missing(vec![above, old, new]).await.unwrap().is_empty());
    collect(&store, &[]).await;
    assert_eq!(store.pieces().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_young_stays_with_all_that_it_lists() {
    let store = BlobStore::in_memory().await.unwrap();
    let below = put(&store, b"below").await;
    let young = put_record(&store, &[below], "young").await;
    let options = CollectOptions {
        grace: Duration::from_hours(1),
        ..eager()
    };
    let report = store.collect(&mut Vec::new(), options, &|_| {}).await.unwrap();
    assert_eq!((report.kept_pieces, report.removed_pieces), (2, 0));
    let dry = CollectOptions {
        dry_run: true,
        ..eager()
    };
    let report = store.collect(&mut Vec::new(), dry, &|_| {}).await.unwrap();
    assert_eq!((report.removed_pieces, report.packs_removed), (2, 0));
    assert!(store.missing(vec![below, young]).await.unwrap().is_empty());
}

#[tokio::test]
async fn if_a_root_is_missing_nothing_goes_unless_that_is_allowed() {
    let store = BlobStore::in_memory().await.unwrap();
    put(&store, b"garbage").await;
    let kept = put(&store, b"kept").await;
    let absent = BlobId::of(b"absent");
    let report = collect(&store, &[kept, absent]).await;
    assert_eq!(report.missing_roots, [absent]);
    assert_eq!(report.skipped, [Skipped::Incomplete]);
    assert_eq!(store.pieces().await.unwrap(), 2);
    let options = CollectOptions {
        despite_missing: true,
        ..eager()
    };
    let report = store.collect(&mut vec![kept, absent], options, &|_| {}).await;
    assert_eq!(report.unwrap().removed_pieces, 1);
    assert_eq!(store.pieces().await.unwrap(), 1);
}

#[tokio::test]
async fn a_reader_of_what_goes_finishes_and_what_is_sent_again_meanwhile_stays() {
    let folder = super::folder();
    let root: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
    let store = open(&backend, &root, &folder.path().join("index")).await;
    let bytes = noise(24_000_000, 3);
    let old = put(&store, &bytes).await;
    let mut reader = store.open(old, None).await.unwrap();
    let options = CollectOptions {
        wait: Duration::from_millis(20),
        ..eager()
    };
    let report = store.collect(&mut Vec::new(), options, &|_| {}).await.unwrap();
    assert_eq!(report.skipped, [Skipped::Readers]);
    assert_eq!((report.packs_removed, report.removed_pieces > 300), (0, true));
    assert_eq!(
        store.open(old, None).await.err(),
        Some(BlobError::NotFound { id: old })
    );
    // A part of the same content comes again: all of it is new, and stays.
    let part = bytes[..3_000_000].to_vec();
    let stored = store.put(&mut &*part, None).await.unwrap();
    assert!(stored.created);
    let mut read = Vec::new();
    reader.bytes.read_to_end(&mut read).await.unwrap();
    assert!(read == bytes, "what the reader began with");
    drop(reader);
    let report = collect(&store, &[stored.blob.id]).await;
    assert!(report.freed_bytes > 20_000_000, "{report:?}");
    assert_eq!(store.read_all(stored.blob.id, u64::MAX).await.unwrap(), part);
    assert_eq!(store.pieces().await.unwrap(), pieces_of(&part).len() as u64);
    drop(store);
    let store = open(&backend, &root, &folder.path().join("anew")).await;
    assert_eq!(store.read_all(stored.blob.id, u64::MAX).await.unwrap(), part);
    assert_eq!(store.pieces().await.unwrap(), pieces_of(&part).len() as u64);
}

/// Polls a future so many times, then drops it.
async fn poll_times<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>, times: usize) -> Option<T> {
    let mut left = times;
    std::future::poll_fn(move |context: &mut Context<'_>| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test]
async fn a_collection_that_is_dropped_anywhere_does_no_harm() {
    let folder = super::folder();
    let root: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    for times in 0.. {
        let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
        let store = open(&backend, &root, &folder.path().join(times.to_string())).await;
        let mut model = Model::default();
        let mut all = Vec::new();
        for n in 0..12_u64 {
            let id = model.put(&store, noise(2000, n)).await;
            let piece = record(&[id], "above");
            model.add(&piece);
            store.put_pieces(vec![piece.clone()]).await.unwrap();
            all.push(piece.id);
        }
        let roots: Vec<BlobId> = all.iter().step_by(3).copied().collect();
        model.roots = roots.iter().copied().collect();
        let mut given = roots.clone();
        let run = Box::pin(store.collect(&mut given, eager(), &|_| {}));
        let is_over = poll_times(run, times).await.is_some();
        assert_whole(&store, &model, &format!("dropped after {times}")).await;
        // What was under way when it was dropped may still be.
        loop {
            match store.collect(&mut roots.clone(), eager(), &|_| {}).await {
                Err(BlobError::Busy) => tokio::time::sleep(Duration::from_millis(1)).await,
                done => break drop(done.unwrap()),
            }
        }
        model.stored = model.reached(roots.iter().copied());
        model.compare(&store).await;
        drop(store);
        let store = open(&backend, &root, &folder.path().join(format!("{times}-anew"))).await;
        model.compare(&store).await;
        if is_over {
            // How often it waits is chance: what it waits for may be done already.
            assert!(times > 2, "{times}");
            break;
        }
    }
}

/// What writers have published; told when it is asked for.
struct Published(Arc<Mutex<BTreeSet<BlobId>>>, bool);

#[async_trait]
impl Roots for Published {
    async fn next(&mut self) -> Result<Vec<BlobId>, BlobError> {
        if std::mem::replace(&mut self.1, true) {
            return Ok(Vec::new());
        }
        Ok(self.0.lock().unwrap().iter().copied().collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_writers_publish_beside_collections_is_whole() {
    let folder = super::folder();
    let root: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
    let store = open(&backend, &root, &folder.path().join("index")).await;
    let published = Arc::new(Mutex::new(BTreeSet::new()));
    let mut writers = Vec::new();
    for writer in 0..4_u64 {
        let (store, published) = (store.clone(), Arc::clone(&published));
        writers.push(tokio::spawn(async move {
            for round in 0..60_u64 {
                // Few contents, so that what one needs is what another has just let go.
                let hold = store.hold();
                let bytes: Vec<Vec<u8>> = (0..3)
                    .map(|n| noise(4000, (writer + round * 7 + n) % 9))
                    .collect();
                let mut pieces: Vec<_> = bytes.iter().flat_map(|bytes| pieces_of(bytes)).collect();
                let ids: Vec<BlobId> = pieces.iter().map(|piece| piece.id).collect();
                let top = record(&ids, "top");
                pieces.push(top.clone());
                // As a client does: only what is missing.
                let all = pieces.iter().map(|piece| piece.id).collect();
                let missing = store.missing(all).await.unwrap();
                pieces.retain(|piece| missing.contains(&piece.id));
                store.put_pieces(pieces).await.unwrap();
                published.lock().unwrap().insert(top.id);
                drop(hold);
                tokio::task::yield_now().await;
                if round % 3 != 0 {
                    published.lock().unwrap().remove(&top.id);
                }
            }
        }));
    }
    let mut collections = 0;
    while writers.iter().any(|writer| !writer.is_finished()) {
        let options = CollectOptions {
            live_percent: 100,
            wait: Duration::from_millis(200),
            ..eager()
        };
        let mut roots = Published(Arc::clone(&published), false);
        let report = store.collect(&mut roots, options, &|_| {}).await.unwrap();
        assert!(
            report.missing_roots.is_empty() && report.missing.is_empty(),
            "{report:?}"
        );
        collections += 1;
    }
    assert!(collections > 1);
    for writer in writers {
        writer.await.unwrap();
    }
    let roots: Vec<BlobId> = published.lock().unwrap().iter().copied().collect();
    drop(store);
    for index in ["index", "anew"] {
        let store = open(&backend, &root, &folder.path().join(index)).await;
        for record in store.read_records(roots.clone()).await.unwrap() {
            for id in record.links {
                store.verify(id).await.unwrap();
            }
        }
    }
}
