//! What MLflow's clients send, read the way its server reads it: request arguments, names and limits, the
//! filter and order grammar, page tokens, and their safe translation to SQL; the prefixes of its routes; and the digests
//! by which both ends of a move compare runs.
//!
//! It stands below the capabilities because two of them, tracking and registry, answer the same dialect
//! and may not import each other.
//!
//! Invariants:
//! - Nothing a client sends becomes SQL text: columns come from literals, values are bound.
//! - A refusal carries MLflow's own sentence, because its clients and its users' code match on it; that is
//!   why these messages, unlike ours, begin with a capital letter.

mod args;
mod content;
mod error;
mod filter;
mod names;
mod page;
mod routes;
mod sql;

pub use args::Args;
pub use content::{DatasetContent, PointsDigest, digest_of_link, digest_of_texts};
pub use error::WireError;
pub use filter::{Comparison, Operand, Operator, Order, parse_filter, parse_order};
pub use names::{check_key, check_length, check_text, shortened};
pub use page::{offset_of, token_of};
pub use routes::DialectRoutes;
pub use sql::Sql;
