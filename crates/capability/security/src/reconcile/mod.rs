//! Background work of this capability.

mod keeper;

pub use keeper::Keeper;
