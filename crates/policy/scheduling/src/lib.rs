//! Pure decisions: scheduling.
