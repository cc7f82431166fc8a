//! Where the installation lives and how to reach it: the home folder and its credentials file.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{CliError, CliResult, EXIT_UNREACHABLE, cause};

/// The address and token that the server wrote at its first start, or that the environment overrides.
#[derive(Debug, Clone, Deserialize)]
pub struct Credentials {
    /// Base URL, such as `http://127.0.0.1:7070`.
    pub url: String,
    /// Bearer token.
    pub token: String,
    /// PEM file with the private authority that signed the server's certificate, if it is a private one.
    pub ca: Option<PathBuf>,
}

/// The home folder: the flag or `CORLISS_HOME`, else `~/.corliss`; always absolute.
pub fn resolve(flag: Option<&Path>) -> CliResult<PathBuf> {
    let home = match flag {
        Some(path) if !path.as_os_str().is_empty() => path.to_path_buf(),
        _ => std::env::var_os("HOME")
            .map(|home| PathBuf::from(home).join(".corliss"))
            .ok_or_else(|| CliError::input("neither HOME nor CORLISS_HOME is set").hint("pass --home DIR"))?,
    };
    std::path::absolute(&home).map_err(|error| {
        CliError::input(format!(
            "cannot use '{}' as home: {}",
            home.display(),
            cause(&error)
        ))
    })
}

/// The credentials: `CORLISS_URL` and `CORLISS_TOKEN` if both are set, with `CORLISS_CA` if the server's
/// certificate needs it; else the file in the home folder.
pub fn credentials(home: &Path) -> CliResult<Credentials> {
    if let (Ok(url), Ok(token)) = (std::env::var("CORLISS_URL"), std::env::var("CORLISS_TOKEN")) {
        let ca = std::env::var_os("CORLISS_CA").map(PathBuf::from);
        return Ok(Credentials { url, token, ca });
    }
    own_credentials(home)
}

/// The credentials in the home folder, whatever the environment says: for what concerns this server.
pub fn own_credentials(home: &Path) -> CliResult<Credentials> {
    let path = home.join("credentials");
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => CliError::new(
            EXIT_UNREACHABLE,
            "not_started",
            format!("no Corliss has been started in {}", home.display()),
        )
        .hint("start it with: corliss up"),
        _ => CliError::input(format!("cannot read {}: {}", path.display(), cause(&error))),
    })?;
    toml::from_str(&text).map_err(|error| {
        CliError::input(format!("{} is damaged: {}", path.display(), error.message()))
            .hint("move it away and restart the server to have it written again")
    })
}
