//! Traces: what an application that calls language models did, request by request, as a tree of spans, with the
//! judgements that people and programs made about it. Spoken in the dialects of MLflow's unmodified clients and
//! of OpenTelemetry's exporters. With them stand what applications are judged by: datasets and scorers.
//!
//! Invariants:
//! - A 2xx answer means durable: each call is one transaction, and the store shares commits between calls.
//! - What a client says about a whole trace wins over what its spans add up to, whichever arrives first.
//! - The spans of a trace lie together: a trace is read in a few rows, however many spans it has.
//! - A span that is sent again replaces itself; nothing is counted twice.
//! - Nothing that a client sends becomes SQL text, and no pattern makes a search slower than its text is long.
//! - A dataset has one record of the same inputs. What a client serialised as a scorer is never run.
//! - A search examines a bounded number of traces; where that ends it, its token goes on from there.

mod error;
mod evaluation;
pub mod http;
mod json;
mod limits;
mod ports;
mod service;
mod span;
mod store;
mod sweeper;
mod types;
mod value;

pub use error::TracesError;
pub use evaluation::{DatasetRecord, EvaluationDataset, RecordSource, Scorer};
pub use ports::{ByteStream, ExperimentState, Experiments, Files, PortError, Runs};
pub use service::{
    Aggregation, AssessmentChange, Correlation, CorrelationScope, DatasetScope, DeleteScope, EndedTrace,
    Evaluation, Ingested, Merged, MetricPoint, MetricQuery, MetricView, NewAssessment, NewDataset, NewTrace,
    ReceivedSpan, RecordPage, SearchScope, SpanBatch, StartedTrace, Traces, count_traces,
};
pub use span::{Span, SpanEvent, SpanKind, SpanLink, SpanStatus};
pub use store::MIGRATIONS;
pub use sweeper::spawn;
pub use types::{Assessment, AssessmentValue, Cost, Page, Source, TokenUsage, Trace, TraceInfo, TraceState};
pub use value::AnyValue;
