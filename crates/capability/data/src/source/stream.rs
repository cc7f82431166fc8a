//! An object's bytes as they come: part by part, one of them read ahead.

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use crate::DataError;

/// Read at a time; two of them are in memory for each object.
pub(crate) const PART_BYTES: u64 = 4 << 20;

/// Something of which ranges can be read, each of them in memory.
#[async_trait]
pub(crate) trait Ranges: Clone + Send + Sync + 'static {
    /// A range that is not empty and lies within its length.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, DataError>;
}

/// A range in parts, in order.
pub(crate) fn parts(from: impl Ranges, range: Range<u64>) -> BoxStream<'static, Result<Bytes, DataError>> {
    let starts = (range.start..range.end).step_by(usize::try_from(PART_BYTES).unwrap_or(usize::MAX));
    let parts = stream::iter(starts).map(move |start| {
        let from = from.clone();
        let end = range.end.min(start.saturating_add(PART_BYTES));
        async move { from.read(start..end).await }
    });
    parts.buffered(2).boxed()
}

/// The same as bytes. If it breaks off, why is put into `failed`, as those who read streams keep the words of an error
/// alone.
pub(crate) fn stream(
    from: impl Ranges,
    range: Range<u64>,
    failed: Arc<OnceLock<DataError>>,
) -> impl AsyncRead + Send + Unpin + 'static {
    let parts: BoxStream<'static, io::Result<Bytes>> = parts(from, range)
        .map(move |part| {
            part.map_err(|error| {
                let told = io::Error::other(error.clone());
                // The first one is the reason for all that follow.
                let _ = failed.set(error);
                told
            })
        })
        .boxed();
    StreamReader::new(parts)
}
