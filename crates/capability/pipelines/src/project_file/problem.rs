//! What is wrong with a project file, and where: every problem of a file is told in one answer.

use serde::{Deserialize, Serialize};

/// More problems than this are counted, not listed: a file of another format would drown its reader.
pub const MAX_PROBLEMS: usize = 100;

/// A place in the file; both numbers count from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl Mark {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One thing that is wrong with a project file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
    /// Where in the structure, such as `steps.train.resources.cpus`; empty for the file as a whole.
    pub field: String,
    /// What is wrong: one sentence, lower case, without a full stop.
    pub message: String,
    /// The fix, such as the nearest valid name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

/// Collects problems while the file is read, so that reading goes on after the first.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    beyond: usize,
}

impl Problems {
    pub(super) fn add(&mut self, at: Mark, field: &str, message: impl Into<String>) {
        self.push(at, field, message.into(), None);
    }

    pub(super) fn add_with_hint(
        &mut self,
        at: Mark,
        field: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.push(at, field, message.into(), hint);
    }

    fn push(&mut self, at: Mark, field: &str, message: String, hint: Option<String>) {
        if self.found.len() >= MAX_PROBLEMS {
            self.beyond += 1;
            return;
        }
        let field = field.to_owned();
        self.found.push(Problem {
            line: at.line,
            column: at.column,
            field,
            message,
            hint,
        });
    }

    /// How many were found so far, listed or not.
    pub(super) fn count(&self) -> usize {
        self.found.len() + self.beyond
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems in the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.found
            .sort_by(|a, b| (a.line, a.column, &a.field).cmp(&(b.line, b.column, &b.field)));
        if self.beyond > 0 {
            let (line, column) = self.found.last().map_or((1, 1), |last| (last.line, last.column));
            let message = format!("{} more problems are not listed", self.beyond);
            self.found.push(Problem {
                line,
                column,
                field: String::new(),
                message,
                hint: None,
            });
        }
        self.found
    }
}

/// `did you mean 'x'?`, if a known name is near enough; otherwise the known names, if they are few.
pub(super) fn suggest<'a>(unknown: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    const FEW: usize = 12;
    if let Some(near) = corliss_diagnostics::nearest(unknown, known.clone()) {
        return Some(format!("did you mean '{near}'?"));
    }
    let names: Vec<&str> = known.take(FEW + 1).collect();
    match names.len() {
        0 => None,
        1..=FEW => Some(format!("known here: {}", names.join(", "))),
        _ => None,
    }
}
