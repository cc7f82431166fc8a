//! Platform: reconcile.
