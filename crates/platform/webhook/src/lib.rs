//! Webhooks: one signed HTTP request to an address that a user chose, what came of it, and when to try again; and the
//! queue of events that are yet to be sent.
//!
//! Signed as the Standard Webhooks specification says, so that receivers verify with the libraries they have. What is sent
//! and to whom is the caller's, who keeps its receivers in a table of its own. The rows of a [`Queue`] are written by the
//! caller with the change that they tell of; the [`Courier`] works them off.
//!
//! Invariants:
//! - No request reaches an address of this machine or of a private network, unless the administrator allowed it. What
//!   is judged is the address that is connected to, not the name or an earlier answer of it.
//! - No redirect is followed and no proxy used: either would lead elsewhere than was judged.
//! - Of an answer a few KiB are read, in bounded time.
//! - A secret is in no log, error or `Debug`.

mod client;
mod courier;
mod delivery;
mod error;
mod fate;
mod outcome;
mod queue;
mod reach;
mod resolver;
mod schedule;
mod secret;
mod target;

pub use client::{HeaderNames, Message, WebhookClient};
pub use courier::Courier;
pub use delivery::{Call, Receivers};
pub use error::WebhookError;
pub use outcome::{Outcome, Trouble, Verdict};
pub use queue::{Delivery, DeliveryState, PENDING_MAX, Queue, Timeout};
pub use reach::Reach;
pub use schedule::{Schedule, seed};
pub use secret::{SealedSecret, Secret};
pub use target::Target;
