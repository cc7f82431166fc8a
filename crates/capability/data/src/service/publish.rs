//! A folder of this machine, such as a step's output, as a version.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corliss_blobstore::OpenFile;

use super::{DataService, blocking};
use crate::config::READ_ATTEMPTS;
use crate::snapshot::{Found, Kind, Options, Root, Stamp, pause, scan, stamp};
use crate::tree::{Builder, RecordWriter};
use crate::types::Committed;
use crate::{DataError, Entry};

/// Files brought in between two looks at whether they changed.
const BATCH: usize = 4096;

impl DataService {
    /// Stores a folder's files and records them as a version; durable when this returns. It may be called
    /// again after a crash at any point: bytes are stored once, and the version is the same.
    ///
    /// # Errors
    /// Something in the folder cannot be part of a version or keeps changing; or a store failed.
    pub async fn publish_directory(&self, folder: &Path) -> Result<Committed, DataError> {
        // What is said to be stored now must be so when the version is recorded.
        let _hold = self.blobs.hold();
        let options = Options {
            max_files: self.limits.files,
            ..Options::of(Kind::Data)
        };
        let folder = PathBuf::from(folder);
        let (root, found) = blocking(move || scan(&folder, &options)).await?;
        let root = Arc::new(root);
        let mut builder = Builder::default();
        let mut writer = RecordWriter::new(self.blobs.clone());
        for batch in found.chunks(BATCH) {
            let mut entries = self.store_batch(&root, batch.to_vec()).await?;
            // A file that had changed comes after the others.
            entries.sort_by(|left, right| left.path.cmp(&right.path));
            for entry in &entries {
                builder.push(entry)?;
            }
            writer.add(builder.take_pieces()).await?;
        }
        let tree = builder.finish()?;
        writer.add(builder.take_pieces()).await?;
        writer.flush().await?;
        self.record_version(&tree.version()).await
    }

    /// Stores files, and those again that changed meanwhile.
    async fn store_batch(&self, root: &Arc<Root>, batch: Vec<Found>) -> Result<Vec<Entry>, DataError> {
        let mut entries = Vec::with_capacity(batch.len());
        let mut pending = batch;
        for attempt in 1..=READ_ATTEMPTS {
            let before = stamps(root, pending.clone()).await?;
            let stored = self.blobs.put_files(openers(root, &pending)).await?;
            let after = stamps(root, pending.clone()).await?;
            let mut changed = Vec::new();
            for (((file, before), after), stored) in pending.into_iter().zip(before).zip(after).zip(stored) {
                let size_bytes = stored.blob.size_bytes;
                if before == after && size_bytes == after.size_bytes {
                    let (blob, executable) = (stored.blob.id, after.executable());
                    entries.push(Entry {
                        path: file.path,
                        blob,
                        size_bytes,
                        executable,
                        link: false,
                    });
                } else {
                    changed.push(file);
                }
            }
            if changed.is_empty() {
                return Ok(entries);
            }
            pending = changed;
            tokio::time::sleep(pause(attempt)).await;
        }
        let path = pending
            .first()
            .map(|file| file.path.to_string())
            .unwrap_or_default();
        Err(DataError::Changed {
            path,
            attempts: READ_ATTEMPTS,
        })
    }
}

async fn stamps(root: &Arc<Root>, files: Vec<Found>) -> Result<Vec<Stamp>, DataError> {
    let root = Arc::clone(root);
    let look = move |file: &Found| stamp(&root.open(file.source())?, file);
    blocking(move || files.iter().map(look).collect()).await
}

fn openers(root: &Arc<Root>, files: &[Found]) -> Vec<OpenFile> {
    files
        .iter()
        .map(|file| {
            let (root, source) = (Arc::clone(root), file.source().to_path_buf());
            let open = move || {
                let file = root.open(&source).map_err(std::io::Error::other)?;
                Ok(Box::new(file) as Box<dyn Read + Send>)
            };
            Box::new(open) as OpenFile
        })
        .collect()
}
