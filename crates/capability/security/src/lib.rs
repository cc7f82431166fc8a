//! Capability: security.
