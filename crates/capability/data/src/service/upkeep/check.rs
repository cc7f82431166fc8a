//! Checking what is stored, and saying whose files are damaged.

use std::collections::{BTreeMap, BTreeSet};

use corliss_blobstore::{
    BlobId, CHUNK_MAX, CheckOptions, CheckReport, Finding, Kind, Node, Progress, ScrubOptions, ScrubReport,
    Scrubbed,
};
use corliss_types::{DatasetName, VersionId};
use serde::Serialize;

use super::super::operations::{self, Operation, Outcome, Subject};
use super::{DataRepair, Examined};
use crate::store::{upkeep, versions};
use crate::{DataError, DataService, Entry, tree};

/// Damaged files that are told one by one.
const FILES_TOLD: usize = 1000;
/// Versions in which damaged files are looked for.
const VERSIONS_SEARCHED: usize = 100;

/// A file that cannot be read whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedFile {
    /// A version that has it; the first that was found.
    pub version: VersionId,
    /// Datasets that have a commit of that version.
    pub datasets: Vec<DatasetName>,
    /// Where it lies; none if it is the tree itself that is damaged.
    pub path: Option<String>,
}

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
    /// Files that cannot be read whole because of it; the first thousand.
    pub files: Vec<DamagedFile>,
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
        let all = self.store.read(|tx| Ok::<_, DataError>(upkeep::versions(tx)?));
        let all: BTreeMap<BlobId, VersionId> = all
            .await?
            .into_keys()
            .filter_map(|version| Some((tree::root_of(&version)?, version)))
            .collect();
        let options = CheckOptions {
            quick,
            roots: all.keys().copied().collect(),
            ..CheckOptions::default()
        };
        let report = self.blobs.check(&options, progress).await?;
        let mut bad: BTreeSet<BlobId> = report.findings.iter().filter_map(piece_of).collect();
        bad.extend(report.reached.iter().flat_map(|(_, below)| below.iter().copied()));
        let mut files = Vec::new();
        let mut told = BTreeSet::new();
        for (root, _) in report.reached.iter().take(VERSIONS_SEARCHED) {
            if let Some(version) = all.get(root) {
                self.damaged_files(version, &bad, &mut told, &mut files).await?;
            }
        }
        let check = DataCheck {
            packs: report.packs,
            pieces: report.pieces,
            bytes: report.bytes,
            findings_total: report.findings_total,
            findings: report.findings.iter().map(ToString::to_string).collect(),
            files,
            took_ms: u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
            repair: None,
        };
        Ok((report, check))
    }

    /// Reads some packs, from where the last scrub stopped; what is found is logged.
    ///
    /// # Errors
    /// A collection is under way, or the storage failed; damage is no error.
    pub async fn scrub(&self, options: ScrubOptions) -> Result<ScrubReport, DataError> {
        let told = |scrubbed: Scrubbed| {
            for finding in &scrubbed.findings {
                tracing::error!(%finding, "stored data is damaged");
            }
        };
        Ok(self.blobs.scrub(options, &told).await?)
    }

    /// The files of a version in which one of the pieces lies, each blob once.
    async fn damaged_files(
        &self,
        version: &VersionId,
        bad: &BTreeSet<BlobId>,
        told: &mut BTreeSet<BlobId>,
        files: &mut Vec<DamagedFile>,
    ) -> Result<(), DataError> {
        let of = version.clone();
        let datasets = self
            .store
            .read(move |tx| Ok::<_, DataError>(versions::names(tx, &of)?))
            .await?;
        let file = |path: Option<String>| DamagedFile {
            version: version.clone(),
            datasets: datasets.clone(),
            path,
        };
        let root = tree::root_of(version).unwrap_or_else(|| BlobId::of(b""));
        let walked = async {
            let mut cursor = self.reader.cursor(root).await?;
            while let Some(entry) = cursor.next_entry().await? {
                if files.len() >= FILES_TOLD {
                    break;
                }
                if !told.contains(&entry.blob) && self.is_hit(&entry, bad).await? {
                    told.insert(entry.blob);
                    files.push(file(Some(entry.path.to_string())));
                }
            }
            Ok::<_, DataError>(())
        };
        match walked.await {
            Err(DataError::TreeDamaged { .. }) if files.len() < FILES_TOLD => files.push(file(None)),
            Err(DataError::TreeDamaged { .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether a piece of a file is one of those.
    async fn is_hit(&self, entry: &Entry, bad: &BTreeSet<BlobId>) -> Result<bool, DataError> {
        if bad.contains(&entry.blob) || entry.link || entry.size_bytes <= CHUNK_MAX as u64 {
            return Ok(bad.contains(&entry.blob));
        }
        let mut open = vec![entry.blob];
        while let Some(id) = open.pop() {
            let Ok(pieces) = self.blobs.read_pieces(vec![id], 1).await else {
                return Ok(true);
            };
            let nodes = pieces.iter().filter_map(|piece| Node::decode(&piece.bytes));
            for node in nodes {
                if node.children().iter().any(|child| bad.contains(&child.id)) {
                    return Ok(true);
                }
                if node.child_kind() != Kind::Chunk {
                    open.extend(node.children().iter().map(|child| child.id));
                }
            }
        }
        Ok(false)
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
        Finding::TableDamaged { .. } | Finding::PackMissing { .. } | Finding::PackUnknown { .. } => None,
    }
}
