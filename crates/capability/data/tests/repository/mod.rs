//! A repository as a few maps in memory, what can be done to one, and whether the service's is the same. Shared by
//! the suite of random histories and by the one that is killed.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each suite uses a part of it; a failed unwrap here is a failed test"
)]

pub mod call;
pub mod content;
pub mod home;
pub mod model;
pub mod pick;
pub mod same;
pub mod spot;

pub const AUTHOR: &str = "ada";
