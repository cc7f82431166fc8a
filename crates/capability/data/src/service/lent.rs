//! Folders that clients on this machine lend: their files are stored, and files laid out in them, with no socket
//! between the disk and the store.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use corliss_blobstore::{BlobId, BlobInfo, OpenFile, Placement};
use corliss_types::VersionId;
use serde::Deserialize;

use super::DataService;
use crate::link;
use crate::snapshot::Beneath;
use crate::{DataError, Entry, EntryPath};

/// Bits of a mode that a file can be given.
const MODE_MASK: u32 = 0o777;

/// A file to be laid out in a lent folder; its own folder exists.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LentFile {
    pub path: EntryPath,
    pub blob: BlobId,
    /// As of chmod(2); the umask is the client's to apply.
    pub mode: u32,
    /// Whether it is linked: then it is the file of this path of the version that the request names. A link is followed
    /// as part of a version alone, which only they make who may import.
    #[serde(default)]
    pub link: bool,
}

/// Bytes that went by so far.
pub(crate) type Passed = Arc<AtomicU64>;

/// Counts what is read or written.
struct Counting<T> {
    inner: T,
    passed: Passed,
}

impl<T: Read> Read for Counting<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.passed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl<T: Write> Write for Counting<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.passed.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl DataService {
    fn lent(&self, folder: &str) -> Result<Beneath, DataError> {
        let lent = self.folders.get(folder).ok_or(DataError::FolderNotLent)?;
        Ok(Beneath(lent))
    }

    /// Stores files of a lent folder, in order; durable when this returns. A file that changes meanwhile is stored as
    /// it was read: whoever lent the folder looks whether it is still the same.
    ///
    /// # Errors
    /// No such folder is lent, a file cannot be read, or the blob store failed.
    pub(crate) async fn store_lent(
        &self,
        folder: &str,
        files: Vec<EntryPath>,
        passed: &Passed,
    ) -> Result<Vec<BlobInfo>, DataError> {
        let folder = self.lent(folder)?;
        let open = |path: EntryPath| {
            let (folder, passed) = (folder.clone(), Arc::clone(passed));
            let open = move || {
                let inner = folder.open(path.as_str().as_ref()).map_err(io::Error::other)?;
                Ok(Box::new(Counting { inner, passed }) as Box<dyn Read + Send>)
            };
            Box::new(open) as OpenFile
        };
        let stored = self
            .blobs
            .put_files(files.into_iter().map(open).collect())
            .await?;
        Ok(stored.into_iter().map(|stored| stored.blob).collect())
    }

    /// Makes files in a lent folder.
    ///
    /// # Errors
    /// No such folder is lent, a blob is not stored or damaged, a linked file is not one of the version or not what
    /// it was, or a file cannot be made.
    pub(crate) async fn lay_out_lent(
        &self,
        folder: &str,
        version: Option<&VersionId>,
        files: Vec<LentFile>,
        passed: &Passed,
    ) -> Result<(), DataError> {
        let folder = self.lent(folder)?;
        let mut entries = Vec::with_capacity(files.len());
        for file in &files {
            entries.push(match file.link {
                true => self.linked_file(version, &file.path).await?,
                false => Entry {
                    path: file.path.clone(),
                    blob: file.blob,
                    // The store knows it.
                    size_bytes: 0,
                    executable: false,
                    link: false,
                },
            });
        }
        let place = |file: LentFile| {
            let (folder, passed) = (folder.clone(), Arc::clone(passed));
            let path = file.path.to_string();
            let create = move || {
                let inner = folder.create(file.path.as_str().as_ref(), file.mode & MODE_MASK)?;
                Ok(Box::new(Counting { inner, passed }) as Box<dyn Write + Send>)
            };
            Placement {
                id: file.blob,
                path: std::path::PathBuf::from(path).into(),
                create: Box::new(create),
            }
        };
        let files = files.into_iter().map(place);
        self.lay_out(entries.into_iter().zip(files).collect()).await
    }

    async fn linked_file(&self, version: Option<&VersionId>, path: &EntryPath) -> Result<Entry, DataError> {
        let version =
            version.ok_or_else(|| link::invalid(path.as_str(), "no version is named that has it"))?;
        let entry = self.file(version, path.as_str()).await?;
        match entry.link {
            true => Ok(entry),
            false => Err(link::invalid(
                path.as_str(),
                "the version has a stored file there",
            )),
        }
    }
}
