//! Pure decisions about endpoints: which replicas to start, drain and stop, and which takes a request.
//!
//! Both problems are restated small in this crate's README. [`decide`] answers the first, and
//! [`invariants::check`] is what every answer must satisfy; [`router::Router`] answers the second.

mod decide;
pub mod invariants;
pub mod lifecycle;
mod plan;
pub mod router;
mod routing;
mod view;

pub use decide::decide;
pub use plan::{Action, Phase, Plan, Reason};
pub use routing::{Retry, Routing, RoutingProblem};
pub use view::{Crashes, Desired, Limits, Replica, ReplicaState, View};
