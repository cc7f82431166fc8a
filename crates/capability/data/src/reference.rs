//! How people and project files name a version: `name`, `name@latest`, `name@v_…`, `v_…`.

use std::str::FromStr;

use corliss_types::{DatasetName, VersionId};

use crate::DataError;
use crate::error::shortened;

/// The fewest hex digits that may stand for a version; as many as we print for people.
const PREFIX_MIN_LEN: usize = 12;

/// A name for a version, not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The version itself.
    Version(VersionId),
    /// Where the dataset's name points now.
    Latest(DatasetName),
    /// The dataset's version whose id starts so (`v_` and at least 12 hex digits).
    Prefix(DatasetName, String),
}

impl FromStr for Reference {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        if let Ok(version) = text.parse() {
            return Ok(Self::Version(version));
        }
        let wrong = |problem| DataError::BadReference {
            reference: shortened(text),
            problem,
        };
        let (name, version) = text.split_once('@').unwrap_or((text, "latest"));
        let name = name
            .parse()
            .map_err(|_| wrong("does not start with the name of a dataset"))?;
        if version == "latest" {
            return Ok(Self::Latest(name));
        }
        let digits = version.strip_prefix("v_").unwrap_or_default();
        let hex = digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex && (PREFIX_MIN_LEN..=64).contains(&digits.len()) {
            return Ok(Self::Prefix(name, version.to_owned()));
        }
        Err(wrong(
            "must name 'latest' or at least 12 hex digits of a version after the '@'",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_apart() {
        let name: DatasetName = "digits".parse().unwrap();
        assert_eq!("digits".parse(), Ok(Reference::Latest(name.clone())));
        assert_eq!("digits@latest".parse(), Ok(Reference::Latest(name.clone())));
        let short = "v_0123456789ab";
        assert_eq!(
            format!("digits@{short}").parse(),
            Ok(Reference::Prefix(name, short.into()))
        );
        let version = format!("v_{}", "ab".repeat(32));
        assert_eq!(version.parse(), Ok(Reference::Version(version.parse().unwrap())));
        for bad in [
            "",
            "@latest",
            "digits@",
            "digits@v_12",
            "digits@v_%",
            "a/b",
            "digits@newest",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
