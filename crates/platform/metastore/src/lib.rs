//! Platform: metastore.
