//! Who is calling, and may they: the port that the security capability implements.

use std::net::IpAddr;

use async_trait::async_trait;
use base64::Engine;
use corliss_diagnostics::{ErrorReport, Meaning};
use corliss_types::{Access, Permission, Principal, Role};
use http::{HeaderMap, Method, StatusCode, header};

use crate::ApiError;

/// The name of the console's session cookie.
pub const SESSION_COOKIE: &str = "corliss_session";
/// The header that a page of ours sends and a form of another site cannot.
pub(crate) const CONSOLE_HEADER: &str = "x-corliss-console";
const CREDENTIAL_MAX_LEN: usize = 512;

/// What a request presented to prove who sent it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    None,
    /// A token: the Bearer value, the password of Basic, or `x-api-key`.
    Token(String),
    /// The console's session cookie.
    Session(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token(…)",
            Self::Session(_) => "Session(…)",
        })
    }
}

impl Credential {
    /// Reads the credential of a request. A header wins over the cookie: a client that sends one means it.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            // A malformed header is a wrong token, not an absent one: it must never fall back to the cookie.
            return Self::Token(value.to_str().ok().and_then(token_of).unwrap_or_default());
        }
        if let Some(value) = headers.get("x-api-key") {
            return Self::Token(bounded(value.to_str().unwrap_or_default()));
        }
        match session_of(headers) {
            Some(session) => Self::Session(session),
            None => Self::None,
        }
    }
}

fn token_of(value: &str) -> Option<String> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(bounded(rest));
    }
    if scheme.eq_ignore_ascii_case("basic") && rest.len() <= 2 * CREDENTIAL_MAX_LEN {
        let decoded = base64::engine::general_purpose::STANDARD.decode(rest).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        return Some(bounded(text.split_once(':')?.1));
    }
    None
}

fn session_of(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == SESSION_COOKIE)
        .map(|(_, value)| bounded(value))
}

fn bounded(text: &str) -> String {
    if text.len() > CREDENTIAL_MAX_LEN {
        String::new()
    } else {
        text.to_owned()
    }
}

/// Why a caller is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthFailure {
    /// Nothing was presented.
    Missing,
    /// What was presented is not a credential of this installation.
    Unknown,
    /// It was valid once.
    Expired,
    /// Too many failed attempts from this address.
    Throttled {
        /// Seconds until the next attempt is looked at.
        retry_after_s: u64,
    },
    /// The credential could not be checked.
    Unavailable(ErrorReport),
}

impl AuthFailure {
    pub(crate) fn into_error(self) -> ApiError {
        let sign_in = "send the token in 'Authorization: Bearer …'; `corliss env` prints it";
        match self {
            Self::Missing => ApiError::new(
                Meaning::Unauthenticated,
                "credential_missing",
                "no credential was sent",
            )
            .with_hint(sign_in),
            Self::Unknown => ApiError::new(
                Meaning::Unauthenticated,
                "credential_unknown",
                "the credential is not valid here",
            )
            .with_hint(sign_in),
            Self::Expired => ApiError::new(
                Meaning::Unauthenticated,
                "credential_expired",
                "the credential has expired",
            )
            .with_hint("sign in again, or ask a platform admin for a new token"),
            Self::Throttled { retry_after_s } => ApiError::new(
                Meaning::ResourceExhausted,
                "too_many_attempts",
                "too many failed attempts from this address",
            )
            .with_retry_after(retry_after_s),
            Self::Unavailable(report) => ApiError::of_report(Meaning::Unavailable, report),
        }
    }
}

/// Why a known caller may not do this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The caller's role.
    pub role: Role,
    /// What the route demands.
    pub permission: Permission,
    /// The roles that hold it, for the hint.
    pub held_by: Vec<Role>,
}

impl Denial {
    pub(crate) fn into_error(self) -> ApiError {
        let holders: Vec<&str> = self.held_by.iter().map(|role| role.as_str()).collect();
        let error = ApiError::new(
            Meaning::PermissionDenied,
            "permission_denied",
            format!(
                "the role {} does not hold the permission {}",
                self.role, self.permission
            ),
        );
        if holders.is_empty() {
            error
        } else {
            error.with_hint(format!("held by: {}", holders.join(", ")))
        }
    }
}

/// A request that was answered, as told to the guard for its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestEvent {
    /// Who called, if known.
    pub principal: Option<Principal>,
    /// Where from.
    pub peer: Option<IpAddr>,
    /// HTTP method.
    pub method: Method,
    /// Path template of the route.
    pub route: String,
    /// What the route demands.
    pub access: Access,
    /// The path as requested, without its query (queries may hold secrets).
    pub target: String,
    /// Status of the answer.
    pub status: StatusCode,
    /// The request's id.
    pub request_id: String,
}

impl RequestEvent {
    /// Whether the request was refused for lack of a credential or a permission.
    #[must_use]
    pub fn denied(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED || self.status == StatusCode::FORBIDDEN
    }

    /// Whether the request may have changed something. A search that is sent by POST has not.
    #[must_use]
    pub fn writes(&self) -> bool {
        let reads = matches!(self.access, Access::Requires(permission) if permission.reads());
        !reads && !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// Decides about callers. Implemented by the security capability; asked on every request that is not public.
#[async_trait]
pub trait Guard: Send + Sync {
    /// Who presented this. `peer` is the address it came from, where known.
    async fn authenticate(
        &self,
        presented: Credential,
        peer: Option<IpAddr>,
    ) -> Result<Principal, AuthFailure>;

    /// Whether the caller holds the permission.
    fn allows(&self, principal: &Principal, permission: Permission) -> Result<(), Denial>;

    /// Called with every refusal and every request that may have changed something, before its answer is sent.
    async fn record(&self, event: RequestEvent) {
        let _ = event;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<_>>()
            .into_iter()
            .fold(
                HeaderMap::new(),
                |mut map, (name, value): (http::HeaderName, http::HeaderValue)| {
                    map.append(name, value);
                    map
                },
            )
    }

    #[test]
    fn credentials_are_read_from_every_place_that_clients_use() {
        let token = Credential::Token("t1".to_owned());
        assert_eq!(Credential::of(&headers(&[("authorization", "Bearer t1")])), token);
        assert_eq!(
            Credential::of(&headers(&[("authorization", "bearer  t1")])),
            token
        );
        assert_eq!(
            Credential::of(&headers(&[("authorization", "Basic dXNlcjp0MQ==")])),
            token
        );
        assert_eq!(Credential::of(&headers(&[("x-api-key", "t1")])), token);
        assert_eq!(
            Credential::of(&headers(&[("cookie", "a=b; corliss_session=s1")])),
            Credential::Session("s1".to_owned())
        );
        assert_eq!(Credential::of(&HeaderMap::new()), Credential::None);
    }

    #[test]
    fn a_bad_header_never_falls_back_to_the_cookie() {
        let both = headers(&[("authorization", "Digest x"), ("cookie", "corliss_session=s1")]);
        assert_eq!(Credential::of(&both), Credential::Token(String::new()));
        let long = "x".repeat(5000);
        assert_eq!(
            Credential::of(&headers(&[("x-api-key", &long)])),
            Credential::Token(String::new())
        );
    }

    #[test]
    fn what_a_permission_only_reads_is_no_change_whatever_its_method() {
        let event = |method: &Method, access| RequestEvent {
            principal: None,
            peer: None,
            method: method.clone(),
            route: "/things".to_owned(),
            access,
            target: "/things".to_owned(),
            status: StatusCode::OK,
            request_id: "r".to_owned(),
        };
        let writes = |method, access| event(method, access).writes();
        let search = Access::Requires(Permission::TrackingRead);
        let change = Access::Requires(Permission::TrackingWrite);
        assert!(!writes(&Method::POST, search));
        assert!(writes(&Method::POST, change));
        assert!(!writes(&Method::GET, change));
        assert!(writes(&Method::POST, Access::Public));
        assert!(writes(&Method::DELETE, Access::Authenticated));
    }

    #[test]
    fn secrets_do_not_print() {
        assert!(!format!("{:?}", Credential::Token("secret".to_owned())).contains("secret"));
    }
}
