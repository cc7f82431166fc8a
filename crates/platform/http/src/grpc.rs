//! Errors as gRPC tells them: status 200, and what went wrong in the headers of an answer without a body.

use axum::body::Body;
use axum::response::Response;
use corliss_diagnostics::Meaning;
use http::{HeaderName, HeaderValue, header};

use crate::ApiError;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// Clients take some kilobytes of headers altogether.
const MESSAGE_MAX_BYTES: usize = 2048;

/// The method is not there, or not in this form.
pub(crate) const UNIMPLEMENTED: i32 = 12;

/// The status code of gRPC for what an error means.
#[must_use]
pub(crate) fn code_of(error: &ApiError) -> i32 {
    match error.report().code.as_str() {
        "route_not_found" | "method_not_allowed" | "grpc_unimplemented" => return UNIMPLEMENTED,
        _ => {}
    }
    match error.meaning() {
        Meaning::Cancelled => 1,
        Meaning::InvalidInput => 3,
        Meaning::DeadlineExceeded => 4,
        Meaning::NotFound => 5,
        Meaning::PermissionDenied => 7,
        Meaning::ResourceExhausted | Meaning::StorageFull | Meaning::TooLarge => 8,
        Meaning::Conflict => 10,
        Meaning::Internal => 13,
        Meaning::Unavailable => 14,
        Meaning::Unauthenticated => 16,
    }
}

/// The answer that says so.
pub(crate) fn refusal(error: &ApiError, sentence: &str) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(STATUS, HeaderValue::from(code_of(error)));
    if let Ok(message) = HeaderValue::from_str(&encoded(sentence)) {
        headers.insert(MESSAGE, message);
    }
    response
}

/// Printable ASCII stays, anything else and the percent sign become `%` and two digits.
fn encoded(sentence: &str) -> String {
    let mut text = String::with_capacity(sentence.len());
    for letter in sentence.chars() {
        if text.len() >= MESSAGE_MAX_BYTES {
            break;
        }
        if matches!(letter, ' '..='~') && letter != '%' {
            text.push(letter);
        } else {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_survives_headers() {
        assert_eq!(encoded("100% é\n"), "100%25 %C3%A9%0A");
        assert!(encoded(&"é".repeat(100_000)).len() < MESSAGE_MAX_BYTES + 16);
    }

    #[test]
    fn an_answer_has_status_200_and_the_code_in_its_headers() {
        let error = ApiError::new(Meaning::NotFound, "model_not_found", "no 'm'").with_hint("try 'n'");
        let response = error.render(crate::Dialect::Grpc);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "5");
        assert_eq!(response.headers()["grpc-message"], "no 'm'; try 'n'");
        assert_eq!(response.headers()["content-type"], "application/grpc");
    }
}
