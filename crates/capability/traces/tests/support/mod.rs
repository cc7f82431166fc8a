//! Traces over a store of the test's choice, with ports that know one active and one deleted experiment and one run,
//! and their routes behind a guard that lets everybody in.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap here is a failed test")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use corliss_clock::Sources;
use corliss_metastore::Metastore;
use corliss_testkit::everyone;
use corliss_traces::{
    AnyValue, ByteStream, ExperimentState, Experiments, Files, NewTrace, PortError, ReceivedSpan, Runs, Span,
    SpanBatch, SpanKind, SpanStatus, TraceState, Traces, http,
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// The experiment that is deleted.
pub const DELETED: i64 = 7;
/// The run that there is.
pub const RUN: &str = "abababababababababababababababab";

/// Experiments 0 to 6 are active, 7 is deleted, others are not there.
pub struct Known;

#[async_trait]
impl Experiments for Known {
    async fn experiment(&self, id: i64) -> Result<Option<ExperimentState>, PortError> {
        Ok((0..=DELETED).contains(&id).then(|| ExperimentState {
            active: id != DELETED,
            artifact_location: format!("mlflow-artifacts:/{id}"),
        }))
    }
}

#[async_trait]
impl Runs for Known {
    async fn exists(&self, run_id: &str) -> Result<bool, PortError> {
        Ok(run_id == RUN)
    }
}

/// As [`Known`], after one experiment was removed for good.
struct Without(i64);

#[async_trait]
impl Experiments for Without {
    async fn experiment(&self, id: i64) -> Result<Option<ExperimentState>, PortError> {
        if id == self.0 {
            return Ok(None);
        }
        Known.experiment(id).await
    }
}

/// Files by URI.
#[derive(Default)]
pub struct Shelf(pub Mutex<BTreeMap<String, Vec<u8>>>);

#[async_trait]
impl Files for Shelf {
    async fn open(&self, uri: &str) -> Result<Option<(u64, ByteStream)>, PortError> {
        let found = self.0.lock().unwrap().get(uri).cloned();
        Ok(found.map(|bytes| {
            let size = bytes.len() as u64;
            let stream = futures_util::stream::iter([Ok(bytes.into())]);
            (size, Box::pin(stream) as ByteStream)
        }))
    }

    async fn remove(&self, folders: Vec<String>) -> Result<(), PortError> {
        let within = |uri: &str| {
            folders
                .iter()
                .any(|folder| uri.starts_with(&format!("{folder}/")))
        };
        self.0.lock().unwrap().retain(|uri, _| !within(uri));
        Ok(())
    }
}

/// No files, and nobody who removes some goes on before so many want to.
pub struct Meeting {
    place: tokio::sync::Barrier,
    held: AtomicBool,
}

impl Meeting {
    pub fn of(people: usize) -> Self {
        Self {
            place: tokio::sync::Barrier::new(people),
            held: AtomicBool::new(false),
        }
    }

    /// Whether all have met.
    pub fn was_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Files for Meeting {
    async fn open(&self, _: &str) -> Result<Option<(u64, ByteStream)>, PortError> {
        Ok(None)
    }

    async fn remove(&self, _: Vec<String>) -> Result<(), PortError> {
        self.place.wait().await;
        self.held.store(true, Ordering::SeqCst);
        Ok(())
    }
}

pub fn traces_on(store: Metastore) -> Traces {
    traces_with_files(store, Arc::<Shelf>::default())
}

pub fn traces_with_files(store: Metastore, files: Arc<dyn Files>) -> Traces {
    Traces::new(store, Sources::system(), Arc::new(Known), Arc::new(Known), files)
}

/// The same traces, after this experiment was removed for good.
pub fn traces_without(store: Metastore, experiment: i64) -> Traces {
    Traces::new(
        store,
        Sources::system(),
        Arc::new(Without(experiment)),
        Arc::new(Known),
        Arc::<Shelf>::default(),
    )
}

pub fn router(traces: Traces) -> corliss_http::App {
    http::routes(traces).into_app(everyone::is_admin("test")).unwrap()
}

/// The id of the trace of this number.
pub fn id(trace: u8) -> String {
    format!("tr-{}", format!("{trace:02x}").repeat(16))
}

/// A span that began so many milliseconds after the epoch and took one second.
pub fn span(trace: u8, span: u8, parent: Option<u8>, start_ms: u64) -> Span {
    Span {
        trace: [trace; 16],
        id: [span; 8],
        parent: parent.map(|parent| [parent; 8]),
        name: format!("s{span}"),
        kind: SpanKind::Internal,
        start_ns: start_ms * 1_000_000,
        end_ns: Some((start_ms + 1000) * 1_000_000),
        events: vec![],
        status: SpanStatus::Ok,
        status_message: None,
        attributes: vec![("mlflow.traceRequestId".into(), format!("\"{}\"", id(trace)))],
        links: vec![],
    }
}

pub fn with(mut span: Span, attributes: &[(&str, &str)]) -> Span {
    let more = attributes
        .iter()
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()));
    span.attributes.extend(more);
    span
}

pub fn batch(spans: Vec<Span>) -> SpanBatch {
    let resource = Arc::new(vec![
        ("service.name".to_owned(), AnyValue::Text("app".into())),
        ("telemetry.sdk.name".to_owned(), AnyValue::Text("x".into())),
    ]);
    let received = spans.into_iter().map(|span| ReceivedSpan {
        span,
        resource: Arc::clone(&resource),
    });
    SpanBatch {
        spans: received.collect(),
        ..SpanBatch::default()
    }
}

/// What a client says at the end of a trace.
pub fn ended(trace: u8, request_ms: i64) -> NewTrace {
    NewTrace {
        trace_id: id(trace),
        experiment_id: 0,
        request_ms,
        duration_ms: Some(5),
        state: TraceState::Ok,
        client_request_id: None,
        request_preview: None,
        response_preview: None,
        metadata: BTreeMap::new(),
        tags: BTreeMap::new(),
        assessments: vec![],
    }
}

pub fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The status and body of an answer.
pub async fn send(
    router: &corliss_http::App,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, Vec<u8>) {
    let mut request = ::http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("authorization", "Bearer any");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(axum::body::Body::from(body)).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, body.to_vec())
}

/// The status and JSON of an answer; null where there is none.
pub async fn call(router: &corliss_http::App, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let length = bytes.len().to_string();
    let headers = [
        ("content-type", "application/json"),
        ("content-length", length.as_str()),
    ];
    let (status, body) = send(router, method, path, &headers, bytes).await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}
