//! The path of a file within a version: relative, with `/`, and unable to lead anywhere else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::DataError;
use crate::error::shortened;

const PATH_MAX_BYTES: usize = 1024;
const PART_MAX_BYTES: usize = 255;

/// A checked entry path. Compared byte by byte: `A` and `a` are two files, as on the machines we run on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EntryPath(String);

impl EntryPath {
    /// The text, with `/` between the parts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every folder that this path lies in, outermost first, without the root.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(index, _)| &self.0[..index])
    }
}

fn problem(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("is empty");
    }
    if path.len() > PATH_MAX_BYTES {
        return Some("is longer than 1024 bytes");
    }
    if path.starts_with('/') {
        return Some("is absolute");
    }
    if path.chars().any(char::is_control) {
        return Some("holds a control character");
    }
    path.split('/').find_map(|part| match part {
        "" => Some("has an empty part"),
        "." | ".." => Some("has a part '.' or '..'"),
        part if part.len() > PART_MAX_BYTES => Some("has a part longer than 255 bytes"),
        _ => None,
    })
}

impl FromStr for EntryPath {
    type Err = DataError;
    fn from_str(text: &str) -> Result<Self, DataError> {
        match problem(text) {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(DataError::InvalidPath {
                path: shortened(text),
                problem,
            }),
        }
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EntryPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_leave_their_folder() {
        for good in [
            "a",
            "a/b.c",
            "..a/b..",
            "a b/ü",
            "a\\b",
            &format!("{}/x", "d".repeat(255)),
        ] {
            assert!(good.parse::<EntryPath>().is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "../a",
            "a/..",
            "a/./b",
            "a//b",
            "a/",
            ".",
            "a\nb",
            "a\0b",
            &long,
        ] {
            assert!(bad.parse::<EntryPath>().is_err(), "{bad:?}");
        }
        assert!("a/".repeat(600).parse::<EntryPath>().is_err());
    }

    #[test]
    fn folders_are_outermost_first() {
        let path: EntryPath = "a/b/c".parse().unwrap();
        assert_eq!(path.folders().collect::<Vec<_>>(), ["a", "a/b"]);
    }
}
