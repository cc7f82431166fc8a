//! Everything that can go wrong with keys.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use corliss_diagnostics::{Diagnose, Meaning};

use crate::Destroyed;
use crate::transit::Trouble;

/// An error of the keyring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Others may read the file that holds the root key.
    #[error("the key file {} has mode {mode:04o}: others on this machine can read it", path.display())]
    FileOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file that holds the root key has another form.
    #[error("{}:{line}: {problem}", path.display())]
    FileForm {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There are encrypted data and no key for them.
    #[error("the keys of '{tenant}' are wrapped by the root key {wanted}, which is not in {place}")]
    RootMissing {
        /// Whose keys.
        tenant: String,
        /// The root key's id.
        wanted: String,
        /// Where root keys are looked for.
        place: String,
    },
    /// Vault or OpenBao, which keeps the root key, did not do what it was asked.
    #[error("{place}: {trouble}")]
    Transit {
        /// Its address, mount and key.
        place: String,
        /// What went wrong.
        trouble: Trouble,
    },
    /// A wrapped key or sealed bytes are not what was written.
    #[error("{what} cannot be decrypted: it was changed, or sealed with another key")]
    Sealed {
        /// What was opened.
        what: String,
    },
    /// The wrapped keys have another form.
    #[error("the keys of '{tenant}' cannot be read: {problem}")]
    Form {
        /// Whose keys.
        tenant: String,
        /// What is wrong.
        problem: String,
    },
    /// The tenant was deleted, and its keys with it.
    #[error("{0}")]
    Destroyed(Destroyed),
    /// Data names a key that the tenant does not have.
    #[error("'{tenant}' has no data key {number}")]
    Unknown {
        /// Whose keys.
        tenant: String,
        /// The data key's number.
        number: u32,
    },
    /// The system gave no randomness.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// Somebody else has changed the wrapped keys since they were read; theirs stay.
    #[error("the keys in {place} were changed by another process or server")]
    Changed {
        /// Where they lie.
        place: String,
    },
    /// There is no room for the wrapped keys.
    #[error("cannot write {place}: the disk is full")]
    StorageFull {
        /// Where they should lie.
        place: String,
    },
    /// The wrapped keys cannot be kept, or read.
    #[error("cannot {action} {place}: {message}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        place: String,
        /// Why not.
        message: String,
    },
}

impl KeyError {
    /// A file system's error, with what was tried on what.
    #[must_use]
    pub fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        let place = path.display().to_string();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::StorageFull { place },
            _ => Self::Io {
                action,
                place,
                message: error.to_string(),
            },
        }
    }
}

impl Diagnose for KeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::FileOpen { .. } => "key_file_open",
            Self::FileForm { .. } => "key_file_form",
            Self::RootMissing { .. } => "root_key_missing",
            Self::Transit { trouble, .. } => trouble.code(),
            Self::Sealed { .. } => "sealed",
            Self::Form { .. } => "keyring_form",
            Self::Destroyed(_) => "keys_destroyed",
            Self::Unknown { .. } => "data_key_unknown",
            Self::NoRandomness => "no_randomness",
            Self::Changed { .. } => "keys_changed",
            Self::StorageFull { .. } => "key_storage_full",
            Self::Io { .. } => "key_io",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Transit { trouble, .. } => trouble.meaning(),
            Self::Destroyed(_) => Meaning::NotFound,
            Self::Changed { .. } => Meaning::Conflict,
            Self::StorageFull { .. } => Meaning::StorageFull,
            _ => Meaning::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::FileOpen { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::RootMissing { wanted, .. } if wanted.starts_with(crate::transit::ID_PREFIX) => {
                Some("set the address, mount and key of the Vault or OpenBao that wrapped them".to_owned())
            }
            Self::FileForm { .. } | Self::RootMissing { .. } => {
                Some("restore the key file from its backup: without it the data cannot be read".to_owned())
            }
            Self::Transit { trouble, .. } => Some(trouble.hint()),
            Self::Destroyed(_) => Some(
                "what was sealed with them cannot be read again: what is new needs another home".to_owned(),
            ),
            Self::Changed { .. } => Some("open the store again, and one server at a time".to_owned()),
            Self::StorageFull { .. } => Some("free some space there and try again".to_owned()),
            Self::Form { .. } | Self::Unknown { .. } => {
                Some("restore the file of wrapped keys from a backup".to_owned())
            }
            _ => None,
        }
    }
}
