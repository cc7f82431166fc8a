//! Immutable bytes, named by their digest: cut into pieces, stored once, encrypted.
//!
//! A request travels down these modules and back up: `store` takes and gives blobs; `piece` cuts them into
//! chunks and nodes; `pack` seals many pieces into one object; `backend` keeps objects, on disk, in a bucket,
//! in a bucket with a local hot tier before it, or in memory; `index` knows which pack holds a piece. Beside them
//! [`BucketReader`] reads buckets that others write.
//!
//! Invariants:
//! - An id names the same bytes forever; what is read was compared with its id.
//! - A put answers only after the blob would survive a power cut.
//! - A node or record is stored after everything it lists, and condemned before it: what is known is whole.
//! - Nothing that is kept lies in the clear but lengths, digests and the number of things.
//! - Nothing outside shares storage with what is kept.
//! - A list of a remote service is never taken for loss: a pack is lost when it is asked for by name and not there.
//! - A local copy is never needed: if it fails, is full, or is damaged, reads take longer.

mod backend;
mod condemned;
mod error;
mod id;
mod index;
mod marks;
mod pack;
mod piece;
mod store;

pub use backend::{
    Backend, BucketBackend, BucketCredentials, BucketLimits, BucketReader, BucketSettings, CacheStats,
    CachedBackend, DiskBackend, ForeignList, ForeignObject, MemoryBackend, Object, Secret,
};
pub use error::{BlobError, Trouble};
pub use id::{BlobId, BlobIdError};
pub use piece::{CHUNK_MAX, Child, Cutter, Kind, Node, Piece, Record, id_of_reader};
pub use store::{
    BlobInfo, BlobReader, BlobStore, CheckOptions, CheckReport, CollectOptions, CollectReport, CreateFile,
    Finding, Hold, Incoming, OpenFile, Phase, PieceSource, Placement, Progress, RepairReport, Roots,
    SalvageReport, ScrubOptions, ScrubReport, Scrubbed, Skipped, Stored, Usage,
};

/// File systems, ciphers and digests take their time, so they run on threads that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(BlobError::Io {
            action: "finish work on",
            path: "the blobs".to_owned(),
            message: error.to_string(),
        })
    })
}
