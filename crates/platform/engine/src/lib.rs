//! Platform: engine.
