//! Pipelines: runs of project files. A run's steps are carried out as jobs, their outputs become immutable
//! versions, its models are registered behind their gates and its endpoints deployed.
//!
//! How: `service` accepts a run and stores it; `drive` has one driver per unfinished run that builds a view,
//! asks `policy/pipeline` and applies the plan, waking on every change of a job.
//!
//! Invariants:
//! - What is answered 2xx is stored. What a driver knows beyond that can be thrown away at any instruction.
//! - An attempt is recorded before anything of it exists, its job is submitted under the attempt's key, and
//!   its outputs and its success are recorded in one transaction guarded by the attempt's number: a server
//!   killed anywhere neither loses nor repeats a step's outputs.
//! - Only the driver of a run changes it after its creation, except for the request to cancel.
//! - Nothing here knows another capability: what is needed of one is a trait in `ports`.

mod cache_key;
mod config;
mod drive;
mod environment;
mod error;
mod http;
pub mod ports;
pub mod project_file;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod work;

pub use config::PipelinesConfig;
pub use error::PipelinesError;
pub use service::{Foreseen, ForeseenStep, NewRun, Pipelines};
pub use store::MIGRATIONS;
pub use types::{
    AttemptView, EndpointState, EndpointView, InputView, ModelState, ModelView, OutputView, RunDetail,
    RunSummary, ShellEnvironment, StepView,
};
