//! The error of a port: whatever stands behind it, its error passes through whole.

use std::fmt;

use crate::{Diagnose, ErrorReport, Meaning};

/// Another room's error with its code, sentence, field and hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortError {
    code: &'static str,
    meaning: Meaning,
    report: Box<ErrorReport>,
}

impl PortError {
    /// Keeps what an error tells.
    #[must_use]
    pub fn of(error: &dyn Diagnose) -> Self {
        Self {
            code: error.code(),
            meaning: error.meaning(),
            report: Box::new(ErrorReport::of(error)),
        }
    }

    /// Its report.
    #[must_use]
    pub fn report(&self) -> &ErrorReport {
        &self.report
    }

    /// Whether what was asked for is wrong, so that asking again will not help: whoever asked is at fault,
    /// not the machine.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self.meaning,
            Meaning::InvalidInput
                | Meaning::TooLarge
                | Meaning::NotFound
                | Meaning::Conflict
                | Meaning::PermissionDenied
        )
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report.message)
    }
}

impl std::error::Error for PortError {}

impl Diagnose for PortError {
    fn code(&self) -> &'static str {
        self.code
    }

    fn meaning(&self) -> Meaning {
        self.meaning
    }

    fn retryable(&self) -> bool {
        self.report.retryable
    }

    fn field(&self) -> Option<String> {
        self.report.field.clone()
    }

    fn hint(&self) -> Option<String> {
        self.report.hint.clone()
    }
}
