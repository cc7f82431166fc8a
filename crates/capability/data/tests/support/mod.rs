//! What the suites of the data capability share: a service, and a client that sends versions to it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each suite uses a part of it; a failed unwrap here is a failed test"
)]

use std::sync::Arc;

use async_trait::async_trait;
use corliss_blobstore::{BlobId, BlobStore, Kind};
use corliss_clock::{ManualClock, Sources};
use corliss_data::tree::Builder;
use corliss_data::{
    Committed, DataError, DataService, Entry, InUse, Limits, PortError, RefName, Signature, Target, transfer,
};
use corliss_metastore::Metastore;
use corliss_types::{DatasetName, Timestamp, VersionId};

pub fn service_with(store: Metastore, blobs: BlobStore, limits: Limits) -> (DataService, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
    (
        DataService::new(store, blobs, Sources::replayable(Arc::clone(&clock), 7), limits),
        clock,
    )
}

pub async fn service(store: Metastore) -> (DataService, Arc<ManualClock>) {
    service_with(store, BlobStore::in_memory().await.unwrap(), Limits::default())
}

pub fn name(text: &str) -> DatasetName {
    text.parse().unwrap()
}

pub fn branch(text: &str) -> RefName {
    text.parse().unwrap()
}

/// The default branch of a dataset.
pub fn on(dataset: &str) -> Target {
    Target {
        dataset: name(dataset),
        branch: None,
        expected: None,
    }
}

pub fn by(message: &str) -> Signature {
    Signature {
        author: "ada".to_owned(),
        message: message.to_owned(),
    }
}

pub fn entry(path: &str, text: &str) -> Entry {
    Entry {
        path: path.parse().unwrap(),
        blob: BlobId::of(text.as_bytes()),
        size_bytes: text.len() as u64,
        executable: false,
        link: false,
    }
}

/// Sends the tree of some entries, as the command line does.
pub async fn send_tree(service: &DataService, entries: &[Entry]) -> Result<VersionId, DataError> {
    let mut builder = Builder::default();
    for entry in entries {
        builder.push(entry)?;
    }
    let root = builder.finish()?;
    let mut body = Vec::new();
    for piece in builder.take_pieces() {
        transfer::append(piece.kind, &piece.bytes, &mut body);
    }
    service.put_pieces(body.into()).await?;
    Ok(root.version())
}

/// Sends a folder of some files.
pub async fn send(service: &DataService, files: &[(&str, &str)]) -> VersionId {
    let mut body = Vec::new();
    for (_, text) in files {
        transfer::append(Kind::Chunk, text.as_bytes(), &mut body);
    }
    service.put_pieces(body.into()).await.unwrap();
    let mut entries: Vec<Entry> = files.iter().map(|(path, text)| entry(path, text)).collect();
    entries.sort();
    send_tree(service, &entries).await.unwrap()
}

/// Sends a folder and commits it to the default branch.
pub async fn commit(
    service: &DataService,
    dataset: &str,
    files: &[(&str, &str)],
    message: &str,
) -> Committed {
    let version = send(service, files).await;
    service.commit(&on(dataset), &version, by(message)).await.unwrap()
}

/// No other room refers to anything.
pub struct NothingElse;

#[async_trait]
impl InUse for NothingElse {
    async fn versions(&self) -> Result<Vec<VersionId>, PortError> {
        Ok(Vec::new())
    }
    async fn blobs(&self) -> Result<Vec<BlobId>, PortError> {
        Ok(Vec::new())
    }
}
