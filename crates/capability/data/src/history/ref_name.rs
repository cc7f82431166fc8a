//! Names of branches and tags.

use std::fmt;
use std::str::FromStr;

use corliss_metastore::Value;
use serde::{Deserialize, Deserializer, Serialize};

use crate::DataError;
use crate::error::shortened;

const NAME_MAX_LEN: usize = 120;
/// As many hex digits after `v_` or `c_` make an id; fewer could mean anything.
pub(crate) const ID_PREFIX_MIN_LEN: usize = 6;
/// Stands for the head of the default branch.
pub(super) const LATEST: &str = "latest";

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefKind {
    /// Moves with every commit on it.
    Branch,
    /// Stays where it was put.
    Tag,
}

impl RefKind {
    /// The word as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Tag => "tag",
        }
    }
}

impl fmt::Display for RefKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A checked name of a branch or tag: parts of letters, digits, `-`, `_` and `.`, joined by `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RefName(String);

impl RefName {
    /// The branch that a new dataset has.
    #[must_use]
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text is `v_` or `c_` and enough hex digits to be taken for an id.
pub(crate) fn is_id_like(text: &str) -> bool {
    let digits = text.strip_prefix("v_").or_else(|| text.strip_prefix("c_"));
    digits.is_some_and(|digits| {
        let hex = digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        hex && (ID_PREFIX_MIN_LEN..=64).contains(&digits.len())
    })
}

fn problem(text: &str) -> Option<&'static str> {
    if text == LATEST {
        return Some("is what the head of the default branch is called");
    }
    if is_id_like(text) {
        return Some("looks like an id");
    }
    if text.is_empty() || text.len() > NAME_MAX_LEN {
        return Some("must have 1 to 120 characters");
    }
    let is_part = |part: &str| {
        let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(rest)
    };
    (!text.split('/').all(is_part)).then_some(
        "must be letters, digits, '-', '_' and '.', in parts joined by '/' that start with a letter or digit",
    )
}

impl FromStr for RefName {
    type Err = DataError;
    fn from_str(text: &str) -> Result<Self, DataError> {
        match problem(text) {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(DataError::BadRefName {
                name: shortened(text),
                problem,
            }),
        }
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RefName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl From<&RefName> for Value {
    fn from(name: &RefName) -> Self {
        Self::Text(name.0.clone())
    }
}

impl From<RefKind> for Value {
    fn from(kind: RefKind) -> Self {
        Self::Text(kind.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_be_taken_for_something_else() {
        for good in ["main", "feature/x-1", "v1.0", "v_1", "2026-11"] {
            assert!(good.parse::<RefName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "latest",
            "v_012345",
            "c_0123456789ab",
            "a/",
            "/a",
            "a//b",
            "..",
            "a/../b",
            "a b",
            "a@b",
            "a~1",
            "-a",
            &"x".repeat(121),
        ] {
            assert!(bad.parse::<RefName>().is_err(), "{bad}");
        }
    }
}
