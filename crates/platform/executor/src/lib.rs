//! Platform: executor.
