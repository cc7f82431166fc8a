//! What can go wrong with Vault or OpenBao, in words that name the fix.

use std::fmt;

use corliss_diagnostics::Meaning;

/// Why Vault or OpenBao did not do what it was asked. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A setting cannot be.
    Setting {
        /// Which, and what is wrong with it.
        problem: String,
    },
    /// There is no token to present.
    Token {
        /// Where it was looked for, and what is wrong there.
        problem: String,
    },
    /// Nobody answered, or not in time.
    Unreachable {
        /// Why not.
        message: String,
    },
    /// It answered that it cannot work now, several times.
    Busy {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// It is sealed: it has its own keys not yet.
    Sealed,
    /// The token may not do this.
    Denied {
        /// Path of the request.
        path: String,
    },
    /// There is no such key.
    NoKey {
        /// Its name.
        key: String,
    },
    /// There is no transit engine at this mount.
    NoMount {
        /// The mount.
        mount: String,
    },
    /// The key is of a type that authenticates nothing, or may not encrypt.
    KeyType {
        /// Its type.
        kind: String,
    },
    /// The version that wrapped is archived.
    TooOld {
        /// The wrapping key's id.
        id: String,
    },
    /// Another refusal.
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The answer is not one of the transit engine.
    Answer {
        /// What is wrong with it.
        problem: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { problem } | Self::Token { problem } => f.write_str(problem),
            Self::Unreachable { message } => write!(f, "cannot be reached: {message}"),
            Self::Busy { status, message } => write!(f, "cannot answer now ({status}): {message}"),
            Self::Sealed => f.write_str("is sealed"),
            Self::Denied { path } => write!(f, "refuses the token for {path}"),
            Self::NoKey { key } => write!(f, "has no transit key '{key}'"),
            Self::NoMount { mount } => write!(f, "has no transit engine at '{mount}'"),
            Self::KeyType { kind } => write!(f, "the key is of type {kind}, which cannot wrap keys"),
            Self::TooOld { id } => write!(f, "the version {id} is archived and opens nothing"),
            Self::Refused { status, message } => write!(f, "refuses ({status}): {message}"),
            Self::Answer { problem } => write!(f, "the answer is not one of a transit engine: {problem}"),
        }
    }
}

impl Trouble {
    /// Whether the same may succeed in a moment.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. } | Self::Sealed)
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "transit_setting",
            Self::Token { .. } => "transit_token",
            Self::Unreachable { .. } => "transit_unreachable",
            Self::Busy { .. } => "transit_busy",
            Self::Sealed => "transit_sealed",
            Self::Denied { .. } => "transit_denied",
            Self::NoKey { .. } => "transit_key_missing",
            Self::NoMount { .. } => "transit_mount_missing",
            Self::KeyType { .. } => "transit_key_type",
            Self::TooOld { .. } => "transit_version_archived",
            Self::Refused { .. } => "transit_refused",
            Self::Answer { .. } => "transit_answer",
        }
    }

    pub(crate) fn meaning(&self) -> Meaning {
        if self.passes() {
            Meaning::Unavailable
        } else {
            Meaning::Internal
        }
    }

    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Setting { .. } => "correct the setting".to_owned(),
            Self::Token { .. } => "put a token there, readable for Corliss alone".to_owned(),
            Self::Unreachable { .. } => {
                "check the address, the network and, with TLS, the file of the authority".to_owned()
            }
            Self::Busy { .. } => "try again when it is idle and one of its nodes is active".to_owned(),
            Self::Sealed => "unseal it and try again".to_owned(),
            Self::Denied { path } => format!(
                "the token may be expired or of another namespace, the mount or key may have another name, \
                 or the policy must allow {} on {path}",
                if path.contains("/keys/") { "read" } else { "update" }
            ),
            Self::NoKey { key } => {
                format!("make it, of type aes256-gcm96 and not exportable, or correct the name '{key}'")
            }
            Self::NoMount { .. } => {
                "mount a transit engine there, or correct the mount or the namespace".to_owned()
            }
            Self::KeyType { .. } => "use a key of type aes256-gcm96".to_owned(),
            Self::TooOld { .. } => {
                "lower the key's min_decryption_version, rewrap the keys, and raise it again".to_owned()
            }
            Self::Refused { .. } => "its own log says more".to_owned(),
            Self::Answer { .. } => "check that the address is that of Vault or OpenBao".to_owned(),
        }
    }
}
