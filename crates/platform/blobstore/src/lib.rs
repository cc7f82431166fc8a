//! Platform: blobstore.
