//! Webhooks: one signed HTTP request to an address that a user chose, what came of it, and when to try again.
//!
//! Signed as the Standard Webhooks specification says, so that receivers verify with the libraries they have. What
//! is sent, to whom and from which queue is the caller's; nothing is kept here. What those who keep a queue share is the
//! [`Courier`], which works it off, and the [`Fate`] of what was sent.
//!
//! Invariants:
//! - No request reaches an address of this machine or of a private network, unless the administrator allowed it. What
//!   is judged is the address that is connected to, not the name or an earlier answer of it.
//! - No redirect is followed and no proxy used: either would lead elsewhere than was judged.
//! - Of an answer a few KiB are read, in bounded time.
//! - A secret is in no log, error or `Debug`.

mod client;
mod courier;
mod error;
mod fate;
mod outcome;
mod reach;
mod resolver;
mod schedule;
mod secret;
mod target;

pub use client::{HeaderNames, Message, WebhookClient};
pub use courier::{Courier, Outbox, Tried};
pub use error::WebhookError;
pub use fate::Fate;
pub use outcome::{Outcome, Trouble, Verdict};
pub use reach::Reach;
pub use schedule::{Schedule, seed};
pub use secret::Secret;
pub use target::Target;
