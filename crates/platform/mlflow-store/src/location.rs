//! Where a store lies, as users of MLflow write it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::SourceError;

/// The address of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of files, usually `mlruns`.
    Folder(PathBuf),
    /// A file of SQLite.
    Sqlite(PathBuf),
    /// A database of PostgreSQL: its URL, with a password perhaps.
    Postgres(String),
}

impl FromStr for Location {
    type Err = SourceError;

    fn from_str(given: &str) -> Result<Self, SourceError> {
        let refused = |problem: &str| SourceError::Location {
            given: without_password(given),
            problem: problem.to_owned(),
        };
        let Some((scheme, rest)) = given.split_once("://") else {
            return match given.strip_prefix("file:") {
                Some(path) => Ok(Self::Folder(PathBuf::from(path))),
                None if given.is_empty() => Err(refused("it is empty")),
                None => Ok(of_path(Path::new(given))),
            };
        };
        // MLflow's addresses may name the driver behind a plus sign.
        match scheme.split('+').next().unwrap_or(scheme) {
            // Three slashes and a path, which is relative unless it has a fourth.
            "sqlite" => match rest.strip_prefix('/') {
                Some("") | None => Err(refused("a SQLite address has three slashes and a file's path")),
                Some(path) => Ok(Self::Sqlite(PathBuf::from(path))),
            },
            "postgresql" | "postgres" => Ok(Self::Postgres(format!("postgresql://{rest}"))),
            "file" => match rest.strip_prefix("localhost").unwrap_or(rest) {
                path if path.starts_with('/') => Ok(Self::Folder(PathBuf::from(path))),
                _ => Err(refused("a file address names another machine")),
            },
            "http" | "https" => Err(refused(
                "a running server is not read; name the store that it was started with (its --backend-store-uri)",
            )),
            "mysql" | "mssql" => Err(refused("of databases, SQLite and PostgreSQL are read")),
            _ => Err(refused("its kind is not known")),
        }
    }
}

/// A path without a scheme: a file is a database, everything else a folder.
fn of_path(path: &Path) -> Location {
    if path.is_file() {
        return Location::Sqlite(path.to_owned());
    }
    Location::Folder(path.to_owned())
}

impl fmt::Display for Location {
    /// In one form, whatever the user wrote, and without a password: what an import remembers as where things came from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match self {
            Self::Folder(path) => write!(f, "file://{}", whole(path).display()),
            Self::Sqlite(path) => write!(f, "sqlite:///{}", whole(path).display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

/// The address without what stands between its colon and its at sign, and without its parameters.
fn without_password(url: &str) -> String {
    let url = url.split('?').next().unwrap_or(url);
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((user, host)) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or(user)),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_mlflow_reads_them() {
        for (text, expected) in [
            ("./mlruns", Location::Folder("./mlruns".into())),
            ("file:///data/mlruns", Location::Folder("/data/mlruns".into())),
            ("file:/data/mlruns", Location::Folder("/data/mlruns".into())),
            ("sqlite:///mlflow.db", Location::Sqlite("mlflow.db".into())),
            ("sqlite:////data/m.db", Location::Sqlite("/data/m.db".into())),
            (
                "postgresql+psycopg2://ada:x@db/mlflow",
                Location::Postgres("postgresql://ada:x@db/mlflow".into()),
            ),
        ] {
            assert_eq!(text.parse::<Location>().unwrap(), expected, "{text}");
        }
        for bad in [
            "",
            "sqlite://",
            "sqlite:///",
            "mysql://h/d",
            "https://h",
            "s3://b/x",
            "file://host/x",
        ] {
            assert!(bad.parse::<Location>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_told_to_nobody() {
        let location: Location = "postgresql://ada:s3cret@db:5433/mlflow?password=x"
            .parse()
            .unwrap();
        assert_eq!(location.to_string(), "postgresql://ada@db:5433/mlflow");
        let refused = "mysql://ada:s3cret@db/x".parse::<Location>().unwrap_err();
        assert!(!refused.to_string().contains("s3cret"), "{refused}");
    }
}
