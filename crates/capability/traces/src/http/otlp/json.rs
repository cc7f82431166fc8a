//! OpenTelemetry's request and answer as JSON: names in camel case, ids in hex digits, 64-bit numbers as texts or
//! numbers. Members that this version does not know are passed over.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::draft::{Draft, DraftLink};
use super::protobuf::Decoded;
use super::wire::{Broken, Budget};
use crate::service::{Ingested, ReceivedSpan};
use crate::span::SpanEvent;
use crate::{AnyValue, limits};

/// Reads an `ExportTraceServiceRequest`.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Broken> {
    // Each of these begins at most one value; counted before any is made.
    let values = bytes
        .iter()
        .filter(|byte| matches!(byte, b'{' | b'[' | b','))
        .count();
    if values > 2 * limits::VALUES_PER_CALL {
        return Err(Broken::TooMany);
    }
    let request: Value =
        serde_json::from_slice(bytes).map_err(|_| Broken::Malformed("the body is not JSON, or cut short"))?;
    if !request.is_object() {
        return Err(Broken::Malformed("the body is not a JSON object"));
    }
    let mut budget = Budget::new(limits::VALUES_PER_CALL);
    let mut decoded = Decoded::default();
    for group in items(&request, "resourceSpans", "resource_spans")? {
        let resource = member(group, "resource", "resource");
        let resource = Arc::new(match resource {
            Some(resource) => attributes(resource, &mut budget)?,
            None => Vec::new(),
        });
        for scope in items(group, "scopeSpans", "scope_spans")? {
            for sent in items(scope, "spans", "spans")? {
                match span(sent, &mut budget)?.finish() {
                    Ok(span) => decoded.0.push(ReceivedSpan {
                        span,
                        resource: Arc::clone(&resource),
                    }),
                    Err(reason) => decoded.1.push(reason),
                }
            }
        }
    }
    Ok(decoded)
}

fn member<'v>(value: &'v Value, camel: &str, snake: &str) -> Option<&'v Value> {
    value
        .get(camel)
        .or_else(|| value.get(snake))
        .filter(|value| !value.is_null())
}

fn items<'v>(value: &'v Value, camel: &str, snake: &str) -> Result<&'v [Value], Broken> {
    match member(value, camel, snake) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(Broken::Malformed("a member that must be a list is not one")),
    }
}

fn text(value: &Value, camel: &str, snake: &str) -> Result<String, Broken> {
    match member(value, camel, snake) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Broken::Malformed("a member that must be a text is not one")),
    }
}

/// An id in hex digits.
fn id(value: &Value, camel: &str, snake: &str) -> Result<Vec<u8>, Broken> {
    const WRONG: Broken = Broken::Malformed("an id is not written in hex digits");
    let text = text(value, camel, snake)?;
    if !text.len().is_multiple_of(2) {
        return Err(WRONG);
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(WRONG);
            Ok((digit(pair[0])? * 16 + digit(pair[1])?) as u8)
        })
        .collect()
}

fn unsigned(value: &Value, camel: &str, snake: &str) -> Result<u64, Broken> {
    let number = match member(value, camel, snake) {
        None => Some(0),
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
    };
    number.ok_or(Broken::Malformed(
        "a member that must be a whole number is not one",
    ))
}

/// A number of an enumeration, or its name.
fn choice(value: &Value, name: &str, names: &[&str]) -> Result<i64, Broken> {
    match member(value, name, name) {
        None => Ok(0),
        Some(Value::String(text)) => Ok((0..)
            .zip(names)
            .find(|(_, name)| *name == text)
            .map_or(0, |(number, _)| number)),
        Some(number) => number
            .as_i64()
            .ok_or(Broken::Malformed("a member that must be a choice is not one")),
    }
}

fn span(sent: &Value, budget: &mut Budget) -> Result<Draft, Broken> {
    const KINDS: [&str; 6] = [
        "SPAN_KIND_UNSPECIFIED",
        "SPAN_KIND_INTERNAL",
        "SPAN_KIND_SERVER",
        "SPAN_KIND_CLIENT",
        "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ];
    const CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
    budget.take()?;
    let empty = json!({});
    let status = member(sent, "status", "status").unwrap_or(&empty);
    Ok(Draft {
        trace: id(sent, "traceId", "trace_id")?,
        id: id(sent, "spanId", "span_id")?,
        parent: id(sent, "parentSpanId", "parent_span_id")?,
        name: text(sent, "name", "name")?,
        kind: choice(sent, "kind", &KINDS)?,
        start_ns: unsigned(sent, "startTimeUnixNano", "start_time_unix_nano")?,
        end_ns: unsigned(sent, "endTimeUnixNano", "end_time_unix_nano")?,
        attributes: attributes(sent, budget)?,
        events: items(sent, "events", "events")?
            .iter()
            .map(|event| {
                budget.take()?;
                Ok(SpanEvent {
                    name: text(event, "name", "name")?,
                    at_ns: unsigned(event, "timeUnixNano", "time_unix_nano")?,
                    attributes: attributes(event, budget)?,
                })
            })
            .collect::<Result<_, _>>()?,
        links: items(sent, "links", "links")?
            .iter()
            .map(|link| {
                budget.take()?;
                Ok(DraftLink {
                    trace: id(link, "traceId", "trace_id")?,
                    id: id(link, "spanId", "span_id")?,
                    attributes: attributes(link, budget)?,
                })
            })
            .collect::<Result<_, _>>()?,
        status: choice(status, "code", &CODES)?,
        status_message: text(status, "message", "message")?,
    })
}

fn attributes(value: &Value, budget: &mut Budget) -> Result<Vec<(String, AnyValue)>, Broken> {
    items(value, "attributes", "attributes")?
        .iter()
        .map(|attribute| pair(attribute, budget, 0))
        .collect()
}

fn pair(sent: &Value, budget: &mut Budget, depth: usize) -> Result<(String, AnyValue), Broken> {
    budget.take()?;
    let value = match member(sent, "value", "value") {
        Some(value) => any_value(value, budget, depth)?,
        None => AnyValue::Null,
    };
    Ok((text(sent, "key", "key")?, value))
}

fn any_value(sent: &Value, budget: &mut Budget, depth: usize) -> Result<AnyValue, Broken> {
    const WRONG: Broken = Broken::Malformed("the value of an attribute is not what its name says");
    if depth > limits::VALUE_DEPTH {
        return Err(Broken::Malformed("a value holds values within values too deep"));
    }
    let of = |camel, snake| member(sent, camel, snake);
    if let Some(text) = of("stringValue", "string_value") {
        return Ok(AnyValue::Text(text.as_str().ok_or(WRONG)?.to_owned()));
    }
    if let Some(bool) = of("boolValue", "bool_value") {
        return bool.as_bool().map(AnyValue::Bool).ok_or(WRONG);
    }
    if let Some(integer) = of("intValue", "int_value") {
        let parsed = integer.as_i64().or_else(|| integer.as_str()?.parse().ok());
        return parsed.map(AnyValue::Integer).ok_or(WRONG);
    }
    if let Some(real) = of("doubleValue", "double_value") {
        let parsed = real.as_f64().or_else(|| real.as_str()?.parse().ok());
        return parsed.map(AnyValue::Real).ok_or(WRONG);
    }
    if let Some(bytes) = of("bytesValue", "bytes_value") {
        let decoded = bytes.as_str().and_then(|text| STANDARD.decode(text).ok());
        return decoded.map(AnyValue::Bytes).ok_or(WRONG);
    }
    if let Some(list) = of("arrayValue", "array_value") {
        let values = items(list, "values", "values")?.iter().map(|item| {
            budget.take()?;
            any_value(item, budget, depth + 1)
        });
        return Ok(AnyValue::List(values.collect::<Result<_, _>>()?));
    }
    if let Some(map) = of("kvlistValue", "kvlist_value") {
        let members = items(map, "values", "values")?
            .iter()
            .map(|member| pair(member, budget, depth + 1));
        return Ok(AnyValue::Map(members.collect::<Result<_, _>>()?));
    }
    Ok(AnyValue::Null)
}

/// An `ExportTraceServiceResponse`: nothing, or what was left out and why.
pub(super) fn answer(ingested: &Ingested) -> Value {
    match &ingested.message {
        None => json!({}),
        Some(message) => json!({
            "partialSuccess": { "rejectedSpans": ingested.rejected.to_string(), "errorMessage": message }
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> Value {
        json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "app"}}]},
            "scopeSpans": [{"spans": [{
                "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
                "parentSpanId": "eee19b7ec3c1b173", "name": "x", "kind": 2,
                "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1_544_712_661_000_000_000_i64,
                "status": {"code": "STATUS_CODE_OK", "message": ""}, "unknown": {"a": 1},
                "attributes": [
                    {"key": "i", "value": {"intValue": "7"}}, {"key": "d", "value": {"doubleValue": 0.5}},
                    {"key": "b", "value": {"boolValue": true}}, {"key": "n", "value": {}},
                    {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}},
                    {"key": "m", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 1}}]}}},
                    {"key": "y", "value": {"bytesValue": "AQI="}},
                ],
                "events": [{"timeUnixNano": "5", "name": "e"}],
                "links": [{"traceId": "01", "spanId": "02", "attributes": []}],
            }]}],
        }]})
    }

    #[test]
    fn a_span_is_read_whole() {
        let (spans, refused) = decode(request().to_string().as_bytes()).unwrap();
        assert!(refused.is_empty());
        let span = &spans[0].span;
        assert_eq!(span.trace_id(), "tr-5b8efff798038103d269b633813fc60c");
        assert_eq!(
            (span.start_ns, span.end_ns),
            (1_544_712_660_000_000_000, Some(1_544_712_661_000_000_000))
        );
        assert_eq!(
            (span.kind, span.status),
            (crate::SpanKind::Server, crate::SpanStatus::Ok)
        );
        let texts: Vec<&str> = span.attributes.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts[..7],
            ["7", "0.5", "true", "null", "[\"a\"]", "{\"k\": 1}", "\"AQI=\""]
        );
        assert_eq!(span.events[0].at_ns, 5);
        assert_eq!(span.links[0].span_id, "0000000000000002");
        assert_eq!(spans[0].resource[0].0, "service.name");
    }

    #[test]
    fn no_cut_or_change_makes_it_panic_and_wrong_types_are_told() {
        let whole = request().to_string();
        for end in 0..whole.len() {
            assert!(decode(&whole.as_bytes()[..end]).is_err());
        }
        for (from, to) in [
            ("\"5b8efff798038103d269b633813fc60c\"", "\"xyz\""),
            ("\"5b8efff798038103d269b633813fc60c\"", "5"),
            ("\"intValue\":\"7\"", "\"intValue\":\"seven\""),
            ("\"events\":[", "\"events\":{},\"others\":["),
            ("\"1544712660000000000\"", "\"-1\""),
        ] {
            let changed = whole.replace(from, to);
            assert_ne!(changed, whole, "{from}");
            assert!(decode(changed.as_bytes()).is_err(), "{to}");
        }
        assert!(decode(b"[]").is_err());
        assert_eq!(decode(b"{}").unwrap(), Decoded::default());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}:,\"a-zA-Z0-9]{0,200}") {
            let _ = decode(text.as_bytes());
        }
    }
}
