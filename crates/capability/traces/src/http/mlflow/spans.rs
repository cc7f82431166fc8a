//! A span as OpenTelemetry's message in protobuf's JSON, in which MLflow's clients read it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::AnyValue;
use crate::span::{Span, SpanEvent, SpanLink};

pub(super) fn span(span: &Span) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("trace_id", json!(STANDARD.encode(span.trace)));
    put("span_id", json!(STANDARD.encode(span.id)));
    if let Some(parent) = span.parent {
        put("parent_span_id", json!(STANDARD.encode(parent)));
    }
    put("name", json!(span.name));
    put("kind", json!(span.kind.as_str()));
    put("start_time_unix_nano", json!(span.start_ns));
    if let Some(end_ns) = span.end_ns {
        put("end_time_unix_nano", json!(end_ns));
    }
    let attributes = span
        .attributes
        .iter()
        .map(|(key, text)| pair(key, &AnyValue::of_text(text)));
    put("attributes", attributes.collect());
    if !span.events.is_empty() {
        put("events", span.events.iter().map(event).collect());
    }
    if !span.links.is_empty() {
        put("links", span.links.iter().map(link).collect());
    }
    let mut status = json!({ "code": span.status.as_str() });
    if let (Some(message), Value::Object(status)) = (&span.status_message, &mut status) {
        status.insert("message".to_owned(), json!(message));
    }
    put("status", status);
    Value::Object(fields)
}

fn event(event: &SpanEvent) -> Value {
    json!({ "time_unix_nano": event.at_ns, "name": event.name, "attributes": pairs(&event.attributes) })
}

fn link(link: &SpanLink) -> Value {
    let id = |hex: &str| -> String {
        let digits = hex.strip_prefix("tr-").unwrap_or(hex).as_bytes();
        let bytes = digits.chunks(2).map(|pair| {
            pair.iter().fold(0, |byte: u8, digit| {
                byte << 4 | u8::try_from(char::from(*digit).to_digit(16).unwrap_or(0)).unwrap_or(0)
            })
        });
        STANDARD.encode(bytes.collect::<Vec<u8>>())
    };
    json!({
        "trace_id": id(&link.trace_id),
        "span_id": id(&link.span_id),
        "attributes": pairs(&link.attributes),
    })
}

fn pairs(attributes: &[(String, AnyValue)]) -> Value {
    attributes.iter().map(|(key, value)| pair(key, value)).collect()
}

fn pair(key: &str, value: &AnyValue) -> Value {
    json!({ "key": key, "value": any_value(value) })
}

fn any_value(value: &AnyValue) -> Value {
    match value {
        AnyValue::Null => json!({}),
        AnyValue::Bool(bool) => json!({ "bool_value": bool }),
        AnyValue::Integer(integer) => json!({ "int_value": integer }),
        // JSON has no words for these; protobuf's has.
        AnyValue::Real(real) if real.is_nan() => json!({ "double_value": "NaN" }),
        AnyValue::Real(real) if real.is_infinite() => {
            json!({ "double_value": if *real > 0.0 { "Infinity" } else { "-Infinity" } })
        }
        AnyValue::Real(real) => json!({ "double_value": real }),
        AnyValue::Text(text) => json!({ "string_value": text }),
        AnyValue::Bytes(bytes) => json!({ "bytes_value": STANDARD.encode(bytes) }),
        AnyValue::List(items) => {
            json!({ "array_value": { "values": items.iter().map(any_value).collect::<Value>() } })
        }
        AnyValue::Map(members) => json!({ "kvlist_value": { "values": pairs(members) } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::span as example;

    #[test]
    fn a_span_is_opentelemetrys_message() {
        let mut given = example(1, Some(2));
        given.links[0].trace_id = format!("tr-{}", "03".repeat(16));
        given.links[0].span_id = "04".repeat(8);
        let sent = span(&given);
        assert_eq!(sent["trace_id"], "BwcHBwcHBwcHBwcHBwcHBw==");
        assert_eq!(sent["parent_span_id"], "AgICAgICAgI=");
        assert_eq!(sent["end_time_unix_nano"], 2_000_000_000_u64);
        assert_eq!(
            sent["status"],
            json!({"code": "STATUS_CODE_ERROR", "message": "bad"})
        );
        assert_eq!(
            sent["attributes"][0],
            json!({"key": "z", "value": {"int_value": 1}})
        );
        assert_eq!(sent["attributes"][1]["value"], json!({"string_value": "LLM"}));
        assert_eq!(
            sent["events"][0]["attributes"][1]["value"],
            json!({"double_value": 0.5})
        );
        assert_eq!(sent["links"][0]["trace_id"], "AwMDAwMDAwMDAwMDAwMDAw==");
        assert_eq!(sent["links"][0]["span_id"], "BAQEBAQEBAQ=");
    }

    #[test]
    fn values_of_every_kind() {
        for (text, expected) in [
            ("null", json!({})),
            ("true", json!({"bool_value": true})),
            ("NaN", json!({"double_value": "NaN"})),
            (
                "[1, \"a\"]",
                json!({"array_value": {"values": [{"int_value": 1}, {"string_value": "a"}]}}),
            ),
            (
                "{\"k\": 1.0}",
                json!({"kvlist_value": {"values": [{"key": "k", "value": {"double_value": 1.0}}]}}),
            ),
            ("no json", json!({"string_value": "no json"})),
        ] {
            assert_eq!(any_value(&AnyValue::of_text(text)), expected, "{text}");
        }
    }
}
