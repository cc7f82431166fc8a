//! Capability: pipelines.

pub mod project_file;
