//! What came of a request, and what that means.

use std::fmt;
use std::time::Duration;

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The pause that it asked for.
        retry_after: Option<Duration>,
        /// The beginning of its answer, without what commands a terminal.
        said: String,
    },
    /// There was no answer.
    Failed {
        /// Why, as a kind.
        trouble: Trouble,
        /// Why, in words.
        message: String,
    },
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It did not come in time.
    Timeout,
    /// The name or the address cannot be reached, or the connection broke.
    Unreachable,
    /// The address must not be reached.
    Forbidden,
    /// This machine cannot send: its TLS cannot be set up.
    Setup,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it arrived.
    Accepted,
    /// Try again later.
    Again,
    /// Give it up: the receiver has read it and will not take it, or must not be reached.
    Refused,
    /// Give it up, and send nothing there any more: the receiver is gone for good.
    Gone,
}

impl Outcome {
    /// What to do next. A redirect is a refusal, as it is not followed. So are most of 400 to 499: what is sent stays
    /// the same, and what comes after it would wait for it.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Answered { status, .. } => match status {
                200..=299 => Verdict::Accepted,
                410 => Verdict::Gone,
                408 | 409 | 423 | 425 | 429 | 500..=599 => Verdict::Again,
                _ => Verdict::Refused,
            },
            Self::Failed { trouble, .. } => match trouble {
                Trouble::Timeout | Trouble::Unreachable | Trouble::Setup => Verdict::Again,
                Trouble::Forbidden => Verdict::Refused,
            },
        }
    }

    /// What came of it as one paragraph of a bounded length, to be kept and shown.
    #[must_use]
    pub fn told(&self) -> String {
        const LINES: usize = 5;
        const CHARS: usize = 500;
        let text = self.to_string();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<&str> = lines.take(LINES).collect();
        lines.join("; ").chars().take(CHARS).collect()
    }

    /// The HTTP status, if there was an answer.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Failed { .. } => None,
        }
    }

    /// The pause that the receiver asked for.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            Self::Failed { .. } => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, said, .. } if said.is_empty() => write!(f, "it answered {status}"),
            Self::Answered { status, said, .. } => write!(f, "it answered {status}: {said}"),
            Self::Failed { message, .. } => f.write_str(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_their_status_says() {
        let verdict = |status| {
            let said = String::new();
            let (outcome, retry_after) = (
                Outcome::Answered {
                    status,
                    retry_after: None,
                    said,
                },
                None,
            );
            assert_eq!(outcome.retry_after(), retry_after);
            outcome.verdict()
        };
        for (status, expected) in [
            (200, Verdict::Accepted),
            (204, Verdict::Accepted),
            (302, Verdict::Refused),
            (400, Verdict::Refused),
            (404, Verdict::Refused),
            (408, Verdict::Again),
            (410, Verdict::Gone),
            (429, Verdict::Again),
            (500, Verdict::Again),
            (503, Verdict::Again),
        ] {
            assert_eq!(verdict(status), expected, "{status}");
        }
        let failed = |trouble| {
            let message = String::new();
            Outcome::Failed { trouble, message }.verdict()
        };
        assert_eq!(failed(Trouble::Timeout), Verdict::Again);
        assert_eq!(failed(Trouble::Forbidden), Verdict::Refused);
    }
}
