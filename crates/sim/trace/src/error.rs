//! What is wrong with a trace or a setup, and how to mend it.

use std::fmt;

use corliss_diagnostics::{Diagnose, Meaning};

/// Why nothing was simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimError {
    /// A trace is not what its kind says.
    Trace {
        /// Line of the file, from 1.
        line: u64,
        /// The column or key at fault, if one is.
        field: Option<&'static str>,
        /// What is wrong.
        problem: String,
        /// The fix.
        fix: String,
    },
    /// The setup cannot be simulated.
    Setup {
        /// The field of the setup at fault.
        field: &'static str,
        /// What is wrong.
        problem: String,
        /// The fix.
        fix: String,
    },
}

impl SimError {
    /// That a line is wrong as a whole.
    #[must_use]
    pub fn line(line: u64, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Trace {
            line,
            field: None,
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    /// That a value in a line is wrong.
    #[must_use]
    pub fn value(line: u64, field: &'static str, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Trace {
            line,
            field: Some(field),
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    /// That the setup is wrong.
    #[must_use]
    pub fn setup(field: &'static str, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Setup {
            field,
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trace { line, problem, .. } => write!(f, "line {line}: {problem}"),
            Self::Setup { problem, .. } => f.write_str(problem),
        }
    }
}

impl std::error::Error for SimError {}

impl Diagnose for SimError {
    fn code(&self) -> &'static str {
        match self {
            Self::Trace { .. } => "trace_invalid",
            Self::Setup { .. } => "simulation_invalid",
        }
    }

    fn meaning(&self) -> Meaning {
        Meaning::InvalidInput
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::Trace { field, .. } => field.map(str::to_owned),
            Self::Setup { field, .. } => Some((*field).to_owned()),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Trace { fix, .. } | Self::Setup { fix, .. } => Some(fix.clone()),
        }
    }
}
