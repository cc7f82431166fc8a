//! Where the transit engine is and how to speak to it, checked before anything is sent.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use super::Trouble;

/// A file of more holds no token.
const MAX_TOKEN_BYTES: u64 = 8 << 10;
/// A file of more holds no authority's certificates.
const MAX_AUTHORITY_BYTES: u64 = 1 << 20;

/// Where the transit engine is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct TransitSettings {
    /// Such as `https://vault.example.org:8200`; plain `http` only for this machine.
    pub address: String,
    /// Where the engine is mounted, such as `transit`.
    pub mount: String,
    /// Name of the key. It is never made here.
    pub key: String,
    /// Where the token is.
    pub token: Token,
    /// The namespace, if there are some.
    pub namespace: Option<String>,
    /// PEM file of the authority that signed the server's certificate; those that the system trusts, if None.
    pub ca_file: Option<PathBuf>,
    /// For one request; there are up to four.
    pub timeout: Duration,
}

/// Where the token is. What it says is read before each request, so that one that an agent renews is taken
/// at once; it is never kept.
#[derive(Debug, Clone)]
pub enum Token {
    /// A file that no other user may read.
    File(PathBuf),
    /// A variable of the environment, by its name.
    Variable(String),
}

impl TransitSettings {
    /// With the usual mount and time limit.
    #[must_use]
    pub fn new(address: &str, key: &str, token: Token) -> Self {
        Self {
            address: address.to_owned(),
            mount: "transit".to_owned(),
            key: key.to_owned(),
            token,
            namespace: None,
            ca_file: None,
            timeout: Duration::from_secs(10),
        }
    }

    /// Address with the mount, without a slash at the end.
    pub(super) fn base(&self) -> Result<String, Trouble> {
        let wrong = |what: &str| setting(format!("the address '{}' {what}", self.address));
        let url = Url::parse(&self.address).map_err(|error| wrong(&format!("is no URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            // Not with the address: it holds a password.
            return Err(setting(
                "the address must not hold a user or a password".to_owned(),
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must end before '?' and '#'"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            _ => return Err(wrong("must start with https://: keys would be sent in the clear")),
        }
        let mount = self.mount.trim_matches('/');
        if !mount.split('/').all(is_name) {
            return Err(setting(format!("the mount '{}' is no path of names", self.mount)));
        }
        if !is_name(&self.key) {
            return Err(setting(format!("the key '{}' is no name", self.key)));
        }
        let address = url.as_str().trim_end_matches('/');
        Ok(format!("{address}/v1/{mount}"))
    }

    /// None if no namespace is set.
    pub(super) fn namespace(&self) -> Result<Option<HeaderValue>, Trouble> {
        let value = self.namespace.as_deref().map(HeaderValue::from_str).transpose();
        value.map_err(|_| setting("the namespace has characters that no header may have".to_owned()))
    }

    pub(super) fn authority(&self) -> Result<Option<Vec<reqwest::Certificate>>, Trouble> {
        let Some(path) = &self.ca_file else {
            return Ok(None);
        };
        let wrong = |problem: &dyn std::fmt::Display| {
            setting(format!("the file of the authority {}: {problem}", path.display()))
        };
        let mut pem = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_AUTHORITY_BYTES).read_to_end(&mut pem));
        read.map_err(|error| wrong(&error))?;
        let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error))?;
        if found.is_empty() {
            return Err(wrong(&"there is no certificate in it"));
        }
        Ok(Some(found))
    }
}

impl Token {
    /// What it is now.
    pub(super) fn read(&self) -> Result<HeaderValue, Trouble> {
        let (text, place) = match self {
            Self::File(path) => (read_private(path)?, path.display().to_string()),
            Self::Variable(name) => {
                let value = std::env::var(name).map_err(|_| {
                    let problem = format!("the variable {name} is not set");
                    Trouble::Token { problem }
                })?;
                (Zeroizing::new(value), format!("the variable {name}"))
            }
        };
        let token = Zeroizing::new(text.trim().as_bytes().to_vec());
        let problem = |what: &str| Trouble::Token {
            problem: format!("{place} {what}"),
        };
        if token.is_empty() {
            return Err(problem("holds no token"));
        }
        let value = HeaderValue::from_maybe_shared(bytes::Bytes::from_owner(token));
        let mut value = value.map_err(|_| problem("holds characters that no token has"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, Trouble> {
    let problem = |what: &dyn std::fmt::Display| Trouble::Token {
        problem: format!("the token file {}: {what}", path.display()),
    };
    let mode = fs::metadata(path).map_err(|error| problem(&error))?.mode();
    // Its group may: an agent that renews it runs as another user.
    if mode & 0o007 != 0 {
        return Err(problem(&format!(
            "its mode is {:04o}, so that everybody can read it",
            mode & 0o7777
        )));
    }
    let mut text = Zeroizing::new(String::with_capacity(512));
    let file = File::open(path).map_err(|error| problem(&error))?;
    let read = file.take(MAX_TOKEN_BYTES).read_to_string(&mut text);
    read.map_err(|error| problem(&error))?;
    Ok(text)
}

fn setting(problem: String) -> Trouble {
    Trouble::Setting { problem }
}

/// What the transit engine takes as a name, and no path can be made of.
fn is_name(name: &str) -> bool {
    let word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    name.starts_with(word)
        && name.ends_with(word)
        && name.chars().all(|char| word(char) || "-.".contains(char))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(address: &str) -> Result<String, Trouble> {
        TransitSettings::new(address, "corliss", Token::Variable("NONE".to_owned())).base()
    }

    #[test]
    fn keys_are_sent_in_the_clear_to_this_machine_only() {
        for (address, base_is) in [
            (
                "https://vault.example.org:8200",
                "https://vault.example.org:8200/v1/transit",
            ),
            (
                "https://vault.example.org/behind/",
                "https://vault.example.org/behind/v1/transit",
            ),
            ("http://127.0.0.1:8200/", "http://127.0.0.1:8200/v1/transit"),
            ("http://[::1]:8200", "http://[::1]:8200/v1/transit"),
            ("http://localhost:8200", "http://localhost:8200/v1/transit"),
        ] {
            assert_eq!(base(address).unwrap(), base_is);
        }
        for address in [
            "http://vault.example.org",
            "http://127.0.0.1.example.org",
            "http://localhost.example.org",
            "ftp://localhost",
            "https://vault?x=1",
            "vault:8200",
            "",
        ] {
            let trouble = base(address).unwrap_err();
            assert!(matches!(trouble, Trouble::Setting { .. }), "{address}: {trouble}");
        }
        let secret = base("https://me:hunter2@vault").unwrap_err();
        assert!(!format!("{secret} {secret:?}").contains("hunter2"), "{secret}");
    }

    #[test]
    fn names_cannot_leave_the_mount() {
        let mut settings = TransitSettings::new("https://v", "corliss", Token::Variable("NONE".to_owned()));
        settings.mount = "/teams/ml-1/transit/".to_owned();
        assert_eq!(settings.base().unwrap(), "https://v/v1/teams/ml-1/transit");
        for mount in ["", "..", "a/../b", "a//b", "a?b", "a%2fb"] {
            settings.mount = mount.to_owned();
            assert!(settings.base().is_err(), "{mount}");
        }
        settings.mount = "transit".to_owned();
        for key in ["", "a/b", "..", "a b", "ä"] {
            settings.key = key.to_owned();
            assert!(settings.base().is_err(), "{key}");
        }
    }
}
