//! What the queue would do with recorded jobs, without a server, an accelerator or a wait.
//!
//! - [`replay`] lets the jobs of a trace arrive at a cluster under a virtual clock, in an order of the queue's policy, and
//!   tells when each would have ended;
//! - [`schedule`] lets jobs arrive at the queue's scheduler itself, with queues, quotas, priorities and preemption, on nodes
//!   that may fail;
//! - [`fill`] puts recorded pods on recorded nodes until there is no more room, by a placement of the policy, and tells how
//!   much of the accelerators is in use.
//!
//! Orders and placements are those of `policy/scheduling`. The same trace, setup and seed give the same report on every
//! machine.

mod discipline;
mod fill;
mod outages;
mod random;
mod replay;
mod schedule;
mod spread;
pub mod trace;

pub use discipline::Discipline;
pub use fill::{Fill, Filled, fill};
pub use outages::{Outage, Outages};
pub use replay::{Replay, Replayed, replay};
pub use schedule::{Arrival, Saves, Schedule, Scheduled, schedule};
pub use spread::{Spread, spread};
