//! Extractors that refuse bad input in our own words: which field, which line, what was meant.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use corliss_diagnostics::{Meaning, nearest};
use corliss_types::{Permission, Principal};
use http::header;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dispatch::{BodyLimit, too_large};
use crate::json_words::{json_words, shown_path};
use crate::{ApiError, Credential, Guard};

/// How long a body that is held in memory may take to arrive, also on routes without a time limit.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The authenticated caller; only routes that are not public have one.
#[derive(Debug, Clone)]
pub struct Caller(pub Principal);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts
            .extensions
            .get::<Principal>()
            .cloned()
            .map(Self)
            .ok_or_else(|| {
                ApiError::new(
                    Meaning::Unauthenticated,
                    "credential_missing",
                    "no credential was sent",
                )
            })
    }
}

/// What the caller may do beyond what the route demands: for a body of which a field demands more.
#[derive(Clone)]
pub struct Authority {
    pub(crate) guard: Arc<dyn Guard>,
    pub(crate) principal: Principal,
}

impl Authority {
    /// Refuses a caller whose role does not hold the permission.
    ///
    /// # Errors
    /// It does not; the error names the roles that do.
    pub fn demand(&self, permission: Permission) -> Result<(), ApiError> {
        let allowed = self.guard.allows(&self.principal, permission);
        allowed.map_err(crate::Denial::into_error)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Authority {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| crate::AuthFailure::Missing.into_error())
    }
}

/// What the request presented, checked or not: for signing in and out.
#[derive(Debug, Clone)]
pub struct Presented(pub Credential);

impl<S: Send + Sync> FromRequestParts<S> for Presented {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(parts
            .extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self(Credential::of(&parts.headers))))
    }
}

/// The address at the other end of the connection, as the listener saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAddress(pub(crate) SocketAddr);

/// The id under which this request appears in the log and in `x-request-id`; empty in tests that call the
/// router directly.
#[derive(Debug, Clone, Default)]
pub struct RequestId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// The address at the other end of the connection; absent in tests that call the router directly.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub Option<SocketAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(parts.extensions.get::<PeerAddress>().map(|peer| peer.0)))
    }
}

/// Path parameters.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection @ PathRejection::FailedToDeserializePathParams(_)) => {
                let text = rejection.body_text();
                let reason = text.strip_prefix("Invalid URL: ").unwrap_or(&text);
                Err(ApiError::new(
                    Meaning::InvalidInput,
                    "path_invalid",
                    format!("the path is not valid: {reason}"),
                ))
            }
            Err(rejection) => Err(ApiError::new(
                Meaning::Internal,
                "route_broken",
                rejection.body_text(),
            )),
        }
    }
}

/// Query parameters. Unknown ones are refused only if `T` says so.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        serde_urlencoded_with_path(query).map(Self)
    }
}

fn serde_urlencoded_with_path<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    // A parameter without a value ("?state=") means the same as none, as a form sends it.
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
        .map_err(|error| ApiError::new(Meaning::InvalidInput, "query_invalid", error.to_string()))?;
    let kept: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let text = serde_urlencoded::to_string(&kept)
        .map_err(|error| ApiError::new(Meaning::InvalidInput, "query_invalid", error.to_string()))?;
    let deserializer = serde_urlencoded::Deserializer::new(form_pairs(&text));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        invalid(
            "query_invalid",
            "query",
            error.path().to_string(),
            &error.inner().to_string(),
        )
    })
}

/// A JSON body, and a JSON answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        require_json(&request)?;
        let bytes = read_body(request).await?;
        parse_json(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
            Err(error) => {
                ApiError::new(Meaning::Internal, "answer_not_json", error.to_string()).into_response()
            }
        }
    }
}

/// A body that says it is JSON, read whole and not parsed yet: for what may be passed on as it is.
#[derive(Debug, Clone)]
pub struct JsonBytes(pub Bytes);

impl JsonBytes {
    /// What [`Json`] would have made of it.
    ///
    /// # Errors
    /// As [`Json`] refuses it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse_json(&self.0)
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        require_json(&request)?;
        read_body(request).await.map(Self)
    }
}

/// A body read whole but not understood: for what is passed on, and for forms other than JSON.
#[derive(Debug, Clone)]
pub struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        read_body(request).await.map(Self)
    }
}

/// A page of another site can send any text, but not this content type, without asking us first.
fn require_json(request: &Request) -> Result<(), ApiError> {
    let value = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::new(
        Meaning::InvalidInput,
        "content_type_not_json",
        "the request body must be JSON",
    )
    .with_status(http::StatusCode::UNSUPPORTED_MEDIA_TYPE)
    .with_hint("send the header 'content-type: application/json'"))
}

async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    let limit_bytes = request.extensions().get::<BodyLimit>().map_or(0, |limit| limit.0);
    read(request.into_body(), limit_bytes).await
}

async fn read(body: Body, limit_bytes: u64) -> Result<Bytes, ApiError> {
    let Ok(read) = tokio::time::timeout(BODY_TIMEOUT, body.collect()).await else {
        return Err(ApiError::new(
            Meaning::DeadlineExceeded,
            "body_too_slow",
            format!(
                "the request body did not arrive within {} s",
                BODY_TIMEOUT.as_secs()
            ),
        )
        .with_status(http::StatusCode::REQUEST_TIMEOUT));
    };
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if is_length_limit(&error) => Err(too_large(limit_bytes)),
        Err(error) => Err(ApiError::new(
            Meaning::InvalidInput,
            "body_incomplete",
            format!("the request body ended early: {error}"),
        )),
    }
}

fn is_length_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_length_limit)
}

/// Parses JSON with our error shape; also for bodies that a handler read itself.
fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.is_empty() {
        return Err(
            ApiError::new(Meaning::InvalidInput, "body_missing", "the request body is empty")
                .with_hint("send a JSON object"),
        );
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        invalid(
            "body_invalid",
            "body",
            error.path().to_string(),
            &error.inner().to_string(),
        )
    })?;
    deserializer
        .end()
        .map_err(|error| invalid("body_invalid", "body", String::new(), &error.to_string()))?;
    Ok(value)
}

fn form_pairs(text: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(text.as_bytes())
}

/// A parser's message with the field in front and, for a mistyped name, the one that was likely meant. Where in the text
/// it stands is told where that helps: programs write their bodies in one line.
fn invalid(code: &str, place: &str, path: String, said: &str) -> ApiError {
    let words = json_words(said);
    let field = (path != "." && path != "?" && !path.is_empty()).then(|| shown_path(&path));
    let at = match &words.place {
        Some(at) if field.is_none() || !at.starts_with("line 1 ") => format!(" ({at})"),
        _ => String::new(),
    };
    let reason = &words.reason;
    let message = match &field {
        Some(field) => format!("{field}: {reason}{at}"),
        None => format!("the request {place} is not valid: {reason}{at}"),
    };
    let mut error = ApiError::new(Meaning::InvalidInput, code, message);
    if let Some(field) = field.or_else(|| quoted(said, "missing field ")) {
        error = error.with_field(field);
    }
    match did_you_mean(said) {
        Some(name) => error.with_hint(format!("did you mean '{name}'?")),
        None => error,
    }
}

fn quoted(reason: &str, before: &str) -> Option<String> {
    let rest = reason.strip_prefix(before)?.strip_prefix('`')?;
    rest.split('`').next().map(str::to_owned)
}

/// serde says "unknown field `a`, expected one of `b`, `c`": the nearest of those.
fn did_you_mean(reason: &str) -> Option<String> {
    let (unknown, expected) = reason.split_once(", expected ")?;
    if !unknown.starts_with("unknown ") {
        return None;
    }
    let unknown = unknown.split('`').nth(1)?;
    nearest(unknown, expected.split('`').skip(1).step_by(2)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        name: String,
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    struct Item {
        count: u32,
    }

    fn refused(body: &str) -> ApiError {
        parse_json::<Order>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_wrong_type_names_its_field_and_line() {
        let error = refused("{\"name\": \"a\",\n \"items\": [{\"count\": \"x\"}]}");
        assert_eq!(error.report().field.as_deref(), Some("items[0].count"));
        assert!(
            error.report().message.contains("line 2"),
            "{}",
            error.report().message
        );
        let error = refused(r#"{"name": 7, "items": []}"#);
        assert_eq!(
            error.report().message,
            "name: must be a string, not 7",
            "where in its only line says nothing"
        );
    }

    #[test]
    fn unknown_and_missing_fields_are_named() {
        let error = refused(r#"{"nam": "a", "items": []}"#);
        assert_eq!(error.report().hint.as_deref(), Some("did you mean 'name'?"));
        let error = refused(r#"{"name": "a"}"#);
        assert_eq!(error.report().field.as_deref(), Some("items"));
    }

    #[test]
    fn trailing_text_emptiness_and_depth_are_refused() {
        assert_eq!(refused("").report().code, "body_missing");
        assert_eq!(
            refused(r#"{"name": "a", "items": []} x"#).report().code,
            "body_invalid"
        );
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse_json::<serde_json::Value>(deep.as_bytes()).is_err());
        let order = parse_json::<Order>(br#"{"name": "a", "items": [{"count": 2}]}"#).unwrap();
        assert_eq!((order.name.as_str(), order.items[0].count), ("a", 2));
    }

    #[test]
    fn query_parameters_are_typed_and_empty_ones_absent() {
        #[derive(Debug, Deserialize)]
        struct Filter {
            limit: Option<u32>,
            state: Option<String>,
        }
        let filter: Filter = serde_urlencoded_with_path("limit=3&state=").unwrap();
        assert_eq!((filter.limit, filter.state), (Some(3), None));
        let error = serde_urlencoded_with_path::<Filter>("limit=x").unwrap_err();
        assert_eq!(error.report().field.as_deref(), Some("limit"));
    }
}
