//! Capability: tracking.
