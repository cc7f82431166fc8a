//! A span, and the form in which it is kept: the JSON object of MLflow's own store, because its page and client
//! read that form and its filters search in it.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::AnyValue;

/// The attribute in which MLflow's clients find the trace's id.
pub(crate) const TRACE_ID_ATTRIBUTE: &str = "mlflow.traceRequestId";
/// The attribute of a span's type.
pub(crate) const TYPE_ATTRIBUTE: &str = "mlflow.spanType";

/// Which end of a call a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum SpanKind {
    #[default]
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl SpanKind {
    const ALL: [Self; 5] = [
        Self::Internal,
        Self::Server,
        Self::Client,
        Self::Producer,
        Self::Consumer,
    ];

    /// OpenTelemetry's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "SPAN_KIND_INTERNAL",
            Self::Server => "SPAN_KIND_SERVER",
            Self::Client => "SPAN_KIND_CLIENT",
            Self::Producer => "SPAN_KIND_PRODUCER",
            Self::Consumer => "SPAN_KIND_CONSUMER",
        }
    }

    /// The kind of OpenTelemetry's number; an unknown one is internal.
    #[must_use]
    pub fn of_number(number: i64) -> Self {
        usize::try_from(number - 1)
            .ok()
            .and_then(|index| Self::ALL.get(index))
            .copied()
            .unwrap_or_default()
    }

    /// The kind of OpenTelemetry's name; an unknown one is internal.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .unwrap_or_default()
    }
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum SpanStatus {
    #[default]
    Unset,
    Ok,
    Error,
}

impl SpanStatus {
    const ALL: [Self; 3] = [Self::Unset, Self::Ok, Self::Error];

    /// OpenTelemetry's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "STATUS_CODE_UNSET",
            Self::Ok => "STATUS_CODE_OK",
            Self::Error => "STATUS_CODE_ERROR",
        }
    }

    /// As searched for.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Ok => "OK",
            Self::Error => "ERROR",
        }
    }

    /// The status of OpenTelemetry's number; an unknown one is unset.
    #[must_use]
    pub fn of_number(number: i64) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|index| Self::ALL.get(index))
            .copied()
            .unwrap_or_default()
    }

    /// The status of OpenTelemetry's name; an unknown one is unset.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == name)
            .unwrap_or_default()
    }
}

/// Something that happened during a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    /// What.
    pub name: String,
    /// When, in nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// More about it, in order.
    pub attributes: Vec<(String, AnyValue)>,
}

/// A span that this one has to do with, maybe of another trace.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanLink {
    /// `tr-` and 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// More about it, in order.
    pub attributes: Vec<(String, AnyValue)>,
}

/// A span: a piece of work within a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// OpenTelemetry's id of the trace.
    pub trace: [u8; 16],
    /// Its own id, unique within the trace.
    pub id: [u8; 8],
    /// The span it is part of; none for a root.
    pub parent: Option<[u8; 8]>,
    /// Name.
    pub name: String,
    /// Which end of a call.
    pub kind: SpanKind,
    /// When it began, in nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// When it ended, in nanoseconds since the Unix epoch; absent while it goes on.
    pub end_ns: Option<u64>,
    /// What happened meanwhile, in the order sent.
    pub events: Vec<SpanEvent>,
    /// How it ended.
    pub status: SpanStatus,
    /// More about how it ended.
    pub status_message: Option<String>,
    /// JSON texts by key, in the order sent.
    pub attributes: Vec<(String, String)>,
    /// What it has to do with, in the order sent.
    pub links: Vec<SpanLink>,
}

impl Span {
    /// MLflow's id of the trace.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("tr-{}", hex(&self.trace))
    }

    /// The JSON text of an attribute.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, text)| text.as_str())
    }

    /// An attribute that is a text.
    #[must_use]
    pub fn text_attribute(&self, key: &str) -> Option<String> {
        match AnyValue::of_text(self.attribute(key)?) {
            AnyValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Sets an attribute, in its place or at the end.
    pub(crate) fn set_attribute(&mut self, key: &str, text: String) {
        match self.attributes.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = text,
            None => self.attributes.push((key.to_owned(), text)),
        }
    }

    /// What its maker says it is, such as `LLM` or `TOOL`.
    #[must_use]
    pub fn span_type(&self) -> Option<String> {
        self.text_attribute(TYPE_ATTRIBUTE)
    }
}

/// Bytes as lowercase hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Pairs as a JSON object in their order.
struct Members<'a, V>(&'a [(String, V)]);

impl<V: Serialize> Serialize for Members<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for SpanEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("time_unix_nano", &self.at_ns)?;
        map.serialize_entry("attributes", &Members(&self.attributes))?;
        map.end()
    }
}

impl Serialize for SpanLink {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("trace_id", &self.trace_id)?;
        map.serialize_entry("span_id", &self.span_id)?;
        let attributes = (!self.attributes.is_empty()).then_some(Members(&self.attributes));
        map.serialize_entry("attributes", &attributes)?;
        map.end()
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(12))?;
        map.serialize_entry("trace_id", &STANDARD.encode(self.trace))?;
        map.serialize_entry("span_id", &STANDARD.encode(self.id))?;
        map.serialize_entry(
            "parent_span_id",
            &self.parent.map(|parent| STANDARD.encode(parent)),
        )?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("kind", self.kind.as_str())?;
        map.serialize_entry("start_time_unix_nano", &self.start_ns)?;
        map.serialize_entry("end_time_unix_nano", &self.end_ns)?;
        map.serialize_entry("events", &self.events)?;
        map.serialize_entry(
            "status",
            &Status {
                code: self.status.as_str().to_owned(),
                message: self.status_message.clone().unwrap_or_default(),
            },
        )?;
        map.serialize_entry("attributes", &Members(&self.attributes))?;
        map.serialize_entry("links", &self.links)?;
        map.end()
    }
}

#[derive(Serialize, Deserialize)]
struct Status {
    code: String,
    message: String,
}

/// The members of a JSON object in their order.
struct Ordered<V>(Vec<(String, V)>);

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Ordered<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(std::marker::PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Ordered<V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Ordered<V>, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    members.push(entry);
                }
                Ok(Ordered(members))
            }
        }

        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

#[derive(Deserialize)]
struct StoredEvent {
    name: String,
    time_unix_nano: u64,
    attributes: Ordered<AnyValue>,
}

#[derive(Deserialize)]
struct StoredLink {
    trace_id: String,
    span_id: String,
    attributes: Option<Ordered<AnyValue>>,
}

#[derive(Deserialize)]
struct StoredSpan {
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    name: String,
    kind: String,
    start_time_unix_nano: u64,
    end_time_unix_nano: Option<u64>,
    events: Vec<StoredEvent>,
    status: Status,
    attributes: Ordered<String>,
    links: Vec<StoredLink>,
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredSpan::deserialize(deserializer)?;
        Ok(Self {
            trace: id_of(&stored.trace_id).map_err(de::Error::custom)?,
            id: id_of(&stored.span_id).map_err(de::Error::custom)?,
            parent: stored
                .parent_span_id
                .map(|parent| id_of(&parent))
                .transpose()
                .map_err(de::Error::custom)?,
            name: stored.name,
            kind: SpanKind::of_name(&stored.kind),
            start_ns: stored.start_time_unix_nano,
            end_ns: stored.end_time_unix_nano,
            events: stored.events.into_iter().map(event_of).collect(),
            status: SpanStatus::of_name(&stored.status.code),
            status_message: Some(stored.status.message).filter(|message| !message.is_empty()),
            attributes: stored.attributes.0,
            links: stored.links.into_iter().map(link_of).collect(),
        })
    }
}

fn event_of(stored: StoredEvent) -> SpanEvent {
    SpanEvent {
        name: stored.name,
        at_ns: stored.time_unix_nano,
        attributes: stored.attributes.0,
    }
}

fn link_of(stored: StoredLink) -> SpanLink {
    SpanLink {
        trace_id: stored.trace_id,
        span_id: stored.span_id,
        attributes: stored.attributes.unwrap_or_default().0,
    }
}

fn id_of<const N: usize>(text: &str) -> Result<[u8; N], &'static str> {
    STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or("an id is not what it should be")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::json::spaced;

    pub(crate) fn span(id: u8, parent: Option<u8>) -> Span {
        Span {
            trace: [7; 16],
            id: [id; 8],
            parent: parent.map(|parent| [parent; 8]),
            name: format!("s{id}"),
            kind: SpanKind::Client,
            start_ns: 1_000_000_000 + u64::from(id),
            end_ns: Some(2_000_000_000),
            events: vec![SpanEvent {
                name: "e".into(),
                at_ns: 5,
                attributes: vec![
                    ("b".into(), AnyValue::Integer(1)),
                    ("a".into(), AnyValue::Real(0.5)),
                ],
            }],
            status: SpanStatus::Error,
            status_message: Some("bad".into()),
            attributes: vec![
                ("z".into(), "1".into()),
                (TYPE_ATTRIBUTE.into(), "\"LLM\"".into()),
            ],
            links: vec![SpanLink {
                trace_id: "tr-00".into(),
                span_id: "01".into(),
                attributes: vec![],
            }],
        }
    }

    #[test]
    fn the_kept_form_is_mlflows() {
        let text = spaced(&span(1, None));
        assert!(
            text.starts_with(
                r#"{"trace_id": "BwcHBwcHBwcHBwcHBwcHBw==", "span_id": "AQEBAQEBAQE=", "parent_span_id": null, "name": "s1", "kind": "SPAN_KIND_CLIENT""#
            ),
            "{text}"
        );
        assert!(
            text.contains(
                r#""events": [{"name": "e", "time_unix_nano": 5, "attributes": {"b": 1, "a": 0.5}}]"#
            )
        );
        assert!(text.contains(r#""status": {"code": "STATUS_CODE_ERROR", "message": "bad"}"#));
        assert!(text.contains(r#""attributes": {"z": "1", "mlflow.spanType": "\"LLM\""}"#));
        assert!(text.ends_with(r#""links": [{"trace_id": "tr-00", "span_id": "01", "attributes": null}]}"#));
        assert_eq!(serde_json::from_str::<Span>(&text).unwrap(), span(1, None));
        let child: Span = serde_json::from_str(&spaced(&span(2, Some(1)))).unwrap();
        assert_eq!(
            (child.parent, child.span_type().as_deref()),
            (Some([1; 8]), Some("LLM"))
        );
    }

    #[test]
    fn no_cut_of_the_kept_form_is_taken_for_a_span() {
        let text = spaced(&span(1, Some(2)));
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(serde_json::from_str::<Span>(&text[..end]).is_err());
        }
    }
}
