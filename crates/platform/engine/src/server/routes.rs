//! The engine's routes: `/ready`, `/metadata`, `/stats`, and by kind of model `/infer`, or `/generate` and `/embed`.

use std::sync::Arc;

use bytes::Bytes;
use corliss_diagnostics::ErrorReport;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Active, Cell, Engine, generate, status};
use crate::EngineError;
use crate::protocol::{EngineState, JSON_LENGTH_HEADER, TensorMessage};

/// Requests are held in memory up to this size: the gateway's limit, and what it may write around tensors.
const BODY_LIMIT_BYTES: usize = (64 << 20) + (1 << 20);

pub(super) type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// Answers one request; every outcome is an answer.
pub(super) async fn answer(cell: &Arc<Cell>, request: Request<Incoming>) -> Response<Body> {
    match route(cell, request).await {
        Ok(response) => response,
        Err(error) => failed(&error),
    }
}

async fn route(cell: &Arc<Cell>, request: Request<Incoming>) -> Result<Response<Body>, EngineError> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match (&method, path.as_str()) {
        (&Method::GET, "/ready") => {
            let ready = cell.ready();
            let status = if ready.state == EngineState::Ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            Ok(json(status, &ready))
        }
        (&Method::GET, "/metadata") => Ok(json(
            StatusCode::OK,
            &match cell.engine()?.as_ref() {
                Engine::Predictive(engine) => engine.metadata(),
                Engine::Gguf(engine) => engine.metadata(),
            },
        )),
        (&Method::GET, "/stats") => Ok(json(
            StatusCode::OK,
            &match cell.engine()?.as_ref() {
                Engine::Predictive(engine) => engine.stats(),
                Engine::Gguf(engine) => engine.stats(),
            },
        )),
        (&Method::POST, "/infer" | "/generate" | "/embed" | "/count") => {
            let active = cell.admit()?;
            compute(cell, active, request, path).await
        }
        _ => Err(no_route(cell, &method, path)),
    }
}

async fn compute(
    cell: &Arc<Cell>,
    active: Active,
    request: Request<Incoming>,
    path: String,
) -> Result<Response<Body>, EngineError> {
    let engine = cell.engine()?;
    match (engine.as_ref(), path.as_str()) {
        (Engine::Predictive(engine), "/infer") => {
            let json_bytes = json_length(request.headers())?;
            let body = read(request).await?;
            Ok(tensors(engine.infer(&body, json_bytes).await?))
        }
        (Engine::Gguf(gguf), "/generate") => {
            let wanted = parse(&read(request).await?)?;
            let events = gguf.generate(&wanted).await?;
            let body = generate::EventBody::new(events, active).boxed_unsync();
            Ok(respond(StatusCode::OK, body))
        }
        (Engine::Gguf(gguf), "/embed") => {
            let wanted = parse(&read(request).await?)?;
            Ok(json(StatusCode::OK, &gguf.embed(&wanted).await?))
        }
        (Engine::Gguf(gguf), "/count") => {
            let wanted = parse(&read(request).await?)?;
            Ok(json(StatusCode::OK, &gguf.count(&wanted)?))
        }
        _ => Err(no_route(cell, &Method::POST, path)),
    }
}

fn no_route(cell: &Cell, method: &Method, path: String) -> EngineError {
    EngineError::NoSuchRoute {
        flavor: cell.flavor.as_str(),
        method: method.to_string(),
        path,
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, EngineError> {
    serde_json::from_slice(body)
        .map_err(|error| EngineError::invalid("body", format!("the request is not valid: {error}")))
}

async fn read(request: Request<Incoming>) -> Result<Bytes, EngineError> {
    match Limited::new(request.into_body(), BODY_LIMIT_BYTES)
        .collect()
        .await
    {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(EngineError::BodyTooLarge {
            limit_bytes: BODY_LIMIT_BYTES,
        }),
        Err(error) => Err(EngineError::invalid(
            "body",
            format!("the request's body broke off: {error}"),
        )),
    }
}

fn json_length(headers: &HeaderMap) -> Result<Option<usize>, EngineError> {
    let Some(value) = headers.get(JSON_LENGTH_HEADER) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| {
        let detail = format!("the header {JSON_LENGTH_HEADER} must be a whole number");
        EngineError::invalid(JSON_LENGTH_HEADER, detail)
    })
}

fn tensors(message: TensorMessage) -> Response<Body> {
    let json_bytes = message.json_bytes;
    let mut response = respond(StatusCode::OK, message.into_body().boxed_unsync());
    if let Some(length) = json_bytes {
        let headers = response.headers_mut();
        headers.insert(JSON_LENGTH_HEADER, HeaderValue::from(length));
        let bytes = HeaderValue::from_static("application/octet-stream");
        headers.insert(header::CONTENT_TYPE, bytes);
    }
    response
}

fn failed(error: &EngineError) -> Response<Body> {
    #[derive(Serialize)]
    struct Envelope {
        error: ErrorReport,
    }
    let mut response = json(
        status(error),
        &Envelope {
            error: ErrorReport::of(error),
        },
    );
    if let Some(seconds) = error.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    // Plain structs of texts and numbers: nothing in them can fail to become JSON.
    let body = serde_json::to_vec(value).unwrap_or_default();
    respond(status, Full::new(Bytes::from(body)).boxed_unsync())
}

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
