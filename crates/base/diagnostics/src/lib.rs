//! What every error tells, whichever crate it comes from: a stable code, what it means to a caller,
//! whether to try again, the field at fault and the fix.
//!
//! Each crate has one `thiserror` enum that implements [`Diagnose`]; the HTTP floor and the CLI turn any
//! of them into their own form. `Display` of an error is one lowercase sentence without a full stop.

mod count;
mod port_error;

use serde::{Deserialize, Serialize};

pub use count::counted;
pub use port_error::PortError;

/// What an error means to the caller, independent of protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// The request itself is wrong (HTTP 400).
    InvalidInput,
    /// No valid credential was presented (401).
    Unauthenticated,
    /// The credential is valid but does not allow this (403).
    PermissionDenied,
    /// The thing named does not exist (404).
    NotFound,
    /// The thing exists already, or its state forbids this now (409).
    Conflict,
    /// The body or a part of it is larger than the limit (413).
    TooLarge,
    /// A limit on rate or queue length is reached; try later (429).
    ResourceExhausted,
    /// The caller went away before the answer (499).
    Cancelled,
    /// Our fault (500).
    Internal,
    /// Something below us is not ready or not reachable; try again (503).
    Unavailable,
    /// It took longer than allowed (504).
    DeadlineExceeded,
    /// The disk is full (507).
    StorageFull,
}

impl Meaning {
    /// The HTTP status that carries this meaning.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidInput => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::ResourceExhausted => 429,
            Self::Cancelled => 499,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
            Self::StorageFull => 507,
        }
    }

    /// Whether the same request may succeed later without a change.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::ResourceExhausted | Self::Unavailable | Self::DeadlineExceeded
        )
    }
}

/// An error that can explain itself.
pub trait Diagnose: std::error::Error {
    /// A stable, documented code such as `job_not_found`.
    fn code(&self) -> &'static str;
    /// What it means to the caller.
    fn meaning(&self) -> Meaning;
    /// Whether the same request may succeed later without a change.
    fn retryable(&self) -> bool {
        self.meaning().retryable()
    }
    /// The request field at fault, if one is.
    fn field(&self) -> Option<String> {
        None
    }
    /// One sentence that names the fix, if there is one.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// An error as sent and shown: the native API's `error` object, and what the CLI prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// Stable code.
    pub code: String,
    /// One sentence, with its causes joined by `: `.
    pub message: String,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// The fix.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// Whether to try again.
    #[serde(default)]
    pub retryable: bool,
}

impl ErrorReport {
    /// The report of an error. The message of an internal error keeps its causes: they are our own
    /// sentences, never a stack trace.
    #[must_use]
    pub fn of(error: &dyn Diagnose) -> Self {
        Self {
            code: error.code().to_owned(),
            message: with_causes(error),
            field: error.field(),
            hint: error.hint(),
            retryable: error.retryable(),
        }
    }
}

fn with_causes(error: &dyn Diagnose) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Libraries often repeat their cause in their own Display; saying it twice helps nobody.
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message
}

/// The known name nearest to an unknown one, if any is near enough to be what was meant.
///
/// Distance is Levenshtein's; "near" is at most a third of the longer name, and never more than three.
#[must_use]
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (distance(unknown, name), name))
        .filter(|(steps, name)| *steps <= (unknown.len().max(name.len()) / 3).clamp(1, 3))
        .min()
        .map(|(_, name)| name)
}

fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_typos_and_nothing_else() {
        let known = ["inputs", "outputs", "retries"];
        assert_eq!(nearest("ouputs", known), Some("outputs"));
        assert_eq!(nearest("retry", known), None);
        assert_eq!(nearest("zzz", known), None);
    }

    #[test]
    fn only_passing_troubles_are_retryable() {
        assert!(Meaning::Unavailable.retryable());
        assert!(!Meaning::InvalidInput.retryable());
    }
}
