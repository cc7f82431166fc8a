//! HTTP/1.1 to whoever computes answers: an engine behind a Unix socket, or a service elsewhere, with or without TLS.
//!
//! Invariants:
//! - Nothing is sent twice. A kept connection that turns out closed before anything was sent is replaced.
//! - Dropping an answer before its end closes its connection, by which the other side knows that nobody waits.
//! - A connection is driven by whoever waits for its answer: no task of its own, and no thread is woken for another's.
//! - Connections are kept by the thread that made them, up to a bound, and services' only for a few seconds.

mod address;
mod answer;
mod connect;
mod error;
mod link;
mod pieces;
mod shelf;
mod upstream;

pub use address::{BaseUrl, Place};
pub use answer::Answer;
pub use error::UpstreamError;
pub use pieces::Pieces;
pub use upstream::Upstream;
