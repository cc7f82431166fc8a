//! A failed command: one sentence, a cause, a hint and an exit code.

use corliss_diagnostics::{Diagnose, ErrorReport};

/// Why a command failed, ready to be shown.
#[derive(Debug)]
pub struct CliError {
    /// What the user reads, or gets as JSON.
    pub report: ErrorReport,
    /// The process's exit code.
    pub exit_code: u8,
}

/// Result of a command.
pub type CliResult<T = ()> = Result<T, CliError>;

/// The run, job or deployment failed.
pub const EXIT_FAILED: u8 = 1;
/// The command or a file is wrong.
pub const EXIT_BAD_INPUT: u8 = 2;
/// The server cannot be reached.
pub const EXIT_UNREACHABLE: u8 = 3;
/// The token does not allow this.
pub const EXIT_DENIED: u8 = 4;
/// No such thing.
pub const EXIT_NOT_FOUND: u8 = 5;

/// Why a file could not be used, in words only: `permission denied`, without the system's number for it.
#[must_use]
pub fn cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.find(" (os error ").map_or(text.as_str(), |at| &text[..at]);
    let mut chars = words.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}

impl CliError {
    /// An error with a code, a sentence and an exit code.
    #[must_use]
    pub fn new(exit_code: u8, code: &str, message: impl Into<String>) -> Self {
        Self {
            report: ErrorReport {
                code: code.to_owned(),
                message: message.into(),
                field: None,
                hint: None,
                retryable: false,
            },
            exit_code,
        }
    }

    /// Wrong input.
    #[must_use]
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(EXIT_BAD_INPUT, "bad_input", message)
    }

    /// A wrong command line, from what the parser says of it: a sentence, perhaps over several lines up to
    /// an empty one, then perhaps a tip.
    #[must_use]
    pub fn misread(said: &str) -> Self {
        let sentence: Vec<&str> = said
            .lines()
            .map(str::trim)
            .take_while(|line| !line.is_empty())
            .collect();
        let sentence = sentence.join(" ");
        let error = Self::input(sentence.strip_prefix("error: ").unwrap_or(&sentence));
        match said.lines().find_map(|line| line.trim().strip_prefix("tip: ")) {
            Some(tip) => error.hint(tip),
            None => error.hint("see --help"),
        }
    }

    /// Something ended badly.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(EXIT_FAILED, "failed", message)
    }

    /// Adds the fix.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.report.hint = Some(hint.into());
        self
    }

    /// What the server answered.
    #[must_use]
    pub fn answered(status: u16, report: ErrorReport) -> Self {
        let exit_code = match status {
            400 | 413 | 422 => EXIT_BAD_INPUT,
            401 | 403 => EXIT_DENIED,
            404 => EXIT_NOT_FOUND,
            502..=504 => EXIT_UNREACHABLE,
            _ => EXIT_FAILED,
        };
        Self { report, exit_code }
    }

    /// A local error that can explain itself.
    #[must_use]
    pub fn diagnosed(error: &dyn Diagnose) -> Self {
        Self::answered(error.meaning().http_status(), ErrorReport::of(error))
    }

    /// Writes the error to standard error: a sentence and, where there is one, the fix.
    pub fn show(&self, json: bool) {
        if json {
            eprintln!("{}", serde_json::json!({ "error": self.report }));
            return;
        }
        eprintln!("error: {}", self.report.message);
        if let Some(field) = &self.report.field {
            eprintln!("  field: {field}");
        }
        if let Some(hint) = &self.report.hint {
            eprintln!("  hint: {hint}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_one_sentence_and_a_tip() {
        let said = "error: the following required arguments were not provided:\n  <NAME>\n\nUsage: corliss\n";
        let error = CliError::misread(said);
        assert_eq!(
            error.report.message,
            "the following required arguments were not provided: <NAME>"
        );
        let said = "error: unrecognized subcommand 'lst'\n\n  tip: a similar subcommand exists: 'list'\n";
        let error = CliError::misread(said);
        assert_eq!(error.report.message, "unrecognized subcommand 'lst'");
        assert_eq!(
            error.report.hint.as_deref(),
            Some("a similar subcommand exists: 'list'")
        );
        assert_eq!(error.exit_code, EXIT_BAD_INPUT);
    }
}
