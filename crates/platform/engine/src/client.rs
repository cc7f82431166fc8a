//! The way to an engine process: HTTP/1.1 over its Unix socket. Dropping an answer closes its connection, which
//! cancels the work.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corliss_diagnostics::ErrorReport;
use corliss_upstream::{Answer, Pieces, Upstream, UpstreamError};
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::EngineError;
use crate::protocol::{
    Count, CountRequest, EmbedRequest, Embeddings, GenerateEvent, GenerateRequest, JSON_LENGTH_HEADER,
    Metadata, Ready, Stats, TensorMessage,
};

/// Answers other than streams are held in memory up to this size.
const ANSWER_LIMIT_BYTES: usize = 256 << 20;
/// One line of a stream.
const EVENT_LIMIT_BYTES: usize = 4 << 20;
/// For questions that an engine answers without computing.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// For the end of a stream after its last event.
const LAST_BYTES_TIMEOUT: Duration = Duration::from_millis(100);

/// An engine process as its callers see it. Cheap to clone; clones share idle connections.
#[derive(Clone)]
pub struct EngineClient {
    socket: Arc<Path>,
    upstream: Upstream,
}

impl std::fmt::Debug for EngineClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineClient")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

impl EngineClient {
    /// A client of the engine that listens on this socket. Connects at first use.
    #[must_use]
    pub fn unix(socket: impl Into<PathBuf>) -> Self {
        let socket = socket.into();
        Self {
            socket: socket.clone().into(),
            upstream: Upstream::unix(socket),
        }
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether the engine can answer. An engine that is loading, draining or failed answers too: only a
    /// process that is not there, or is not an engine, is an error.
    pub async fn ready(&self) -> Result<Ready, EngineError> {
        let (status, body) = self.probe("/ready").await?;
        if status == StatusCode::OK || status == StatusCode::SERVICE_UNAVAILABLE {
            parse(&body)
        } else {
            Err(remote(status, &body))
        }
    }

    /// What the engine serves.
    pub async fn metadata(&self) -> Result<Metadata, EngineError> {
        let (status, body) = self.probe("/metadata").await?;
        if status.is_success() {
            parse(&body)
        } else {
            Err(remote(status, &body))
        }
    }

    /// Counters.
    pub async fn stats(&self) -> Result<Stats, EngineError> {
        let (status, body) = self.probe("/stats").await?;
        if status.is_success() {
            parse(&body)
        } else {
            Err(remote(status, &body))
        }
    }

    /// Sends an Open Inference Protocol request as it is and returns the answer as it is (ONNX).
    /// Dropping the future withdraws the request if it has not been batched yet.
    pub async fn infer(&self, message: TensorMessage) -> Result<TensorMessage, EngineError> {
        let json_bytes = message.json_bytes;
        let mut request = build_request(Method::POST, "/infer", message.into_body())?;
        if let Some(length) = json_bytes {
            let headers = request.headers_mut();
            headers.insert(JSON_LENGTH_HEADER, HeaderValue::from(length));
        }
        let answer = self.send(request).await?;
        let status = answer.status;
        let json_bytes = answer.headers.get(JSON_LENGTH_HEADER).cloned();
        let answer = collect(answer).await?;
        if !status.is_success() {
            return Err(remote(status, &answer));
        }
        let length = |value: HeaderValue| value.to_str().ok().and_then(|text| text.parse().ok());
        Ok(TensorMessage {
            pieces: vec![answer],
            json_bytes: json_bytes.and_then(length),
        })
    }

    /// Starts generating (GGUF). Returns once the engine has taken the request; a request that is refused
    /// (too long, queue full, bad field) is an error here and never a stream.
    pub async fn generate(&self, request: &GenerateRequest) -> Result<GenerateStream, EngineError> {
        let body = serde_json::to_vec(request).map_err(|error| EngineError::Protocol {
            detail: error.to_string(),
        })?;
        let request = build_request(Method::POST, "/generate", Pieces::one(Bytes::from(body)))?;
        let answer = self.send(request).await?;
        let status = answer.status;
        if status.is_success() {
            return Ok(GenerateStream {
                answer,
                buffer: Vec::new(),
                ended: false,
            });
        }
        let retry_after_s = retry_after_s(&answer.headers);
        let answer = collect(answer).await?;
        Err(match (remote(status, &answer), retry_after_s) {
            (EngineError::Remote { report, .. }, Some(retry_after_s)) => EngineError::Overloaded {
                retry_after_s,
                report,
            },
            (error, _) => error,
        })
    }

    /// Embeds texts (GGUF). Dropping the future withdraws the request.
    pub async fn embed(&self, request: &EmbedRequest) -> Result<Embeddings, EngineError> {
        self.put("/embed", request).await
    }

    /// Counts tokens (GGUF), and computes nothing.
    pub async fn count(&self, request: &CountRequest<'_>) -> Result<Count, EngineError> {
        self.put("/count", request).await
    }

    async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, EngineError> {
        let body = serde_json::to_vec(body).map_err(|error| EngineError::Protocol {
            detail: error.to_string(),
        })?;
        let (status, answer) = self.call(Method::POST, path, Bytes::from(body)).await?;
        if status.is_success() {
            parse(&answer)
        } else {
            Err(remote(status, &answer))
        }
    }

    async fn probe(&self, path: &str) -> Result<(StatusCode, Bytes), EngineError> {
        match tokio::time::timeout(PROBE_TIMEOUT, self.call(Method::GET, path, Bytes::new())).await {
            Ok(answer) => answer,
            Err(_) => Err(EngineError::ConnectionLost {
                detail: format!("no answer to {path} within {} s", PROBE_TIMEOUT.as_secs()),
            }),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), EngineError> {
        let request = build_request(method, path, Pieces::one(body))?;
        let answer = self.send(request).await?;
        Ok((answer.status, collect(answer).await?))
    }

    async fn send(&self, request: Request<Pieces>) -> Result<Answer, EngineError> {
        Ok(self.upstream.send(request).await?)
    }
}

/// The events of one generation, in order. Dropping it before the end cancels the work.
pub struct GenerateStream {
    answer: Answer,
    buffer: Vec<u8>,
    ended: bool,
}

impl GenerateStream {
    /// The next event; `None` after `End` or `Error`. A stream that breaks off is an `Err`, once.
    pub async fn next(&mut self) -> Option<Result<GenerateEvent, EngineError>> {
        if self.ended {
            return None;
        }
        let event = self.read_event().await;
        if matches!(
            event,
            Err(_) | Ok(GenerateEvent::End { .. } | GenerateEvent::Error { .. })
        ) {
            self.ended = true;
            if event.is_ok() {
                // A connection whose answer was read to its end is kept for the next request.
                let _ = tokio::time::timeout(LAST_BYTES_TIMEOUT, self.answer.chunk()).await;
            }
        }
        Some(event)
    }

    async fn read_event(&mut self) -> Result<GenerateEvent, EngineError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let event = parse(&self.buffer[..end]);
                self.buffer.drain(..=end);
                return event;
            }
            if self.buffer.len() > EVENT_LIMIT_BYTES {
                return Err(EngineError::Protocol {
                    detail: "an event is too long".to_owned(),
                });
            }
            match self.answer.chunk().await.transpose()? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None => {
                    let detail = "the stream ended without its last event".to_owned();
                    return Err(EngineError::ConnectionLost { detail });
                }
            }
        }
    }
}

fn build_request(method: Method, path: &str, body: Pieces) -> Result<Request<Pieces>, EngineError> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "engine")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|error| EngineError::Protocol {
            detail: error.to_string(),
        })
}

async fn collect(answer: Answer) -> Result<Bytes, EngineError> {
    Ok(answer.collect(ANSWER_LIMIT_BYTES).await?)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, EngineError> {
    serde_json::from_slice(body).map_err(|error| EngineError::Protocol {
        detail: error.to_string(),
    })
}

fn remote(status: StatusCode, body: &[u8]) -> EngineError {
    #[derive(serde::Deserialize)]
    struct Envelope {
        error: ErrorReport,
    }
    match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) => EngineError::Remote {
            status: status.as_u16(),
            report: Box::new(envelope.error),
        },
        Err(_) => EngineError::Protocol {
            detail: format!("status {status} without an error report"),
        },
    }
}

fn retry_after_s(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

impl From<UpstreamError> for EngineError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Unreachable { place, source } => Self::Unreachable {
                socket: place,
                source,
            },
            UpstreamError::Lost { detail, .. } => Self::ConnectionLost { detail },
            other => Self::Protocol {
                detail: other.to_string(),
            },
        }
    }
}
