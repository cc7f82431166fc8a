//! Requests for services elsewhere: passed on, and their answers sent as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use corliss_http::{ApiError, JsonBytes};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, header};
use http_body::Frame;
use serde_json::{Map, Value};
use tokio::time::{Instant, Sleep, sleep_until};

use super::stream::body_of;
use crate::error::GatewayError;
use crate::service::Gateway;
use crate::service::call::Origin;
use crate::service::forward::envelope::Api;
use crate::service::forward::{Destined, Forwarded, Passing};

/// Pause after which a comment is sent, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers a request by a service if one is to, else as `here` does; where that fails for a reason that is not the
/// request's own, by the endpoints of the other kind that it falls back to. Each kind falls back to its own by itself.
/// A caller with limited rates is told with the answer what is left of them.
pub(super) async fn or_here<F>(
    gateway: &Arc<Gateway>,
    api: Api,
    mut origin: Origin,
    body: JsonBytes,
    here: impl Fn(Origin, Map<String, Value>) -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<Response, GatewayError>>,
{
    let standing = gateway.quotas().standing(&origin.caller);
    origin.standing.clone_from(&standing);
    let trace = gateway
        .spans()
        .and_then(|spans| spans.begin(api, &origin, &body.0));
    origin.trace.clone_from(&trace);
    let answered = by_any(gateway, api, origin, body, here).await;
    if let (Some(trace), Err(error)) = (&trace, &answered) {
        trace.refused(&error.report().code);
    }
    let Some(standing) = standing else {
        return answered;
    };
    match answered {
        Ok(mut response) => {
            response.headers_mut().extend(standing.headers());
            Ok(response)
        }
        Err(error) => Err(error.with_headers(standing.headers())),
    }
}

async fn by_any<F>(
    gateway: &Arc<Gateway>,
    api: Api,
    origin: Origin,
    body: JsonBytes,
    here: impl Fn(Origin, Map<String, Value>) -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Result<Response, GatewayError>>,
{
    let first = match answer(gateway, api, origin.clone(), &body, &here).await? {
        Err(error) if error.allows_fallback() => error,
        answered => return answered.map_err(GatewayError::into_api),
    };
    for (origin, body) in gateway.of_other_kind(api, &origin, &body.0) {
        match answer(gateway, api, origin, &JsonBytes(body), &here).await? {
            // Who asks for more than they may is not helped by hearing what is wrong elsewhere.
            Err(error) if error.allows_fallback() && !error.is_about_limits() => {}
            answered => return answered.map_err(GatewayError::into_api),
        }
    }
    Err(first.into_api())
}

async fn answer<F>(
    gateway: &Arc<Gateway>,
    api: Api,
    origin: Origin,
    body: &JsonBytes,
    here: &impl Fn(Origin, Map<String, Value>) -> F,
) -> Result<Result<Response, GatewayError>, ApiError>
where
    F: Future<Output = Result<Response, GatewayError>>,
{
    // Each way is large and only one is gone: what is boxed is not copied with its surroundings on the other.
    Ok(match gateway.destined(api, origin, &body.0) {
        Ok(Destined::There(call, envelope)) => {
            let forwarded = Box::pin(gateway.pass_on(&call, &envelope)).await;
            forwarded.map(|forwarded| respond(api, forwarded))
        }
        Ok(Destined::Here(origin)) => Box::pin(here(origin, body.parse()?)).await,
        Err(error) => Err(error),
    })
}

fn respond(api: Api, forwarded: Forwarded) -> Response {
    match forwarded {
        Forwarded::Whole { kind, body } => {
            let mut response = Response::new(Body::from(body));
            let json = HeaderValue::from_static("application/json");
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, kind.unwrap_or(json));
            response
        }
        Forwarded::Stream(passing) => {
            let events = Events {
                api,
                passing,
                sent: Instant::now(),
                alarm: None,
            };
            let mut response = Response::new(Body::new(events));
            let headers = response.headers_mut();
            for (name, value) in [
                (header::CONTENT_TYPE, "text/event-stream"),
                (header::CACHE_CONTROL, "no-store"),
                (HeaderName::from_static("x-accel-buffering"), "no"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            response
        }
    }
}

struct Events {
    api: Api,
    passing: Box<Passing>,
    /// When anything was sent last.
    sent: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let body = self.get_mut();
        let data = match body.passing.poll_next(context) {
            Poll::Pending => ready!(body.poll_pause(context)),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Ok(events))) => events,
            // The status is long sent: the error is an event, and no last word follows, so that nobody takes half an
            // answer for a whole one.
            Poll::Ready(Some(Err(error))) => error_event(body.api, error),
        };
        body.sent = Instant::now();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl Events {
    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        let due = self.sent + KEEP_ALIVE;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        while alarm.as_mut().poll(context).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(Bytes::from_static(b": keep-alive\n\n"));
            }
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}

fn error_event(api: Api, error: GatewayError) -> Bytes {
    let name = if api == Api::Responses {
        "event: error\n"
    } else {
        ""
    };
    // It is rendered into memory, so there is nothing to wait for.
    let body = body_of(error.into_api()).now_or_never().unwrap_or_default();
    Bytes::from(format!("{name}data: {body}\n\n"))
}
