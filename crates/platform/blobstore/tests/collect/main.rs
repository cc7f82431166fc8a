//! Collection, check and repair: against a model, with faults at every call, killed, and beside others.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod beside;
mod copies;
mod damage;
mod faults;
mod killed;
mod model;
mod whole;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corliss_blobstore::{
    Backend, BlobError, BlobId, BlobStore, CollectOptions, CollectReport, Cutter, Piece, Record,
};
use corliss_keyring::RootKey;

/// Everything at once, without grace.
fn eager() -> CollectOptions {
    CollectOptions {
        grace: Duration::ZERO,
        wait: Duration::from_secs(20),
        ..CollectOptions::default()
    }
}

/// A folder in memory where there is one: these tests open many indexes, and a sync of the disk each adds up.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

async fn collect(store: &BlobStore, roots: &[BlobId]) -> CollectReport {
    let report = store.collect(&mut roots.to_vec(), eager(), &|_| {}).await;
    report.unwrap()
}

async fn put(store: &BlobStore, bytes: &[u8]) -> BlobId {
    store.put(&mut &*bytes, None).await.unwrap().blob.id
}

fn record(links: &[BlobId], body: &str) -> Piece {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let links = links.to_vec();
    Record { links, body }.to_piece()
}

async fn put_record(store: &BlobStore, links: &[BlobId], body: &str) -> BlobId {
    let piece = record(links, body);
    let id = piece.id;
    store.put_pieces(vec![piece]).await.unwrap();
    id
}

/// A blob's pieces as they are stored.
fn pieces_of(bytes: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut cutter = Cutter::new();
    cutter.push(bytes, &mut |piece| pieces.push(piece));
    let _ = cutter.finish(&mut |piece| pieces.push(piece));
    pieces
}

/// A store lets go of its index a moment after it is dropped.
async fn open(backend: &Arc<dyn Backend>, root: &Arc<dyn RootKey>, index: &Path) -> BlobStore {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        match BlobStore::open_backend(Arc::clone(backend), Arc::clone(root), index).await {
            Err(BlobError::InUse { .. }) => assert!(std::time::Instant::now() < deadline),
            other => return other.unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
