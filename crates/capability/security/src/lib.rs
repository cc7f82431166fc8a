//! Who may enter: tokens, console sessions, the guard that every route stands behind, and the record of
//! who changed what.
//!
//! Invariants:
//! - A secret is shown once and never stored: the database holds its digest.
//! - There is no default credential. The first start makes one and writes it, readable by its owner only,
//!   to the credentials file; an installation can never revoke its last administrator's token.
//! - A revoked or expired credential is refused as soon as its revocation was acknowledged.
//! - A request with a known credential costs no database access; the memory that this takes is bounded,
//!   whatever strangers send.
//! - Every change to the installation, and every refusal, leaves a record. Changes are recorded durably
//!   before they are answered, except the stream of data (metrics, blobs, inference), which is counted elsewhere.

mod cache;
mod credentials;
mod error;
mod guard;
mod http;
mod reconcile;
mod secret;
mod service;
mod store;
mod throttle;
mod types;

pub use credentials::{Credentials, read as read_credentials};
pub use error::SecurityError;
pub use reconcile::Keeper;
pub use service::Security;
pub use store::MIGRATIONS;
pub use types::{AuditRecord, IssuedToken, NewSession, TokenKind, TokenView};
