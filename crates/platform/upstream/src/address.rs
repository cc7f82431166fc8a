//! Where an upstream is: a Unix socket of this machine, or host and port elsewhere.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;

use crate::UpstreamError;

const URL_MAX_BYTES: usize = 2_000;

/// What is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A Unix socket.
    Unix(PathBuf),
    /// A host, by name or address.
    Tcp {
        /// Without brackets.
        host: String,
        /// Port.
        port: u16,
        /// Whether TLS is spoken.
        tls: bool,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

/// A checked address of a service: http or https, a host, perhaps a path; no user, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    text: String,
    place: Place,
    authority: String,
    path: String,
}

impl BaseUrl {
    /// What is connected to.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// What the `host` header says.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Its path without a slash at the end, empty if there is none.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// As it is written, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for BaseUrl {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        // The text is not repeated in the error: it may hold a key.
        let wrong = |problem: &'static str| UpstreamError::BadAddress { problem };
        if text.len() > URL_MAX_BYTES {
            return Err(wrong("has more than 2000 bytes"));
        }
        if text.contains('#') {
            return Err(wrong("must not have a fragment"));
        }
        let uri: Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("must not have a user or a password"));
        }
        if uri.query().is_some() {
            return Err(wrong("must not have a query"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("has no host"));
        }
        let port = match (authority.port_u16(), authority.as_str().rsplit_once("]:"), tls) {
            (Some(0), ..) => return Err(wrong("has a port of 0")),
            (Some(port), ..) => port,
            (None, Some(_), _) => return Err(wrong("has a port that is none")),
            (None, None, _) if authority.as_str().len() != authority.host().len() => {
                return Err(wrong("has a port that is none"));
            }
            (None, None, true) => 443,
            (None, None, false) => 80,
        };
        Ok(Self {
            text: text.trim_end_matches('/').to_owned(),
            place: Place::Tcp {
                host: host.to_owned(),
                port,
                tls,
            },
            authority: authority.as_str().to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let read = |text: &str| text.parse::<BaseUrl>().unwrap();
        let url = read("http://127.0.0.1:8000/v1/");
        assert_eq!((url.as_str(), url.path()), ("http://127.0.0.1:8000/v1", "/v1"));
        let place = |host: &str, port, tls| Place::Tcp {
            host: host.to_owned(),
            port,
            tls,
        };
        assert_eq!(*url.place(), place("127.0.0.1", 8000, false));
        let url = read("https://models.example.org");
        assert_eq!(*url.place(), place("models.example.org", 443, true));
        assert_eq!(
            (url.authority(), url.path(), url.as_str()),
            ("models.example.org", "", "https://models.example.org")
        );
        let url = read("http://[::1]:9000/a/b");
        assert_eq!(
            (url.place(), url.authority()),
            (&place("::1", 9000, false), "[::1]:9000")
        );
        assert_eq!(*read("http://[::1]").place(), place("::1", 80, false));
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        let long = format!("http://a/{}", "x".repeat(URL_MAX_BYTES));
        for wrong in [
            "",
            "8000",
            "127.0.0.1:8000",
            "ftp://a/",
            "http://",
            "http:///v1",
            "http://u:hunter2@a/",
            "http://a/?key=hunter2",
            "http://a/#x",
            "http://a:0/",
            "http://a:99999/",
            "http://a b/",
            &long,
        ] {
            let error = wrong.parse::<BaseUrl>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{wrong}");
        }
    }
}
