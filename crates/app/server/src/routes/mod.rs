//! Routes that belong to no single room: probes, version, status, shutdown.

mod keys;
mod system;

pub use keys::{Keys, Sealed, routes as key_routes};
pub use system::{System, routes};
