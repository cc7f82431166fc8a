//! Rows of a stored table, read here and there: who looks at a table of gigabytes fetches some kilobytes of it.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use corliss_tabular::{Format, RandomRead, Rows, Schema, Table, TabularError, TextOptions, format_of};
use futures_util::TryStreamExt;
use serde::Serialize;
use tokio::runtime::Handle;

use super::Tracking;
use crate::{ArtifactBytes, TrackingError};

/// Bytes by which a file is told to be a table.
const SAMPLE_BYTES: u64 = 4 << 10;

/// A table that a run or a logged model stored, and some of its rows.
#[derive(Debug, Serialize)]
pub struct ArtifactTable {
    /// Bytes of the file.
    pub size_bytes: u64,
    /// CSV, JSON lines or Parquet.
    pub format: Format,
    /// Its columns.
    pub schema: Schema,
    /// Some of its rows.
    pub rows: Rows,
}

/// A stored file that is read from a thread that may block.
struct StoredFile {
    bytes: Arc<dyn ArtifactBytes>,
    runtime: Handle,
    blob: String,
    size_bytes: u64,
}

impl StoredFile {
    async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let capacity = usize::try_from(range.end - range.start).unwrap_or(0);
        let opened = self.bytes.open_range(&self.blob, range).await;
        let mut stream = opened.map_err(io::Error::other)?;
        let mut all = BytesMut::with_capacity(capacity);
        while let Some(chunk) = stream.try_next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

impl RandomRead for StoredFile {
    fn len(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let start = offset.min(self.size_bytes);
        let end = start.saturating_add(len as u64).min(self.size_bytes);
        self.runtime.block_on(self.read(start..end))
    }
}

impl Tracking {
    /// What columns a stored table has, and its rows from `offset` on, at most `limit`.
    ///
    /// # Errors
    /// There is no file at this path, or it is no table that can be read.
    pub async fn artifact_table(
        &self,
        path: String,
        offset: u64,
        limit: usize,
    ) -> Result<ArtifactTable, TrackingError> {
        let (blob, size_bytes) = self.file(path.clone()).await?;
        let file = StoredFile {
            bytes: Arc::clone(&self.bytes),
            runtime: Handle::current(),
            blob,
            size_bytes,
        };
        let sample = file.read(0..size_bytes.min(SAMPLE_BYTES)).await;
        let sample = sample.map_err(|source| TabularError::Read { source })?;
        let format = format_of(&path, &sample).ok_or(TrackingError::NoTable(path))?;
        let work = move || -> Result<ArtifactTable, TabularError> {
            let table = Table::open(Arc::new(file), format, TextOptions::default())?;
            Ok(ArtifactTable {
                size_bytes,
                format,
                schema: table.schema(),
                rows: table.preview(offset, limit)?,
            })
        };
        let done = tokio::task::spawn_blocking(work).await;
        Ok(done.unwrap_or_else(|error| {
            Err(TabularError::Read {
                source: io::Error::other(error),
            })
        })?)
    }
}
