//! Capability: serving.
