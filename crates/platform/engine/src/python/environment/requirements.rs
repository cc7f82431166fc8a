//! What a model needs, as MLflow writes it into `requirements.txt`.

use std::path::Path;

use crate::EngineError;

const FILE: &str = "requirements.txt";
const CONSTRAINTS: &str = "constraints.txt";
const FILE_MAX_BYTES: u64 = 1 << 20;
/// How many of them are named where there are more.
const SHOWN: usize = 3;
/// What may be installed for a model that must run no code of whoever made it.
const KNOWN: [&str; 10] = [
    "mlflow",
    "mlflow-skinny",
    "xgboost",
    "xgboost-cpu",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "cloudpickle",
    "psutil",
];

/// The lines of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requirements {
    lines: Vec<String>,
    constraints: String,
}

impl Requirements {
    /// Reads the model's file.
    pub fn read(folder: &Path) -> Result<Self, EngineError> {
        let text = text(&folder.join(FILE))?.ok_or_else(|| EngineError::Environment {
            detail: format!("the model has no {FILE}, so what it needs is not known"),
        })?;
        let constraints = text_or_empty(&folder.join(CONSTRAINTS))?;
        Ok(Self::parse(&text, constraints))
    }

    fn parse(text: &str, constraints: String) -> Self {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self {
            lines: lines.map(str::to_owned).collect(),
            constraints,
        }
    }

    /// Refuses what is not the exact version of a known package.
    pub fn check_known(&self) -> Result<(), EngineError> {
        let is_known = |line: &String| {
            let Some((name, version)) = line.split_once("==") else {
                return false;
            };
            let is_version = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '!');
            KNOWN.contains(&name) && !version.is_empty() && version.chars().all(is_version)
        };
        match self.lines.iter().find(|line| !is_known(line)) {
            None => Ok(()),
            Some(line) => Err(EngineError::ModelRunsCode {
                detail: format!(
                    "it requires '{}', and installing what is not known runs code",
                    line.chars().take(80).collect::<String>()
                ),
            }),
        }
    }

    /// The same for the same requirements and `more`.
    pub fn digest(&self, more: &[&str]) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in more
            .iter()
            .copied()
            .chain(self.lines.iter().map(String::as_str))
            .chain([self.constraints.as_str()])
        {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// The first few, for people.
    pub fn shown(&self) -> String {
        let first: Vec<&str> = self.lines.iter().take(SHOWN).map(String::as_str).collect();
        match self.lines.len().saturating_sub(SHOWN) {
            0 => first.join(", "),
            more => format!("{} and {more} more", first.join(", ")),
        }
    }

    /// The file's name, in the model's folder.
    pub const fn file() -> &'static str {
        FILE
    }
}

fn text(path: &Path) -> Result<Option<String>, EngineError> {
    let failed = |source| EngineError::io(format!("cannot read '{}'", path.display()), source);
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
        Ok(meta) if meta.len() > FILE_MAX_BYTES => Err(failed(std::io::ErrorKind::FileTooLarge.into())),
        Ok(_) => std::fs::read_to_string(path).map(Some).map_err(failed),
    }
}

fn text_or_empty(path: &Path) -> Result<String, EngineError> {
    Ok(text(path)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use corliss_diagnostics::Diagnose;

    use super::*;

    fn of(text: &str) -> Requirements {
        Requirements::parse(text, String::new())
    }

    #[test]
    fn the_same_requirements_have_the_same_digest() {
        let one = of("# comment\nmlflow==3.17.2\n\n  xgboost==3.2.0\n");
        assert_eq!(
            one.digest(&["1"]),
            of("mlflow==3.17.2\nxgboost==3.2.0").digest(&["1"])
        );
        for other in [
            of("mlflow==3.17.2\nxgboost==3.2.1"),
            of("mlflow==3.17.2xgboost==3.2.0"),
            Requirements::parse("mlflow==3.17.2\nxgboost==3.2.0", "numpy<2".to_owned()),
        ] {
            assert_ne!(one.digest(&["1"]), other.digest(&["1"]));
        }
        assert_ne!(one.digest(&["1"]), one.digest(&["2"]));
    }

    #[test]
    fn without_permission_only_exact_versions_of_known_packages_are_installed() {
        assert!(of("mlflow==3.17.2\nxgboost-cpu==3.2.0").check_known().is_ok());
        for line in [
            "evil==1.0",
            "mlflow",
            "mlflow>=3",
            "mlflow==3.1 --hash=x",
            "mlflow==3.1; x",
            "mlflow @ https://evil.example/x.whl",
            "--index-url https://evil.example",
            "-r other.txt",
            "./mlflow==1",
        ] {
            let error = of(line).check_known().unwrap_err();
            assert_eq!(error.code(), "model_runs_code", "{line}");
            assert!(error.hint().unwrap().contains("--allow-pickle"));
        }
    }

    #[test]
    fn a_few_are_shown() {
        assert_eq!(of("a\nb").shown(), "a, b");
        assert_eq!(of("a\nb\nc\nd\ne").shown(), "a, b, c and 2 more");
    }
}
