//! What the queue would do with recorded jobs, without a server, an accelerator or a wait.
//!
//! - [`replay`] lets the jobs of a trace arrive at a cluster under a virtual clock, in an order of the queue's policy, and
//!   tells when each would have ended;
//! - [`fill`] puts recorded pods on recorded nodes until there is no more room, by a placement of the policy, and tells how
//!   much of the accelerators is in use.
//!
//! Orders and placements are those of `policy/scheduling`. The same trace, setup and seed give the same report on every
//! machine.

mod fill;
mod replay;
pub mod trace;

pub use fill::{Fill, Filled, fill};
pub use replay::{Replay, Replayed, Spread, replay};
