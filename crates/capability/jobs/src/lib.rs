//! Capability: jobs.
