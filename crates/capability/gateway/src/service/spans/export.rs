//! The one task that sends spans: many in one call, tried again a few times where the collector may yet take them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use corliss_upstream::{BaseUrl, Pieces, Upstream};
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Counts;
use super::genai::{text, with};
use super::otlp::{ExportTraceServiceRequest, Resource, ResourceSpans, Scope, ScopeSpans, Span};

/// Spans of one call.
const BATCH_MAX: usize = 512;
/// How long the first span of a call waits for others.
const BATCH_DELAY: Duration = Duration::from_secs(1);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;
/// Before the second try; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(500);
/// Of what a collector answers.
const ANSWER_MAX_BYTES: usize = 64 << 10;
const PATH: &str = "/v1/traces";

pub(super) enum Message {
    Spans(Vec<Span>),
    /// Tell when all before is done.
    Flush(oneshot::Sender<()>),
}

/// Sends until nobody is left who could give more.
pub(super) async fn run(
    mut waiting: mpsc::Receiver<Message>,
    upstream: Upstream,
    collector: BaseUrl,
    counts: Arc<Counts>,
) {
    let mut sender = Sender {
        upstream,
        collector,
        counts,
        fails: false,
    };
    while let Some(first) = waiting.recv().await {
        let (mut batch, mut flushed) = (Vec::new(), None);
        let until = Instant::now() + BATCH_DELAY;
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Spans(spans) => batch.extend(spans),
                Message::Flush(done) => flushed = Some(done),
            }
            if flushed.is_none() && batch.len() < BATCH_MAX {
                next = timeout_at(until, waiting.recv()).await.ok().flatten();
            }
        }
        sender.send(batch).await;
        if let Some(done) = flushed {
            let _ = done.send(());
        }
    }
}

struct Sender {
    upstream: Upstream,
    collector: BaseUrl,
    counts: Arc<Counts>,
    /// Whether the last call failed: an outage is told once.
    fails: bool,
}

/// Why a call failed, and whether another may not.
struct Failed {
    reason: String,
    again: bool,
}

impl Sender {
    async fn send(&mut self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        if count == 0 {
            return;
        }
        let body = Bytes::from(call(spans).encode_to_vec());
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            let done = match timeout(CALL_TIMEOUT, self.call(body.clone())).await {
                Ok(done) => done,
                Err(_) => Err(Failed {
                    reason: format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
                    again: true,
                }),
            };
            match done {
                Ok(()) => {
                    self.fails = false;
                    add(&self.counts.sent, count);
                    return;
                }
                Err(Failed { again: true, .. }) if attempt < TRIES => {
                    sleep(pause).await;
                    pause *= 2;
                }
                Err(failed) => {
                    if !std::mem::replace(&mut self.fails, true) {
                        let collector = self.collector.as_str();
                        tracing::warn!(collector, reason = failed.reason, "spans are dropped");
                    }
                    add(&self.counts.dropped, count);
                    return;
                }
            }
        }
    }

    async fn call(&self, body: Bytes) -> Result<(), Failed> {
        let failed = |reason: String, again| Failed { reason, again };
        let wrong = |error: String| failed(error, false);
        let uri = format!("{}{PATH}", self.collector.path());
        let uri = uri.parse::<Uri>().map_err(|error| wrong(error.to_string()))?;
        let host = HeaderValue::from_str(self.collector.authority());
        let host = host.map_err(|error| wrong(error.to_string()))?;
        let mut request = Request::new(Pieces::one(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::HOST, host);
        let kind = HeaderValue::from_static("application/x-protobuf");
        headers.insert(header::CONTENT_TYPE, kind);
        let answer = self.upstream.send(request).await;
        let answer = answer.map_err(|error| failed(error.to_string(), true))?;
        let status = answer.status;
        // Read to its end, so that the connection is kept.
        let _ = answer.collect(ANSWER_MAX_BYTES).await;
        if status.is_success() {
            return Ok(());
        }
        // As the protocol says which may be tried again.
        let again = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        Err(failed(format!("it answered {status}"), again.contains(&status)))
    }
}

fn call(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    with("service.name", text("corliss")),
                    with("service.version", text(version)),
                ],
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(Scope {
                    name: "corliss.gateway".to_owned(),
                    version: version.to_owned(),
                }),
                spans,
            }],
        }],
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::extract::State;
    use axum::routing::post;
    use corliss_clock::Sources;

    use super::*;
    use crate::service::spans::Spans;

    /// What came, and what is answered to the next calls; 200 behind those.
    #[derive(Default)]
    struct Collector {
        spans: Mutex<Vec<String>>,
        answers: Mutex<Vec<u16>>,
    }

    async fn take(State(collector): State<Arc<Collector>>, body: Bytes) -> StatusCode {
        let answer = collector.answers.lock().unwrap().pop();
        if let Some(status) = answer {
            return StatusCode::from_u16(status).unwrap();
        }
        let call = ExportTraceServiceRequest::decode(body).unwrap();
        let spans = call.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        let names = spans.flat_map(|of| of.spans).map(|span| span.name);
        collector.spans.lock().unwrap().extend(names);
        StatusCode::OK
    }

    async fn collector() -> (Arc<Collector>, Spans) {
        let collector = Arc::<Collector>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/otlp", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/otlp/v1/traces", post(take))
            .with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let spans = Spans::to(&address.parse().unwrap(), Sources::system()).unwrap();
        (collector, spans)
    }

    fn named(name: &str) -> Vec<Span> {
        vec![Span {
            name: name.to_owned(),
            ..Span::default()
        }]
    }

    #[tokio::test]
    async fn spans_are_sent_together_and_again_after_an_outage() {
        let (collector, spans) = collector().await;
        collector.answers.lock().unwrap().push(503);
        spans.give(named("a"));
        spans.give(named("b"));
        spans.flush().await;
        assert_eq!(*collector.spans.lock().unwrap(), ["a", "b"]);
        assert_eq!(spans.counts(), (2, 0));
        // What a collector refuses it would refuse again.
        collector.answers.lock().unwrap().push(400);
        spans.give(named("c"));
        spans.flush().await;
        assert_eq!(spans.counts(), (2, 1));
    }

    #[tokio::test]
    async fn what_does_not_fit_the_queue_is_dropped_and_nobody_waits() {
        let (collector, spans) = collector().await;
        // Nothing else runs on this thread until this waits.
        for _ in 0..5_000 {
            spans.give(named("a"));
        }
        let (sent, dropped) = spans.counts();
        assert_eq!((sent, dropped), (0, 5_000 - 4_096));
        spans.flush().await;
        assert_eq!(collector.spans.lock().unwrap().len(), 4_096);
        assert_eq!(spans.counts(), (4_096, dropped));
    }
}
