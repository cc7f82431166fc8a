//! One way in. Every listener of Corliss is built from [`Routes`]: a route cannot be added without saying
//! what its caller must hold, and whatever goes wrong on it is answered in the dialect its clients speak.
//!
//! Invariants:
//! - No handler runs before its [`Access`](corliss_types::Access) was checked; a method or path that no
//!   route declares reaches no handler.
//! - Every request body has a limit; every handler that does not stream has a time limit.
//! - An error leaves in the shape of its route's [`Dialect`], never as bare text; a panic is a 500 of that shape.
//! - A browser page of another origin, or a name rebound to loopback, cannot use a session.

mod app;
mod assets;
mod dialect;
mod dispatch;
mod error;
mod extract;
mod grpc;
mod guard;
mod json_words;
mod list;
mod perimeter;
mod preface;
mod routes;
pub mod serve;
mod sse;
mod tenant;
mod threads;
mod tls;
mod unread;

pub use app::App;
pub use assets::{Asset, Assets};
pub use dialect::Dialect;
pub use error::{ApiError, HttpError};
pub use extract::{Authority, Caller, Json, JsonBytes, Path, Peer, Presented, Query, RawBody, RequestId};
pub use guard::{AuthFailure, Credential, Denial, Guard, RequestEvent, SESSION_COOKIE};
pub use json_words::{JsonWords, json_words};
pub use list::{List, PageQuery};
pub use perimeter::Perimeter;
pub use routes::{RouteInfo, Routes};
pub use sse::{SseClosed, SseSender, sse};
pub use tenant::{TENANT, workspace_not_found};
