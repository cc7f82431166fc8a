//! One call of a method: its message out of the request's body, its answer into the response's.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use corliss_diagnostics::Meaning;
use corliss_http::ApiError;
use futures_util::stream::{self, Stream};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use prost::Message;
use tonic::codec::{EncodeBody, SingleMessageCompressionOverride};
use tonic::{Code, Status, Streaming};
use tonic_prost::{ProstDecoder, ProstEncoder};

const GRPC: &str = "application/grpc";
/// How long the message of a call with one message may take to arrive.
const MESSAGE_PATIENCE: Duration = Duration::from_secs(60);

/// The one message of the call, and what came with it.
pub(super) async fn message<Q>(request: Request, limit_bytes: u64) -> Result<(Parts, Q), ApiError>
where
    Q: Message + Default + 'static,
{
    let (parts, mut messages) = messages::<Q>(request, limit_bytes)?;
    match tokio::time::timeout(MESSAGE_PATIENCE, messages.message()).await {
        Ok(Ok(Some(message))) => Ok((parts, message)),
        Ok(Ok(None)) => Err(invalid("the request has no message")),
        Ok(Err(status)) => Err(broken(&status)),
        Err(_) => Err(ApiError::new(
            Meaning::DeadlineExceeded,
            "body_too_slow",
            format!(
                "the message did not arrive within {} s",
                MESSAGE_PATIENCE.as_secs()
            ),
        )),
    }
}

/// All messages of the call, as they come.
pub(super) fn messages<Q>(request: Request, limit_bytes: u64) -> Result<(Parts, Streaming<Q>), ApiError>
where
    Q: Message + Default + 'static,
{
    let (parts, body) = request.into_parts();
    check(&parts.headers)?;
    let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
    let decoder = ProstDecoder::<Q>::default();
    Ok((parts, Streaming::new_request(decoder, body, None, Some(limit))))
}

fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_grpc = kind
        .and_then(|kind| kind.strip_prefix(GRPC.as_bytes()))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+proto") || rest.starts_with(b";"));
    if !is_grpc {
        return Err(invalid(
            "this is a method of gRPC, whose content-type is application/grpc",
        ));
    }
    match headers.get("grpc-encoding") {
        Some(encoding) if encoding != "identity" => Err(ApiError::new(
            Meaning::InvalidInput,
            "grpc_unimplemented",
            "compressed messages are not supported",
        )
        .with_hint("send them as they are")),
        _ => Ok(()),
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(Meaning::InvalidInput, "message_invalid", message)
}

/// Why there is no message, in our words of what it means.
pub(super) fn broken(status: &Status) -> ApiError {
    let meaning = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => Meaning::TooLarge,
        _ => Meaning::InvalidInput,
    };
    let message = format!("the request's message is not valid: {}", status.message());
    ApiError::new(meaning, "message_invalid", message)
}

/// The answer of one message.
pub(super) fn answer<A: Message + 'static>(message: A) -> Response {
    answers(stream::iter([Ok(message)]))
}

/// The answer of all these messages; an error ends it.
pub(super) fn answers<A: Message + 'static>(
    messages: impl Stream<Item = Result<A, Status>> + Send + 'static,
) -> Response {
    let body = EncodeBody::new_server(
        ProstEncoder::<A>::default(),
        messages,
        None,
        SingleMessageCompressionOverride::default(),
        None,
    );
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(GRPC));
    response
}

/// The end of a stream of answers that something went wrong with.
pub(super) fn status_of(error: &ApiError) -> Status {
    Status::new(Code::from_i32(error.grpc_code()), error.sentence())
}
