//! Where the installation lives and how to reach it: the home folder and its credentials file.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{CliError, CliResult, EXIT_UNREACHABLE, cause};
use crate::program;

/// The address and token that the server wrote at its first start, or that the environment overrides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Credentials {
    /// Base URL, such as `http://127.0.0.1:7070`.
    pub url: String,
    /// Bearer token.
    pub token: String,
    /// PEM file with the private authority that signed the server's certificate, if it is a private one.
    pub ca: Option<PathBuf>,
    /// Whether the address is the one of `CORLISS_URL`, so that its server may be anywhere.
    #[serde(skip)]
    pub from_environment: bool,
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

/// The credentials: those of the environment, and from the file in the home folder what it does not say.
pub fn credentials(home: &Path) -> CliResult<Credentials> {
    // A line break at the end comes from the file that a secret was read from.
    let variable = |name| {
        let value = std::env::var(name).ok()?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    };
    let named = Named {
        url: variable("CORLISS_URL"),
        token: variable("CORLISS_TOKEN"),
        ca: variable("CORLISS_CA").map(PathBuf::from),
    };
    named.completed(|| own_credentials(home))
}

/// What the environment says of a server.
struct Named {
    url: Option<String>,
    token: Option<String>,
    ca: Option<PathBuf>,
}

impl Named {
    /// An address needs a token of its server; a token without an address is one of the home's server. The
    /// home's own token is the administrator's: it must not be taken where another one was named.
    fn completed(self, own: impl FnOnce() -> CliResult<Credentials>) -> CliResult<Credentials> {
        match (self.url, self.token) {
            (Some(url), Some(token)) => Ok(Credentials {
                url,
                token,
                ca: self.ca,
                from_environment: true,
            }),
            (Some(_), None) => Err(CliError::input("CORLISS_URL is set but CORLISS_TOKEN is not")
                .hint("set CORLISS_TOKEN to a token of that server, or unset CORLISS_URL")),
            (None, Some(token)) => {
                let own = own()?;
                let ca = self.ca.or(own.ca);
                Ok(Credentials { token, ca, ..own })
            }
            (None, None) => own(),
        }
    }
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
        .hint(format!("start it with: {}", program::command("up"))),
        _ => CliError::input(format!("cannot read {}: {}", path.display(), cause(&error))),
    })?;
    toml::from_str(&text).map_err(|error| {
        CliError::input(format!("{} is damaged: {}", path.display(), error.message()))
            .hint("move it away and restart the server to have it written again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> CliResult<Credentials> {
        Ok(Credentials {
            url: "http://home".to_owned(),
            token: "admin".to_owned(),
            ca: None,
            from_environment: false,
        })
    }

    fn named(url: Option<&str>, token: Option<&str>) -> CliResult<Credentials> {
        let named = Named {
            url: url.map(str::to_owned),
            token: token.map(str::to_owned),
            ca: None,
        };
        named.completed(own)
    }

    #[test]
    fn a_named_token_is_never_passed_over_for_the_administrators() {
        let both = named(Some("http://there"), Some("t")).unwrap();
        assert_eq!((both.url.as_str(), both.token.as_str()), ("http://there", "t"));
        let token = named(None, Some("t")).unwrap();
        assert_eq!((token.url.as_str(), token.token.as_str()), ("http://home", "t"));
        assert_eq!(named(None, None).unwrap().token, "admin");
        let error = named(Some("http://there"), None).unwrap_err();
        assert_eq!(
            error.report.message,
            "CORLISS_URL is set but CORLISS_TOKEN is not"
        );
    }
}
