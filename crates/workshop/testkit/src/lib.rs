//! Real servers and clients for tests.
