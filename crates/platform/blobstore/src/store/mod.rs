//! Blobs as others see them.

mod ahead;
mod answers;
mod check;
mod collect;
mod commit;
mod ingest;
mod leases;
mod links;
mod open;
mod place;
mod read;
mod table;
mod turns;
mod usage;

use std::collections::HashSet;
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corliss_keyring::Keyring;
use tokio::io::AsyncRead;

use crate::backend::Backend;
use crate::index::{Index, Location};
use crate::piece::{Piece, Record};
use crate::{BlobError, BlobId, Kind, blocking};

use answers::{Answers, Asker};
use commit::Committer;
use leases::Lease;
use turns::{Guard, Turns};

pub use answers::Hold;
pub use check::{
    CheckOptions, CheckReport, Finding, PieceSource, RepairReport, SalvageReport, ScrubOptions, ScrubReport,
    Scrubbed,
};
pub use collect::{CollectOptions, CollectReport, Phase, Progress, Roots, Skipped};
pub use usage::Usage;

/// A stored blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobInfo {
    /// Its digest.
    pub id: BlobId,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The blob.
    pub blob: BlobInfo,
    /// Whether it was not there before.
    pub created: bool,
}

/// Bytes to be stored, as they arrive.
pub type Incoming<'a> = &'a mut (dyn AsyncRead + Send + Unpin);

/// Opens a local file to be stored. A closure, so that a thousand files are not open at once, and so that the
/// caller decides how a path is resolved.
pub type OpenFile = Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>;

/// A blob being read.
pub struct BlobReader {
    /// The bytes of the range asked for.
    pub bytes: Box<dyn AsyncRead + Send + Unpin>,
    /// How many of them there are.
    pub len: u64,
    /// The length of the whole blob.
    pub size_bytes: u64,
}

/// Makes the file that a blob is laid out as. A closure for the reasons of [`OpenFile`].
pub type CreateFile = Box<dyn FnOnce() -> io::Result<Box<dyn Write + Send>> + Send>;

/// One file for [`BlobStore::materialise`].
pub struct Placement {
    /// The bytes.
    pub id: BlobId,
    /// What it is called where an error tells of it.
    pub path: Box<Path>,
    /// Makes it.
    pub create: CreateFile,
}

impl Placement {
    /// A new file at a path, whose folder exists.
    #[must_use]
    pub fn new(id: BlobId, path: PathBuf, mode: u32) -> Self {
        let shown = path.clone().into();
        let create = move || {
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(path)?;
            // By handle: a umask takes no part in it.
            file.set_permissions(Permissions::from_mode(mode))?;
            Ok(Box::new(file) as Box<dyn Write + Send>)
        };
        Self {
            id,
            path: shown,
            create: Box::new(create),
        }
    }
}

/// Content-addressed storage; cheap to clone. Needs a tokio runtime as long as it lives.
#[derive(Clone)]
pub struct BlobStore {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Arc<dyn Backend>,
    keyring: Arc<Keyring>,
    index: Arc<Index>,
    committer: Committer,
    answers: Arc<Answers>,
    turns: Turns,
}

impl BlobStore {
    /// The turn of something that somebody asked for.
    async fn upkeep(&self) -> Result<Guard, BlobError> {
        self.inner.keyring.check()?;
        self.inner.turns.ask().await
    }

    /// Stores a stream of at most so many bytes. Durable when this returns; storing the same bytes again is cheap
    /// and changes nothing.
    ///
    /// # Errors
    /// The stream broke or is too long, or the storage failed.
    pub async fn put(&self, bytes: Incoming<'_>, limit_bytes: Option<u64>) -> Result<Stored, BlobError> {
        let _hold = self.hold();
        ingest::stream(self, bytes, limit_bytes).await
    }

    /// Stores local files, in order, with as few syncs as their bytes allow. Durable when this returns; if one
    /// fails, those before it may be stored.
    ///
    /// # Errors
    /// A file cannot be read, or the storage failed.
    pub async fn put_files(&self, files: Vec<OpenFile>) -> Result<Vec<Stored>, BlobError> {
        let _hold = self.hold();
        ingest::files(self, files).await
    }

    /// Stores pieces, in one pack or none of them; durable when this returns. What nodes and records list must be
    /// stored, or come before them here.
    ///
    /// # Errors
    /// Something that is listed is not there, or the storage failed.
    pub async fn put_pieces(&self, pieces: Vec<Piece>) -> Result<HashSet<BlobId>, BlobError> {
        let _hold = self.hold();
        links::check(self, &pieces).await?;
        self.write(pieces).await
    }

    /// Pieces by their ids: as many from the front as fit into the limit, and at least one.
    ///
    /// # Errors
    /// One is not stored or damaged, or the storage failed.
    pub async fn read_pieces(&self, ids: Vec<BlobId>, limit_bytes: u64) -> Result<Vec<Piece>, BlobError> {
        read::pieces(self, ids, limit_bytes).await
    }

    /// Records by their ids, in order.
    ///
    /// # Errors
    /// One is not stored, not a record, or damaged; or the storage failed.
    pub async fn read_records(&self, ids: Vec<BlobId>) -> Result<Vec<Record>, BlobError> {
        read::records(self, ids).await
    }

    /// Keeps a collection from what the store says to be stored from now on, and from what is written, as long as
    /// the answer lives. Whoever asks what is stored, and later makes it something that [`Roots`] tell, holds the
    /// store meanwhile.
    pub fn hold(&self) -> Hold {
        self.inner.answers.hold(&self.inner.index)
    }

    /// Those of the ids, of pieces of any kind, that are not stored, in the order given. What is known as damaged,
    /// or as listing what is, counts as not stored: sent anew, it is healed.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn missing(&self, ids: Vec<BlobId>) -> Result<Vec<BlobId>, BlobError> {
        let found = self.answer_healer(ids.clone()).await?;
        let both = ids.into_iter().zip(found);
        Ok(both
            .filter(|(_, location)| location.is_none())
            .map(|(id, _)| id)
            .collect())
    }

    /// The sizes of blobs, in the order of the ids; None for one that is not stored.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn stat_all(&self, ids: Vec<BlobId>) -> Result<Vec<Option<BlobInfo>>, BlobError> {
        self.inner.keyring.check()?;
        let (index, answers) = (Arc::clone(&self.inner.index), Arc::clone(&self.inner.answers));
        let found = blocking(move || answers.find(&index, &ids, Asker::Writer)).await?;
        let info = |location: Location| BlobInfo {
            id: location.row.id,
            size_bytes: location.row.size_bytes,
        };
        let blobs = found.into_iter().map(|location| {
            let location = location.filter(|location| location.row.kind != Kind::Record);
            location.map(info)
        });
        Ok(blobs.collect())
    }

    /// The blob's size; None if it is not stored.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn stat(&self, id: BlobId) -> Result<Option<BlobInfo>, BlobError> {
        Ok(self.stat_all(vec![id]).await?.pop().flatten())
    }

    /// Opens a blob, or the given range of its bytes. What is read is compared with its digests on the way; a
    /// damaged blob ends in an error, never in wrong bytes.
    ///
    /// # Errors
    /// There is no such blob or range, or the storage failed.
    pub async fn open(&self, id: BlobId, range: Option<Range<u64>>) -> Result<BlobReader, BlobError> {
        read::open(self, id, range).await
    }

    /// Reads a blob that is known to be small into memory.
    ///
    /// # Errors
    /// As [`Self::open`]; also if the blob is larger than `limit_bytes`, or damaged.
    pub async fn read_all(&self, id: BlobId, limit_bytes: u64) -> Result<Vec<u8>, BlobError> {
        read::all(self, id, limit_bytes).await
    }

    /// Lays blobs out as new files.
    ///
    /// # Errors
    /// A blob is not stored or damaged, or a file cannot be written.
    pub async fn materialise(&self, files: Vec<Placement>) -> Result<(), BlobError> {
        place::files(self, files).await
    }

    /// Reads the whole blob and compares it with its digests.
    ///
    /// # Errors
    /// It is not stored, damaged, or the storage failed.
    pub async fn verify(&self, id: BlobId) -> Result<(), BlobError> {
        read::verify(self, id).await
    }

    /// Pieces that are stored.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn pieces(&self) -> Result<u64, BlobError> {
        let index = Arc::clone(&self.inner.index);
        blocking(move || index.len()).await
    }

    /// Whether what is stored can be opened: not after its keys were destroyed.
    ///
    /// # Errors
    /// Who destroyed them, and when.
    pub fn check_keys(&self) -> Result<(), BlobError> {
        Ok(self.inner.keyring.check()?)
    }

    /// Where pieces lie for a reader, in the order of the ids.
    async fn locate(&self, lease: &Lease, ids: Vec<BlobId>) -> Result<Vec<Option<Location>>, BlobError> {
        self.inner.keyring.check()?;
        let (index, answers) = (Arc::clone(&self.inner.index), Arc::clone(&self.inner.answers));
        let lease = lease.clone();
        blocking(move || answers.find(&index, &ids, Asker::Reader(&lease))).await
    }

    /// Where pieces lie for somebody who builds on them, in the order of the ids; None for what is damaged.
    async fn answer_healer(&self, ids: Vec<BlobId>) -> Result<Vec<Option<Location>>, BlobError> {
        self.inner.keyring.check()?;
        let (index, answers) = (Arc::clone(&self.inner.index), Arc::clone(&self.inner.answers));
        blocking(move || answers.find(&index, &ids, Asker::Healer)).await
    }

    /// Writes those of the pieces that are new; answers which they were.
    async fn write(&self, pieces: Vec<Piece>) -> Result<HashSet<BlobId>, BlobError> {
        let (index, keyring) = (Arc::clone(&self.inner.index), Arc::clone(&self.inner.keyring));
        let answers = Arc::clone(&self.inner.answers);
        let sealed = blocking(move || {
            let ids: Vec<BlobId> = pieces.iter().map(|piece| piece.id).collect();
            let known = answers.find(&index, &ids, Asker::Healer)?;
            let mut new = HashSet::new();
            let fresh: Vec<Piece> = pieces
                .into_iter()
                .zip(known)
                .filter(|(piece, known)| known.is_none() && new.insert(piece.id))
                .map(|(piece, _)| piece)
                .collect();
            let (key, seal) = keyring.current(fresh.len() as u64)?;
            Ok((crate::pack::seal_pieces(&fresh, key, &seal)?, new))
        })
        .await?;
        let (batch, new) = sealed;
        if !new.is_empty() {
            let ids: Vec<BlobId> = new.iter().copied().collect();
            self.inner.committer.commit(batch).await?;
            let index = Arc::clone(&self.inner.index);
            blocking(move || index.heal(&ids)).await?;
        }
        Ok(new)
    }
}
