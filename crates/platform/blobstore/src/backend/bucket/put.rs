//! Putting an object: small ones at once, larger ones in parts, and both compared before they are answered.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{GetRange, PutMode, PutOptions, PutPayload};
use tokio::time::{Instant, timeout};

use super::Inner;
use super::failure::{Failure, FailureKind};
use super::retry::retry;
use crate::error::Trouble;

/// Objects from this size on are put in parts. A pack aims at 16 MiB, so it has two or three.
const PARTS_FROM: usize = 16 << 20;
/// Every cloud takes parts of this size; S3 asks for at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// Parts of one object on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// Whole and where it should be when this returns.
pub(super) async fn put(inner: &Inner, path: &Path, parts: &[Bytes]) -> Result<(), Failure> {
    let until = inner.until();
    let size_bytes: usize = parts.iter().map(Bytes::len).sum();
    if size_bytes < PARTS_FROM {
        let whole: PutPayload = parts.iter().cloned().collect();
        retry(&inner.limits, until, || async {
            let put = inner
                .client
                .objects
                .put_opts(path, whole.clone(), PutOptions::default());
            Ok(put.await?)
        })
        .await
        .map_err(no_bucket)?;
    } else {
        // Each request is tried again by itself. The whole begins anew only if the upload is no longer known:
        // that is also what a second try hears whose first one was done and not answered.
        retry(&inner.limits, until, || in_parts(inner, path, parts, until)).await?;
    }
    let expected = size_bytes as u64;
    retry(&inner.limits, until, || async {
        let wrong = |message: String| Err(Failure::passing(message));
        match inner.head(path).await {
            Ok(there) if there == expected => Ok(()),
            Ok(there) => wrong(format!("{expected} bytes were put and {there} are there")),
            Err(failure) if failure.kind == FailureKind::Missing => {
                wrong("it was put and is not there".to_owned())
            }
            Err(failure) => Err(failure),
        }
    })
    .await
}

/// Replaces an object that is what was expected; see [`crate::Backend::put_if`].
pub(super) async fn put_if(
    inner: &Inner,
    path: &Path,
    expected: Option<&[u8]>,
    new: &Bytes,
) -> Result<bool, Failure> {
    // A try whose answer is lost may have been done: the next one finds the new bytes.
    let tried = AtomicBool::new(false);
    retry(&inner.limits, inner.until(), || async {
        let there = match inner.part(path, GetRange::Offset(0)).await {
            Ok(part) => Some((part.bytes, part.version)),
            Err(failure) if failure.kind == FailureKind::Missing => None,
            Err(failure) => return Err(failure),
        };
        let bytes = there.as_ref().map(|(bytes, _)| bytes.as_ref());
        if tried.load(Ordering::Relaxed) && bytes == Some(new.as_ref()) {
            return Ok(true);
        }
        if bytes != expected {
            return Ok(false);
        }
        let mode = there.map_or(PutMode::Create, |(_, version)| PutMode::Update(version));
        tried.store(true, Ordering::Relaxed);
        let put = inner
            .client
            .objects
            .put_opts(path, new.clone().into(), mode.into());
        match put.await.map_err(Failure::from).map_err(no_bucket) {
            Ok(_) => Ok(true),
            // By whom, the next look tells.
            Err(failure) if failure.kind == FailureKind::Moved => {
                Err(Failure::passing("the object changed while it was replaced"))
            }
            Err(failure) => Err(failure),
        }
    })
    .await
}

async fn in_parts(inner: &Inner, path: &Path, parts: &[Bytes], until: Instant) -> Result<(), Failure> {
    let limits = &inner.limits;
    let store = &inner.client.parts;
    let id = retry(limits, until, || async {
        Ok(store.create_multipart(path).await?)
    })
    .await;
    let id = id.map_err(no_bucket)?;
    let uploads = of_size(parts, PART_BYTES)
        .into_iter()
        .enumerate()
        .map(|(at, part)| {
            let id = &id;
            async move {
                let put = || async { Ok(store.put_part(path, id, at, part.clone()).await?) };
                retry(limits, until, put).await
            }
        });
    let uploads: Vec<_> = uploads.collect();
    let uploaded: Result<Vec<PartId>, Failure> = futures_util::stream::iter(uploads)
        .buffered(PARTS_AT_ONCE)
        .try_collect()
        .await;
    let completed = match uploaded {
        Ok(uploaded) => {
            let complete = || async {
                let completed = store.complete_multipart(path, &id, uploaded.clone()).await;
                completed.map(|_| ()).map_err(Failure::from)
            };
            retry(limits, until, complete).await
        }
        Err(failure) => Err(failure),
    };
    match completed {
        Ok(()) => Ok(()),
        Err(failure) => {
            // Best effort, and soon: whoever put it waits for the answer.
            let abort = store.abort_multipart(path, &id);
            let _ = timeout(limits.connect, abort).await;
            Err(match failure.kind {
                FailureKind::Missing => Failure::passing("the service no longer knows the upload"),
                // Its requests were tried often enough.
                FailureKind::Passing => Failure::new(FailureKind::TriedEnough, failure.message),
                _ => failure,
            })
        }
    }
}

/// An object that is put cannot be missing; its bucket can.
fn no_bucket(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Missing => Failure::new(FailureKind::Lasting(Trouble::NoBucket), failure.message),
        _ => failure,
    }
}

/// The same bytes in parts of one size, of which the last may be shorter. Nothing is copied.
fn of_size(parts: &[Bytes], size_bytes: usize) -> Vec<PutPayload> {
    let mut whole: Vec<Vec<Bytes>> = vec![Vec::new()];
    let mut filled = 0;
    for part in parts {
        let mut rest = part.clone();
        while !rest.is_empty() {
            if filled == size_bytes {
                whole.push(Vec::new());
                filled = 0;
            }
            let now = rest.split_to(rest.len().min(size_bytes - filled));
            filled += now.len();
            if let Some(last) = whole.last_mut() {
                last.push(now);
            }
        }
    }
    whole
        .into_iter()
        .map(|parts| parts.into_iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_one_size_and_lose_nothing() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for (chunk, size) in [(1, 7), (999, 1000), (1000, 1000), (10_000, 3000), (3000, 10_000)] {
            let parts: Vec<Bytes> = bytes.chunks(chunk).map(Bytes::copy_from_slice).collect();
            let made = of_size(&parts, size);
            let (last, others) = made.split_last().unwrap();
            assert!(others.iter().all(|part| part.content_length() == size));
            assert!((1..=size).contains(&last.content_length()));
            let joined: Vec<u8> = made
                .iter()
                .flat_map(|part| part.iter().flatten().copied())
                .collect();
            assert_eq!(joined, bytes);
        }
    }
}
