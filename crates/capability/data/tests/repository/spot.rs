//! References, taken apart: the model looks them up in this form, the service reads their text.

use std::fmt;

use corliss_data::Reference;
use corliss_types::{CommitId, VersionId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spot {
    Version(VersionId),
    Commit(CommitId),
    /// Of an id, with its `v_` or `c_`.
    Prefix(String),
    Named {
        dataset: String,
        at: Place,
        back: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    Alone,
    Latest,
    /// Of a branch or tag, or the beginning of a version's id without its `v_`.
    Name(String),
    Prefix(String),
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(id) => write!(f, "{id}"),
            Self::Commit(id) => write!(f, "{id}"),
            Self::Prefix(text) => write!(f, "{text}"),
            Self::Named { dataset, at, back } => {
                write!(f, "{dataset}")?;
                match at {
                    Place::Alone => {}
                    Place::Latest => write!(f, "@latest")?,
                    Place::Name(text) | Place::Prefix(text) => write!(f, "@{text}")?,
                }
                match back {
                    0 => Ok(()),
                    // Both are the same.
                    1 => write!(f, "~"),
                    back => write!(f, "~{back}"),
                }
            }
        }
    }
}

impl Spot {
    pub fn reference(&self) -> Reference {
        let text = self.to_string();
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }
}
