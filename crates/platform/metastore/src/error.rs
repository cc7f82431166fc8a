//! Everything that can go wrong with the metadata store, whichever database it is.

use corliss_diagnostics::{Diagnose, Meaning};

/// An error of the metadata store. It is `Clone` because a failed commit fails every writer that shared it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space for the change; it was rolled back.
    #[error("the disk that holds the metadata is full")]
    StorageFull,
    /// The database cannot be reached.
    #[error("the metadata store is not reachable: {message}")]
    Unavailable {
        /// What happened.
        message: String,
    },
    /// Another process owns the database.
    #[error("{database} is in use by another Corliss server")]
    InUse {
        /// The database, without secrets.
        database: String,
    },
    /// A newer program has written the database.
    #[error(
        "the database is newer than this program: component {component} is at version {found}, this program knows {supported}"
    )]
    Newer {
        /// The component whose schema is newer.
        component: String,
        /// Its version in the database.
        found: i64,
        /// The newest version that this program knows; 0 if it does not know the component.
        supported: i64,
    },
    /// A unique or primary-key constraint refused the change.
    #[error("a row with this key exists already ({constraint})")]
    UniqueViolation {
        /// What the database calls the constraint or its columns.
        constraint: String,
    },
    /// Another constraint refused the change.
    #[error("a constraint refused the change ({constraint})")]
    ConstraintViolation {
        /// What the database calls the constraint.
        constraint: String,
    },
    /// Other transactions kept getting in the way.
    #[error("the change kept conflicting with others and was given up after {attempts} attempts")]
    Contention {
        /// How often it was tried.
        attempts: u32,
    },
    /// A statement failed for another reason.
    #[error("a statement failed: {message} (in: {sql})")]
    Statement {
        /// What the database said.
        message: String,
        /// The statement, shortened.
        sql: String,
    },
    /// A parameter that one of the databases cannot store.
    #[error("a value {problem}, which cannot be stored")]
    Parameter {
        /// Its number among the parameters of the statement, from 1.
        index: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The transaction went on after a failed statement.
    #[error("the transaction had failed before and was rolled back: {first}")]
    Aborted {
        /// The statement error that it ignored.
        first: String,
    },
    /// A query answered another number of rows than it must.
    #[error("expected one row, found {found} (in: {sql})")]
    RowCount {
        /// How many there were.
        found: usize,
        /// The statement.
        sql: String,
    },
    /// The answer lacks a column.
    #[error("the answer has no column {column}")]
    NoColumn {
        /// The column asked for.
        column: String,
    },
    /// A column holds another kind of value.
    #[error("column {column} holds {got}, not {expected}")]
    Column {
        /// The column.
        column: String,
        /// What the caller wanted.
        expected: &'static str,
        /// What it holds.
        got: String,
    },
    /// A column holds a text that is not what it should be.
    #[error("column {column} is malformed: {message}")]
    Malformed {
        /// The column.
        column: String,
        /// Why.
        message: String,
    },
    /// The closure panicked; its changes were rolled back.
    #[error("a transaction stopped with a panic: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The connection broke during the commit, so nobody knows whether the change was made.
    #[error(
        "the connection to the database broke while committing, so the change may or may not have been made"
    )]
    CommitUnknown,
    /// The disk refused to read, write or sync the database. A change that was refused so may turn out to be made
    /// once the program is started again.
    #[error("the disk that holds the metadata fails: {message}")]
    Io {
        /// What it was asked for, and what it said.
        message: String,
    },
    /// The database file is damaged or cannot be read.
    #[error("the database cannot be used: {message}")]
    Damaged {
        /// What the database said.
        message: String,
    },
    /// The configuration does not name a database.
    #[error("the database address is wrong: {message}")]
    Config {
        /// Why.
        message: String,
    },
    /// The store was closed.
    #[error("the metadata store is closed")]
    Closed,
}

impl StoreError {
    /// Whether a unique or primary-key constraint refused the change.
    #[must_use]
    pub const fn is_unique_violation(&self) -> bool {
        matches!(self, Self::UniqueViolation { .. })
    }

    /// A failed statement, with the statement shortened to what fits a log line.
    pub(crate) fn statement(message: impl std::fmt::Display, sql: &str) -> Self {
        let sql: String = sql
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(160)
            .collect();
        Self::Statement {
            message: message.to_string(),
            sql,
        }
    }
}

impl Diagnose for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::StorageFull => "store_full",
            Self::Unavailable { .. } => "store_unavailable",
            Self::InUse { .. } => "store_in_use",
            Self::Newer { .. } => "store_newer",
            Self::UniqueViolation { .. } => "store_duplicate",
            Self::ConstraintViolation { .. } => "store_constraint",
            Self::Contention { .. } => "store_contention",
            Self::Statement { .. } => "store_statement",
            Self::Parameter { .. } => "store_parameter",
            Self::Aborted { .. } => "store_aborted",
            Self::RowCount { .. } => "store_row_count",
            Self::NoColumn { .. } | Self::Column { .. } | Self::Malformed { .. } => "store_column",
            Self::Panicked { .. } => "store_panicked",
            Self::CommitUnknown => "store_commit_unknown",
            Self::Io { .. } => "store_io",
            Self::Damaged { .. } => "store_damaged",
            Self::Config { .. } => "store_config",
            Self::Closed => "store_closed",
        }
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::StorageFull => Meaning::StorageFull,
            Self::Unavailable { .. } | Self::Contention { .. } | Self::CommitUnknown | Self::Closed => {
                Meaning::Unavailable
            }
            Self::InUse { .. } | Self::UniqueViolation { .. } | Self::ConstraintViolation { .. } => {
                Meaning::Conflict
            }
            Self::Parameter { .. } | Self::Config { .. } => Meaning::InvalidInput,
            _ => Meaning::Internal,
        }
    }

    fn retryable(&self) -> bool {
        // A change that may have been made must be looked for before it is made again.
        !matches!(self, Self::CommitUnknown) && self.meaning().retryable()
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::StorageFull => "free some space; a server that runs goes on by itself",
                Self::InUse { .. } => "stop the other server, or give this one its own home",
                Self::Newer { .. } => {
                    "use the newer version of Corliss, or restore a backup made by this one"
                }
                Self::Io { .. } => {
                    "look whether the disk is full, and for it in the machine's kernel log; read the state back before you repeat the request"
                }
                Self::CommitUnknown => "read the state back before you repeat the request",
                _ => return None,
            }
            .to_owned(),
        )
    }
}
