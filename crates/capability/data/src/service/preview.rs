//! What a file looks like, without fetching all of it: a table's first rows, a text's beginning.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use corliss_tabular::{
    DiffOptions, Format, RandomRead, Rows, Schema, Table, TableDiff, TabularError, TextOptions, diff,
    format_of,
};
use corliss_types::VersionId;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;

use super::linked::Followed;
use super::{DataService, blocking};
use crate::error::shortened;
use crate::source::Ranges;
use crate::{DataError, Entry};

/// Bytes of a text that are shown.
const TEXT_BYTES: u64 = 64 << 10;
/// Bytes by which a file is told to be this or that.
const SAMPLE_BYTES: u64 = 4 << 10;
/// Pictures that a browser shows without running anything in them.
const IMAGES: [(&str, &str); 6] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("bmp", "image/bmp"),
];

/// What a file looks like.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Preview {
    /// Rows and columns.
    Table {
        /// Bytes of the file.
        size_bytes: u64,
        /// CSV, JSON lines or Parquet.
        format: Format,
        /// Its columns.
        schema: Schema,
        /// Some of its rows.
        rows: Rows,
    },
    /// Text in UTF-8.
    Text {
        /// Bytes of the file.
        size_bytes: u64,
        /// Its beginning.
        text: String,
        /// Whether there is more.
        truncated: bool,
        /// Why it is not shown as the table that its name promises.
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// A picture; its bytes are the file.
    Image {
        /// Bytes of the file.
        size_bytes: u64,
        /// Its type.
        media_type: &'static str,
    },
    /// Anything else.
    Binary {
        /// Bytes of the file.
        size_bytes: u64,
        /// Why it is not shown as the table that its name promises.
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
}

/// A file that is read here and there, from a thread that may block.
struct FileSource {
    service: DataService,
    runtime: Handle,
    entry: Entry,
    /// Where it lies, if it is linked.
    followed: Option<Followed>,
}

impl RandomRead for FileSource {
    fn len(&self) -> u64 {
        self.entry.size_bytes
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let start = offset.min(self.entry.size_bytes);
        let end = start.saturating_add(len as u64).min(self.entry.size_bytes);
        if start == end {
            return Ok(Bytes::new());
        }
        self.runtime.block_on(async {
            if let Some(followed) = &self.followed {
                return followed.read(start..end).await.map_err(io::Error::other);
            }
            let opened = self.service.blobs.open(self.entry.blob, Some(start..end));
            let mut reader = opened.await.map_err(io::Error::other)?;
            let mut bytes = Vec::with_capacity(usize::try_from(end - start).unwrap_or(0));
            reader.bytes.read_to_end(&mut bytes).await?;
            Ok(Bytes::from(bytes))
        })
    }
}

/// A table that is yet to be opened, which blocks.
struct TableSource {
    bytes: Arc<dyn RandomRead>,
    format: Format,
}

impl TableSource {
    fn open(self) -> Result<Table, TabularError> {
        Table::open(self.bytes, self.format, TextOptions::default())
    }
}

impl DataService {
    /// What a file of a version looks like; of a table, rows from `offset` on.
    ///
    /// # Errors
    /// There is no such version or file, or a store failed. That a table cannot be read is part of the answer.
    pub async fn preview(
        &self,
        version: &VersionId,
        path: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Preview, DataError> {
        let entry = self.file(version, path).await?;
        let size_bytes = entry.size_bytes;
        let sample = self.beginning(&entry, SAMPLE_BYTES).await?;
        let mut problem = None;
        if let Some(format) = format_of(path, &sample) {
            let bytes = self.source(&entry).await?;
            let table = blocking(move || {
                let table = TableSource { bytes, format }.open();
                Ok(table.and_then(|table| Ok((table.schema(), table.preview(offset, limit)?))))
            });
            match table.await? {
                Ok((schema, rows)) => {
                    return Ok(Preview::Table {
                        size_bytes,
                        format,
                        schema,
                        rows,
                    });
                }
                Err(error) => problem = Some(error.to_string()),
            }
        }
        let extension = Path::new(path)
            .extension()
            .map(|extension| extension.to_string_lossy().to_lowercase());
        let image = IMAGES
            .iter()
            .find(|(ending, _)| extension.as_deref() == Some(ending));
        if let Some((_, media_type)) = image {
            return Ok(Preview::Image {
                size_bytes,
                media_type,
            });
        }
        let bytes = self.beginning(&entry, TEXT_BYTES).await?;
        Ok(match text_of(bytes, size_bytes) {
            Some((text, truncated)) => Preview::Text {
                size_bytes,
                text,
                truncated,
                problem,
            },
            None => Preview::Binary { size_bytes, problem },
        })
    }

    /// What differs between the rows and columns of a table in two versions.
    ///
    /// # Errors
    /// One of them has no such file, it is no table that can be read or compared, or a store failed.
    pub async fn diff_table(
        &self,
        old: &VersionId,
        new: &VersionId,
        path: &str,
        key: Vec<String>,
    ) -> Result<TableDiff, DataError> {
        let old = self.table(old, path).await?;
        let new = self.table(new, path).await?;
        let options = DiffOptions {
            key,
            ..DiffOptions::default()
        };
        blocking(move || Ok(diff(&old.open()?, &new.open()?, &options)?)).await
    }

    /// A file that is a table by its name or its beginning.
    async fn table(&self, version: &VersionId, path: &str) -> Result<TableSource, DataError> {
        let entry = self.file(version, path).await?;
        let sample = self.beginning(&entry, SAMPLE_BYTES).await?;
        let format = format_of(path, &sample).ok_or_else(|| DataError::NoTable {
            path: shortened(path),
        })?;
        let bytes = self.source(&entry).await?;
        Ok(TableSource { bytes, format })
    }

    async fn source(&self, entry: &Entry) -> Result<Arc<dyn RandomRead>, DataError> {
        Ok(Arc::new(FileSource {
            service: self.clone(),
            runtime: Handle::current(),
            entry: entry.clone(),
            followed: self.follow_one(entry).await?,
        }))
    }

    async fn beginning(&self, entry: &Entry, bytes: u64) -> Result<Vec<u8>, DataError> {
        let range = 0..entry.size_bytes.min(bytes);
        let mut reader = self.open_entry(entry, Some(range)).await?;
        let mut beginning = Vec::new();
        reader
            .bytes
            .read_to_end(&mut beginning)
            .await
            .map_err(|error| DataError::io("read", Path::new(entry.path.as_str()), &error))?;
        Ok(beginning)
    }
}

/// Text, if the bytes are that, and whether there is more of it.
fn text_of(mut bytes: Vec<u8>, size_bytes: u64) -> Option<(String, bool)> {
    let truncated = size_bytes > bytes.len() as u64;
    if let Err(error) = std::str::from_utf8(&bytes) {
        // A letter may have been cut in two at the end.
        if !truncated || error.error_len().is_some() {
            return None;
        }
        bytes.truncate(error.valid_up_to());
    }
    let text = String::from_utf8(bytes).ok()?;
    let is_text = !text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'));
    is_text.then_some((text, truncated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_other_bytes() {
        let of = |bytes: &[u8], size| text_of(bytes.to_vec(), size);
        assert_eq!(of(b"a\tb\n", 4), Some(("a\tb\n".to_owned(), false)));
        assert_eq!(of("aé".as_bytes(), 3), Some(("aé".to_owned(), false)));
        assert_eq!(of(&"aé".as_bytes()[..2], 3), Some(("a".to_owned(), true)));
        assert_eq!(of(&"aé".as_bytes()[..2], 2), None, "cut by its owner");
        assert_eq!(of(b"\x7fELF\0", 5), None);
        assert_eq!(of(b"", 0), Some((String::new(), false)));
    }
}
