//! One file per verb or noun.

pub mod admin;
pub mod check;
pub mod data;
pub mod down;
pub mod endpoints;
pub mod env;
pub mod experiments;
pub mod jobs;
pub mod logs;
pub mod models;
pub mod queue;
pub mod runs;
pub mod simulate;
pub mod status;
pub mod up;
pub mod usage;
mod versions;
pub mod why;
