//! What goes wrong at the other side, as far as it matters to what is done next.

use corliss_blobstore::{BlobError, Trouble};
use corliss_diagnostics::{Diagnose, ErrorReport, Meaning};
use corliss_keyring::KeyError;

use crate::DataError;

/// Why a remote did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteTrouble {
    /// It is not reached, busy, or breaks off; this may pass.
    Unavailable,
    /// It does not know us, or does not let us.
    Denied,
    /// It has no such thing.
    NotFound,
    /// A branch or tag is elsewhere than it was a moment ago.
    Moved,
    /// It no longer has what it said it had; asking again tells what to send.
    Lost,
    /// Somebody else has written to the same bucket or folder; it is to be opened anew.
    Changed,
    /// What it answers cannot be.
    Answer,
    /// Its settings cannot be right.
    Settings,
    /// It has no room.
    Full,
    /// It does not take what was sent.
    Refused,
}

impl RemoteTrouble {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "data_remote_unavailable",
            Self::Denied => "data_remote_denied",
            Self::NotFound => "data_remote_has_none",
            Self::Moved => "data_remote_moved",
            Self::Lost => "data_remote_lost",
            Self::Changed => "data_remote_changed",
            Self::Answer => "data_remote_answer",
            Self::Settings => "data_remote_settings",
            Self::Full => "data_remote_full",
            Self::Refused => "data_remote_refused",
        }
    }

    pub(crate) const fn meaning(self) -> Meaning {
        match self {
            Self::Unavailable => Meaning::Unavailable,
            Self::NotFound => Meaning::NotFound,
            Self::Moved | Self::Lost | Self::Changed => Meaning::Conflict,
            Self::Full => Meaning::StorageFull,
            // Not the caller's request is wrong, but what the administrator set or the other side does.
            Self::Denied | Self::Answer | Self::Settings | Self::Refused => Meaning::Internal,
        }
    }

    pub(crate) const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Unavailable => "try again later: what was transferred is not transferred twice",
            Self::Denied => "check the remote's token or credentials, and what they allow",
            Self::Moved => "pull, merge and push again",
            Self::Lost | Self::Changed => "start it again: what was transferred is not transferred twice",
            Self::Settings => "correct the remote in config.toml",
            Self::Full => {
                "free some space there and try again: what was transferred is not transferred twice"
            }
            Self::NotFound | Self::Answer | Self::Refused => return None,
        })
    }

    /// Whether the whole may work if it is begun anew.
    pub(crate) const fn begins_anew(self) -> bool {
        matches!(self, Self::Lost | Self::Changed)
    }
}

/// What a blob store's failure means where the store is a remote.
pub(super) fn of_store(remote: &str, error: &BlobError) -> DataError {
    let trouble = match error {
        // Another writer's packs are not in the index yet, or a collection took what was there.
        BlobError::NotFound { .. } | BlobError::Key(KeyError::Changed { .. }) => RemoteTrouble::Changed,
        BlobError::Incomplete { .. } => RemoteTrouble::Lost,
        BlobError::InUse { .. } | BlobError::Busy => RemoteTrouble::Unavailable,
        BlobError::Remote { trouble, .. } => match trouble {
            Trouble::Unavailable => RemoteTrouble::Unavailable,
            Trouble::Denied => RemoteTrouble::Denied,
            Trouble::NoBucket | Trouble::Refused => RemoteTrouble::Refused,
        },
        BlobError::BucketSettings { .. } => RemoteTrouble::Settings,
        BlobError::Damaged { .. } => RemoteTrouble::Answer,
        BlobError::StorageFull => RemoteTrouble::Full,
        error if error.retryable() => RemoteTrouble::Unavailable,
        _ => RemoteTrouble::Refused,
    };
    DataError::Remote {
        remote: remote.to_owned(),
        trouble,
        message: ErrorReport::of(error).message,
    }
}

/// Keeps the type of the store out of what only needs its errors.
pub(super) trait OrRemote<T> {
    /// The same, told as the remote's.
    fn or_remote(self, remote: &str) -> Result<T, DataError>;
}

impl<T> OrRemote<T> for Result<T, BlobError> {
    fn or_remote(self, remote: &str) -> Result<T, DataError> {
        self.map_err(|error| of_store(remote, &error))
    }
}
