//! Releases: how a new version of a model gets its requests, and when it is taken back.
//!
//! Problem: given how a new version is to get out (by steps, beside the old one, all at once, or with copies of
//! requests only), how far that is, and what both versions did with their requests since then, say whether to go on,
//! to wait and until when, to roll back and why, or that the release is complete.
//!
//! [`decide`] answers that, and [`takes`] which requests the new version gets.

mod counts;
mod decide;
mod objectives;
mod plan;
mod share;

pub use counts::{BUCKETS, Counts, Seen, Spread, bucket_bound_us, bucket_of};
pub use decide::{CRASHES_UNTIL_ROLLBACK, Decision, Next, Progress, View, Wait, decide};
pub use objectives::{Breach, MINIMUM_AT_ONCE, Timed};
pub use plan::{Objectives, ReleasePlan, Split, Strategy};
pub use share::{Lot, SHARES, takes};
