//! Laying blobs out as files: small ones many at a time in the order in which they lie, large ones as streams.

use std::io::Write;
use std::path::Path;

use tokio::task::JoinSet;

use super::ahead::ReadAhead;
use super::leases::Lease;
use super::read::{Walk, read_located};
use super::{BlobStore, Placement};
use crate::index::Location;
use crate::piece::Kind;
use crate::{BlobError, blocking};

/// Bytes of small files that are read together.
const BATCH_BYTES: u64 = 8 << 20;
/// Small files that are written by one task, so that others are written beside it.
const BATCH_FILES: usize = 2048;
/// Batches, or large files, on their way at once.
const TASKS: usize = 4;

pub(super) async fn files(store: &BlobStore, files: Vec<Placement>) -> Result<(), BlobError> {
    let ids = files.iter().map(|file| file.id).collect();
    let lease = store.inner.answers.lease();
    let found = store.locate(&lease, ids).await?;
    let mut small: Vec<(Location, Placement)> = Vec::new();
    let mut tasks = JoinSet::new();
    let mut large = Vec::new();
    for (file, location) in files.into_iter().zip(found) {
        let location = location.ok_or(BlobError::NotFound { id: file.id })?;
        match location.row.kind {
            Kind::Chunk => small.push((location, file)),
            Kind::Node(_) => large.push(file),
            Kind::Record => return Err(BlobError::NotFound { id: file.id }),
        }
    }
    small.sort_by_key(|(location, _)| (location.pack, location.row.offset));
    for batch in batches(small) {
        let (store, lease) = (store.clone(), lease.clone());
        let write = async move { write_batch(&store, &lease, batch).await };
        start(&mut tasks, write).await?;
    }
    for file in large {
        let (store, lease) = (store.clone(), lease.clone());
        start(&mut tasks, async move { write_large(&store, lease, file).await }).await?;
    }
    while let Some(ended) = tasks.join_next().await {
        outcome(ended)?;
    }
    Ok(())
}

/// Starts a task once there is room for it.
async fn start(
    tasks: &mut JoinSet<Result<(), BlobError>>,
    work: impl Future<Output = Result<(), BlobError>> + Send + 'static,
) -> Result<(), BlobError> {
    while tasks.len() >= TASKS
        && let Some(ended) = tasks.join_next().await
    {
        outcome(ended)?;
    }
    tasks.spawn(work);
    Ok(())
}

fn outcome(ended: Result<Result<(), BlobError>, tokio::task::JoinError>) -> Result<(), BlobError> {
    ended.unwrap_or_else(|error| {
        Err(BlobError::Io {
            action: "finish work on",
            path: "files being laid out".to_owned(),
            message: error.to_string(),
        })
    })
}

fn batches(small: Vec<(Location, Placement)>) -> Vec<Vec<(Location, Placement)>> {
    let mut batches: Vec<Vec<(Location, Placement)>> = Vec::new();
    let mut bytes = 0;
    for one in small {
        let len = one.0.row.size_bytes;
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_FILES && bytes + len <= BATCH_BYTES => {
                bytes += len;
                batch.push(one);
            }
            _ => {
                bytes = len;
                batches.push(vec![one]);
            }
        }
    }
    batches
}

/// The lease is that with which the places were found.
async fn write_batch(
    store: &BlobStore,
    _lease: &Lease,
    batch: Vec<(Location, Placement)>,
) -> Result<(), BlobError> {
    let located = batch.iter().map(|(location, _)| *location).collect();
    let contents = read_located(store, located).await?;
    blocking(move || {
        for ((_, file), bytes) in batch.into_iter().zip(contents) {
            let (path, mut target) = create(file)?;
            target.write_all(&bytes).map_err(|error| failed(&path, &error))?;
        }
        Ok(())
    })
    .await
}

async fn write_large(store: &BlobStore, lease: Lease, file: Placement) -> Result<(), BlobError> {
    let (walk, _) = Walk::start(store, lease, file.id, None).await?;
    let (mut path, mut target) = blocking(move || create(file)).await?;
    let mut windows = ReadAhead::of(store.clone(), walk);
    while let Some(window) = windows.next().await? {
        (path, target) = blocking(move || {
            for part in &window {
                target.write_all(part).map_err(|error| failed(&path, &error))?;
            }
            Ok((path, target))
        })
        .await?;
    }
    Ok(())
}

fn create(file: Placement) -> Result<(Box<Path>, Box<dyn Write + Send>), BlobError> {
    match (file.create)() {
        Ok(target) => Ok((file.path, target)),
        Err(error) => Err(failed(&file.path, &error)),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> BlobError {
    let path = path.display().to_string();
    // Not the disk that the store lies on, though it may be the same.
    match BlobError::io("write", &path, error) {
        BlobError::StorageFull => BlobError::TargetFull { path },
        error => error,
    }
}
