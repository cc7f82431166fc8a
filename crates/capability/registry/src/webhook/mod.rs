//! Webhooks: whom to tell when models, versions, aliases and tags change.

mod event;
mod happening;

use std::time::Duration;

pub use corliss_webhook::DeliveryState;
pub use event::WebhookEvent;
pub(crate) use happening::{Happening, example};

/// Webhooks of one registry: every change looks for those that it is told to.
pub(crate) const WEBHOOKS_MAX: u64 = 100;
/// How long a receiver may take, as with MLflow's own server.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// Characters of a webhook's name.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=63;

/// A webhook as it is shown; its secret is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// For people; need not be unique.
    pub name: String,
    /// Where to; it may hold a token.
    pub url: String,
    /// For people.
    pub description: String,
    /// What it is told, each once.
    pub events: Vec<WebhookEvent>,
    /// Whether it is told anything.
    pub is_active: bool,
    /// Who made it.
    pub created_by: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub updated_ms: i64,
}

/// A webhook that is to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// For people.
    pub name: String,
    /// Where to.
    pub url: String,
    /// For people.
    pub description: String,
    /// What it is told.
    pub events: Vec<WebhookEvent>,
    /// What its requests are signed with; without one they are not.
    pub secret: Option<String>,
    /// Whether it is told anything from the start.
    pub is_active: bool,
}

/// What of a webhook is to change; what is not named stays.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    /// For people.
    pub name: Option<String>,
    /// Where to.
    pub url: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// What it is told.
    pub events: Option<Vec<WebhookEvent>>,
    /// What its requests are signed with; an empty one ends signing.
    pub secret: Option<String>,
    /// Whether it is told anything.
    pub is_active: Option<bool>,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookTest {
    /// Whether the receiver took it.
    pub accepted: bool,
    /// The HTTP status, if it answered.
    pub status: Option<u16>,
    /// The beginning of its answer, if it answered.
    pub said: Option<String>,
    /// Why it did not answer.
    pub failure: Option<String>,
}

/// An event on its way to a receiver, or there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// What every request of it has in common.
    pub id: String,
    /// What happened.
    pub event: WebhookEvent,
    /// What became of it.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: u32,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// What came of the last try, in words.
    pub outcome: Option<String>,
}

/// What every try of an event has in common, and no other event. It has no full stop, since it is signed before one.
pub(crate) fn delivery_id(webhook: &str, sequence: u64) -> String {
    format!("{webhook}-{sequence}")
}

/// Whether a name begins and ends with a letter or digit of ASCII, with dots, dashes and underscores between.
pub(crate) fn is_name(name: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let is_middle = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    NAME_CHARS.contains(&name.len())
        && name.chars().all(is_middle)
        && is_end(name.chars().next())
        && is_end(name.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        let longest = "a".repeat(63);
        for good in ["a", "a1", "A.b_c-9", &longest] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "ä", ".", &format!("{longest}a")] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
