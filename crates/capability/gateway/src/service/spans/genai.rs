//! A request's record as spans, in the words of OpenTelemetry's semantic conventions for generative AI (1.41, in
//! development): one for the request, and within it one for each part that its engine tells of.

use corliss_engine::protocol::FinishReason;
use http::{HeaderMap, header};
use serde::Deserialize;

use super::context::Context;
use super::otlp::{AnyValue, KeyValue, List, One, Span, Status};
use crate::service::forward::envelope::Api;
use crate::service::record::{Outcome, RequestRecord};

const INTERNAL: i32 = 1;
const SERVER: i32 = 2;
const ERROR: i32 = 2;
/// Sampled, and it is known that the parent is another process.
const FLAGS_REMOTE: u32 = 0x1 | 0x100 | 0x200;
/// Sampled, and it is known that the parent is not.
const FLAGS_LOCAL: u32 = 0x1 | 0x100;
const NAME_MAX_CHARS: usize = 200;
const STOPS_MAX: usize = 16;

/// What a request asks for, as far as spans tell it. What has a wrong type is left out: others refuse it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wanted {
    model: String,
    attributes: Vec<KeyValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    model: Lenient<String>,
    temperature: Lenient<f64>,
    top_p: Lenient<f64>,
    top_k: Lenient<f64>,
    frequency_penalty: Lenient<f64>,
    presence_penalty: Lenient<f64>,
    max_tokens: Lenient<i64>,
    max_completion_tokens: Lenient<i64>,
    max_output_tokens: Lenient<i64>,
    seed: Lenient<i64>,
    n: Lenient<i64>,
    stream: Lenient<bool>,
    stop: Lenient<Stops>,
}

/// A member of this type, or nothing to tell.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Is(T),
    IsNot(serde::de::IgnoredAny),
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self::IsNot(serde::de::IgnoredAny)
    }
}

impl<T> Lenient<T> {
    fn get(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::IsNot(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stops {
    One(String),
    Many(Vec<String>),
}

impl Wanted {
    pub(super) fn read(body: &[u8]) -> Self {
        let said: Said = serde_json::from_slice(body).unwrap_or_default();
        let mut attributes = Vec::new();
        let numbers = [
            ("gen_ai.request.temperature", said.temperature),
            ("gen_ai.request.top_p", said.top_p),
            ("gen_ai.request.top_k", said.top_k),
            ("gen_ai.request.frequency_penalty", said.frequency_penalty),
            ("gen_ai.request.presence_penalty", said.presence_penalty),
        ];
        for (key, value) in numbers {
            attributes.extend(value.get().map(|value| with(key, One::Number(value))));
        }
        let limits = [
            said.max_output_tokens,
            said.max_completion_tokens,
            said.max_tokens,
        ];
        let limit = limits.into_iter().find_map(Lenient::get);
        let several = said.n.get().filter(|n| *n != 1);
        for (key, value) in [
            ("gen_ai.request.max_tokens", limit),
            ("gen_ai.request.seed", said.seed.get()),
            ("gen_ai.request.choice.count", several),
        ] {
            attributes.extend(value.map(|value| with(key, One::Whole(value))));
        }
        if said.stream.get() == Some(true) {
            attributes.push(with("gen_ai.request.stream", One::Truth(true)));
        }
        let stops = match said.stop.get() {
            None => Vec::new(),
            Some(Stops::One(text)) => vec![text],
            Some(Stops::Many(texts)) => texts,
        };
        if !stops.is_empty() {
            let stops = stops.into_iter().take(STOPS_MAX);
            attributes.push(with("gen_ai.request.stop_sequences", list(stops)));
        }
        Self {
            model: short(&said.model.get().unwrap_or_default()),
            attributes,
        }
    }
}

/// A request on its way, as its spans begin.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) api: Api,
    pub(super) context: Context,
    pub(super) wanted: Wanted,
    /// Host and perhaps port, as its caller named the server.
    pub(super) host: Option<String>,
    pub(super) request: String,
}

/// The host that a request was sent to.
pub(super) fn host(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Some(short(host))
}

impl Begun {
    const fn operation(&self) -> &'static str {
        match self.api {
            Api::Chat | Api::Responses => "chat",
            Api::Completions => "text_completion",
            Api::Embeddings => "embeddings",
        }
    }

    /// The span of an answer, under this id, and the parts of it.
    pub(super) fn ended(
        &self,
        span: [u8; 8],
        endpoint: &str,
        record: &RequestRecord,
        finish: Option<FinishReason>,
        ids: impl FnMut() -> [u8; 8],
    ) -> Vec<Span> {
        let start = u64::try_from(record.at_ms.as_millis())
            .unwrap_or_default()
            .saturating_mul(1_000_000);
        let end = start.saturating_add(record.total_us.saturating_mul(1_000));
        let mut whole = self.span(span, start, end);
        let attributes = &mut whole.attributes;
        attributes.push(with("gen_ai.response.model", text(endpoint)));
        if record.prompt_tokens > 0 {
            attributes.push(with("gen_ai.usage.input_tokens", whole_of(record.prompt_tokens)));
            attributes.push(with(
                "gen_ai.usage.cache_read.input_tokens",
                whole_of(record.cached_tokens),
            ));
        }
        if let Some(finish) = finish {
            attributes.push(with(
                "gen_ai.usage.output_tokens",
                whole_of(record.completion_tokens),
            ));
            attributes.push(with(
                "gen_ai.response.finish_reasons",
                list([spelled(finish).to_owned()]),
            ));
        }
        if let Some(first) = record.first_us {
            #[allow(clippy::cast_precision_loss, reason = "a time, for people")]
            let seconds = first as f64 / 1_000_000.0;
            attributes.push(with("gen_ai.response.time_to_first_chunk", One::Number(seconds)));
        }
        if let Some(replica) = &record.replica {
            attributes.push(with("corliss.replica", text(replica.as_str())));
        }
        if let Some(version) = record.version {
            attributes.push(with("corliss.model.version", whole_of(version)));
        }
        attributes.push(with("corliss.attempts", whole_of(record.attempts)));
        if let Some(timing) = record.engine {
            attributes.push(with(
                "corliss.batch_mean",
                One::Number(f64::from(timing.batch_mean)),
            ));
        }
        let error = match record.outcome {
            Outcome::Answered => None,
            Outcome::Cancelled => Some(record.error.unwrap_or("cancelled")),
            Outcome::Failed | Outcome::Invalid => Some(record.error.unwrap_or("_OTHER")),
        };
        if let Some(error) = error {
            fail(&mut whole, error);
        }
        let mut spans = self.parts(&whole, record, ids);
        spans.insert(0, whole);
        spans
    }

    /// The span of a request that came to no endpoint.
    pub(super) fn refused(&self, at_ns: u64, took_ns: u64, code: &str) -> Span {
        let mut span = self.span(self.context.span, at_ns, at_ns.saturating_add(took_ns));
        fail(&mut span, code);
        span
    }

    fn span(&self, id: [u8; 8], start: u64, end: u64) -> Span {
        let operation = self.operation();
        let model = &self.wanted.model;
        let mut attributes = vec![
            with("gen_ai.operation.name", text(operation)),
            with("gen_ai.provider.name", text("corliss")),
            with("gen_ai.request.model", text(model)),
            with("corliss.request.id", text(&self.request)),
        ];
        attributes.extend(self.wanted.attributes.iter().cloned());
        if let Some(host) = &self.host {
            let (address, port) = address_of(host);
            attributes.push(with("server.address", text(address)));
            attributes.extend(port.map(|port| with("server.port", One::Whole(port.into()))));
        }
        Span {
            trace_id: self.context.trace.to_vec(),
            span_id: id.to_vec(),
            trace_state: self.context.state.clone(),
            parent_span_id: self
                .context
                .parent
                .map(|parent| parent.to_vec())
                .unwrap_or_default(),
            name: format!("{operation} {model}").trim_end().to_owned(),
            kind: SERVER,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            status: None,
            flags: FLAGS_REMOTE,
        }
    }

    /// Waiting, reading and writing, which follow each other up to the end.
    fn parts(&self, whole: &Span, record: &RequestRecord, mut ids: impl FnMut() -> [u8; 8]) -> Vec<Span> {
        let Some(timing) = record.engine else {
            return Vec::new();
        };
        let mut end = whole.end_time_unix_nano;
        let parts = [
            ("decode", timing.decode_us),
            ("prefill", timing.prefill_us),
            ("queue", timing.queue_us),
        ];
        let mut spans: Vec<Span> = parts
            .into_iter()
            .map(|(name, took_us)| {
                // Two clocks measured these: what lies before the request's beginning is cut.
                let start = end
                    .saturating_sub(took_us.saturating_mul(1_000))
                    .max(whole.start_time_unix_nano);
                let span = Span {
                    trace_id: whole.trace_id.clone(),
                    span_id: ids().to_vec(),
                    trace_state: whole.trace_state.clone(),
                    parent_span_id: whole.span_id.clone(),
                    name: name.to_owned(),
                    kind: INTERNAL,
                    start_time_unix_nano: start,
                    end_time_unix_nano: end,
                    attributes: Vec::new(),
                    status: None,
                    flags: FLAGS_LOCAL,
                };
                end = start;
                span
            })
            .collect();
        spans.reverse();
        spans
    }
}

fn fail(span: &mut Span, error: &str) {
    span.attributes.push(with("error.type", text(error)));
    span.status = Some(Status {
        message: error.to_owned(),
        code: ERROR,
    });
}

/// Host, without the brackets of an IPv6 address, and port.
fn address_of(host: &str) -> (&str, Option<u16>) {
    let (address, port) = match host.rsplit_once(':') {
        Some((address, port)) if !port.ends_with(']') => (address, port.parse().ok()),
        _ => (host, None),
    };
    (address.trim_start_matches('[').trim_end_matches(']'), port)
}

const fn spelled(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
    }
}

fn short(value: &str) -> String {
    value.chars().take(NAME_MAX_CHARS).collect()
}

pub(super) fn with(key: &str, value: One) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value.into()),
    }
}

pub(super) fn text(value: &str) -> One {
    One::Text(value.to_owned())
}

fn whole_of(value: u32) -> One {
    One::Whole(value.into())
}

fn list(texts: impl IntoIterator<Item = String>) -> One {
    let values = texts.into_iter().map(|value| AnyValue::from(One::Text(value)));
    One::List(List {
        values: values.collect(),
    })
}

#[cfg(test)]
mod tests {
    use corliss_engine::protocol::Timing;
    use corliss_types::Timestamp;

    use super::*;

    fn keys(wanted: &Wanted) -> Vec<&str> {
        wanted.attributes.iter().map(|one| one.key.as_str()).collect()
    }

    #[test]
    fn what_a_request_asks_for_is_read_and_what_is_wrong_is_left_out() {
        let wanted = Wanted::read(
            br#"{"model": "m", "temperature": 0, "max_output_tokens": 7, "n": 1, "seed": "x", "stop": ["a"],
                "stream": true, "messages": [{"role": "user"}]}"#,
        );
        assert_eq!(wanted.model, "m");
        assert_eq!(
            keys(&wanted),
            [
                "gen_ai.request.temperature",
                "gen_ai.request.max_tokens",
                "gen_ai.request.stream",
                "gen_ai.request.stop_sequences"
            ]
        );
        assert_eq!(Wanted::read(b"{"), Wanted::default());
        assert_eq!(Wanted::read(br#"{"model": 7}"#), Wanted::default());
    }

    fn begun() -> Begun {
        Begun {
            api: Api::Responses,
            context: Context {
                trace: [1; 16],
                parent: Some([2; 8]),
                span: [3; 8],
                state: String::new(),
            },
            wanted: Wanted::read(br#"{"model": "m", "temperature": 0.5}"#),
            host: Some("localhost:7070".to_owned()),
            request: "r".to_owned(),
        }
    }

    fn record() -> RequestRecord {
        RequestRecord {
            id: "r".to_owned(),
            at_ms: Timestamp::from_millis(1_000),
            caller: "c".to_owned(),
            instead_of: None,
            rule: None,
            replica: None,
            reason: None,
            version: Some(4),
            shadow: false,
            attempts: 1,
            hedged: false,
            first_us: Some(500_000),
            total_us: 1_000_000,
            prompt_tokens: 5,
            cached_tokens: 3,
            completion_tokens: 2,
            engine: Some(Timing {
                queue_us: 900_000,
                prefill_us: 200_000,
                decode_us: 300_000,
                batch_mean: 1.5,
            }),
            outcome: Outcome::Answered,
            error: None,
        }
    }

    fn value<'a>(span: &'a Span, key: &str) -> Option<&'a One> {
        let found = span.attributes.iter().find(|one| one.key == key)?;
        found.value.as_ref()?.value.as_ref()
    }

    #[test]
    fn the_parts_of_an_answer_lie_in_its_span_and_end_with_it() {
        let mut last = 9;
        let ids = || {
            last += 1;
            [last; 8]
        };
        let spans = begun().ended([3; 8], "served", &record(), Some(FinishReason::Length), ids);
        let told: Vec<_> = spans
            .iter()
            .map(|span| {
                let ms = |ns: u64| ns / 1_000_000;
                (
                    span.name.as_str(),
                    ms(span.start_time_unix_nano),
                    ms(span.end_time_unix_nano),
                    span.parent_span_id.as_slice(),
                )
            })
            .collect();
        let (outer, own) = ([2_u8; 8], [3_u8; 8]);
        assert_eq!(
            told,
            [
                ("chat m", 1_000, 2_000, &outer[..]),
                // It would begin before the request did.
                ("queue", 1_000, 1_500, &own[..]),
                ("prefill", 1_500, 1_700, &own[..]),
                ("decode", 1_700, 2_000, &own[..]),
            ]
        );
        let whole = &spans[0];
        assert_eq!((whole.kind, &whole.status), (SERVER, &None));
        assert!(spans.iter().all(|span| span.trace_id == [1; 16]));
        for (key, expected) in [
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.request.model", text("m")),
            ("gen_ai.response.model", text("served")),
            ("gen_ai.request.temperature", One::Number(0.5)),
            ("gen_ai.usage.input_tokens", One::Whole(5)),
            ("gen_ai.usage.cache_read.input_tokens", One::Whole(3)),
            ("gen_ai.usage.output_tokens", One::Whole(2)),
            ("gen_ai.response.finish_reasons", list(["length".to_owned()])),
            ("gen_ai.response.time_to_first_chunk", One::Number(0.5)),
            ("server.address", text("localhost")),
            ("server.port", One::Whole(7070)),
        ] {
            assert_eq!(value(whole, key), Some(&expected), "{key}");
        }
    }

    #[test]
    fn what_ended_without_an_answer_is_an_error_by_its_code() {
        for (outcome, code, told) in [
            (Outcome::Failed, Some("engine_stopped"), "engine_stopped"),
            (Outcome::Cancelled, None, "cancelled"),
        ] {
            let record = RequestRecord {
                outcome,
                error: code,
                engine: None,
                ..record()
            };
            let spans = begun().ended([3; 8], "served", &record, None, || [0; 8]);
            let [span] = spans.as_slice() else {
                panic!("{spans:?}");
            };
            assert_eq!(value(span, "error.type"), Some(&text(told)));
            assert_eq!(span.status.as_ref().unwrap().code, ERROR);
            assert_eq!(value(span, "gen_ai.usage.output_tokens"), None);
        }
        let span = begun().refused(1_000, 500, "rate_limit_exceeded");
        assert_eq!(
            (span.start_time_unix_nano, span.end_time_unix_nano),
            (1_000, 1_500)
        );
        assert_eq!(value(&span, "error.type"), Some(&text("rate_limit_exceeded")));
    }

    #[test]
    fn hosts_are_taken_apart() {
        assert_eq!(address_of("127.0.0.1:7070"), ("127.0.0.1", Some(7070)));
        assert_eq!(address_of("corliss.example"), ("corliss.example", None));
        assert_eq!(address_of("[::1]:7070"), ("::1", Some(7070)));
        assert_eq!(address_of("[::1]"), ("::1", None));
    }
}
