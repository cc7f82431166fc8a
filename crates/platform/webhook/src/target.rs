//! Where a request goes: a URL that was checked.

use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

use crate::{Reach, WebhookError};

const URL_MAX_BYTES: usize = 2_000;

/// A checked address: http or https, with a host, and without user, password or fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    /// The whole address, which may hold a token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What may be shown to everybody: scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Refuses an IP address that must not be reached. A name is judged when it is connected to.
    ///
    /// # Errors
    /// It is one.
    pub fn check(&self, reach: &Reach) -> Result<(), WebhookError> {
        match self.address() {
            Some(address) if !reach.permits(self.host(), address) => Err(WebhookError::Forbidden { address }),
            _ => Ok(()),
        }
    }

    /// Whether what is sent can be read on its way.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether the administrator has named the receiver: by its name, its address or a network that it is in.
    #[must_use]
    pub fn is_named(&self, reach: &Reach) -> bool {
        reach.names(self.host(), self.address())
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.0
    }

    pub(crate) fn host(&self) -> &str {
        let host = self.0.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The IP address, if there is one in place of a name. Odd spellings such as `0x7f.1` are gone: parsing a URL
    /// has made them plain.
    fn address(&self) -> Option<IpAddr> {
        self.host().parse().ok()
    }
}

impl FromStr for Target {
    type Err = WebhookError;
    fn from_str(text: &str) -> Result<Self, WebhookError> {
        let wrong = |problem: &str| {
            let problem = problem.to_owned();
            Err(WebhookError::BadUrl { problem })
        };
        if text.len() > URL_MAX_BYTES {
            return wrong("has more than 2000 bytes");
        }
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => return wrong(&format!("is no URL: {error}")),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return wrong("must begin with http:// or https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("must not hold a user or a password");
        }
        if url.fragment().is_some() {
            return wrong("must end before '#'");
        }
        Ok(Self(url))
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_without_passwords_are_targets() {
        for good in [
            "https://example.org/hook?token=x",
            "http://127.0.0.1:8080",
            "http://[::1]/",
        ] {
            let target: Target = good.parse().unwrap();
            assert!(target.as_str().starts_with(good), "{good}");
        }
        let long = format!("https://example.org/{}", "x".repeat(URL_MAX_BYTES));
        for bad in [
            "",
            "example.org",
            "ftp://example.org",
            "file:///etc/passwd",
            "gopher://example.org",
            "http://",
            "https://ada@example.org",
            "https://:hunter2@example.org",
            "https://example.org/#x",
            &long,
        ] {
            let error = bad.parse::<Target>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn an_address_is_found_however_it_is_spelt() {
        for spelt in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://[::ffff:127.0.0.1]/",
            "http://[::1]/",
            "http://①②⑦.0.0.1/",
        ] {
            let target: Target = spelt.parse().unwrap();
            assert!(target.check(&Reach::default()).is_err(), "{spelt}");
            let allowed = Reach::with(["127.0.0.0/8", "::1"]).unwrap();
            target.check(&allowed).unwrap();
        }
        let name: Target = "http://localhost/".parse().unwrap();
        name.check(&Reach::default()).unwrap();
    }

    #[test]
    fn a_token_in_an_address_is_not_printed() {
        let target: Target = "https://hooks.example.org:8443/T0/hunter2?x=1".parse().unwrap();
        assert_eq!(target.origin(), "https://hooks.example.org:8443");
        assert!(!format!("{target:?}").contains("hunter2"));
    }
}
