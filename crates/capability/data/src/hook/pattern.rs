//! Patterns of branch names: `main`, `release/*`, `**`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::DataError;

const PATTERN_MAX_LEN: usize = 120;

/// A branch name in which `*` stands for any letters of one part, and `**` for any of all parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BranchPattern(String);

impl BranchPattern {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name is one of those.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes())
    }
}

/// Goes back to the last star only, once for each kind: so the time is bounded by the product of three lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    // Where to go on if what follows a star does not fit: behind the star, and where its letters end.
    let mut one_part: Option<(usize, usize)> = None;
    let mut all_parts = one_part;
    loop {
        if pattern[at..].starts_with(b"**") {
            at += 2;
            (one_part, all_parts) = (None, Some((at, position)));
            continue;
        }
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            one_part = Some((at, position));
            continue;
        }
        match (pattern.get(at), name.get(position)) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == found => {
                (at, position) = (at + 1, position + 1);
                continue;
            }
            _ => {}
        }
        let is_within = |(_, end): &(usize, usize)| name.get(*end).is_some_and(|letter| *letter != b'/');
        if let Some((behind, end)) = one_part.filter(is_within) {
            (at, position, one_part) = (behind, end + 1, Some((behind, end + 1)));
        } else if let Some((behind, end)) = all_parts.filter(|(_, end)| *end < name.len()) {
            (at, position) = (behind, end + 1);
            (one_part, all_parts) = (None, Some((behind, end + 1)));
        } else {
            return false;
        }
    }
}

impl FromStr for BranchPattern {
    type Err = DataError;
    fn from_str(text: &str) -> Result<Self, DataError> {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '*');
        let is_one = (1..=PATTERN_MAX_LEN).contains(&text.len()) && text.chars().all(letters);
        match is_one && !text.contains("***") {
            true => Ok(Self(text.to_owned())),
            false => Err(DataError::BadHook {
                field: "branches",
                problem: "must be branch names, in which * stands for any letters but '/' and ** for all",
            }),
        }
    }
}

impl fmt::Display for BranchPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BranchPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_one(pattern: &str, name: &str) -> bool {
        pattern.parse::<BranchPattern>().unwrap().matches(name)
    }

    #[test]
    fn a_star_stays_within_a_part_and_two_do_not() {
        for (pattern, name) in [
            ("main", "main"),
            ("release/*", "release/1.0"),
            ("*", "main"),
            ("**", "a/b/c"),
            ("a/**", "a/b/c"),
            ("**/c", "a/b/c"),
            ("a*c", "ac"),
            ("a*c", "abcbc"),
            ("*-*", "x-y-z"),
            ("a/*/c", "a/b/c"),
            ("**/x*", "a/xb/x/xy"),
        ] {
            assert!(is_one(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("main", "main2"),
            ("main", "mai"),
            ("release/*", "release"),
            ("release/*", "release/a/b"),
            ("*", "a/b"),
            ("a*c", "a/c"),
            ("**/c", "c"),
            ("a/*/c", "a/c"),
            ("**/x*", "x/ab"),
        ] {
            assert!(!is_one(pattern, name), "{pattern} {name}");
        }
        for wrong in ["", "***", "a b", "a,b", "[a]", &"x".repeat(121)] {
            assert!(wrong.parse::<BranchPattern>().is_err(), "{wrong}");
        }
    }

    /// Tries everything.
    fn slowly(pattern: &[u8], name: &[u8]) -> bool {
        if let Some(rest) = pattern.strip_prefix(b"**") {
            return (0..=name.len()).any(|end| slowly(rest, &name[end..]));
        }
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => {
                let end = name
                    .iter()
                    .position(|letter| *letter == b'/')
                    .unwrap_or(name.len());
                (0..=end).any(|end| slowly(rest, &name[end..]))
            }
            Some((wanted, rest)) => name.first() == Some(wanted) && slowly(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_is_as_trying_everything(pattern in "[ab/*]{1,8}", name in "[ab/]{0,8}") {
            prop_assume!(!pattern.contains("***"));
            prop_assert_eq!(is_one(&pattern, &name), slowly(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
