//! The server's own log: lines on standard error, which `corliss up` sends to a file.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::ServerError;
use crate::config::ConfigError;

/// Starts logging with this filter.
pub fn start(filter: &str) -> Result<(), ServerError> {
    let filter = EnvFilter::try_new(filter).map_err(|_| ConfigError::BadValue {
        key: "log.filter".to_owned(),
        value: filter.to_owned(),
        expected: "a level such as info, or targets such as corliss_jobs=debug,info",
    })?;
    let subscriber = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // A line that cannot be written is lost. Told on standard error, which is the same full disk, it
        // would panic.
        .log_internal_errors(false)
        .finish();
    // A second server in one process (only tests do that) keeps the first one's log.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
