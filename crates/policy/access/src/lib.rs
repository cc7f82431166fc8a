//! Decides, purely, whether a role may use a permission. The problem is restated in the README beside this
//! crate; the whole table is frozen in `tests/table.golden`.

mod decide;
mod invariants;
mod view;

pub use decide::{decide, holders};
pub use invariants::violations;
pub use view::{Decision, Reason};
