//! Searches over runs and experiments: filters and orders become statements with bound values, against an
//! allow-list of columns.

mod condition;
mod experiments;
mod runs;
mod statement;

pub(crate) use experiments::search_experiments;
pub(crate) use runs::{FEW, RunQuery, search_runs};
