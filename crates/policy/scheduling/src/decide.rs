//! The decision from a view alone.

use crate::{Plan, Scheduler, View};

/// Decides from what is in the view, and nothing else.
#[must_use]
pub fn decide(view: &View) -> Plan {
    Scheduler::of(view).decide(view.now)
}
