//! Capability: data.
