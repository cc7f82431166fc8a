//! Makes a virtual environment and installs what a model needs into it, with Python's own venv and pip.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::interpreter::Interpreter;
use super::requirements::Requirements;
use crate::EngineError;

/// pip, ended by the kernel when the thread that started it is gone: an installation is nobody's if its engine is not.
const PIP: &str = "import ctypes, runpy, sys; ctypes.CDLL(None).prctl(1, 9); sys.argv[0] = 'pip'; \
                   runpy.run_module('pip', run_name='__main__')";
/// Of what pip says, as much as is looked at for its reason.
const LINES_KEPT: usize = 200;

/// Makes the environment in `building`, with what the model in `folder` needs.
pub(super) fn install(
    interpreter: &Interpreter,
    requirements: &Requirements,
    folder: &Path,
    building: &Path,
    allow_code: bool,
) -> Result<(), EngineError> {
    tracing::info!(environment = %building.display(), "installing {}", requirements.shown());
    let mut venv = Command::new(&interpreter.path);
    venv.args(["-I", "-m", "venv"]).arg(building);
    run(venv, "cannot make a virtual environment")?;
    let mut pip = Command::new(building.join("bin/python"));
    pip.args(["-I", "-c", PIP, "install", "--no-input", "--no-color"])
        .args(["--disable-pip-version-check", "--progress-bar=off"]);
    if !allow_code {
        // A package that is built here runs its own code.
        pip.arg("--only-binary=:all:");
    }
    // Lines of the file may name others beside it.
    pip.arg("-r")
        .arg(folder.join(Requirements::file()))
        .current_dir(folder);
    run(pip, "cannot install what the model requires")
}

/// Runs it to its end; what it writes goes into the log too.
fn run(mut command: Command, doing: &str) -> Result<(), EngineError> {
    let failed = |why: String| EngineError::Environment {
        detail: format!("{doing}: {why}"),
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut lines = Vec::new();
    if let Some(errors) = child.stderr.take() {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            tracing::warn!("{line}");
            if lines.len() < LINES_KEPT {
                lines.push(line);
            }
        }
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    Err(failed(reason(&lines).unwrap_or_else(|| status.to_string())))
}

/// pip's own words, of which the first error is the cause.
fn reason(lines: &[String]) -> Option<String> {
    let errors = lines.iter().filter_map(|line| line.strip_prefix("ERROR: "));
    let found = errors
        .into_iter()
        .next()
        .or_else(|| lines.last().map(String::as_str))?;
    Some(found.chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_the_reason() {
        let lines = [
            "WARNING: x",
            "ERROR: no such version",
            "ERROR: No matching distribution",
        ];
        let lines = lines.map(str::to_owned);
        assert_eq!(reason(&lines).unwrap(), "no such version");
        assert_eq!(reason(&lines[..1]).unwrap(), "WARNING: x");
        assert_eq!(reason(&[]), None);
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'ERROR: nothing there' >&2; exit 3"]);
        let error = run(command, "cannot do it").unwrap_err().to_string();
        assert!(error.contains("cannot do it: nothing there"), "{error}");
        let mut fine = Command::new("sh");
        fine.args(["-c", "echo noise >&2"]);
        assert!(run(fine, "x").is_ok());
    }
}
