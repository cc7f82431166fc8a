//! Reads a project file on this machine, and shows all of its problems at once.

use std::path::{Path, PathBuf};

use corliss_pipelines::project_file::{self, Problem, ProjectFile};
use serde_json::json;

use crate::error::{CliError, CliResult, EXIT_BAD_INPUT, cause};

/// A project file without problems, as text and as parsed.
pub struct Loaded {
    /// As written; the server parses it again.
    pub text: String,
    /// Its name, without folders.
    pub file_name: String,
    /// The folder it lies in: what its steps are run in, and where its data folders are looked for.
    pub folder: PathBuf,
    /// Parsed.
    pub project: ProjectFile,
}

/// Reads and checks a project file.
pub fn load(path: &Path, as_json: bool) -> CliResult<Loaded> {
    let shown = path.display();
    let meta = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !meta.is_file() {
        return Err(CliError::input(format!("{shown} is not a file"))
            .hint("name the project file, such as corliss.yaml"));
    }
    if meta.len() > project_file::MAX_BYTES as u64 {
        return Err(CliError::input(format!(
            "{shown} is larger than {} bytes",
            project_file::MAX_BYTES
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let text = String::from_utf8(bytes).map_err(|_| CliError::input(format!("{shown} is not UTF-8 text")))?;
    let full = std::fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
    let project = project_file::parse(&text, None).map_err(|problems| refuse(path, &problems, as_json))?;
    let file_name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let folder = full.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Loaded {
        text,
        file_name,
        folder,
        project,
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    match error.kind() {
        std::io::ErrorKind::NotFound => CliError::input(format!("there is no file {}", path.display()))
            .hint("name a project file, or go to the folder that holds corliss.yaml"),
        _ => CliError::input(format!("cannot read {}: {}", path.display(), cause(error))),
    }
}

/// Every problem on a line of its own, in the form that editors jump to; then one sentence.
pub fn refuse(path: &Path, problems: &[Problem], as_json: bool) -> CliError {
    if as_json {
        eprintln!("{}", json!({ "problems": problems }));
    } else {
        for problem in problems {
            let field = if problem.field.is_empty() {
                String::new()
            } else {
                format!("{}: ", problem.field)
            };
            let hint = problem
                .hint
                .as_ref()
                .map(|hint| format!(" ({hint})"))
                .unwrap_or_default();
            eprintln!(
                "{}:{}:{}: {field}{}{hint}",
                path.display(),
                problem.line,
                problem.column,
                problem.message
            );
        }
    }
    let count = problems.len();
    let plural = if count == 1 { "problem" } else { "problems" };
    CliError::new(
        EXIT_BAD_INPUT,
        "project_file_invalid",
        format!("{} has {count} {plural}", path.display()),
    )
}
