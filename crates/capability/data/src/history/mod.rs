//! The history of a dataset: commits, the branches and tags that name them, and how people write all of these.

mod commit;
mod ref_name;
mod reference;

pub use commit::{Commit, CommitInfo};
pub(crate) use ref_name::{ID_PREFIX_MIN_LEN, is_id_like};
pub use ref_name::{RefKind, RefName};
pub use reference::{At, Reference};
