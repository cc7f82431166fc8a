//! What a choice of replicas would do to recorded traffic, without a server, a model or a wait.
//!
//! The requests of a [`trace`] arrive under a virtual clock; the router of `policy/serving`, the very code that
//! the gateway runs, gives each to a modelled replica ([`Engine`] says at what cost); the [`Report`] tells what
//! users would have seen. The same trace, setup and seed give the same report on every machine.
//!
//! It is event-driven: between two arrivals a replica moves from one change of its batch to the next, and
//! iterations that differ only in the length of the answers are taken together.

mod cache;
mod engine;
mod replica;
mod report;
mod simulate;
pub mod trace;

pub use corliss_sim_trace::SimError;
pub use engine::Engine;
pub use report::{Evenness, Goodput, Prefill, Report, Spread, Throughput};
pub use simulate::{Objectives, Setup, simulate};
