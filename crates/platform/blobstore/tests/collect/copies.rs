//! Packs that an index did not expect: a piece in two of them, and one that a failed put left behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use corliss_blobstore::{Backend, BlobId, MemoryBackend, Piece};
use corliss_keyring::{MemoryRootKey, RootKey};

use super::faults::{Fault, Faulty};
use super::{collect, folder, open, record};

#[tokio::test]
async fn what_lies_twice_goes_from_both_packs_and_stays_in_one() {
    let folder = folder();
    let root: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    for is_root in [false, true] {
        let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
        let at = |name: &str| folder.path().join(format!("{is_root}-{name}"));
        let store = open(&backend, &root, &at("one")).await;
        let chunk = Piece::chunk(b"below".to_vec());
        let top = record(&[chunk.id], "top");
        store.put_pieces(vec![chunk.clone(), top.clone()]).await.unwrap();
        drop(store);
        // As after a collection that was cut off between writing a pack and removing another.
        let first = backend.list("packs").await.unwrap().pop().unwrap().name;
        let bytes = backend.get(&first).await.unwrap().unwrap();
        backend.remove(&first).await.unwrap();
        let store = open(&backend, &root, &at("two")).await;
        store.put_pieces(vec![chunk.clone()]).await.unwrap();
        store.put_pieces(vec![top.clone()]).await.unwrap();
        drop(store);
        backend.put(&first, vec![bytes]).await.unwrap();
        let store = open(&backend, &root, &at("three")).await;
        let roots: Vec<BlobId> = is_root.then_some(top.id).into_iter().collect();
        collect(&store, &roots).await;
        let pieces = if is_root { 2 } else { 0 };
        assert_eq!(store.pieces().await.unwrap(), pieces);
        let again = collect(&store, &roots).await;
        assert_eq!(
            (again.removed_pieces, again.packs_before),
            (0, u64::from(is_root))
        );
        drop(store);
        let store = open(&backend, &root, &at("four")).await;
        assert_eq!(store.pieces().await.unwrap(), pieces);
        let missing = store.missing(vec![chunk.id, top.id]).await.unwrap();
        assert_eq!(missing.is_empty(), is_root);
    }
}

#[tokio::test]
async fn a_pack_that_a_failed_put_left_does_not_come_back_without_what_it_lists() {
    let folder = folder();
    let root: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    let inner: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
    let index = folder.path().join("index");
    let counter = Arc::new(Faulty::new(Arc::clone(&inner), Fault::Once, u64::MAX));
    let backend: Arc<dyn Backend> = counter.clone();
    let chunk = Piece::chunk(b"below".to_vec());
    let store = open(&backend, &root, &index).await;
    store.put_pieces(vec![chunk.clone()]).await.unwrap();
    drop(store);
    counter.calls.store(0, Ordering::SeqCst);
    let store = open(&backend, &root, &index).await;
    store
        .put_pieces(vec![Piece::chunk(b"other".to_vec())])
        .await
        .unwrap();
    drop(store);
    // Of a put, the pack is what comes last.
    let at = counter.calls.load(Ordering::SeqCst);
    let backend: Arc<dyn Backend> = Arc::new(Faulty::new(Arc::clone(&inner), Fault::Once, at));
    let store = open(&backend, &root, &index).await;
    let top = record(&[chunk.id], "top");
    store.put_pieces(vec![top.clone()]).await.unwrap_err();
    assert_eq!(
        inner.list("packs").await.unwrap().len(),
        3,
        "it is there all the same"
    );
    assert_eq!(store.missing(vec![top.id]).await.unwrap(), [top.id]);
    collect(&store, &[]).await;
    drop(store);
    let store = open(&inner, &root, &folder.path().join("anew")).await;
    let both = vec![top.id, chunk.id];
    assert_eq!(store.missing(both.clone()).await.unwrap(), both);
}
