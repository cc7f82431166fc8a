//! Which Python an environment is made with.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::EngineError;

const ASK: &str = "import sys; print('%d.%d.%d' % sys.version_info[:3])";

/// A Python that runs here.
#[derive(Debug)]
pub(super) struct Interpreter {
    pub path: PathBuf,
    /// Such as `3.11.7`.
    pub version: String,
}

/// `3.11` of `3.11.7`: what files that one Python wrote need of another.
pub(in crate::python) fn minor(version: &str) -> &str {
    let end = version
        .match_indices('.')
        .nth(1)
        .map_or(version.len(), |(at, _)| at);
    &version[..end]
}

/// The version of a Python, if it is one.
pub(super) fn ask(path: &Path) -> Result<Interpreter, EngineError> {
    let failed = |why: String| EngineError::Environment {
        detail: format!("'{}' does not run: {why}", path.display()),
    };
    let told = Command::new(path)
        .args(["-I", "-c", ASK])
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let version = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    if !told.status.success() || !version.starts_with("3.") {
        return Err(failed(format!(
            "it ended with {} and said '{version}'",
            told.status
        )));
    }
    Ok(Interpreter {
        path: path.to_path_buf(),
        version,
    })
}

/// A Python of the wanted minor version, looked for in `PATH`; any that is new enough if nothing is wanted.
pub(super) fn find(wanted: Option<&str>) -> Result<Interpreter, EngineError> {
    let path = std::env::var("PATH").unwrap_or_default();
    find_in(&path, wanted)
}

fn find_in(path: &str, wanted: Option<&str>) -> Result<Interpreter, EngineError> {
    let wanted = wanted.map(minor);
    let mut names = vec!["python3".to_owned(), "python".to_owned()];
    if let Some(wanted) = wanted {
        names.insert(0, format!("python{wanted}"));
    }
    let mut others = Vec::new();
    for name in &names {
        for folder in path.split(':').filter(|folder| folder.starts_with('/')) {
            let path = Path::new(folder).join(name);
            if !path.is_file() {
                continue;
            }
            match ask(&path) {
                Ok(found) if wanted.is_none_or(|wanted| minor(&found.version) == wanted) => {
                    return Ok(found);
                }
                Ok(other) => others.push(other.version),
                // A shim of a version that is not installed, most likely.
                Err(_) => {}
            }
        }
    }
    others.sort();
    others.dedup();
    Err(EngineError::PythonMissing {
        wanted: wanted.unwrap_or("3").to_owned(),
        found: others,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use corliss_diagnostics::Diagnose;

    use super::*;

    fn python(folder: &Path, name: &str, version: &str) {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\necho {version}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_minor_version_is_what_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        python(folder.path(), "python3", "3.9.1");
        python(folder.path(), "python3.12", "3.12.4");
        assert_eq!(find_in(&path, Some("3.12.0")).unwrap().version, "3.12.4");
        assert_eq!(find_in(&path, None).unwrap().version, "3.9.1");
        let missing = find_in(&path, Some("3.10.2")).unwrap_err();
        assert_eq!(missing.code(), "python_missing");
        let told = missing.to_string();
        assert!(told.contains("3.10") && told.contains("3.9.1"), "{told}");
    }

    #[test]
    fn versions_have_two_parts_that_matter() {
        assert_eq!(
            [minor("3.11.7"), minor("3.11"), minor("3")],
            ["3.11", "3.11", "3"]
        );
    }
}
