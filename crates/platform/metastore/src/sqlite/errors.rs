//! SQLite's error codes in our terms.

use rusqlite::{ErrorCode, ffi};

use crate::StoreError;

/// Linux's number, which the standard library gives no name.
const EIO: i32 = 5;

/// An error outside a statement of a caller.
pub(super) fn from_sqlite(error: rusqlite::Error) -> StoreError {
    in_statement(&error, "")
}

/// An error of this statement.
pub(super) fn in_statement(error: &rusqlite::Error, sql: &str) -> StoreError {
    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        return StoreError::statement(error, sql);
    };
    let message = message.clone().unwrap_or_else(|| failure.to_string());
    match failure.code {
        ErrorCode::DiskFull => StoreError::StorageFull,
        ErrorCode::ConstraintViolation => constraint(failure.extended_code, &message),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Unavailable {
            message: "another program has held the database file for a minute".to_owned(),
        },
        ErrorCode::SystemIoFailure => StoreError::Io {
            message: format!("cannot {} the database: {message}", action(failure.extended_code)),
        },
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly => StoreError::Damaged { message },
        _ => StoreError::statement(message, sql),
    }
}

/// What SQLite asked the disk for.
const fn action(extended_code: i32) -> &'static str {
    match extended_code {
        ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ => "read",
        ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE => "write",
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => "sync",
        // The memory that connections share is a file too. A full disk is told like a broken one.
        ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_SHMOPEN | ffi::SQLITE_IOERR_SHMMAP => {
            "extend the shared memory of"
        }
        _ => "use",
    }
}

fn constraint(extended_code: i32, message: &str) -> StoreError {
    // "UNIQUE constraint failed: jobs_job.id" -> "jobs_job.id"
    let constraint = message
        .split_once(": ")
        .map_or(message, |(_, columns)| columns)
        .to_owned();
    match extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            StoreError::UniqueViolation { constraint }
        }
        _ => StoreError::ConstraintViolation { constraint },
    }
}

/// A file operation of ours beside the database.
pub(super) fn io_error(error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::StorageFull,
        _ if error.raw_os_error() == Some(EIO) => StoreError::Io {
            message: error.to_string(),
        },
        _ => StoreError::Damaged {
            message: error.to_string(),
        },
    }
}
