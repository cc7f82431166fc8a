//! Spans of one trace, made ready to be stored before a transaction is open.

use std::collections::{BTreeMap, BTreeSet};

use super::conventions::{INPUTS, OUTPUTS, translate};
use super::totals::{self, Node};
use super::{NAME_TAG, OWN_TAGS, ReceivedSpan, check, parts, preview};
use crate::json::{clean, cut};
use crate::span::{Span, SpanStatus};
use crate::types::{Cost, TokenUsage, TraceState};
use crate::{AnyValue, TracesError, limits};

/// The attribute of a root span that carries a tag of its trace.
const TAG_PREFIX: &str = "mlflow.traceTag.";

/// What some spans of a trace say about it.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) trace_id: String,
    pub(super) start_ms: i64,
    pub(super) end_ms: Option<i64>,
    /// How the trace ended, if its root is among them.
    pub(super) root_state: Option<TraceState>,
    pub(super) nodes: Vec<Node>,
    pub(super) usage: TokenUsage,
    pub(super) cost: Cost,
    pub(super) packed_nodes: Vec<u8>,
    pub(super) content: Vec<u8>,
    pub(super) raw_bytes: i64,
    pub(super) spans: i64,
    /// Names, types and statuses, as far as an index holds them.
    pub(super) kinds: BTreeSet<(String, String, &'static str)>,
    pub(super) kinds_whole: bool,
    pub(super) session_id: Option<String>,
    pub(super) user: Option<String>,
    pub(super) name: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) request_preview: Option<String>,
    pub(super) response_preview: Option<String>,
}

/// Why a span cannot be taken; none if it can.
pub(super) fn refusal(span: &Span) -> Option<String> {
    let name = cut(&span.name, 100);
    let too_many = |what: &str, count: usize, limit: usize| {
        (count > limit).then(|| format!("span '{name}' has {count} {what}, and {limit} are taken"))
    };
    let long_key = span
        .attributes
        .iter()
        .find(|(key, _)| key.len() > limits::ATTRIBUTE_KEY_BYTES);
    let session = session_of(span).filter(|id| id.chars().count() > limits::SESSION_LEN);
    too_many("attributes", span.attributes.len(), limits::ATTRIBUTES_PER_SPAN)
        .or_else(|| too_many("events", span.events.len(), limits::EVENTS_PER_SPAN))
        .or_else(|| too_many("links", span.links.len(), limits::LINKS_PER_SPAN))
        .or_else(|| too_many("bytes of name", span.name.len(), limits::SPAN_NAME_BYTES))
        .or_else(|| too_many("bytes", bytes_of(span), limits::SPAN_BYTES))
        .or_else(|| {
            let (key, _) = long_key?;
            Some(format!(
                "span '{name}': the key '{}…' of an attribute has {} bytes, and {} are taken",
                cut(key, 50),
                key.len(),
                limits::ATTRIBUTE_KEY_BYTES
            ))
        })
        .or_else(|| {
            session.map(|_| {
                format!(
                    "span '{name}': 'Session ID' exceeds the maximum length of {} characters",
                    limits::SESSION_LEN
                )
            })
        })
}

/// About how many bytes a span takes.
fn bytes_of(span: &Span) -> usize {
    let attributes: usize = span
        .attributes
        .iter()
        .map(|(key, text)| key.len() + text.len())
        .sum();
    let events: usize = span
        .events
        .iter()
        .map(|event| event.name.len() + sizes(&event.attributes))
        .sum();
    let links: usize = span.links.iter().map(|link| 64 + sizes(&link.attributes)).sum();
    attributes + events + links + span.name.len() + span.status_message.as_ref().map_or(0, String::len)
}

fn sizes(attributes: &[(String, AnyValue)]) -> usize {
    attributes
        .iter()
        .map(|(key, value)| key.len() + size(value))
        .sum()
}

fn size(value: &AnyValue) -> usize {
    match value {
        AnyValue::Text(text) => text.len(),
        AnyValue::Bytes(bytes) => bytes.len(),
        AnyValue::List(items) => items.iter().map(|item| 8 + size(item)).sum(),
        AnyValue::Map(members) => sizes(members),
        _ => 8,
    }
}

/// A text attribute, or the JSON text of another one.
fn text_of(span: &Span, key: &str) -> Option<String> {
    let text = span.attribute(key)?;
    let value = AnyValue::of_text(text);
    value
        .is_something()
        .then(|| value.as_text().map_or_else(|| text.to_owned(), str::to_owned))
}

fn session_of(span: &Span) -> Option<String> {
    text_of(span, "session.id").or_else(|| text_of(span, "gen_ai.conversation.id"))
}

fn millis(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}

/// Makes ready what was received of one trace.
///
/// # Errors
/// The spans cannot be packed.
pub(super) fn prepare(trace_id: String, received: Vec<ReceivedSpan>) -> Result<Prepared, TracesError> {
    let mut tags = received
        .iter()
        .find(|received| !received.resource.is_empty())
        .map(|received| resource_tags(&received.resource))
        .unwrap_or_default();
    let mut spans: Vec<Span> = received.into_iter().map(|received| received.span).collect();
    spans.iter_mut().for_each(translate);
    let nodes: Vec<Node> = spans.iter().map(Node::of).collect();
    let (usage, cost) = totals::totals(nodes.iter().cloned());
    let root = spans.iter().rev().find(|span| span.parent.is_none());
    let mut name = None;
    if let Some(root) = root {
        let mut named = root_tags(root);
        name = named
            .remove(NAME_TAG)
            .filter(|name| name.chars().count() <= limits::NAME_LEN);
        // What the user said wins over what the process says of itself.
        tags.extend(named);
    }
    let shown = |key, role| Some(preview::preview(root?.attribute(key)?, role));
    let (request_preview, response_preview) = (shown(INPUTS, "user"), shown(OUTPUTS, "assistant"));
    let root_state = root.map(|root| match root.status {
        SpanStatus::Error => TraceState::Error,
        SpanStatus::Ok | SpanStatus::Unset => TraceState::Ok,
    });
    let (content, raw_bytes) = parts::pack(&spans)?;
    let (kinds, kinds_whole) = kinds(&spans);
    Ok(Prepared {
        trace_id,
        start_ms: spans.iter().map(|span| millis(span.start_ns)).min().unwrap_or(0),
        end_ms: spans.iter().filter_map(|span| span.end_ns).max().map(millis),
        root_state,
        usage,
        cost,
        packed_nodes: totals::pack(&nodes),
        nodes,
        content,
        raw_bytes: i64::try_from(raw_bytes).unwrap_or(i64::MAX),
        spans: i64::try_from(spans.len()).unwrap_or(i64::MAX),
        kinds,
        kinds_whole,
        session_id: spans.iter().find_map(session_of).map(|id| clean(&id)),
        user: spans
            .iter()
            .find_map(|span| text_of(span, "user.id"))
            .map(|id| clean(&id)),
        name,
        tags,
        request_preview,
        response_preview,
    })
}

/// What the resource that sent the spans says of itself, but for what only concerns the exporter.
fn resource_tags(resource: &[(String, AnyValue)]) -> BTreeMap<String, String> {
    resource
        .iter()
        .filter(|(key, _)| !key.starts_with("telemetry.sdk.") && !key.starts_with("mlflow."))
        .filter_map(|(key, value)| {
            let text = value.as_text().map_or_else(|| value.to_text(), str::to_owned);
            check::tag(key, &text).ok()
        })
        .take(limits::PAIRS_PER_CALL)
        .collect()
}

/// The tags that a root span carries; those that may not be set, or cannot, are left out.
fn root_tags(root: &Span) -> BTreeMap<String, String> {
    root.attributes
        .iter()
        .filter_map(|(key, text)| Some((key.strip_prefix(TAG_PREFIX)?, text)))
        .filter(|(key, _)| !OWN_TAGS.contains(key))
        .filter_map(|(key, text)| {
            let value = AnyValue::of_text(text);
            check::tag(key, value.as_text().unwrap_or(text)).ok()
        })
        .take(limits::PAIRS_PER_CALL)
        .collect()
}

/// The names, types and statuses of spans, and whether an index can hold them all.
fn kinds(spans: &[Span]) -> (BTreeSet<(String, String, &'static str)>, bool) {
    let mut kinds = BTreeSet::new();
    let mut whole = true;
    for span in spans {
        let span_type = span.span_type().unwrap_or_default();
        let (name, kept_type) = (
            cut(&span.name, limits::KIND_NAME_LEN),
            cut(&span_type, limits::KIND_NAME_LEN),
        );
        whole &= name.len() == span.name.len() && kept_type.len() == span_type.len();
        if kinds.len() == limits::KINDS_PER_TRACE {
            whole = false;
            break;
        }
        // A NUL that was replaced is no longer what a filter would look for.
        whole &= !name.contains('\0') && !kept_type.contains('\0');
        kinds.insert((clean(name), clean(kept_type), span.status.short()));
    }
    (kinds, whole)
}
