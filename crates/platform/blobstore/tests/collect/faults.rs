//! Calls to the backend that fail, and a process that ends at one: for each call of a collection and a repair.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use corliss_blobstore::{Backend, BlobError, BlobId, BlobStore, MemoryBackend, Object};
use corliss_keyring::{MemoryRootKey, RootKey};
use corliss_testkit::noise::noise;

use super::model::Model;
use super::{collect, eager, open, put_record};

/// What happens at the call that is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process ends before the call has done anything: all that follow fail too.
    EndsBefore,
    /// The process ends when the call is done.
    EndsAfter,
    /// The call does what it should and answers an error; the next ones are well.
    Once,
}

pub(crate) struct Faulty {
    pub inner: Arc<dyn Backend>,
    fault: Fault,
    at: u64,
    pub calls: AtomicU64,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Backend>, fault: Fault, at: u64) -> Self {
        let calls = AtomicU64::new(0);
        Self {
            inner,
            fault,
            at,
            calls,
        }
    }

    async fn call<T>(&self, work: impl Future<Output = Result<T, BlobError>> + Send) -> Result<T, BlobError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let has_ended = match self.fault {
            Fault::EndsBefore => call >= self.at,
            Fault::EndsAfter => call > self.at,
            Fault::Once => false,
        };
        let failed = Err(BlobError::Io {
            action: "reach",
            path: "the backend".to_owned(),
            message: format!("{:?} at call {}", self.fault, self.at),
        });
        if has_ended {
            return failed;
        }
        let done = work.await;
        if call == self.at { failed } else { done }
    }
}

#[async_trait]
impl Backend for Faulty {
    fn place(&self) -> String {
        self.inner.place()
    }

    async fn put(&self, name: &str, parts: Vec<Bytes>) -> Result<(), BlobError> {
        self.call(self.inner.put(name, parts)).await
    }

    async fn put_if(&self, name: &str, expected: Option<&[u8]>, new: Bytes) -> Result<bool, BlobError> {
        self.call(self.inner.put_if(name, expected, new)).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        self.call(self.inner.get(name)).await
    }

    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        self.call(self.inner.read(name, ranges)).await
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, BlobError> {
        self.call(self.inner.size(name)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<Object>, BlobError> {
        self.call(self.inner.list(folder)).await
    }

    async fn remove(&self, name: &str) -> Result<(), BlobError> {
        self.call(self.inner.remove(name)).await
    }
}

pub(crate) async fn copy(from: &dyn Backend) -> Arc<dyn Backend> {
    let copy = MemoryBackend::default();
    for folder in ["packs", "keys"] {
        for object in from.list(folder).await.unwrap() {
            let bytes = from.get(&object.name).await.unwrap().unwrap();
            copy.put(&object.name, vec![bytes]).await.unwrap();
        }
    }
    if let Some(bytes) = from.get("condemned").await.unwrap() {
        copy.put("condemned", vec![bytes]).await.unwrap();
    }
    Arc::new(copy)
}

/// Two collections' worth: records above records, packs of which some, all or nothing is needed, and copies.
async fn fill(store: &BlobStore, model: &mut Model) {
    for round in 0..4_u64 {
        let mut pieces = Vec::new();
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for n in 0..6 {
            let bytes = noise(3000, 100 * round + n);
            let piece = corliss_blobstore::Piece::chunk(bytes.clone());
            model.contents.insert(piece.id, bytes);
            if n % 3 == 0 {
                kept.push(piece.id)
            } else {
                gone.push(piece.id)
            }
            pieces.push(piece);
        }
        let kept = super::record(&kept, "kept");
        let gone = super::record(&gone, "gone");
        let above = super::record(&[gone.id, kept.id], "above, gone");
        model.roots.insert(kept.id);
        pieces.extend([kept, gone, above]);
        pieces.iter().for_each(|piece| model.add(piece));
        store.put_pieces(pieces).await.unwrap();
    }
    let large = model.put(store, noise(600_000, 77)).await;
    let above = super::record(&[large], "a large one, gone");
    model.add(&above);
    put_record(store, &[large], "a large one, gone").await;
}

/// Whatever is known is whole.
pub(crate) async fn assert_whole(store: &BlobStore, model: &Model, what: &str) {
    let ids: Vec<BlobId> = model.links.keys().copied().collect();
    let missing = store.missing(ids.clone()).await.unwrap();
    for id in ids.iter().filter(|id| !missing.contains(id)) {
        let listed = &model.links[id];
        assert!(
            listed.iter().all(|child| !missing.contains(child)),
            "{what}: {id} is not whole"
        );
    }
    for id in model.reached(model.roots.iter().copied()) {
        assert!(!missing.contains(&id), "{what}: {id} is lost");
    }
}

#[tokio::test]
async fn a_collection_that_ends_anywhere_leaves_what_is_known_whole() {
    let folder = super::folder();
    let root: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    let origin: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
    let mut model = Model::default();
    let store = open(&origin, &root, &folder.path().join("origin")).await;
    fill(&store, &mut model).await;
    drop(store);
    let roots: Vec<BlobId> = model.roots.iter().copied().collect();
    for fault in [Fault::EndsBefore, Fault::EndsAfter, Fault::Once] {
        for at in 1.. {
            let what = format!("{fault:?} {at}");
            eprintln!("{what}");
            let inner = copy(origin.as_ref()).await;
            let index = folder.path().join(&what);
            let opened = open(&inner, &root, &index).await;
            drop(opened);
            let counter = Arc::new(Faulty::new(Arc::clone(&inner), Fault::Once, u64::MAX));
            let backend: Arc<dyn Backend> = counter.clone();
            drop(open(&backend, &root, &index).await);
            let before = counter.calls.load(Ordering::SeqCst);
            let faulty = Arc::new(Faulty::new(Arc::clone(&inner), fault, before + at));
            let backend: Arc<dyn Backend> = faulty.clone();
            let store = open(&backend, &root, &index).await;
            let result = store.collect(&mut roots.clone(), eager(), &|_| {}).await;
            let is_over = faulty.calls.load(Ordering::SeqCst) < before + at;
            assert_eq!(result.is_ok(), is_over, "{what}: {result:?}");
            if fault == Fault::Once && !is_over {
                // It goes on: what it says is stored must be there after any restart.
                assert_whole(&store, &model, &what).await;
                let known: Vec<BlobId> = model.links.keys().copied().collect();
                let gone = store.missing(known.clone()).await.unwrap();
                let known: Vec<BlobId> = known.into_iter().filter(|id| !gone.contains(id)).collect();
                let late = put_record(&store, &known, "late").await;
                drop(store);
                let again = open(&inner, &root, &folder.path().join(format!("{what} late"))).await;
                let mut listed = known;
                listed.push(late);
                assert!(again.missing(listed).await.unwrap().is_empty(), "{what}");
                drop(again);
            } else {
                drop(store);
            }
            for index in [index, folder.path().join(format!("{what} anew"))] {
                let store = open(&inner, &root, &index).await;
                assert_whole(&store, &model, &what).await;
                drop(store);
            }
            let store = open(&inner, &root, &folder.path().join(&what)).await;
            collect(&store, &roots).await;
            model.stored = model.reached(roots.iter().copied());
            model.compare(&store).await;
            drop(store);
            let store = open(&inner, &root, &folder.path().join(format!("{what} anew"))).await;
            model.compare(&store).await;
            if is_over {
                assert!(at > 12, "{at} calls are less than there are");
                break;
            }
        }
    }
}
