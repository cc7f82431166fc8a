//! Looking for damage: all at once (`check`) or a little all the time (`scrub`); and putting it right (`repair`).

mod packs;
mod repair;
mod scrub;
mod suspects;
mod trace;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

pub use repair::{PieceSource, RepairReport, SalvageReport};
pub use scrub::{ScrubOptions, ScrubReport, Scrubbed};

use super::collect::{OnProgress, Phase, Progress, packs_there};
use super::turns::Guard;
use super::{BlobStore, table};
use crate::marks::Marks;
use crate::piece::Kind;
use crate::{BlobError, BlobId};
use suspects::Suspect;

/// Findings that are told one by one; others are counted.
const TOLD: usize = 1000;

/// How to check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckOptions {
    /// Compare packs, their tables and the index, and open no piece.
    pub quick: bool,
    /// Bytes of packs to read each second at most.
    pub bytes_per_second: Option<u64>,
    /// Records or blobs of which to tell which damage lies below them.
    pub roots: Vec<BlobId>,
    /// Damaged pieces to tell of each root at most; none tells all that there is room for, a thousand.
    pub told_per_root: Option<usize>,
}

/// Something that is not as it should be. Packs are told by the names of their objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The bytes of a piece are not what they were.
    Damaged {
        /// The piece.
        id: BlobId,
        /// What it is.
        kind: Kind,
        /// Where it lies.
        pack: String,
    },
    /// The table of a pack cannot be read; an index made anew will not know what it holds. See
    /// [`BlobStore::salvage`].
    TableDamaged {
        /// The pack.
        pack: String,
    },
    /// A pack is gone, with all that the index finds in it.
    PackMissing {
        /// The pack.
        pack: String,
        /// Pieces that only it held.
        pieces: u64,
    },
    /// A pack is not as long as it was.
    PackCut {
        /// The pack.
        pack: String,
        /// Bytes that are there.
        there: u64,
        /// Bytes that it had.
        bytes: u64,
        /// Pieces that the index finds in it.
        pieces: u64,
        /// Those of them that were cut off. The others are looked at one by one. See [`BlobStore::salvage`].
        lost: u64,
    },
    /// A pack that the index does not know and whose table cannot be read, while something is missing that it may have
    /// held.
    PackUnreadable {
        /// The pack.
        pack: String,
    },
    /// A pack that the index does not know; the next start or collection takes it in.
    PackUnknown {
        /// The pack.
        pack: String,
    },
    /// A piece that the index does not know, in a pack that it knows.
    NotIndexed {
        /// The piece.
        id: BlobId,
        /// Where it lies.
        pack: String,
    },
    /// The index finds a piece where it does not lie.
    Misplaced {
        /// The piece.
        id: BlobId,
        /// Where it should lie.
        pack: String,
    },
    /// A root is not stored, and so nothing tells what was below it.
    RootMissing {
        /// The root.
        id: BlobId,
    },
    /// A node or record lists what is not stored.
    Incomplete {
        /// The piece.
        id: BlobId,
        /// What it lists.
        child: BlobId,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { id, kind, pack } => {
                let kind = match kind {
                    Kind::Chunk => "chunk",
                    Kind::Node(_) => "node",
                    Kind::Record => "record",
                };
                write!(f, "{kind} {id} in {pack} is damaged")
            }
            Self::TableDamaged { pack } => write!(f, "the table of {pack} is damaged"),
            Self::PackMissing { pack, pieces } => {
                write!(f, "{pack} is gone, and {pieces} pieces with it")
            }
            Self::PackCut {
                pack,
                there,
                bytes,
                pieces,
                lost,
            } => write!(
                f,
                "{pack} was cut short: {there} of {bytes} bytes are there, {lost} of {pieces} pieces are lost"
            ),
            Self::PackUnreadable { pack } => {
                write!(f, "{pack} cannot be read, and may have held what is missing")
            }
            Self::PackUnknown { pack } => write!(f, "{pack} is not known to the index"),
            Self::NotIndexed { id, pack } => write!(f, "{id} in {pack} is not known to the index"),
            Self::Misplaced { id, pack } => write!(f, "{id} does not lie in {pack}, as the index says"),
            Self::RootMissing { id } => write!(f, "{id} is in use and not stored"),
            Self::Incomplete { id, child } => write!(f, "{id} lists {child}, which is not stored"),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Packs that were looked at.
    pub packs: u64,
    /// Pieces in them.
    pub pieces: u64,
    /// Bytes of pieces that were opened.
    pub bytes: u64,
    /// What is wrong; the first thousand.
    pub findings: Vec<Finding>,
    /// How much is wrong.
    pub findings_total: u64,
    /// Damaged copies of what is whole elsewhere, and packs that cannot be read and of which nothing is missed. They are
    /// no finding: the next collection removes them.
    pub waiting: u64,
    /// Roots below which something is damaged or missing, with what; of those that were asked for.
    pub reached: Vec<(BlobId, Vec<BlobId>)>,
    /// How long it took.
    pub took: Duration,
}

/// A check under way.
struct Check<'a> {
    store: &'a BlobStore,
    quick: bool,
    bytes_per_second: Option<u64>,
    progress: OnProgress<'a>,
    report: CheckReport,
    /// Pieces that lie where the index finds them.
    seen: Marks,
    /// Pieces that cannot be read.
    damaged: Marks,
    /// Those, and nodes and records that list what is missing or bad.
    bad: Marks,
    /// Packs that cannot be gone through by their tables.
    suspects: BTreeMap<u32, Suspect>,
    /// Something that is listed, or a root, is not stored.
    is_incomplete: bool,
}

impl<'a> Check<'a> {
    fn new(
        store: &'a BlobStore,
        quick: bool,
        bytes_per_second: Option<u64>,
        progress: OnProgress<'a>,
    ) -> Self {
        Self {
            store,
            quick,
            bytes_per_second,
            progress,
            report: CheckReport::default(),
            seen: Marks::default(),
            damaged: Marks::default(),
            bad: Marks::default(),
            suspects: BTreeMap::new(),
            is_incomplete: false,
        }
    }

    fn at(&self, phase: Phase, done: u64, of: Option<u64>) {
        (self.progress)(Progress { phase, done, of });
    }

    fn find(&mut self, finding: Finding) {
        self.is_incomplete |= matches!(finding, Finding::RootMissing { .. } | Finding::Incomplete { .. });
        self.report.findings_total += 1;
        if self.report.findings.len() < TOLD {
            self.report.findings.push(finding);
        }
    }

    async fn run(&mut self, options: &CheckOptions, guard: &Guard) -> Result<(), BlobError> {
        let inner = &self.store.inner;
        let there = packs_there(inner.backend.as_ref(), guard).await?;
        let on_their_way = inner.committer.on_their_way.now();
        let packs = inner.index.numbered();
        let known: std::collections::HashSet<_> = packs.values().map(|pack| pack.id).collect();
        let mut unreadable = Vec::new();
        for (id, bytes) in &there {
            if known.contains(id) || on_their_way.contains(id) {
                continue;
            }
            let pack = id.object();
            let rows = table::read(inner.backend.as_ref(), &inner.keyring, *id, *bytes).await?;
            match rows.is_some() {
                true => self.find(Finding::PackUnknown { pack }),
                false => unreadable.push(pack),
            }
        }
        let due: Vec<_> = packs
            .iter()
            .filter(|(_, pack)| !guard.is_whole(pack.id))
            .collect();
        for (done, (number, pack)) in (0..).zip(&due) {
            self.at(Phase::Reading, done, Some(due.len() as u64));
            let mut bytes = there.get(&pack.id).copied();
            if bytes != Some(pack.bytes) {
                // A list may be behind.
                bytes = inner.backend.size(&pack.id.object()).await?;
            }
            if bytes != Some(pack.bytes) || !self.pack(**number, pack, guard).await? {
                self.suspects.insert(**number, Suspect::new(**pack, bytes));
            }
        }
        self.index(&packs, guard).await?;
        self.tell_suspects();
        for roots in options.roots.chunks(packs::STEP) {
            let found = self.places(roots.to_vec()).await?;
            let missing = roots.iter().zip(found).filter(|(_, found)| found.is_none());
            missing.for_each(|(id, _)| self.find(Finding::RootMissing { id: *id }));
        }
        // A quick check has not looked for what is missing, nor can one that knows no roots.
        match self.quick || self.is_incomplete || options.roots.is_empty() {
            true => unreadable
                .into_iter()
                .for_each(|pack| self.find(Finding::PackUnreadable { pack })),
            false => self.report.waiting += unreadable.len() as u64,
        }
        if !self.quick {
            self.trace().await?;
            self.remember(true).await?;
            let told = options.told_per_root.unwrap_or(TOLD);
            for root in &options.roots {
                let below = self.below(*root, told).await?;
                if !below.is_empty() {
                    self.report.reached.push((*root, below));
                }
            }
        }
        Ok(())
    }
}

impl BlobStore {
    /// Looks at every pack and every piece, and at whether the index, packs and links agree. What is damaged, and
    /// what lists it, counts as not stored from then on for whoever may send it anew. May be dropped at any time.
    ///
    /// # Errors
    /// A collection, check or repair is under way, or the storage failed; damage is no error.
    pub async fn check(
        &self,
        options: &CheckOptions,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<CheckReport, BlobError> {
        let guard = self.upkeep().await?;
        let started = Instant::now();
        let mut check = Check::new(self, options.quick, options.bytes_per_second, progress);
        check.run(options, &guard).await?;
        check.report.took = started.elapsed();
        Ok(check.report)
    }
}
