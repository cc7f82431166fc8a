//! The bytes of files, on their way in.

use corliss_blobstore::{BlobId, Incoming, PutOptions, Stored};

use super::DataService;
use crate::DataError;

/// Ids that one question may name; a client asks again for more.
pub(crate) const MISSING_MAX: usize = 10_000;

impl DataService {
    /// Which of these blobs have to be sent.
    ///
    /// # Errors
    /// Too many ids, or the blob store failed.
    pub async fn missing_blobs(&self, ids: Vec<BlobId>) -> Result<Vec<BlobId>, DataError> {
        if ids.len() > MISSING_MAX {
            return Err(DataError::TooMany {
                what: "blobs",
                limit: MISSING_MAX,
            });
        }
        Ok(self.blobs.missing(ids).await?)
    }

    /// Stores the bytes of one blob; durable when this returns.
    ///
    /// # Errors
    /// The bytes have another digest, are too many or stop coming; or the blob store failed.
    pub async fn put_blob(&self, id: BlobId, bytes: Incoming<'_>) -> Result<Stored, DataError> {
        let options = PutOptions {
            expected: Some(id),
            limit_bytes: Some(self.limits.blob_bytes),
        };
        Ok(self.blobs.put(bytes, options).await?)
    }
}
