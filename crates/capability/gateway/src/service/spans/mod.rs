//! Requests to language models as OpenTelemetry spans, sent by OTLP over HTTP to a collector.
//!
//! Nothing waits for it: what does not fit the queue, or what the collector does not take, is dropped and counted.
//! Without a collector nothing is read, made or kept.

mod context;
mod export;
mod genai;
mod otlp;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use corliss_clock::Sources;
use corliss_engine::protocol::FinishReason;
use corliss_types::Timestamp;
use corliss_upstream::{BaseUrl, Upstream};
use http::HeaderValue;
use tokio::sync::{mpsc, oneshot};

use crate::error::GatewayError;
use crate::service::call::Origin;
use crate::service::forward::envelope::Api;
use crate::service::record::RequestRecord;
use context::Context;
use export::Message;
use genai::{Begun, Wanted};

/// Requests whose spans may wait to be sent.
const QUEUE_MAX: usize = 4_096;
/// How long what waits may take when the server goes down.
const FLUSH: Duration = Duration::from_secs(5);

/// Where spans go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Spans {
    queue: mpsc::Sender<Message>,
    counts: Arc<Counts>,
    sources: Sources,
}

/// Spans, by what became of them.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// A request on its way, whose spans are sent when it ends.
pub(crate) struct Trace {
    begun: Begun,
    spans: Spans,
    at: Timestamp,
    since: Duration,
    /// Whether its own span was taken; further answers to the request have spans beside it.
    taken: AtomicBool,
}

impl Spans {
    /// Sends them there from now on.
    ///
    /// # Errors
    /// If TLS is asked for and cannot be set up on this machine.
    pub(crate) fn to(collector: &BaseUrl, sources: Sources) -> Result<Self, GatewayError> {
        let upstream = Upstream::new(collector.place().clone())?;
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let counts = Arc::<Counts>::default();
        tokio::spawn(export::run(waiting, upstream, collector.clone(), counts.clone()));
        Ok(Self {
            queue,
            counts,
            sources,
        })
    }

    /// Spans that the collector took, and those that were dropped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (get(&self.counts.sent), get(&self.counts.dropped))
    }

    /// A request comes; none if its caller says that its trace is not recorded.
    pub(crate) fn begin(&self, api: Api, origin: &Origin, body: &[u8]) -> Option<Arc<Trace>> {
        let context = Context::of(&origin.headers, self.random())?;
        Some(Arc::new(Trace {
            begun: Begun {
                api,
                context,
                wanted: Wanted::read(body),
                host: genai::host(&origin.headers),
                request: origin.request.clone(),
            },
            spans: self.clone(),
            at: self.sources.clock.now(),
            since: self.sources.clock.monotonic(),
            taken: AtomicBool::new(false),
        }))
    }

    /// Waits until what was given so far is sent or dropped, but not for long.
    pub(crate) async fn flush(&self) {
        let flushed = async {
            let (done, heard) = oneshot::channel();
            if self.queue.send(Message::Flush(done)).await.is_ok() {
                let _ = heard.await;
            }
        };
        if tokio::time::timeout(FLUSH, flushed).await.is_err() {
            tracing::warn!("spans are left that the collector did not take in time");
        }
    }

    fn give(&self, spans: Vec<otlp::Span>) {
        let count = spans.len() as u64;
        if self.queue.try_send(Message::Spans(spans)).is_err() {
            self.counts.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut random = [0; N];
        self.sources.entropy.fill(&mut random);
        random
    }
}

impl Trace {
    /// An answer of this endpoint has ended, however.
    pub(crate) fn ended(&self, endpoint: &str, record: &RequestRecord, finish: Option<FinishReason>) {
        let id = if self.taken.swap(true, Ordering::Relaxed) {
            self.spans.random()
        } else {
            self.begun.context.span
        };
        let ids = || self.spans.random();
        self.spans
            .give(self.begun.ended(id, endpoint, record, finish, ids));
    }

    /// It was refused with this error. Says nothing if an endpoint did that, whose record told it.
    pub(crate) fn refused(&self, code: &str) {
        if self.taken.swap(true, Ordering::Relaxed) {
            return;
        }
        let nanos = |millis: i64| {
            u64::try_from(millis)
                .unwrap_or_default()
                .saturating_mul(1_000_000)
        };
        let took = self.spans.sources.clock.monotonic().saturating_sub(self.since);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let span = self.begun.refused(nanos(self.at.as_millis()), took, code);
        self.spans.give(vec![span]);
    }

    /// The `traceparent` under which it is passed on.
    pub(crate) fn parent(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.begun.context.traceparent()).ok()
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace")
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}
