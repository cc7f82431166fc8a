//! Typed ids. An id is `prefix_` and 26 Crockford base-32 characters: 48 bits of milliseconds, then 80
//! random bits (the layout of ULID), so ids sort by creation and cannot be swapped between kinds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BODY_LEN: usize = 26;
const NAME_MAX_LEN: usize = 63;

/// What an id is made of: a creation time and 80 random bits, drawn by the service that makes the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdSeed {
    /// Creation time; gives ids their order.
    pub at: Timestamp,
    /// Ten random bytes from the service's entropy port.
    pub random: [u8; 10],
}

/// Why a text is not the id or name it was given as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError {
    expected: &'static str,
    got: String,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not {}", self.got, self.expected)
    }
}

impl std::error::Error for IdError {}

fn encode(seed: IdSeed) -> String {
    let millis = u128::from(u64::try_from(seed.at.as_millis()).unwrap_or(0) & 0xffff_ffff_ffff);
    let random = seed
        .random
        .iter()
        .fold(0_u128, |acc, byte| (acc << 8) | u128::from(*byte));
    let value = (millis << 80) | random;
    (0..BODY_LEN)
        .rev()
        .map(|position| char::from(ALPHABET[((value >> (position * 5)) & 31) as usize]))
        .collect()
}

fn is_body(text: &str) -> bool {
    text.len() == BODY_LEN && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            /// The text form, as stored and sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Makes a new id from a time and randomness that the caller drew.
            #[must_use]
            pub fn new(seed: IdSeed) -> Self {
                Self(format!(concat!($prefix, "_{}"), encode(seed)))
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                match text.strip_prefix(concat!($prefix, "_")) {
                    Some(body) if is_body(body) => Ok(Self(text.to_owned())),
                    _ => Err(IdError {
                        expected: concat!("an id of the form ", $prefix, "_ and 26 characters"),
                        got: shortened(text),
                    }),
                }
            }
        }
        text_newtype!($name);
    };
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
                let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if starts_well && text.len() <= NAME_MAX_LEN && text.chars().all(rest) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError {
                        expected: "a name (letters, digits, '-', '_' and '.', starting with a letter or digit, \
                                   at most 63)",
                        got: shortened(text),
                    })
                }
            }
        }
        text_newtype!($name);
    };
}

id_type!(
    /// A job: one gang of tasks in the queue.
    JobId, "job"
);
id_type!(
    /// One process of a job attempt, started under a shim.
    TaskId, "task"
);
id_type!(
    /// A pipeline run: one execution of a project file.
    RunId, "run"
);
id_type!(
    /// An endpoint: a served model with replicas behind one name.
    EndpointId, "ep"
);
id_type!(
    /// One engine process of an endpoint.
    ReplicaId, "rep"
);
id_type!(
    /// A release: how one version of a model took, or did not take, another one's place at an endpoint.
    ReleaseId, "rel"
);
id_type!(
    /// Someone or something that presents a token.
    PrincipalId, "prn"
);
id_type!(
    /// A stored token; the secret itself is never an id.
    TokenId, "tok"
);
name_type!(
    /// The name of a dataset within this installation.
    DatasetName
);
name_type!(
    /// The name of a registered model.
    ModelName
);

/// Which try of a step or job this is; the first is 1.
pub type AttemptNumber = u32;

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Names what has this digest.
            #[must_use]
            pub fn from_digest(digest: [u8; 32]) -> Self {
                Self(format!(concat!($prefix, "_{}"), hex(&digest)))
            }

            /// The first 12 hex digits, for people.
            #[must_use]
            pub fn short(&self) -> &str {
                &self.0[2..14]
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                match text.strip_prefix(concat!($prefix, "_")) {
                    Some(body) if is_lower_hex(body, 64) => Ok(Self(text.to_owned())),
                    _ => Err(IdError {
                        expected: concat!("a ", $what, " id (", $prefix, "_ and 64 hex digits)"),
                        got: shortened(text),
                    }),
                }
            }
        }
        text_newtype!($name);
    };
}

digest_type!(
    /// An immutable version of a folder: the BLAKE3 digest of its tree, 64 hex digits after `v_`.
    VersionId, "v", "version"
);
digest_type!(
    /// An entry in the history of a dataset: the BLAKE3 digest of what it says, 64 hex digits after `c_`.
    CommitId, "c", "commit"
);

/// An MLflow run id: 32 hex digits, as its clients make and expect them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackingRunId(String);

impl TrackingRunId {
    /// Makes a new id from 16 random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(hex(&random))
    }
}

impl FromStr for TrackingRunId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if is_lower_hex(text, 32) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError {
                expected: "a tracking run id (32 hex digits)",
                got: shortened(text),
            })
        }
    }
}
text_newtype!(TrackingRunId);

fn is_lower_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(at: i64, fill: u8) -> IdSeed {
        IdSeed {
            at: Timestamp::from_millis(at),
            random: [fill; 10],
        }
    }

    #[test]
    fn ids_round_trip_and_sort_by_time() {
        let early = JobId::new(seed(1_000, 255));
        let late = JobId::new(seed(1_001, 0));
        assert!(early < late);
        assert_eq!(early.as_str().parse::<JobId>().unwrap(), early);
        assert_eq!(early.as_str().len(), "job_".len() + 26);
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let job = JobId::new(seed(1, 1));
        assert!(job.as_str().parse::<RunId>().is_err());
        assert!("job_../../etc/passwd".parse::<JobId>().is_err());
    }

    #[test]
    fn names_hold_no_path_parts() {
        assert!("digits-v2.1".parse::<DatasetName>().is_ok());
        for bad in ["", "..", ".hidden", "a/b", "a b", "é", &"x".repeat(64)] {
            assert!(bad.parse::<ModelName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_are_digests() {
        let version = VersionId::from_digest([0xab; 32]);
        assert_eq!(version.short(), "abababababab");
        assert!("v_zz".parse::<VersionId>().is_err());
    }
}
