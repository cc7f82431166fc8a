//! Capability: registry.
