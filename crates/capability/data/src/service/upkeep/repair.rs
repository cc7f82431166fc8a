//! Putting right what a check found, with the pieces of a remote that has them too.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use corliss_blobstore::{BlobError, BlobId, Finding, Piece, PieceSource, Progress};
use serde::Serialize;

use super::check::{DataCheck, piece_of};
use crate::remote::{Remote, RemoteTrouble};
use crate::{DataError, DataService};

/// Pieces without a copy that are told one by one.
const TOLD: usize = 1000;

/// What was put right.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DataRepair {
    /// The remote that was asked.
    pub remote: String,
    /// Pieces that were fetched, verified and stored.
    pub pieces_repaired: u64,
    /// Pieces that were good in packs whose tables are damaged, and lie in other packs now.
    pub pieces_salvaged: u64,
    /// Pieces that are not to be had there, or list what is not.
    pub not_there_total: u64,
    /// Which; the first thousand.
    pub not_there: Vec<BlobId>,
}

/// A remote that is asked for pieces.
struct Copies {
    remote: Arc<dyn Remote>,
    /// What it said when it failed, with more than the store's error can tell.
    failure: Mutex<Option<DataError>>,
}

impl Copies {
    async fn pieces(&self, ids: Vec<BlobId>) -> Result<Vec<Piece>, DataError> {
        let missing: BTreeSet<BlobId> = self.remote.missing(ids.clone()).await?.into_iter().collect();
        let mut left: Vec<BlobId> = ids.into_iter().filter(|id| !missing.contains(id)).collect();
        let mut pieces = Vec::with_capacity(left.len());
        // One of them may be damaged there as well, and must not keep the others from us.
        let mut at_once = left.len();
        while !left.is_empty() {
            let asked = left[..at_once.clamp(1, left.len())].to_vec();
            match self.remote.read(asked).await {
                Ok(read) if !read.is_empty() => {
                    left.drain(..read.len().min(left.len()));
                    pieces.extend(read);
                }
                Ok(_) => break,
                Err(error) if !is_about_pieces(&error) => return Err(error),
                Err(_) if at_once > 1 => at_once = 1,
                Err(error) => {
                    let id = left.remove(0);
                    tracing::warn!(%id, %error, "a piece cannot be had from the remote");
                }
            }
        }
        Ok(pieces)
    }
}

/// Whether the other pieces may be had all the same.
const fn is_about_pieces(error: &DataError) -> bool {
    matches!(
        error,
        DataError::Remote {
            trouble: RemoteTrouble::Answer | RemoteTrouble::Changed | RemoteTrouble::NotFound,
            ..
        }
    )
}

#[async_trait]
impl PieceSource for Copies {
    async fn fetch(&self, ids: Vec<BlobId>) -> Result<Vec<Piece>, BlobError> {
        self.pieces(ids).await.map_err(|error| {
            let message = error.to_string();
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            BlobError::Incoming { message }
        })
    }
}

impl DataService {
    /// As [`Self::check`] of everything; what is damaged or missing is then fetched from a remote, verified and put
    /// in its place, and everything is checked again. Answers what is still wrong after that.
    ///
    /// # Errors
    /// As [`Self::check`]; there is no such remote, or it failed. What was repaired until then stays.
    pub async fn check_and_repair(
        &self,
        remote: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<DataCheck, DataError> {
        // Before much is read for nothing.
        let copies = self.copies(remote).await?;
        let (report, mut check) = self.examine(false, progress).await?;
        let mut repair = DataRepair {
            remote: remote.to_owned(),
            ..DataRepair::default()
        };
        if report.findings_total > 0 {
            self.repair(&report.findings, &copies, &mut repair).await?;
            (_, check) = self.examine(false, progress).await?;
        }
        check.repair = Some(repair);
        Ok(check)
    }

    /// Fetches from a remote what is known as damaged, by the last check and the scrubs since.
    pub(super) async fn repair_known(
        &self,
        remote: &str,
        findings: &[Finding],
    ) -> Result<DataRepair, DataError> {
        let copies = self.copies(remote).await?;
        let mut repair = DataRepair {
            remote: remote.to_owned(),
            ..DataRepair::default()
        };
        self.repair(findings, &copies, &mut repair).await?;
        Ok(repair)
    }

    async fn copies(&self, remote: &str) -> Result<Copies, DataError> {
        Ok(Copies {
            remote: self.remotes.open(remote).await?,
            failure: Mutex::default(),
        })
    }

    async fn repair(
        &self,
        findings: &[Finding],
        copies: &Copies,
        repair: &mut DataRepair,
    ) -> Result<(), DataError> {
        for finding in findings {
            if let Finding::TableDamaged { pack } | Finding::PackCut { pack, .. } = finding {
                repair.pieces_salvaged += self.blobs.salvage(pack).await?.moved;
            }
        }
        let mut ids: BTreeSet<BlobId> = findings.iter().filter_map(piece_of).collect();
        ids.extend(self.blobs.known_damage().await?);
        // From the top: what is damaged may hide what is missing below it.
        ids.extend(self.damaged_roots().await?.into_keys());
        let repaired = self.blobs.repair(ids.into_iter().collect(), copies).await;
        let repaired = repaired.map_err(|error| {
            let failure = copies
                .failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            failure.unwrap_or(DataError::Blob(error))
        })?;
        repair.pieces_repaired = repaired.repaired.len() as u64;
        repair.not_there_total = repaired.failed.len() as u64;
        repair.not_there = repaired.failed.into_iter().take(TOLD).collect();
        Ok(())
    }
}
