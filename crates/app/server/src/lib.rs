//! The composition root: opens every room, wires the ports of each to the others, and serves one address.
//!
//! Nothing here decides anything about data, jobs or models; it only says who talks to whom (`compose`,
//! `wiring`), and in which order everything starts and stops (`lifecycle`).

mod compose;
mod config;
mod console;
mod descriptors;
mod error;
mod home;
mod lifecycle;
mod logging;
mod reserve;
mod routes;
mod storage;
mod wiring;

use std::path::Path;

pub use compose::{Rooms, all_routes};
pub use config::{Config, ConfigError, keys};
pub use error::ServerError;
pub use home::Home;

/// Is the server, in this process, until it is told to stop.
///
/// # Errors
/// A setting is wrong, the home folder is in use, a room cannot be opened, or the address is taken.
pub fn serve(home: &Path, listen: Option<&str>) -> Result<(), ServerError> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = Config::load(home, listen, environment)?;
    let home = Home::open(&config.home)?;
    logging::start(&config.log_filter)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServerError::Runtime)?;
    runtime.block_on(lifecycle::run(&config, &home))
}
