//! How people and project files name a version: `name`, `name@branch`, `name@tag`, `name@v_…`, `name@c_…`, each
//! with `~2` for the second commit before it; `v_…` and `c_…` alone. Ids may be cut to 6 hex digits.

use std::fmt;
use std::str::FromStr;

use corliss_types::{CommitId, DatasetName, VersionId};

use super::RefName;
use super::ref_name::{LATEST, is_id_like};
use crate::DataError;
use crate::error::shortened;

/// Commits that one reference may go back.
const BACK_MAX: u32 = 100_000;

/// What stands after the `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The head of the default branch.
    Latest,
    /// A branch or tag.
    Name(RefName),
    /// The dataset's version or commit whose id starts so (`v_` or `c_` and at least 6 hex digits).
    Prefix(String),
}

/// A name for a version, not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The version itself.
    Version(VersionId),
    /// The version of a commit.
    Commit(CommitId),
    /// The version or commit whose id starts so, whatever dataset it is of.
    Prefix(String),
    /// Something in a dataset's history.
    Named {
        /// The dataset.
        dataset: DatasetName,
        /// Where in it.
        at: At,
        /// So many commits before that, along the first parents.
        back: u32,
    },
}

impl Reference {
    /// The head of a dataset's default branch.
    #[must_use]
    pub const fn latest(dataset: DatasetName) -> Self {
        Self::Named {
            dataset,
            at: At::Latest,
            back: 0,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "{version}"),
            Self::Commit(commit) => write!(f, "{commit}"),
            Self::Prefix(prefix) => write!(f, "{prefix}"),
            Self::Named { dataset, at, back } => {
                write!(f, "{dataset}")?;
                match at {
                    At::Latest => {}
                    At::Name(name) => write!(f, "@{name}")?,
                    At::Prefix(prefix) => write!(f, "@{prefix}")?,
                }
                match back {
                    0 => Ok(()),
                    back => write!(f, "~{back}"),
                }
            }
        }
    }
}

impl FromStr for Reference {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        if let Ok(version) = text.parse() {
            return Ok(Self::Version(version));
        }
        if let Ok(commit) = text.parse() {
            return Ok(Self::Commit(commit));
        }
        if is_id_like(text) {
            return Ok(Self::Prefix(text.to_owned()));
        }
        let wrong = |problem| DataError::BadReference {
            reference: shortened(text),
            problem,
        };
        let (rest, back) = match text.rsplit_once('~') {
            None => (text, 0),
            Some((rest, count)) => {
                let count = if count.is_empty() { Ok(1) } else { count.parse() };
                let count = count.ok().filter(|count| *count <= BACK_MAX);
                let problem = "must have a number of commits, at most 100000, after the '~'";
                (rest, count.ok_or_else(|| wrong(problem))?)
            }
        };
        let (name, at) = rest.split_once('@').unwrap_or((rest, LATEST));
        let dataset = name
            .parse()
            .map_err(|_| wrong("does not start with the name of a dataset"))?;
        let at = if at == LATEST {
            At::Latest
        } else if is_id_like(at) {
            At::Prefix(at.to_owned())
        } else {
            let named = at.parse::<RefName>();
            let problem = "must name a branch, a tag or at least 6 hex digits of an id after the '@'";
            At::Name(named.map_err(|_| wrong(problem))?)
        };
        Ok(Self::Named { dataset, at, back })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_apart() {
        let name: DatasetName = "digits".parse().unwrap();
        let named = |at, back| {
            Ok(Reference::Named {
                dataset: name.clone(),
                at,
                back,
            })
        };
        assert_eq!("digits".parse(), named(At::Latest, 0));
        assert_eq!("digits@latest".parse(), named(At::Latest, 0));
        assert_eq!("digits~".parse(), named(At::Latest, 1));
        assert_eq!(
            "digits@fix/x~3".parse(),
            named(At::Name("fix/x".parse().unwrap()), 3)
        );
        for short in ["v_0123456789ab", "c_0123456789ab"] {
            assert_eq!(
                format!("digits@{short}").parse(),
                named(At::Prefix(short.to_owned()), 0)
            );
        }
        let version = format!("v_{}", "ab".repeat(32));
        assert_eq!(version.parse(), Ok(Reference::Version(version.parse().unwrap())));
        let commit = format!("c_{}", "ab".repeat(32));
        assert_eq!(commit.parse(), Ok(Reference::Commit(commit.parse().unwrap())));
        assert_eq!("v_012345".parse(), Ok(Reference::Prefix("v_012345".to_owned())));
        for bad in [
            "",
            "@main",
            "a b",
            "digits@",
            "digits@a b",
            "digits~x",
            "digits~999999",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
    }
}
