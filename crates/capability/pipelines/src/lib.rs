//! Capability: pipelines.
