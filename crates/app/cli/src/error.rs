//! A failed command: one sentence, a cause, a hint and an exit code.

use std::io::{self, ErrorKind};
use std::path::Path;

use corliss_diagnostics::{Diagnose, ErrorReport};
use corliss_pipelines::project_file::Problem;
use serde_json::json;

use crate::{output, units};

/// Why a command failed, ready to be shown.
#[derive(Debug)]
pub struct CliError {
    /// What the user reads, or gets as JSON.
    pub report: ErrorReport,
    /// The process's exit code.
    pub exit_code: u8,
    /// What is wrong with a project file, where that is the error.
    pub problems: Option<Box<FileProblems>>,
    /// Whether standard output has said it already.
    told: bool,
}

/// What is wrong with a project file.
#[derive(Debug)]
pub struct FileProblems {
    /// The file, as the user named it.
    pub file: String,
    /// Everything that is wrong with it.
    pub list: Vec<Problem>,
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

/// A file or folder that could not be written.
#[must_use]
pub fn unwritable(path: &Path, error: &io::Error) -> CliError {
    let path = path.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            CliError::failed(format!("the disk that {path} was to be written to is full"))
                .hint("free some space there and try again")
        }
        _ => CliError::failed(format!("cannot write {path}: {}", cause(error))),
    }
}

impl CliError {
    /// An error with a code, a sentence and an exit code.
    #[must_use]
    pub fn new(exit_code: u8, code: &str, message: impl Into<String>) -> Self {
        let report = ErrorReport {
            code: code.to_owned(),
            message: message.into(),
            field: None,
            hint: None,
            retryable: false,
        };
        Self::of(report, exit_code)
    }

    /// An error that somebody else has put into words.
    #[must_use]
    pub fn of(report: ErrorReport, exit_code: u8) -> Self {
        Self {
            report,
            exit_code,
            problems: None,
            told: false,
        }
    }

    /// A project file that cannot be used, with everything that is wrong with it.
    #[must_use]
    pub fn project_file(file: impl Into<String>, problems: Vec<Problem>) -> Self {
        let (file, count) = (file.into(), units::plural(problems.len() as u64, "problem"));
        let mut error = Self::new(
            EXIT_BAD_INPUT,
            "project_file_invalid",
            format!("{file} has {count}"),
        );
        error.problems = Some(Box::new(FileProblems { file, list: problems }));
        error
    }

    /// Names the file that the problems are in, where the error is about a project file.
    #[must_use]
    pub fn in_file(self, file: impl Into<String>) -> Self {
        match self.problems {
            Some(problems) => Self::project_file(file, problems.list),
            None => self,
        }
    }

    /// Only the exit code is left to be given: standard output has said the rest.
    #[must_use]
    pub fn told(mut self) -> Self {
        self.told = true;
        self
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
        Self::of(report, exit_code)
    }

    /// A local error that can explain itself.
    #[must_use]
    pub fn diagnosed(error: &dyn Diagnose) -> Self {
        Self::answered(error.meaning().http_status(), ErrorReport::of(error))
    }

    /// Writes the error to standard error: what is wrong with a file, a problem a line; a sentence; and, where
    /// there is one, the fix. As JSON it is one document, in the server's own shape.
    pub fn show(&self, json: bool) {
        if self.told {
            return;
        }
        if json {
            output::complain_json(&self.document());
            return;
        }
        if let Some(problems) = &self.problems {
            for problem in &problems.list {
                output::complain(&problem_line(&problems.file, problem));
            }
        }
        output::complain(&format!("error: {}", self.report.message));
        if let Some(field) = &self.report.field {
            output::complain(&format!("  field: {field}"));
        }
        if let Some(hint) = &self.report.hint {
            output::complain(&format!("  hint: {hint}"));
        }
    }

    fn document(&self) -> serde_json::Value {
        match &self.problems {
            Some(problems) => json!({ "error": self.report, "problems": problems.list }),
            None => json!({ "error": self.report }),
        }
    }
}

/// `corliss.yaml:4:7: steps.a: no machine has 99 CPUs (ask for fewer)`, the form that editors jump to.
fn problem_line(file: &str, problem: &Problem) -> String {
    let field = match problem.field.as_str() {
        "" => String::new(),
        field => format!("{field}: "),
    };
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})"));
    format!(
        "{file}:{}:{}: {field}{}{}",
        problem.line,
        problem.column,
        problem.message,
        hint.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem {
            line: 4,
            column: 7,
            field: "steps.a".to_owned(),
            message: "no machine has 99 CPUs".to_owned(),
            hint: Some("ask for fewer".to_owned()),
        }
    }

    #[test]
    fn a_problem_is_in_the_form_that_editors_jump_to() {
        assert_eq!(
            problem_line("a/corliss.yaml", &problem()),
            "a/corliss.yaml:4:7: steps.a: no machine has 99 CPUs (ask for fewer)"
        );
    }

    #[test]
    fn a_bad_file_is_one_document() {
        let error = CliError::project_file("x", vec![problem()]).in_file("y.yaml");
        let document = error.document();
        assert_eq!(document["error"]["message"], "y.yaml has 1 problem");
        assert_eq!(document["error"]["code"], "project_file_invalid");
        assert_eq!(document["problems"][0]["line"], 4);
    }

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
