//! The record of runs, in SQL that every backend shares. Functions here obey: they make no ids, read no
//! clock and decide nothing; what must hold of the old state is in their guards.

mod load;
mod record;
mod runs;
mod schema;

pub(crate) use load::{AttemptRow, LoadedRun, StepRow, load};
pub(crate) use record::{CacheHit, Record, apply, cached};
pub(crate) use runs::{NewRunRow, NewStepRow, RunRow, Unfinished};
pub(crate) use runs::{
    find, insert, list, request_cancel, set_swept, step_counts, sweepable, unfinished, versions_in_use,
};
pub use schema::MIGRATIONS;

use corliss_metastore::StoreError;

/// A stored name that this version does not know: written by a newer one, or damaged.
pub(crate) fn unknown(column: &str, value: &str) -> StoreError {
    StoreError::Malformed {
        column: column.to_owned(),
        message: format!("'{value}' is not known here"),
    }
}
