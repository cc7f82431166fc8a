//! OpenTelemetry's request and answer as protobuf.

use std::sync::Arc;

use super::draft::{Draft, DraftLink};
use super::wire::{Broken, Budget, Field, Fields, put_bytes, put_number};
use crate::service::{Ingested, ReceivedSpan};
use crate::span::SpanEvent;
use crate::{AnyValue, limits};

/// Spans, and why others of the request are none.
pub(super) type Decoded = (Vec<ReceivedSpan>, Vec<String>);

/// Reads an `ExportTraceServiceRequest`. Fields that this version does not know are passed over.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Broken> {
    let mut budget = Budget::new(limits::VALUES_PER_CALL);
    let mut decoded = Decoded::default();
    let mut fields = Fields::of(bytes);
    while let Some((number, field)) = fields.next()? {
        if number == 1 {
            resource_spans(field.bytes()?, &mut budget, &mut decoded)?;
        }
    }
    Ok(decoded)
}

fn resource_spans(bytes: &[u8], budget: &mut Budget, decoded: &mut Decoded) -> Result<(), Broken> {
    // The resource may stand behind its spans.
    let mut resource = Vec::new();
    let mut fields = Fields::of(bytes);
    while let Some((number, field)) = fields.next()? {
        if number == 1 {
            let mut fields = Fields::of(field.bytes()?);
            while let Some((number, field)) = fields.next()? {
                if number == 1 {
                    resource.push(key_value(field.bytes()?, budget, 0)?);
                }
            }
        }
    }
    let resource = Arc::new(resource);
    let mut fields = Fields::of(bytes);
    while let Some((number, field)) = fields.next()? {
        if number != 2 {
            continue;
        }
        let mut scope = Fields::of(field.bytes()?);
        while let Some((number, field)) = scope.next()? {
            if number == 2 {
                match span(field.bytes()?, budget)?.finish() {
                    Ok(span) => decoded.0.push(ReceivedSpan {
                        span,
                        resource: Arc::clone(&resource),
                    }),
                    Err(reason) => decoded.1.push(reason),
                }
            }
        }
    }
    Ok(())
}

fn span(bytes: &[u8], budget: &mut Budget) -> Result<Draft, Broken> {
    budget.take()?;
    let mut draft = Draft::default();
    let mut fields = Fields::of(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => draft.trace = field.bytes()?.to_vec(),
            2 => draft.id = field.bytes()?.to_vec(),
            4 => draft.parent = field.bytes()?.to_vec(),
            5 => draft.name = field.text()?,
            6 => draft.kind = field.varint()?.cast_signed(),
            7 => draft.start_ns = field.fixed64()?,
            8 => draft.end_ns = field.fixed64()?,
            9 => draft.attributes.push(key_value(field.bytes()?, budget, 0)?),
            11 => draft.events.push(event(field.bytes()?, budget)?),
            13 => draft.links.push(link(field.bytes()?, budget)?),
            15 => status(field.bytes()?, &mut draft)?,
            _ => {}
        }
    }
    Ok(draft)
}

fn status(bytes: &[u8], draft: &mut Draft) -> Result<(), Broken> {
    let mut fields = Fields::of(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            2 => draft.status_message = field.text()?,
            3 => draft.status = field.varint()?.cast_signed(),
            _ => {}
        }
    }
    Ok(())
}

fn event(bytes: &[u8], budget: &mut Budget) -> Result<SpanEvent, Broken> {
    budget.take()?;
    let mut event = SpanEvent {
        name: String::new(),
        at_ns: 0,
        attributes: Vec::new(),
    };
    let mut fields = Fields::of(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => event.at_ns = field.fixed64()?,
            2 => event.name = field.text()?,
            3 => event.attributes.push(key_value(field.bytes()?, budget, 0)?),
            _ => {}
        }
    }
    Ok(event)
}

fn link(bytes: &[u8], budget: &mut Budget) -> Result<DraftLink, Broken> {
    budget.take()?;
    let mut link = DraftLink::default();
    let mut fields = Fields::of(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => link.trace = field.bytes()?.to_vec(),
            2 => link.id = field.bytes()?.to_vec(),
            4 => link.attributes.push(key_value(field.bytes()?, budget, 0)?),
            _ => {}
        }
    }
    Ok(link)
}

fn key_value(bytes: &[u8], budget: &mut Budget, depth: usize) -> Result<(String, AnyValue), Broken> {
    let (mut key, mut value) = (String::new(), AnyValue::Null);
    budget.take()?;
    let mut fields = Fields::of(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => key = field.text()?,
            2 => value = any_value(field.bytes()?, budget, depth)?,
            _ => {}
        }
    }
    Ok((key, value))
}

fn any_value(bytes: &[u8], budget: &mut Budget, depth: usize) -> Result<AnyValue, Broken> {
    if depth > limits::VALUE_DEPTH {
        return Err(Broken::Malformed("a value holds values within values too deep"));
    }
    let mut value = AnyValue::Null;
    let mut fields = Fields::of(bytes);
    while let Some((number, field)) = fields.next()? {
        value = match number {
            1 => AnyValue::Text(field.text()?),
            2 => AnyValue::Bool(field.varint()? != 0),
            3 => AnyValue::Integer(field.varint()?.cast_signed()),
            4 => AnyValue::Real(f64::from_bits(field.fixed64()?)),
            5 => list(field, budget, depth + 1)?,
            6 => map(field, budget, depth + 1)?,
            7 => AnyValue::Bytes(field.bytes()?.to_vec()),
            _ => continue,
        };
    }
    Ok(value)
}

fn list(field: Field<'_>, budget: &mut Budget, depth: usize) -> Result<AnyValue, Broken> {
    let mut items = Vec::new();
    let mut fields = Fields::of(field.bytes()?);
    while let Some((number, field)) = fields.next()? {
        if number == 1 {
            budget.take()?;
            items.push(any_value(field.bytes()?, budget, depth)?);
        }
    }
    Ok(AnyValue::List(items))
}

fn map(field: Field<'_>, budget: &mut Budget, depth: usize) -> Result<AnyValue, Broken> {
    let mut members = Vec::new();
    let mut fields = Fields::of(field.bytes()?);
    while let Some((number, field)) = fields.next()? {
        if number == 1 {
            members.push(key_value(field.bytes()?, budget, depth)?);
        }
    }
    Ok(AnyValue::Map(members))
}

/// An `ExportTraceServiceResponse`: nothing, or what was left out and why.
pub(super) fn answer(ingested: &Ingested) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(message) = &ingested.message {
        let mut partial = Vec::new();
        put_number(&mut partial, 1, ingested.rejected as u64);
        put_bytes(&mut partial, 2, message.as_bytes());
        put_bytes(&mut out, 1, &partial);
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text_value(text: &str) -> Vec<u8> {
        let mut value = Vec::new();
        put_bytes(&mut value, 1, text.as_bytes());
        value
    }

    fn attribute(key: &str, value: &[u8]) -> Vec<u8> {
        let mut attribute = Vec::new();
        put_bytes(&mut attribute, 1, key.as_bytes());
        put_bytes(&mut attribute, 2, value);
        attribute
    }

    fn put_fixed64(out: &mut Vec<u8>, number: u8, value: u64) {
        out.push(number << 3 | 1);
        out.extend(value.to_le_bytes());
    }

    /// A request with one span that has one of everything.
    pub(in super::super) fn request() -> Vec<u8> {
        let mut items = Vec::new();
        let mut item = Vec::new();
        put_number(&mut item, 3, 5);
        put_bytes(&mut items, 1, &item);
        let mut list = Vec::new();
        put_bytes(&mut list, 5, &items);
        let mut members = Vec::new();
        put_bytes(&mut members, 1, &attribute("q", &text_value("hé")));
        let mut map = Vec::new();
        put_bytes(&mut map, 6, &members);

        let mut event = Vec::new();
        put_fixed64(&mut event, 1, 9);
        put_bytes(&mut event, 2, b"ev");
        put_bytes(&mut event, 3, &attribute("l", &list));
        let mut link = Vec::new();
        put_bytes(&mut link, 1, &[3; 16]);
        put_bytes(&mut link, 2, &[4; 8]);
        let mut status = Vec::new();
        put_bytes(&mut status, 2, b"bad");
        put_number(&mut status, 3, 2);

        let mut span = Vec::new();
        put_bytes(&mut span, 1, &[1; 16]);
        put_bytes(&mut span, 2, &[2; 8]);
        put_bytes(&mut span, 5, b"root");
        put_number(&mut span, 6, 3);
        put_fixed64(&mut span, 7, 1_000_000_000);
        put_fixed64(&mut span, 8, 3_000_000_000);
        put_bytes(&mut span, 9, &attribute("mlflow.spanInputs", &map));
        put_bytes(&mut span, 11, &event);
        put_bytes(&mut span, 13, &link);
        put_bytes(&mut span, 15, &status);
        put_number(&mut span, 99, 1);

        let mut scope = Vec::new();
        put_bytes(&mut scope, 2, &span);
        let mut resource = Vec::new();
        put_bytes(&mut resource, 1, &attribute("service.name", &text_value("app")));
        let mut spans = Vec::new();
        put_bytes(&mut spans, 2, &scope);
        put_bytes(&mut spans, 1, &resource);
        let mut request = Vec::new();
        put_bytes(&mut request, 1, &spans);
        request
    }

    #[test]
    fn a_span_is_read_whole() {
        let (spans, refused) = decode(&request()).unwrap();
        assert!(refused.is_empty());
        let [ReceivedSpan { span, resource }] = spans.as_slice() else {
            panic!("{spans:?}");
        };
        assert_eq!(
            (span.name.as_str(), span.start_ns, span.end_ns),
            ("root", 1_000_000_000, Some(3_000_000_000))
        );
        assert_eq!(span.kind, crate::SpanKind::Client);
        assert_eq!(
            (span.status, span.status_message.as_deref()),
            (crate::SpanStatus::Error, Some("bad"))
        );
        assert_eq!(span.attribute("mlflow.spanInputs"), Some(r#"{"q": "hé"}"#));
        assert_eq!(
            span.events[0].attributes[0].1,
            AnyValue::List(vec![AnyValue::Integer(5)])
        );
        assert_eq!(
            (span.links[0].trace_id.as_str(), span.links[0].span_id.as_str()),
            ("tr-03030303030303030303030303030303", "0404040404040404")
        );
        assert_eq!(
            **resource,
            [("service.name".to_owned(), AnyValue::Text("app".into()))]
        );
    }

    #[test]
    fn no_cut_of_a_request_makes_it_panic() {
        let whole = request();
        for end in 0..whole.len() {
            let _ = decode(&whole[..end]);
        }
    }

    #[test]
    fn values_are_counted_before_they_are_made() {
        let mut request = Vec::new();
        let mut scope = Vec::new();
        for _ in 0..=limits::VALUES_PER_CALL {
            scope.extend([0x12, 0]);
        }
        let mut spans = Vec::new();
        put_bytes(&mut spans, 2, &scope);
        put_bytes(&mut request, 1, &spans);
        assert_eq!(decode(&request).unwrap_err(), Broken::TooMany);

        let mut value = text_value("x");
        for _ in 0..200 {
            let mut list = Vec::new();
            put_bytes(&mut list, 1, &value);
            value = Vec::new();
            put_bytes(&mut value, 5, &list);
        }
        let mut budget = Budget::new(1000);
        assert!(any_value(&value, &mut budget, 0).is_err());
    }

    #[test]
    fn answers() {
        assert!(answer(&Ingested::default()).is_empty());
        let partial = Ingested {
            rejected: 2,
            message: Some("no".into()),
        };
        assert_eq!(answer(&partial), [0x0a, 6, 0x08, 2, 0x12, 2, b'n', b'o']);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn no_change_of_a_request_makes_it_panic(at in 0_usize..400, byte in any::<u8>()) {
            let mut request = request();
            let at = at % request.len();
            request[at] = byte;
            let _ = decode(&request);
        }
    }
}
