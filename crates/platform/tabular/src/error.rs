//! Everything that can go wrong with a table: each error names the file's part that is at fault.

use std::io;

use corliss_diagnostics::{Diagnose, Meaning, nearest};

use crate::Format;

/// An error of reading or comparing tables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TabularError {
    /// The bytes below cannot be read.
    #[error("the table cannot be read")]
    Read {
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The bytes are not what the format says they are.
    #[error("not a valid {} file: {detail}", .format.name())]
    Invalid {
        /// The format they were read as.
        format: Format,
        /// What is wrong, and where.
        detail: String,
    },
    /// The bytes are valid, and use a part of the format that is not read here.
    #[error("this {} file cannot be read: {detail}", .format.name())]
    Unsupported {
        /// The format.
        format: Format,
        /// What it uses.
        detail: String,
    },
    /// More than a limit allows.
    #[error("{what} is more than the limit of {limit}")]
    TooLarge {
        /// What is too large, in words, with its size where that is known.
        what: String,
        /// The limit with its unit.
        limit: String,
    },
    /// Tables of two formats, whose values have no common types.
    #[error("a {} file cannot be compared with a {} file", .old.name(), .new.name())]
    FormatsDiffer {
        /// The old one's.
        old: Format,
        /// The new one's.
        new: Format,
    },
    /// A key column that a table does not have.
    #[error("the {side} table has no column '{name}'")]
    UnknownColumn {
        /// `old` or `new`.
        side: &'static str,
        /// The name asked for.
        name: String,
        /// The nearest name it has.
        nearest: Option<String>,
    },
    /// The two tables have no column name in common.
    #[error("the tables have no column in common")]
    NothingInCommon,
    /// Rows with the same key.
    #[error("the key ({columns}) is not unique in the {side} table: rows {first} and {second} have the same")]
    KeyNotUnique {
        /// `old` or `new`.
        side: &'static str,
        /// The key's columns, joined by commas.
        columns: String,
        /// The first of two rows, counted from 0.
        first: u64,
        /// The second.
        second: u64,
    },
}

impl TabularError {
    pub(crate) fn invalid(format: Format, detail: impl Into<String>) -> Self {
        Self::Invalid {
            format,
            detail: detail.into(),
        }
    }

    pub(crate) fn parquet(detail: impl Into<String>) -> Self {
        Self::invalid(Format::Parquet, detail)
    }

    pub(crate) fn unsupported(format: Format, detail: impl Into<String>) -> Self {
        Self::Unsupported {
            format,
            detail: detail.into(),
        }
    }

    pub(crate) fn too_large(what: impl Into<String>, limit: impl Into<String>) -> Self {
        Self::TooLarge {
            what: what.into(),
            limit: limit.into(),
        }
    }

    pub(crate) fn unknown_column<'a>(
        side: &'static str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::UnknownColumn {
            side,
            name: name.to_owned(),
            nearest: nearest(name, known).map(str::to_owned),
        }
    }
}

impl From<io::Error> for TabularError {
    fn from(source: io::Error) -> Self {
        Self::Read { source }
    }
}

impl Diagnose for TabularError {
    fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "table_read",
            Self::Invalid { .. } => "table_invalid",
            Self::Unsupported { .. } => "table_unsupported",
            Self::TooLarge { .. } => "table_too_large",
            Self::FormatsDiffer { .. } => "table_formats_differ",
            Self::UnknownColumn { .. } => "table_unknown_column",
            Self::NothingInCommon => "table_nothing_in_common",
            Self::KeyNotUnique { .. } => "table_key_not_unique",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Read { .. } => Meaning::Internal,
            Self::TooLarge { .. } => Meaning::TooLarge,
            Self::Invalid { .. }
            | Self::Unsupported { .. }
            | Self::FormatsDiffer { .. }
            | Self::UnknownColumn { .. }
            | Self::NothingInCommon
            | Self::KeyNotUnique { .. } => Meaning::InvalidInput,
        }
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::UnknownColumn { .. } | Self::KeyNotUnique { .. } => Some("key".to_owned()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::FormatsDiffer { .. } => Some("write both in one format and compare those".to_owned()),
            Self::UnknownColumn { nearest, .. } => {
                nearest.as_ref().map(|name| format!("did you mean '{name}'?"))
            }
            Self::KeyNotUnique { .. } => {
                Some("add a column to the key, or compare whole rows without a key".to_owned())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_column_is_met_with_the_right_one() {
        let error = TabularError::unknown_column("old", "user_ids", ["name", "user_id"]);
        assert_eq!(error.code(), "table_unknown_column");
        assert_eq!(error.hint().as_deref(), Some("did you mean 'user_id'?"));
    }

    #[test]
    fn limits_are_told_as_such() {
        let error = TabularError::too_large("a record of 20 MiB", "16 MiB");
        assert_eq!(error.meaning(), Meaning::TooLarge);
        assert_eq!(
            error.to_string(),
            "a record of 20 MiB is more than the limit of 16 MiB"
        );
    }
}
