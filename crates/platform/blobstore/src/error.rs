//! Everything that can go wrong with blobs.

use std::io;

use corliss_diagnostics::{Diagnose, Meaning};

use corliss_keyring::KeyError;

use crate::BlobId;

/// Why a remote service did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is not reached, busy, or answers what cannot be; this may pass.
    Unavailable,
    /// It does not know us, or does not let us.
    Denied,
    /// The bucket does not exist.
    NoBucket,
    /// It does not take the request.
    Refused,
}

/// An error of the blob store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// No blob has this id.
    #[error("there is no blob {id}")]
    NotFound {
        /// The id asked for.
        id: BlobId,
    },
    /// More bytes than allowed.
    #[error("the bytes are more than the limit of {limit_bytes}")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The stream of bytes to be stored broke.
    #[error("the bytes stopped coming: {message}")]
    Incoming {
        /// Why.
        message: String,
    },
    /// A range that the blob does not have.
    #[error("the range {start}..{end} is not within the blob's {size_bytes} bytes")]
    Range {
        /// First byte.
        start: u64,
        /// Byte after the last.
        end: u64,
        /// The blob's length.
        size_bytes: u64,
    },
    /// The bytes stored under an id are no longer what they were.
    #[error("the stored bytes of blob {id} are damaged")]
    Damaged {
        /// The blob.
        id: BlobId,
    },
    /// A piece that was sent cannot be one.
    #[error("a piece is not valid: {problem}")]
    BadPiece {
        /// What is wrong with it.
        problem: String,
    },
    /// A node or record lists what is not stored.
    #[error("piece {id} lists {child}, which is not stored")]
    Incomplete {
        /// The piece.
        id: BlobId,
        /// What it lists.
        child: BlobId,
    },
    /// The keys that the bytes are encrypted with failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The index of pieces cannot be read; the packs are not touched by that.
    #[error("the index {path} is damaged: {message}")]
    IndexDamaged {
        /// Its folder.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// What says which pieces were collected cannot be read.
    #[error("{path}, which says what was collected, is damaged")]
    CondemnedDamaged {
        /// The object.
        path: String,
    },
    /// A collection, check or repair is under way; there is one at a time.
    #[error("the blob store is being collected, checked or repaired")]
    Busy,
    /// Another process has the store open.
    #[error("the blob folder {path} is in use by another process")]
    InUse {
        /// The folder.
        path: String,
    },
    /// No space.
    #[error("the disk that holds the blobs is full")]
    StorageFull,
    /// No space where a blob was to be laid out.
    #[error("the disk that '{path}' was to be written to is full")]
    TargetFull {
        /// The file.
        path: String,
    },
    /// Another version of the program has made the folder.
    #[error("the blob folder has format {found}, this program knows {supported}")]
    Newer {
        /// What the folder says.
        found: String,
        /// What this program writes.
        supported: &'static str,
    },
    /// A setting of a bucket cannot be right.
    #[error("the setting '{field}' of the bucket is not valid: {problem}")]
    BucketSettings {
        /// Which.
        field: &'static str,
        /// What is wrong with it. The value is not repeated: it may hold a secret.
        problem: String,
    },
    /// The service that keeps the objects did not do what was asked.
    #[error("cannot {action} {object}: {message}")]
    Remote {
        /// What was tried.
        action: &'static str,
        /// On what, with its bucket.
        object: String,
        /// What it means.
        trouble: Trouble,
        /// The service's reason.
        message: String,
    },
    /// The file system refused something else.
    #[error("cannot {action} {path}: {message}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// The system's reason.
        message: String,
    },
}

impl BlobError {
    /// A file system's error, with what was tried on what.
    #[must_use]
    pub fn io(action: &'static str, path: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull,
            _ => Self::Io {
                action,
                path: path.to_owned(),
                message: error.to_string(),
            },
        }
    }
}

impl Diagnose for BlobError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "blob_not_found",
            Self::TooLarge { .. } => "blob_too_large",
            Self::Incoming { .. } => "blob_incoming",
            Self::Range { .. } => "blob_range",
            Self::Damaged { .. } => "blob_damaged",
            Self::BadPiece { .. } => "blob_bad_piece",
            Self::Incomplete { .. } => "blob_incomplete",
            Self::Key(error) => error.code(),
            Self::IndexDamaged { .. } => "blob_index_damaged",
            Self::CondemnedDamaged { .. } => "blob_condemned_damaged",
            Self::Busy => "blob_store_busy",
            Self::InUse { .. } => "blob_folder_in_use",
            Self::StorageFull => "blob_storage_full",
            Self::TargetFull { .. } => "blob_target_full",
            Self::Newer { .. } => "blob_folder_newer",
            Self::BucketSettings { .. } => "blob_bucket_settings",
            Self::Remote { trouble, .. } => match trouble {
                Trouble::Unavailable => "blob_bucket_unavailable",
                Trouble::Denied => "blob_bucket_denied",
                Trouble::NoBucket => "blob_bucket_not_found",
                Trouble::Refused => "blob_bucket_refused",
            },
            Self::Io { .. } => "blob_io",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::NotFound { .. } => Meaning::NotFound,
            Self::Incoming { .. }
            | Self::Range { .. }
            | Self::BadPiece { .. }
            | Self::Incomplete { .. }
            | Self::BucketSettings { .. } => Meaning::InvalidInput,
            Self::Remote {
                trouble: Trouble::Unavailable,
                ..
            } => Meaning::Unavailable,
            Self::Key(error) => error.meaning(),
            Self::Busy => Meaning::Conflict,
            Self::TooLarge { .. } => Meaning::TooLarge,
            Self::StorageFull | Self::TargetFull { .. } => Meaning::StorageFull,
            Self::Damaged { .. }
            | Self::IndexDamaged { .. }
            | Self::CondemnedDamaged { .. }
            | Self::InUse { .. }
            | Self::Newer { .. }
            | Self::Remote { .. }
            | Self::Io { .. } => Meaning::Internal,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::BucketSettings { field, .. } => Some((*field).to_owned()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::StorageFull | Self::TargetFull { .. } => Some("free some space there and try again".to_owned()),
            Self::Damaged { .. } => Some(
                "fetch it from a copy with `corliss data check --repair-from REMOTE`, or restore the blob folder from a backup"
                    .to_owned(),
            ),
            Self::Incomplete { .. } => Some("ask which pieces are missing, and send those first".to_owned()),
            Self::Key(error) => error.hint(),
            Self::IndexDamaged { .. } => {
                Some("start again: the index is then made anew from the packs".to_owned())
            }
            Self::CondemnedDamaged { .. } => Some(
                "restore it from a backup; or remove it, and check the store once it is open: what was collected may come back in part"
                    .to_owned(),
            ),
            Self::Busy => Some("wait until it has ended".to_owned()),
            Self::Newer { .. } => Some("use the version of Corliss that made it".to_owned()),
            Self::Remote { trouble, .. } => Some(trouble.hint().to_owned()),
            _ => None,
        }
    }
}

impl Trouble {
    const fn hint(self) -> &'static str {
        match self {
            Self::Unavailable => {
                "try again later; if it stays so, check the bucket's endpoint and the way to it"
            }
            Self::Denied => {
                "check the bucket's credentials, and that they allow to read, write, list and delete in it"
            }
            Self::NoBucket => "make the bucket, or correct the bucket's url, endpoint and region",
            Self::Refused => "check the bucket's endpoint and region",
        }
    }
}
