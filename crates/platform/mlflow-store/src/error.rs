//! What can go wrong with a source: each error names the part of it that is at fault.

use std::io;
use std::path::{Path, PathBuf};

use corliss_diagnostics::{Diagnose, Meaning};

/// An error of reading a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The address of a store is none that is read here.
    #[error("'{given}' is no store of MLflow that can be read: {problem}")]
    Location {
        /// As given, without a password.
        given: String,
        /// Why.
        problem: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// A folder holds nothing of what was looked for.
    #[error("{} holds no {what}", path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// A point of a metric is none that can be kept.
    #[error("the metric '{key}' has a point with {problem}")]
    Point {
        /// Name of the metric.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A database does not answer, or not what it should.
    #[error("the database of MLflow cannot be read: {message}")]
    Database {
        /// Why, with its causes.
        message: String,
    },
    /// A file is no database of SQLite, or a damaged one.
    #[error("cannot read {} as a database of SQLite: {message}", path.display())]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// Another process keeps a database for itself.
    #[error("{} is locked by another process", path.display())]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The store has no such workspace.
    #[error("the store has no workspace '{asked}': {has}")]
    Workspace {
        /// The name that was given.
        asked: String,
        /// Which it has.
        has: String,
    },
    /// A database lacks a table or column: it is older than what is read here, or none of MLflow's.
    #[error("the database has no {missing}, which MLflow's schema has")]
    Schema {
        /// `table runs`, or `column deleted_time in table runs`.
        missing: String,
    },
    /// A row of a database holds something else than it should.
    #[error("in table {table}, column {column} holds {problem}")]
    Row {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// What it holds.
        problem: String,
    },
}

impl SourceError {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    /// Whether it is about one file or row, so that the rest of the source can be read.
    #[must_use]
    pub const fn is_of_a_part(&self) -> bool {
        matches!(
            self,
            Self::Read { .. } | Self::Damaged { .. } | Self::Row { .. } | Self::Point { .. }
        )
    }

    pub(crate) fn database(error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self::Database { message }
    }
}

impl Diagnose for SourceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Location { .. } => "import_location_invalid",
            Self::Read { .. } => "import_unreadable",
            Self::Damaged { .. } | Self::Row { .. } | Self::Point { .. } => "import_damaged",
            Self::Nothing { .. } => "import_empty",
            Self::Database { .. } | Self::Sqlite { .. } => "import_database",
            Self::Locked { .. } => "import_locked",
            Self::Workspace { .. } => "import_workspace",
            Self::Schema { .. } => "import_schema",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Meaning::NotFound,
            Self::Workspace { .. } => Meaning::NotFound,
            Self::Database { .. } | Self::Locked { .. } => Meaning::Unavailable,
            _ => Meaning::InvalidInput,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Location { .. } => Some(
                "write a folder such as ./mlruns, sqlite:///mlflow.db or postgresql://user@host/database".to_owned(),
            ),
            Self::Schema { .. } => Some("bring it up to date with: mlflow db upgrade <address>".to_owned()),
            Self::Database { message } if message.contains("TLS") => {
                Some("PostgreSQL is read without TLS: go through a tunnel, and pass its address with sslmode=disable".to_owned())
            }
            Self::Locked { .. } => {
                Some("end what writes to it, such as the MLflow server, or wait for it, and run this again".to_owned())
            }
            Self::Workspace { .. } => Some("leave --workspace out to read the default one".to_owned()),
            Self::Nothing { .. } => Some("name the folder that the runs were written to".to_owned()),
            _ => None,
        }
    }
}
