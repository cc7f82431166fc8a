//! Which trace a request is part of: W3C Trace Context, level 2 (`traceparent`, `tracestate`).

use http::HeaderMap;

/// A `tracestate` of a request is kept up to so many bytes, as the standard demands.
const STATE_MAX_BYTES: usize = 512;
const SAMPLED: u8 = 1;

/// The span of a request, and what it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace: [u8; 16],
    /// Its caller's span.
    pub(super) parent: Option<[u8; 8]>,
    pub(super) span: [u8; 8],
    pub(super) state: String,
}

impl Context {
    /// Of a request with these headers; none if its caller says that the trace is not recorded. What is no
    /// `traceparent` begins a trace.
    pub(super) fn of(headers: &HeaderMap, random: [u8; 24]) -> Option<Self> {
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&random[..16]);
        span.copy_from_slice(&random[16..]);
        let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let Some((trace_of_parent, parent, flags)) = parent.and_then(read) else {
            return Some(Self {
                trace,
                parent: None,
                span,
                state: String::new(),
            });
        };
        let state = headers.get("tracestate").and_then(|value| value.to_str().ok());
        (flags & SAMPLED != 0).then(|| Self {
            trace: trace_of_parent,
            parent: Some(parent),
            span,
            state: state
                .filter(|state| state.len() <= STATE_MAX_BYTES)
                .unwrap_or_default()
                .to_owned(),
        })
    }

    /// What is sent on with the request, so that what others do for it lies in its span.
    pub(super) fn traceparent(&self) -> String {
        format!("00-{}-{}-01", hex(&self.trace), hex(&self.span))
    }
}

fn read(text: &str) -> Option<([u8; 16], [u8; 8], u8)> {
    let mut parts = text.trim().split('-');
    let [version] = bytes(parts.next()?)?;
    let (trace, parent) = (bytes(parts.next()?)?, bytes(parts.next()?)?);
    let [flags] = bytes(parts.next()?)?;
    // A later version may have more behind these.
    let is_read = version != 0xff && (version != 0 || parts.next().is_none());
    (is_read && trace != [0; 16] && parent != [0; 8]).then_some((trace, parent, flags))
}

/// So many bytes in lower case hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let is_lower = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
    if digits.len() != 2 * N || !digits.iter().all(is_lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(parent: &str) -> Option<Context> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", parent.parse().unwrap());
        headers.insert("tracestate", "vendor=1".parse().unwrap());
        Context::of(&headers, [7; 24])
    }

    #[test]
    fn a_request_lies_in_its_caller_s_span() {
        let context = of(PARENT).unwrap();
        assert_eq!(
            context.parent,
            Some([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7])
        );
        assert_eq!((context.span, context.state.as_str()), ([7; 8], "vendor=1"));
        assert_eq!(
            context.traceparent(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0707070707070707-01"
        );
        // Of a later version, with more behind.
        assert!(of(&format!("01{}-more", &PARENT[2..])).unwrap().parent.is_some());
    }

    #[test]
    fn what_is_not_recorded_is_not_sent() {
        assert_eq!(of(&PARENT.replace("-01", "-00")), None);
    }

    #[test]
    fn what_is_no_parent_begins_a_trace() {
        for wrong in [
            "",
            "00-1-2-01",
            &PARENT.to_uppercase(),
            &format!("ff{}", &PARENT[2..]),
            &format!("{PARENT}-more"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            let context = of(wrong).unwrap();
            assert_eq!((context.trace, context.parent), ([7; 16], None), "{wrong}");
            assert_eq!(context.state, "");
        }
    }
}
