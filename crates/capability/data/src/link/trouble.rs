//! Why a linked file cannot be read, or cannot be one.

use std::fmt;

use corliss_diagnostics::Meaning;

/// What is wrong with a linked file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkTrouble {
    /// Somebody sent a link that cannot be one.
    Invalid(&'static str),
    /// The object is another one now, or of another place with the source's name.
    Changed {
        /// The source.
        source: String,
        /// The object.
        key: String,
    },
    /// There is no such object.
    Gone {
        /// The source.
        source: String,
        /// The object.
        key: String,
    },
    /// No source of that name is configured.
    SourceUnknown {
        /// The source.
        source: String,
    },
    /// The source is configured and not there, as a share that is not mounted.
    SourceAway {
        /// The source.
        source: String,
        /// What was found in its place.
        problem: String,
    },
}

impl fmt::Display for LinkTrouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(problem) => write!(out, "has a link that is not valid: {problem}"),
            Self::Changed { source, key } => {
                write!(
                    out,
                    "is linked to '{key}' of source '{source}', which was changed since"
                )
            }
            Self::Gone { source, key } => {
                write!(out, "is linked to '{key}' of source '{source}', which is gone")
            }
            Self::SourceUnknown { source } => {
                write!(
                    out,
                    "is linked to source '{source}', which is not configured here"
                )
            }
            Self::SourceAway { source, problem } => {
                write!(
                    out,
                    "is linked to source '{source}', which is not there: {problem}"
                )
            }
        }
    }
}

impl LinkTrouble {
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "data_link_invalid",
            Self::Changed { .. } => "data_link_changed",
            Self::Gone { .. } => "data_link_gone",
            Self::SourceUnknown { .. } => "data_link_source_unknown",
            Self::SourceAway { .. } => "data_link_source_away",
        }
    }

    pub(crate) const fn meaning(&self) -> Meaning {
        match self {
            Self::Invalid(_) => Meaning::InvalidInput,
            // The request is right and the version is there: what it leads to is not.
            Self::Changed { .. } | Self::Gone { .. } | Self::SourceUnknown { .. } => Meaning::Conflict,
            Self::SourceAway { .. } => Meaning::Unavailable,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Invalid(_) => return None,
            Self::Changed { .. } => {
                "import it again with `--link`, which takes it as it is now, or without, which copies it"
                    .to_owned()
            }
            Self::Gone { .. } => {
                "remove the file, or import again what is there now; in a bucket, the same object may be put back"
                    .to_owned()
            }
            Self::SourceUnknown { source } => {
                format!(
                    "let the administrator add a section [sources.{source}] to config.toml, with the same place"
                )
            }
            Self::SourceAway { .. } => "check that its folder is mounted and may be read".to_owned(),
        })
    }
}
