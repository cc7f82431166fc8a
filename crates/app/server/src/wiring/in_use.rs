//! What the rooms refer to, so that a collection leaves it: versions of runs and models, artifacts of tracking.

use std::sync::Arc;

use async_trait::async_trait;
use corliss_blobstore::BlobId;
use corliss_data::{InUse, PortError};
use corliss_diagnostics::Diagnose;
use corliss_pipelines::Pipelines;
use corliss_registry::Registry;
use corliss_tracking::Tracking;
use corliss_types::VersionId;

use super::tracking::NotABlob;

/// Every room that refers to versions or blobs.
pub struct References {
    /// Runs: their code, inputs and outputs.
    pub pipelines: Arc<Pipelines>,
    /// Models.
    pub registry: Registry,
    /// Artifacts.
    pub tracking: Tracking,
}

fn carried(error: impl Diagnose) -> PortError {
    PortError::of(&error)
}

#[async_trait]
impl InUse for References {
    async fn versions(&self) -> Result<Vec<VersionId>, PortError> {
        let mut versions = self.pipelines.versions_in_use().await.map_err(carried)?;
        versions.extend(self.registry.versions_in_use().await.map_err(carried)?);
        Ok(versions)
    }

    async fn blobs(&self) -> Result<Vec<BlobId>, PortError> {
        let blobs = self.tracking.blobs_in_use().await.map_err(carried)?;
        let parsed = blobs
            .into_iter()
            .map(|blob| blob.parse().map_err(|_| carried(NotABlob(blob.clone()))));
        parsed.collect()
    }
}
