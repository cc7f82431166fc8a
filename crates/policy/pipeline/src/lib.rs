//! Pure decisions: pipeline.
