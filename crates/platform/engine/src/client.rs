//! The way to an engine process: HTTP/1.1 over its Unix socket, with idle connections kept.
//!
//! An engine is a local process, so there is no TLS and no name to resolve; what matters is that a
//! request that was never sent is told apart from one that may have been (only the first may go to
//! another replica), and that dropping an answer closes its connection, which cancels the work.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use corliss_diagnostics::ErrorReport;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::error::EngineError;
use crate::protocol::{
    EmbedRequest, Embeddings, GenerateEvent, GenerateRequest, JSON_LENGTH_HEADER, Metadata, Ready, Stats,
    TensorMessage,
};
use crate::tensor_message::Pieces;

/// Answers other than streams are held in memory up to this size.
const ANSWER_LIMIT_BYTES: usize = 256 << 20;
/// One line of a stream.
const EVENT_LIMIT_BYTES: usize = 4 << 20;
const IDLE_CONNECTIONS: usize = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For questions that an engine answers without computing.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// An engine process as its callers see it. Cheap to clone; clones share idle connections.
#[derive(Clone)]
pub struct EngineClient {
    shared: Arc<Shared>,
}

struct Shared {
    socket: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// One HTTP/1.1 connection. Dropping it closes the socket at once.
struct Connection {
    sender: http1::SendRequest<Pieces>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl std::fmt::Debug for EngineClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineClient")
            .field("socket", &self.shared.socket)
            .finish_non_exhaustive()
    }
}

impl EngineClient {
    /// A client of the engine that listens on this socket. Connects at first use.
    #[must_use]
    pub fn unix(socket: impl Into<PathBuf>) -> Self {
        Self {
            shared: Arc::new(Shared {
                socket: socket.into(),
                idle: Mutex::new(Vec::new()),
            }),
        }
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.shared.socket
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
        let (connection, response) = self.send(request).await?;
        let status = response.status();
        let json_bytes = response.headers().get(JSON_LENGTH_HEADER).cloned();
        let answer = collect(response.into_body()).await?;
        self.keep(connection);
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
        let (connection, response) = self.send(request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(GenerateStream {
                client: self.clone(),
                connection: Some(connection),
                body: response.into_body(),
                buffer: Vec::new(),
                ended: false,
            });
        }
        let retry_after_s = retry_after_s(response.headers());
        let answer = collect(response.into_body()).await?;
        self.keep(connection);
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
        let body = serde_json::to_vec(request).map_err(|error| EngineError::Protocol {
            detail: error.to_string(),
        })?;
        let (status, answer) = self.call(Method::POST, "/embed", Bytes::from(body)).await?;
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
        let (connection, response) = self.send(request).await?;
        let status = response.status();
        let answer = collect(response.into_body()).await?;
        self.keep(connection);
        Ok((status, answer))
    }

    /// Sends over an idle connection if one is open, else over a new one. An idle connection that turns
    /// out closed before anything was sent is replaced; nothing is ever sent twice.
    async fn send(
        &self,
        request: Request<Pieces>,
    ) -> Result<(Connection, hyper::Response<Incoming>), EngineError> {
        let mut request = Some(request);
        while let Some(mut connection) = self.take_idle() {
            if connection.sender.ready().await.is_err() {
                continue;
            }
            let Some(prepared) = request.take() else { break };
            match connection.sender.try_send_request(prepared).await {
                Ok(response) => return Ok((connection, response)),
                Err(mut refused) => match refused.take_message() {
                    Some(unsent) => request = Some(unsent),
                    None => return Err(lost(&refused.into_error())),
                },
            }
        }
        let mut connection = self.connect().await?;
        let Some(prepared) = request else {
            return Err(EngineError::ConnectionLost {
                detail: "the request was consumed".to_owned(),
            });
        };
        let response = connection
            .sender
            .send_request(prepared)
            .await
            .map_err(|error| lost(&error))?;
        Ok((connection, response))
    }

    async fn connect(&self) -> Result<Connection, EngineError> {
        let unreachable = |source| EngineError::Unreachable {
            socket: self.shared.socket.display().to_string(),
            source,
        };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(&self.shared.socket))
            .await
            .map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?
            .map_err(unreachable)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost(&error))?;
        let driver = tokio::spawn(async move {
            // How a connection ended is told to whoever holds its request; nobody else needs it.
            let _ = driver.await;
        });
        Ok(Connection { sender, driver })
    }

    fn take_idle(&self) -> Option<Connection> {
        self.shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    fn keep(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(connection);
        }
    }
}

/// The events of one generation, in order. Dropping it before the end cancels the work.
pub struct GenerateStream {
    client: EngineClient,
    connection: Option<Connection>,
    body: Incoming,
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
                self.give_back().await;
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
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(lost(&error)),
                None => {
                    let detail = "the stream ended without its last event".to_owned();
                    return Err(EngineError::ConnectionLost { detail });
                }
            }
        }
    }

    /// Keeps the connection for the next request if the body ends here, as it should.
    async fn give_back(&mut self) {
        let rest = tokio::time::timeout(Duration::from_millis(100), self.body.frame()).await;
        if let (Ok(None), Some(connection)) = (rest, self.connection.take()) {
            self.client.keep(connection);
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

async fn collect(body: Incoming) -> Result<Bytes, EngineError> {
    match Limited::new(body, ANSWER_LIMIT_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(EngineError::ConnectionLost {
            detail: error.to_string(),
        }),
    }
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

fn lost(error: &hyper::Error) -> EngineError {
    EngineError::ConnectionLost {
        detail: error.to_string(),
    }
}
