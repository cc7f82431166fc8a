//! PostgreSQL's error codes in our terms.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::StoreError;

/// An error of this statement.
pub(super) fn from_postgres(error: &Error, sql: &str) -> StoreError {
    let Some(db) = error.as_db_error() else {
        return match std::error::Error::source(error) {
            // Without a server's answer the cause is the connection, or a value that did not fit a column.
            Some(source) if !error.is_closed() && source.downcast_ref::<std::io::Error>().is_none() => {
                StoreError::statement(format!("{error}: {source}"), sql)
            }
            Some(source) => StoreError::Unavailable {
                message: format!("{error}: {source}"),
            },
            None => StoreError::Unavailable {
                message: error.to_string(),
            },
        };
    };
    let code = db.code();
    let constraint = || db.constraint().unwrap_or_else(|| db.message()).to_owned();
    match code.code().get(..2) {
        _ if *code == SqlState::UNIQUE_VIOLATION => StoreError::UniqueViolation {
            constraint: constraint(),
        },
        _ if *code == SqlState::DISK_FULL => StoreError::StorageFull,
        Some("23") => StoreError::ConstraintViolation {
            constraint: constraint(),
        },
        // Connection exception, insufficient resources, operator intervention.
        Some("08" | "53" | "57") => StoreError::Unavailable {
            message: db.message().to_owned(),
        },
        Some("28" | "3D") => StoreError::Config {
            message: db.message().to_owned(),
        },
        _ => StoreError::statement(db.message(), sql),
    }
}

/// Whether the same transaction may succeed when it is run again.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED)
    )
}
