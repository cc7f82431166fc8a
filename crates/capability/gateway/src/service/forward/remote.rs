//! A service elsewhere: where its API is, what it calls the model, and its errors in words of ours.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corliss_diagnostics::Meaning;
use corliss_engine::protocol::{JSON_LENGTH_HEADER, Metadata, TensorMessage, TensorMetadata};
use corliss_types::Flavor;
use corliss_upstream::{Answer, Pieces, Upstream, UpstreamError};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::envelope::Api;
use crate::error::GatewayError;
use crate::ports::ServiceAddress;

/// Answers that are held in memory.
pub(crate) const ANSWER_MAX_BYTES: usize = 256 << 20;
/// Of an answer that says what is wrong.
const ERROR_MAX_BYTES: usize = 64 << 10;
const MESSAGE_MAX_CHARS: usize = 2_000;
/// What a request is marked with when it is passed on (RFC 9110, section 7.6.3).
const VIA: &str = "1.1 corliss";
/// Servers in a row may pass a request on, but not for ever.
const HOPS_MAX: usize = 4;
/// For questions that need no computing.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// What of a request's own headers a service is told.
const PASSED_ON: [HeaderName; 3] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Cheap to clone; clones share connections.
#[derive(Clone)]
pub(crate) struct Remote {
    address: Arc<ServiceAddress>,
    /// Why there is none, if TLS cannot be set up here.
    upstream: Result<Upstream, Arc<str>>,
    /// What is asked for again and again, ready to be sent.
    targets: Arc<[(&'static str, Uri)]>,
}

/// What a service says is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) field: Option<String>,
    pub(crate) retry_after_s: Option<u64>,
}

impl Remote {
    pub(crate) fn new(address: Arc<ServiceAddress>) -> Self {
        Self {
            upstream: Upstream::new(address.url.place().clone()).map_err(|error| error.to_string().into()),
            targets: Api::ALL
                .iter()
                .filter_map(|api| Some((api.path(), behind(&address, api.path()).ok()?)))
                .collect(),
            address,
        }
    }

    pub(crate) fn address(&self) -> &ServiceAddress {
        &self.address
    }

    /// What the service calls the model.
    pub(crate) fn model(&self) -> &str {
        &self.address.model
    }

    /// Asks, at a path behind the service's own, and waits for the head of an answer that is one.
    ///
    /// # Errors
    /// If the service is not reached, or says that something is wrong.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Pieces,
    ) -> Result<Answer, GatewayError> {
        let upstream = self.upstream.as_ref().map_err(|detail| UpstreamError::Tls {
            detail: detail.to_string(),
        })?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.target(path)?;
        *request.headers_mut() = self.headers(headers)?;
        let answer = upstream.send(request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(GatewayError::Service(Box::new(refusal(answer).await)))
    }

    fn target(&self, path: &str) -> Result<Uri, UpstreamError> {
        if let Some((_, known)) = self.targets.iter().find(|(known, _)| *known == path) {
            return Ok(known.clone());
        }
        behind(&self.address, path)
    }

    fn headers(&self, mut headers: HeaderMap) -> Result<HeaderMap, UpstreamError> {
        let host = HeaderValue::from_str(self.address.url.authority());
        let host = host.map_err(|error| UpstreamError::BadRequest {
            detail: error.to_string(),
        })?;
        headers.insert(header::HOST, host);
        if let Some(key) = &self.address.key {
            headers.insert(header::AUTHORIZATION, key.clone());
        }
        Ok(headers)
    }

    /// Has an Open Inference Protocol request answered.
    ///
    /// # Errors
    /// As [`Remote::ask`], or if the answer breaks off.
    pub(crate) async fn infer(
        &self,
        message: TensorMessage,
        mut headers: HeaderMap,
    ) -> Result<TensorMessage, GatewayError> {
        let kind = match message.json_bytes {
            None => "application/json",
            Some(length) => {
                headers.insert(JSON_LENGTH_HEADER, HeaderValue::from(length));
                "application/octet-stream"
            }
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let path = format!("/v2/models/{}/infer", escaped(self.model()));
        let body = message.pieces.into_iter().collect();
        let answer = self.ask(Method::POST, &path, headers, body).await?;
        let length = answer.headers.get(JSON_LENGTH_HEADER);
        let json_bytes = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let body = answer.collect(ANSWER_MAX_BYTES).await?;
        self.must_be_object(&body)?;
        Ok(TensorMessage {
            pieces: vec![body],
            json_bytes,
        })
    }

    /// What the model takes and gives.
    ///
    /// # Errors
    /// As [`Remote::ask`], or if the answer is not understood.
    pub(crate) async fn metadata(&self, headers: HeaderMap) -> Result<Metadata, GatewayError> {
        #[derive(Deserialize)]
        struct Told {
            #[serde(default)]
            platform: String,
            #[serde(default)]
            inputs: Vec<TensorMetadata>,
            #[serde(default)]
            outputs: Vec<TensorMetadata>,
        }
        let path = format!("/v2/models/{}", escaped(self.model()));
        let body = self.probe(&path, headers).await?;
        self.must_be_object(&body)?;
        let told: Told = serde_json::from_slice(&body)
            .map_err(|_| self.not_understood("it does not describe a model's tensors"))?;
        Ok(Metadata {
            name: self.model().to_owned(),
            versions: Vec::new(),
            platform: told.platform,
            flavor: Flavor::Other,
            inputs: told.inputs,
            outputs: told.outputs,
            batching: None,
            parameters: Vec::new(),
            language: None,
        })
    }

    async fn probe(&self, path: &str, headers: HeaderMap) -> Result<Bytes, GatewayError> {
        let asked = async {
            let answer = self.ask(Method::GET, path, headers, Pieces::default()).await?;
            Ok(answer.collect(ANSWER_MAX_BYTES).await?)
        };
        timeout(PROBE_TIMEOUT, asked)
            .await
            .unwrap_or_else(|_| Err(self.lost(format!("no answer within {} s", PROBE_TIMEOUT.as_secs()))))
    }

    pub(crate) fn lost(&self, detail: String) -> GatewayError {
        let place = self.address.url.place().to_string();
        UpstreamError::Lost { place, detail }.into()
    }

    /// That what came is no answer, but this.
    pub(crate) fn not_understood(&self, detail: impl Into<String>) -> GatewayError {
        let place = self.address.url.place().to_string();
        let detail = detail.into();
        UpstreamError::NotUnderstood { place, detail }.into()
    }

    /// Lets through an answer that has this member.
    ///
    /// # Errors
    /// If it has not.
    pub(crate) fn must_have(&self, body: &[u8], member: &str) -> Result<(), GatewayError> {
        if memmem::find(body, member.as_bytes()).is_some() {
            return Ok(());
        }
        Err(self.not_understood(format!("it has no {member}")))
    }

    /// Lets through what may be an answer in JSON: an object. Pages of proxies and of other servers come with a 200 too.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn must_be_object(&self, body: &[u8]) -> Result<(), GatewayError> {
        let what = match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => return Ok(()),
            None => "it is empty",
            Some(b'<') => "it is a page of a web site, so another server may be listening at this address",
            Some(_) => "it is not a JSON object",
        };
        Err(self.not_understood(what))
    }
}

/// A path behind the service's own.
fn behind(address: &ServiceAddress, path: &str) -> Result<Uri, UpstreamError> {
    let uri = format!("{}{path}", address.url.path());
    uri.parse()
        .map_err(|error: http::uri::InvalidUri| UpstreamError::BadRequest {
            detail: error.to_string(),
        })
}

/// What a service is told of a request's own headers.
///
/// # Errors
/// If it was passed on too often: an address may lead back here.
pub(crate) fn passed_on(headers: &HeaderMap) -> Result<HeaderMap, GatewayError> {
    let hops = headers
        .get_all(header::VIA)
        .iter()
        .filter(|via| *via == VIA)
        .count();
    if hops >= HOPS_MAX {
        return Err(GatewayError::Loop { hops });
    }
    let mut passed = HeaderMap::with_capacity(8);
    for name in PASSED_ON {
        if let Some(value) = headers.get(&name) {
            passed.insert(name, value.clone());
        }
    }
    for _ in 0..=hops {
        passed.append(header::VIA, HeaderValue::from_static(VIA));
    }
    Ok(passed)
}

/// A model's name as one part of a path.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

async fn refusal(answer: Answer) -> Refusal {
    let status = answer.status;
    let retry_after_s = answer.headers.get(header::RETRY_AFTER);
    let retry_after_s = retry_after_s.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = answer.collect(ERROR_MAX_BYTES).await.unwrap_or_default();
    let (message, field) = said(&body);
    Refusal {
        status,
        message: message.unwrap_or_else(|| format!("it answered {status}")),
        field,
        retry_after_s,
    }
}

/// What is wrong, and with which field: OpenAI's shape, the Open Inference Protocol's, FastAPI's.
fn said(body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let plain = !text.is_empty() && !text.starts_with('<');
        return (plain.then(|| shortened(text)), None);
    };
    let error = &value["error"];
    let texts = [&error["message"], error, &value["message"], &value["detail"]];
    let text = texts.into_iter().find_map(Value::as_str).map(shortened);
    let field = error["param"].as_str().map(ToOwned::to_owned);
    (text, field)
}

fn shortened(text: &str) -> String {
    text.chars().take(MESSAGE_MAX_CHARS).collect()
}

impl Refusal {
    /// What it means to whoever asked here.
    pub(crate) fn meaning(&self) -> Meaning {
        match self.status.as_u16() {
            404 => Meaning::NotFound,
            408 | 504 => Meaning::DeadlineExceeded,
            413 => Meaning::TooLarge,
            429 => Meaning::ResourceExhausted,
            // These are about the server's own key, which is not the caller's fault.
            401 | 403 | 407 => Meaning::Unavailable,
            400..500 => Meaning::InvalidInput,
            _ => Meaning::Unavailable,
        }
    }

    /// Whether it is about the key that the service was shown.
    pub(crate) fn is_about_key(&self) -> bool {
        matches!(self.status.as_u16(), 401 | 403 | 407)
    }

    /// Whether another replica may do better.
    pub(crate) fn elsewhere(&self) -> bool {
        matches!(self.status.as_u16(), 401 | 403 | 407 | 408 | 429 | 500..)
    }

    /// Whether it is held against the service.
    pub(crate) fn is_failure(&self) -> bool {
        self.is_about_key() || self.status.is_server_error()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_the_shapes_that_services_have() {
        let said = |text: &str| said(text.as_bytes());
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(
            said(r#"{"error":{"message":"too long","type":"x","param":"prompt"}}"#),
            (is("too long"), is("prompt"))
        );
        assert_eq!(
            said(r#"{"error":"no such tensor"}"#),
            (is("no such tensor"), None)
        );
        assert_eq!(
            said(r#"{"object":"error","message":"old vLLM"}"#),
            (is("old vLLM"), None)
        );
        assert_eq!(said(r#"{"detail":"Not Found"}"#), (is("Not Found"), None));
        assert_eq!(
            said("upstream connect error"),
            (is("upstream connect error"), None)
        );
        assert_eq!(said("<html>no"), (None, None));
        assert_eq!(said("{}"), (None, None));
    }

    #[test]
    fn names_become_one_part_of_a_path() {
        assert_eq!(escaped("meta-llama/Llama 3?"), "meta-llama%2FLlama%203%3F");
    }
}
