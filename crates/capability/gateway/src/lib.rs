//! Capability: gateway.
