//! Checking what is stored, and saying whose files are damaged.

use corliss_blobstore::{BlobId, CheckOptions, CheckReport, Finding, Progress};
use serde::Serialize;

use super::super::operations::{self, Operation, Outcome, Subject};
use super::damage::{Damage, DamagedVersion};
use super::{DataRepair, Examined};
use crate::{DataError, DataService};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DataCheck {
    /// Packs that were looked at.
    pub packs: u64,
    /// Pieces in them.
    pub pieces: u64,
    /// Bytes that were read and compared; none of a quick check.
    pub bytes: u64,
    /// How much is wrong.
    pub findings_total: u64,
    /// What is wrong, in words; the first thousand.
    pub findings: Vec<String>,
    /// Damaged copies of what is whole elsewhere; they are no finding, and the next collection removes them.
    pub waiting: u64,
    /// Versions of which files cannot be read whole because of it; the first thousand. A quick check looks for none.
    pub versions: Vec<DamagedVersion>,
    /// How many versions that are.
    pub versions_total: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What was put right before, if a remote was to be asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<DataRepair>,
}

impl DataService {
    /// Starts a check in the background; what is damaged is fetched from a remote if one is named.
    ///
    /// # Errors
    /// A collection or check was started and runs.
    pub(crate) fn start_check(
        &self,
        quick: bool,
        repair_from: Option<String>,
    ) -> Result<Operation, DataError> {
        let subject = Subject::of_all(operations::Kind::Check);
        self.start(subject, move |service, counters| async move {
            let progress = |progress| counters.upkeep(progress);
            let stored = match repair_from {
                Some(remote) => service.check_and_repair(&remote, &progress).await?,
                None => service.check(quick, &progress).await?,
            };
            // It asks others, once for each object.
            let links = match quick {
                true => None,
                false => Some(service.check_links(&counters).await?),
            };
            Ok(Outcome::Check(Examined { stored, links }))
        })
    }

    /// Reads everything that is stored and compares it with its names; or, `quick`, only whether nothing is missing.
    /// What is damaged is asked for again when somebody sends it anew.
    ///
    /// # Errors
    /// A collection is under way, or a store failed; damage is no error.
    pub async fn check(
        &self,
        quick: bool,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<DataCheck, DataError> {
        Ok(self.examine(quick, progress).await?.1)
    }

    /// The same, with the store's own report.
    pub(super) async fn examine(
        &self,
        quick: bool,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(CheckReport, DataCheck), DataError> {
        let options = CheckOptions {
            quick,
            roots: self.version_roots().await?.into_keys().collect(),
            // Whose files are damaged is looked for below.
            told_per_root: Some(0),
            ..CheckOptions::default()
        };
        let report = self.blobs.check(&options, progress).await?;
        let damage = match quick || report.findings_total == 0 {
            true => Damage::default(),
            false => self.known_damage().await?,
        };
        let check = DataCheck {
            packs: report.packs,
            pieces: report.pieces,
            bytes: report.bytes,
            findings_total: report.findings_total,
            findings: report.findings.iter().map(ToString::to_string).collect(),
            waiting: report.waiting,
            versions: damage.versions,
            versions_total: damage.versions_total,
            took_ms: u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
            repair: None,
        };
        Ok((report, check))
    }
}

/// The piece that a finding is about.
pub(super) const fn piece_of(finding: &Finding) -> Option<BlobId> {
    match finding {
        Finding::Damaged { id, .. }
        | Finding::NotIndexed { id, .. }
        | Finding::Misplaced { id, .. }
        | Finding::RootMissing { id } => Some(*id),
        Finding::Incomplete { child, .. } => Some(*child),
        Finding::TableDamaged { .. }
        | Finding::PackMissing { .. }
        | Finding::PackCut { .. }
        | Finding::PackUnknown { .. }
        | Finding::PackUnreadable { .. } => None,
    }
}
