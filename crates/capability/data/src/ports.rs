//! What this capability needs of others.

use async_trait::async_trait;
use corliss_blobstore::BlobId;
pub use corliss_diagnostics::PortError;
use corliss_types::VersionId;

/// What other rooms refer to and a collection must leave.
#[async_trait]
pub trait InUse: Send + Sync {
    /// Versions that runs, models or endpoints refer to.
    ///
    /// # Errors
    /// They cannot be told; then nothing is collected.
    async fn versions(&self) -> Result<Vec<VersionId>, PortError>;

    /// Blobs that are kept outside versions, such as artifacts of tracking runs.
    ///
    /// # Errors
    /// They cannot be told; then nothing is collected.
    async fn blobs(&self) -> Result<Vec<BlobId>, PortError>;
}
