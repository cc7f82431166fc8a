//! Pure decisions about endpoints: which replicas to start, drain and stop, which takes a request, and whether its
//! caller may use what it asks for.
//!
//! These problems are restated small in this crate's README. [`decide`] answers the first, and [`invariants::check`] is
//! what every answer must satisfy; [`router::Router`] answers the second, [`limits::Limits`] the third, and
//! [`release::decide`] which version gets requests while a new one is let out.

mod decide;
pub mod invariants;
pub mod lifecycle;
pub mod limits;
mod named;
mod plan;
pub mod release;
pub mod router;
mod routing;
mod view;

pub use decide::decide;
pub use named::{Named, What};
pub use plan::{Action, Phase, Plan, Reason};
pub use routing::{Price, Retry, Routing, RoutingProblem};
pub use view::{Beside, Crashes, Desired, Limits, Replica, ReplicaState, View};
