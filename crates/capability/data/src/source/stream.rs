//! An object's bytes as they come: part by part, one of them read ahead.

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use super::{Named, Object};
use crate::DataError;

/// Read at a time; two of them are in memory for each object.
const PART_BYTES: u64 = 4 << 20;

/// The bytes of a range of an object. If it is changed meanwhile, the stream breaks off; why is put into `failed`, as
/// those who read streams keep the words of an error alone.
pub(crate) fn stream(
    source: Named,
    object: Object,
    range: Range<u64>,
    failed: Arc<OnceLock<DataError>>,
) -> impl AsyncRead + Send + Unpin + 'static {
    let starts = (range.start..range.end).step_by(usize::try_from(PART_BYTES).unwrap_or(usize::MAX));
    let parts = stream::iter(starts).map(move |start| {
        let (source, object, failed) = (source.clone(), object.clone(), Arc::clone(&failed));
        let end = range.end.min(start.saturating_add(PART_BYTES));
        async move {
            source.read(&object, start..end).await.map_err(|error| {
                let told = io::Error::other(error.clone());
                // The first one is the reason for all that follow.
                let _ = failed.set(error);
                told
            })
        }
    });
    let parts: BoxStream<'static, io::Result<Bytes>> = parts.buffered(2).boxed();
    StreamReader::new(parts)
}
