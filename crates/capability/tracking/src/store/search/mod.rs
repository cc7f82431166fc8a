//! Searches over runs, experiments and logged models: filters and orders become statements with bound values, against an
//! allow-list of columns.

mod condition;
mod experiments;
mod logged_models;
mod runs;
mod statement;

pub(crate) use experiments::search_experiments;
pub(crate) use logged_models::{ModelQuery, search_logged_models};
pub(crate) use runs::{FEW, RunQuery, search_runs};
