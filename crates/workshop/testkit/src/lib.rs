//! Real servers for tests: the suites of our stores run on the databases that our users run.
//!
//! Only `[dev-dependencies]` name this crate. It panics where a test should fail.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used)]

pub mod everyone;
pub mod failing_disk;
pub mod full_disk;
pub mod killed;
pub mod metastore;
pub mod noise;
pub mod postgres;
pub mod s3;
pub mod walk;
