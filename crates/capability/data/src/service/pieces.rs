//! The bytes of files, on their way in and out.

use bytes::Bytes;
use corliss_blobstore::{BlobId, Incoming, Stored};

use super::{DataService, blocking};
use crate::{DataError, transfer};

/// Ids that one question may name; a client asks again for more.
pub(crate) const IDS_MAX: usize = 10_000;
/// Bodies of pieces that are worked on at once; others wait, so that memory stays bounded.
pub(super) const BODIES: usize = 3;

impl DataService {
    /// Which of these blobs, or pieces of blobs, have to be sent. A blob that is stored is stored whole.
    ///
    /// # Errors
    /// Too many ids, or the blob store failed.
    pub async fn missing_blobs(&self, ids: Vec<BlobId>) -> Result<Vec<BlobId>, DataError> {
        check_count(&ids)?;
        Ok(self.blobs.missing(ids).await?)
    }

    /// Stores the pieces of a body (see [`transfer`]); durable when this returns. Answers how many were new.
    ///
    /// # Errors
    /// The body is malformed, a node lists what is not stored, or the blob store failed.
    pub async fn put_pieces(&self, body: Bytes) -> Result<usize, DataError> {
        let _turn = self.bodies.acquire().await;
        let pieces = blocking(move || transfer::parse(body)).await?;
        Ok(self.blobs.put_pieces(pieces).await?.len())
    }

    /// The parts of a body of pieces: as many from the front as fit, and at least one.
    ///
    /// # Errors
    /// Too many ids, one is not stored or damaged, or the blob store failed.
    pub async fn read_pieces(&self, ids: Vec<BlobId>) -> Result<Vec<Bytes>, DataError> {
        check_count(&ids)?;
        let _turn = self.bodies.acquire().await;
        let pieces = self.blobs.read_pieces(ids, transfer::BODY_BYTES as u64).await?;
        let parts = pieces.into_iter().flat_map(|piece| {
            let head = Bytes::from_owner(transfer::head(piece.kind, &piece.bytes));
            [head, piece.bytes]
        });
        Ok(parts.collect())
    }

    /// Stores one blob; durable when this returns.
    ///
    /// # Errors
    /// The bytes are too many or stop coming; or the blob store failed.
    pub async fn put_blob(&self, bytes: Incoming<'_>) -> Result<Stored, DataError> {
        Ok(self.blobs.put(bytes, Some(self.limits.blob_bytes)).await?)
    }
}

fn check_count(ids: &[BlobId]) -> Result<(), DataError> {
    if ids.len() > IDS_MAX {
        return Err(DataError::TooMany {
            what: "blobs",
            limit: IDS_MAX,
        });
    }
    Ok(())
}
