//! What surrounds every route: which host names we answer to, the request's id, and the headers that keep
//! a browser from doing more with an answer than it should.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::response::Response;
use corliss_diagnostics::Meaning;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

use crate::extract::RequestId;
use crate::{ApiError, Dialect, unread};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_MAX_LEN: usize = 64;

/// Which host names this installation answers to.
///
/// A page elsewhere can point a DNS name of its own at 127.0.0.1 and then talk to us as its own origin; but
/// it cannot make the browser send another Host header than that name. IP addresses and `localhost` cannot
/// be pointed anywhere, so they are always answered; other names only if they are configured.
#[derive(Debug, Clone, Default)]
pub struct Perimeter {
    hosts: Vec<String>,
}

impl Perimeter {
    /// Loopback names and IP addresses only.
    #[must_use]
    pub fn loopback() -> Self {
        Self::default()
    }

    /// Also answers to these names (without port).
    #[must_use]
    pub fn with_hosts(hosts: impl IntoIterator<Item = String>) -> Self {
        Self {
            hosts: hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
        }
    }

    fn admits(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        // Only browsers can be tricked this way, and they always send the header once.
        let mut named = headers.get_all(header::HOST).iter();
        let from_header = match (named.next(), named.next()) {
            (None, _) => true,
            (Some(value), None) => value.to_str().is_ok_and(|value| self.admits_host(value)),
            (Some(_), Some(_)) => false,
        };
        from_header
            && uri
                .authority()
                .is_none_or(|authority| self.admits_host(authority.as_str()))
    }

    fn admits_host(&self, authority: &str) -> bool {
        // What programs ask for, most of the time.
        if authority.parse::<SocketAddr>().is_ok() {
            return true;
        }
        let Ok(authority) = authority.parse::<http::uri::Authority>() else {
            return false;
        };
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || bare.parse::<IpAddr>().is_ok()
            || self.hosts.contains(&host)
    }

    pub(crate) fn around(self) -> Around {
        Around {
            perimeter: self,
            ids: RequestIds::new(),
        }
    }
}

/// What is done before every route and after it.
pub(crate) struct Around {
    perimeter: Perimeter,
    ids: RequestIds,
}

/// A request that was let in.
pub(crate) struct Entered {
    id: String,
    watch: Option<unread::Watch>,
}

impl Around {
    /// Lets the request in, or answers it.
    pub(crate) fn enter(&self, request: &mut Request) -> Result<Entered, Box<Response>> {
        let id = self.ids.of(request.headers());
        request.extensions_mut().insert(RequestId(id.clone()));
        let entered = Entered {
            id,
            watch: unread::watch(request),
        };
        if self.perimeter.admits(request.headers(), request.uri()) {
            return Ok(entered);
        }
        let refused = ApiError::new(
            Meaning::PermissionDenied,
            "host_refused",
            "this server does not answer to that host name",
        )
        .with_status(StatusCode::MISDIRECTED_REQUEST)
        .with_hint("use 127.0.0.1 or localhost, or add the name to server.hosts")
        .render(Dialect::of_path(request.uri().path()));
        Err(Box::new(self.leave(entered, refused)))
    }

    /// Puts on the answer what every answer carries.
    pub(crate) fn leave(&self, entered: Entered, mut response: Response) -> Response {
        if let Some(watch) = entered.watch {
            watch.tell(&mut response);
        }
        protect(response.headers_mut());
        if let Ok(value) = HeaderValue::try_from(entered.id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
}

/// Headers that every answer carries unless its handler chose stricter or more fitting ones.
static DEFAULTS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let defaults = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        // An artifact that a browser opens must not run as a page of ours: no scripts, an origin of its own.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; sandbox",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let defaults = defaults.map(|(name, value)| (name, HeaderValue::from_static(value)));
    defaults.into_iter().collect()
});

/// A copy of all of them at once, and the answer's own into it: each by itself would be looked for.
fn protect(headers: &mut HeaderMap) {
    let own = std::mem::replace(headers, DEFAULTS.clone());
    headers.extend(own);
}

/// Ids for the log: unique within an installation's lifetime for all practical purposes, and not secret.
struct RequestIds {
    /// What all of this process begin with.
    prefix: String,
    next: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        // The hasher's keys are random per process, which is all that is needed here.
        Self {
            prefix: format!("req_{:08x}", RandomState::new().build_hasher().finish() >> 32),
            next: AtomicU64::new(1),
        }
    }

    /// The client's own id if it sent a harmless one, so that its log and ours meet.
    fn of(&self, headers: &HeaderMap) -> String {
        let theirs = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        if let Some(id) = theirs
            && (1..=REQUEST_ID_MAX_LEN).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        {
            return id.to_owned();
        }
        self.made(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn made(&self, number: u64) -> String {
        let mut id = String::with_capacity(self.prefix.len() + 16);
        id.push_str(&self.prefix);
        // Written by hand: formatting takes as long as finding out who asks.
        let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(8);
        for digit in (0..digits).rev() {
            let digit = (number >> (4 * digit)) as u32 & 0xf;
            id.extend(char::from_digit(digit, 16));
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_own_headers_stand_before_the_defaults() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        for cookie in ["a=1", "b=2"] {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        protect(&mut headers);
        assert_eq!(headers[header::CACHE_CONTROL], "private");
        assert_eq!(headers.get_all(header::CACHE_CONTROL).iter().count(), 1);
        assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
        let cookies: Vec<_> = headers.get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
    }

    #[test]
    fn ids_count_on_and_have_eight_digits_at_least() {
        let ids = RequestIds::new();
        for number in [0, 1, 0x1f, 0xdead_beef, 0x1_0000_0000, u64::MAX] {
            assert_eq!(ids.made(number), format!("{}{number:08x}", ids.prefix));
        }
        let none = HeaderMap::new();
        assert_ne!(ids.of(&none), ids.of(&none));
    }

    #[test]
    fn only_names_that_cannot_be_rebound_are_answered() {
        let plain = Perimeter::loopback();
        for host in [
            "localhost",
            "LOCALHOST:7070",
            "127.0.0.1:7070",
            "[::1]:7070",
            "10.0.0.8",
            "a.localhost",
        ] {
            assert!(plain.admits_host(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:7070",
            "",
            "a@b@c",
        ] {
            assert!(!plain.admits_host(host), "{host}");
        }
        let named = Perimeter::with_hosts(["Corliss.Example".to_owned()]);
        assert!(named.admits_host("corliss.example:443"));
        assert!(!named.admits_host("other.example"));
    }
}
