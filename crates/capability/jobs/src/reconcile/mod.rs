//! The loops that bring jobs forward: admission decides who starts, lifecycle starts, watches and ends
//! tasks, checkpoints records what running jobs publish.

mod admission;
mod checkpoints;
mod conclude;
mod lifecycle;

pub(crate) use admission::Admission;
pub(crate) use checkpoints::Checkpoints;
pub(crate) use lifecycle::Lifecycle;
