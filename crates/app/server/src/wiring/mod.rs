//! Who talks to whom: each file implements the ports of one room over the others.

pub mod gateway;
pub mod in_use;
pub mod pipelines;
pub mod registry;
pub mod serving;
pub mod traces;
pub mod tracking;
