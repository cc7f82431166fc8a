//! A span between its encoding and the form in which it is kept: what both encodings have in common.

use crate::json::{cut, spaced};
use crate::span::{Span, SpanEvent, SpanKind, SpanLink, SpanStatus, TRACE_ID_ATTRIBUTE, hex};
use crate::{AnyValue, limits};

/// A span as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Draft {
    pub(super) trace: Vec<u8>,
    pub(super) id: Vec<u8>,
    pub(super) parent: Vec<u8>,
    pub(super) name: String,
    pub(super) kind: i64,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) attributes: Vec<(String, AnyValue)>,
    pub(super) events: Vec<SpanEvent>,
    pub(super) links: Vec<DraftLink>,
    pub(super) status: i64,
    pub(super) status_message: String,
}

/// A link as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct DraftLink {
    pub(super) trace: Vec<u8>,
    pub(super) id: Vec<u8>,
    pub(super) attributes: Vec<(String, AnyValue)>,
}

impl Draft {
    /// The span, or why it is none.
    pub(super) fn finish(self) -> Result<Span, String> {
        let name = cut(&self.name, 100).to_owned();
        let named = |field: &str, why: &str| format!("span '{name}': {field} {why}");
        let trace = padded(&self.trace).map_err(|why| named("trace_id", why))?;
        let id = padded(&self.id).map_err(|why| named("span_id", why))?;
        let parent = if self.parent.iter().all(|byte| *byte == 0) {
            None
        } else {
            Some(padded(&self.parent).map_err(|why| named("parent_span_id", why))?)
        };
        if self.attributes.len() > limits::ATTRIBUTES_PER_SPAN {
            return Err(named(
                "attributes",
                &format!(
                    "has {} entries, and {} are taken",
                    self.attributes.len(),
                    limits::ATTRIBUTES_PER_SPAN
                ),
            ));
        }
        let mut span = Span {
            trace,
            id,
            parent,
            name: self.name,
            kind: SpanKind::of_number(self.kind),
            start_ns: self.start_ns,
            end_ns: (self.end_ns > 0).then_some(self.end_ns),
            events: self.events,
            status: SpanStatus::of_number(self.status),
            status_message: Some(self.status_message).filter(|message| !message.is_empty()),
            attributes: Vec::with_capacity(self.attributes.len() + 1),
            links: self.links.into_iter().filter_map(link).collect(),
        };
        for (key, value) in self.attributes {
            span.set_attribute(&key, text_of(value));
        }
        // Whatever the client wrote there, the trace is the one that OpenTelemetry's id names.
        span.set_attribute(TRACE_ID_ATTRIBUTE, spaced(&span.trace_id()));
        Ok(span)
    }
}

/// An attribute's JSON text. A text that is itself the JSON of an object, a list or a text stays as it is: that is how
/// instrumentations write structured values, and the page shows them as such.
fn text_of(value: AnyValue) -> String {
    match value {
        AnyValue::Text(text) => {
            let inner = serde_json::from_str::<AnyValue>(&text);
            if matches!(
                inner,
                Ok(AnyValue::Text(_) | AnyValue::List(_) | AnyValue::Map(_))
            ) {
                return text;
            }
            spaced(&text)
        }
        value => value.to_text(),
    }
}

/// An id of this length; one that is shorter has zeros before it.
fn padded<const N: usize>(bytes: &[u8]) -> Result<[u8; N], &'static str> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Err("is required but was empty");
    }
    let mut id = [0; N];
    let start = N
        .checked_sub(bytes.len())
        .ok_or("is longer than OpenTelemetry's ids are")?;
    id[start..].copy_from_slice(bytes);
    Ok(id)
}

/// A link; one whose ids are none is not one.
fn link(draft: DraftLink) -> Option<SpanLink> {
    let trace: [u8; 16] = padded(&draft.trace).ok()?;
    let id: [u8; 8] = padded(&draft.id).ok()?;
    Some(SpanLink {
        trace_id: format!("tr-{}", hex(&trace)),
        span_id: hex(&id),
        attributes: draft.attributes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            trace: vec![1; 16],
            id: vec![2; 8],
            ..Draft::default()
        }
    }

    #[test]
    fn ids_have_a_length_or_are_refused() {
        let span = Draft {
            id: vec![9],
            parent: vec![0; 8],
            ..draft()
        }
        .finish()
        .unwrap();
        assert_eq!((span.id, span.parent), ([0, 0, 0, 0, 0, 0, 0, 9], None));
        for (wrong, field) in [
            (
                Draft {
                    trace: vec![],
                    ..draft()
                },
                "trace_id is required",
            ),
            (
                Draft {
                    trace: vec![0; 16],
                    ..draft()
                },
                "trace_id is required",
            ),
            (
                Draft {
                    id: vec![1; 9],
                    ..draft()
                },
                "span_id is longer",
            ),
            (
                Draft {
                    parent: vec![1; 17],
                    ..draft()
                },
                "parent_span_id is longer",
            ),
        ] {
            let refused = wrong.finish().unwrap_err();
            assert!(refused.contains(field), "{refused}");
        }
    }

    #[test]
    fn attributes_are_json_texts_and_the_trace_is_the_one_of_its_id() {
        let text = |text: &str| AnyValue::Text(text.to_owned());
        let span = Draft {
            attributes: vec![
                ("a".into(), text("plain")),
                ("b".into(), text("{\"x\": 1}")),
                ("c".into(), text("1")),
                (TRACE_ID_ATTRIBUTE.into(), text("tr-other")),
                ("a".into(), AnyValue::Integer(7)),
            ],
            ..draft()
        }
        .finish()
        .unwrap();
        let expected: [(String, String); 4] = [
            ("a".into(), "7".into()),
            ("b".into(), "{\"x\": 1}".into()),
            ("c".into(), "\"1\"".into()),
            (TRACE_ID_ATTRIBUTE.into(), format!("\"tr-{}\"", "01".repeat(16))),
        ];
        assert_eq!(span.attributes, expected);
    }
}
