//! Routes that belong to no single room: probes, version, status, shutdown.

mod system;

pub use system::{System, routes};
