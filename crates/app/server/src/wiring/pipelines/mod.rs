//! What pipelines need of everyone else.

mod datasets;
mod endpoints;
mod jobs;
mod models;
mod tokens;
mod tracking;

pub use datasets::Versions;
pub use endpoints::Endpoints;
pub use jobs::StepJobs;
pub use models::Models;
pub use tokens::Tokens;
pub use tracking::StepRuns;
