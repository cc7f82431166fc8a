//! What a service's answer means: wait and try again, ask somebody else, or not there.
//!
//! The library keeps the type of its errors to itself. So a refusal is taken from the answer itself, on its
//! way up through [`Watched`], and found again in the chain of causes.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use http::StatusCode;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

use super::names::{self, Unfit};
use crate::error::Trouble;

/// What is read of the body of a refusal.
const REFUSAL_BYTES: usize = 16 << 10;
/// What is told of its sentence.
const SENTENCE_CHARS: usize = 200;

/// Why a request did not do what it should.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub kind: FailureKind,
    pub message: String,
    /// What the service asks for before the next try.
    pub wait: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// There is no such object.
    Missing,
    /// The object ends before the range.
    TooShort,
    /// The object is no longer what was expected.
    Moved,
    /// May be otherwise the next time.
    Passing,
    /// The same, but what it consists of was tried often enough.
    TriedEnough,
    /// Will be the same the next time.
    Lasting(Trouble),
}

impl Failure {
    pub fn passing(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Passing, message)
    }

    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            wait: None,
        }
    }

    fn of_refusal(refusal: &Refusal) -> Self {
        let code = refusal.code.as_str();
        let kind = match refusal.status.as_u16() {
            404 if code.starts_with("NoSuchBucket") || code.starts_with("ContainerNotFound") => {
                FailureKind::Lasting(Trouble::NoBucket)
            }
            404 => FailureKind::Missing,
            416 => FailureKind::TooShort,
            401 | 403 => FailureKind::Lasting(Trouble::Denied),
            // Azure has a word of its own for an object that should not be there and is.
            412 => FailureKind::Moved,
            409 if code == "BlobAlreadyExists" => FailureKind::Moved,
            408 | 425 | 429 | 500..=599 => FailureKind::Passing,
            // S3's answers to a body that came too slowly, and to a part that another try sends too.
            400 if code == "RequestTimeout" => FailureKind::Passing,
            400 if code == "ExpiredToken" || code == "InvalidToken" => FailureKind::Lasting(Trouble::Denied),
            409 if code == "OperationAborted" || code == "ConditionalRequestConflict" => FailureKind::Passing,
            _ => FailureKind::Lasting(Trouble::Refused),
        };
        Self {
            kind,
            message: refusal.to_string(),
            wait: refusal.wait,
        }
    }
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        let mut innermost = String::new();
        while let Some(one) = cause {
            if let Some(refusal) = one.downcast_ref::<Refusal>() {
                return Self::of_refusal(refusal);
            }
            innermost = one.to_string();
            cause = one.source();
        }
        // No answer, half of one, or one that makes no sense. The outer sentences repeat addresses, which may
        // hold signatures; the innermost is that of the system, of TLS or of the parser.
        Self::passing(innermost.chars().take(SENTENCE_CHARS).collect::<String>())
    }
}

/// An answer that is not a success.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    /// The service's word for it; empty if it said none.
    code: String,
    sentence: String,
    wait: Option<Duration>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the service answered {}", self.status.as_u16())?;
        if !self.code.is_empty() {
            write!(out, " {}", self.code)?;
        }
        if !self.sentence.is_empty() {
            write!(out, ": {}", self.sentence)?;
        }
        Ok(())
    }
}

impl Error for Refusal {}

/// Makes clients that turn every answer but a success into a [`Refusal`].
#[derive(Debug, Default)]
pub(super) struct Watching {
    connector: ReqwestConnector,
    /// Where names go that the library cannot hold, if lists are read of what others write.
    unfit: Option<Arc<Unfit>>,
}

impl Watching {
    /// The same, which takes objects whose names the library cannot hold out of lists.
    pub fn sorting_out(unfit: Arc<Unfit>) -> Self {
        Self {
            unfit: Some(unfit),
            ..Self::default()
        }
    }
}

impl HttpConnector for Watching {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Watched {
            client: self.connector.connect(options)?,
            unfit: self.unfit.clone(),
        }))
    }
}

#[derive(Debug)]
struct Watched {
    client: HttpClient,
    unfit: Option<Arc<Unfit>>,
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let unfit = self.unfit.as_ref().filter(|_| names::is_list(&request));
        let answer = self.client.execute(request).await?;
        if answer.status().is_success() {
            return match unfit {
                Some(unfit) => unfit.sort_out(answer).await,
                None => Ok(answer),
            };
        }
        let (parts, body) = answer.into_parts();
        let mut text = Vec::new();
        let mut frames = body.bytes_stream();
        // A refusal whose body breaks off is a refusal all the same.
        while let Some(Ok(bytes)) = frames.next().await
            && text.len() < REFUSAL_BYTES
        {
            text.extend_from_slice(&bytes);
        }
        let text = String::from_utf8_lossy(&text);
        let wait = parts.headers.get(http::header::RETRY_AFTER);
        let wait = wait.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let refusal = Refusal {
            status: parts.status,
            code: element(&text, "Code"),
            sentence: element(&text, "Message"),
            wait: wait.map(Duration::from_secs),
        };
        Err(HttpError::new(HttpErrorKind::Unknown, refusal))
    }
}

/// The text of the first such element of an XML refusal, cut to what fits into a sentence.
fn element(xml: &str, name: &str) -> String {
    let text = xml
        .split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{name}>")))
        .map_or("", |(text, _)| text.trim());
    let line = text.lines().next().unwrap_or_default().trim_end_matches('.');
    line.chars()
        .filter(|one| !one.is_control())
        .take(SENTENCE_CHARS)
        .collect()
}
