//! Pure decisions: serving.
