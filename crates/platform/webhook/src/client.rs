//! Sending: one request, one outcome.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use corliss_types::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, redirect, retry};

use crate::error::ALLOW_HINT;
use crate::resolver::{Forbidden, Guarded, Lookup, SystemLookup};
use crate::secret::seconds;
use crate::{Outcome, Reach, Secret, Target, Trouble};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of an answer so much is read and told.
const ANSWER_MAX_BYTES: usize = 4 << 10;
const SAID_MAX_CHARS: usize = 1_000;
/// The status is what counts; its words are not waited for longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const USER_AGENT: &str = concat!("Corliss/", env!("CARGO_PKG_VERSION"));

/// What the headers of id, time and signature are called. Protocols that sign the same text differ in no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderNames {
    /// Of the id.
    pub id: &'static str,
    /// Of the time.
    pub timestamp: &'static str,
    /// Of the signature.
    pub signature: &'static str,
}

impl HeaderNames {
    /// Those of the Standard Webhooks specification.
    pub const STANDARD: Self = Self {
        id: "webhook-id",
        timestamp: "webhook-timestamp",
        signature: "webhook-signature",
    };

    /// Those of MLflow, which signs as that specification does.
    pub const MLFLOW: Self = Self {
        id: "x-mlflow-delivery-id",
        timestamp: "x-mlflow-timestamp",
        signature: "x-mlflow-signature",
    };
}

/// One request.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Where to.
    pub target: &'a Target,
    /// What it is told apart by; the same in every try. ASCII without control characters.
    pub id: &'a str,
    /// When this try is made.
    pub at: Timestamp,
    /// What it is signed with; without one it is not signed.
    pub secret: Option<&'a Secret>,
    /// JSON.
    pub body: Bytes,
    /// How long connecting, sending and the first line of the answer may take altogether.
    pub timeout: Duration,
    /// What its headers are called.
    pub headers: HeaderNames,
}

/// Sends requests; cheap to clone.
#[derive(Clone)]
pub struct WebhookClient {
    inner: Arc<Inner>,
}

struct Inner {
    reach: Arc<Reach>,
    lookup: Arc<dyn Lookup>,
    /// Made when something is first sent: it reads the system's certificates.
    http: OnceLock<Result<Client, String>>,
}

impl WebhookClient {
    /// A client that reaches this far.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self::with_lookup(reach, Arc::new(SystemLookup))
    }

    pub(crate) fn with_lookup(reach: Reach, lookup: Arc<dyn Lookup>) -> Self {
        let (reach, http) = (Arc::new(reach), OnceLock::new());
        Self {
            inner: Arc::new(Inner { reach, lookup, http }),
        }
    }

    /// How far it reaches.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.inner.reach
    }

    /// Sends one request and says what came of it.
    pub async fn send(&self, message: Message<'_>) -> Outcome {
        if let Err(error) = message.target.check(&self.inner.reach) {
            return failed(Trouble::Forbidden, format!("{error}; {ALLOW_HINT}"));
        }
        let http = match self.inner.http.get_or_init(|| self.client()) {
            Ok(http) => http,
            Err(message) => return failed(Trouble::Setup, message.clone()),
        };
        let Message { headers, id, at, .. } = message;
        let mut request = http
            .post(message.target.url().clone())
            .timeout(message.timeout)
            .header(CONTENT_TYPE, "application/json")
            .header(headers.id, id)
            .header(headers.timestamp, seconds(at).to_string());
        if let Some(secret) = message.secret {
            request = request.header(headers.signature, secret.sign(id, at, &message.body));
        }
        let request = request.body(message.body);
        match request.send().await {
            Err(error) => unanswered(&error),
            Ok(response) => Outcome::Answered {
                status: response.status().as_u16(),
                retry_after: retry_after(&response),
                said: said(response).await,
            },
        }
    }

    fn client(&self) -> Result<Client, String> {
        Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .retry(retry::never())
            // A connection that is kept would outlive the judgement of its address.
            .pool_max_idle_per_host(0)
            .user_agent(USER_AGENT)
            .dns_resolver(Guarded {
                reach: Arc::clone(&self.inner.reach),
                lookup: Arc::clone(&self.inner.lookup),
            })
            .build()
            .map_err(|error| format!("there is no TLS: {}", innermost(&error)))
    }
}

impl std::fmt::Debug for WebhookClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookClient")
            .field("reach", self.reach())
            .finish_non_exhaustive()
    }
}

const fn failed(trouble: Trouble, message: String) -> Outcome {
    Outcome::Failed { trouble, message }
}

fn unanswered(error: &reqwest::Error) -> Outcome {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(forbidden) = error.downcast_ref::<Forbidden>() {
            return failed(Trouble::Forbidden, format!("{forbidden}; {ALLOW_HINT}"));
        }
        cause = error.source();
    }
    match error.is_timeout() {
        true => failed(Trouble::Timeout, "it has not answered in time".to_owned()),
        false => failed(
            Trouble::Unreachable,
            format!("it is not reachable: {}", innermost(error)),
        ),
    }
}

/// The last cause says what it is; what is above it repeats the address, which may hold a token.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// The beginning of an answer, as far as it comes.
async fn said(mut response: Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while let Ok(Some(part)) = response.chunk().await {
            let room = ANSWER_MAX_BYTES - bytes.len();
            bytes.extend_from_slice(&part[..part.len().min(room)]);
            if bytes.len() == ANSWER_MAX_BYTES {
                break;
            }
        }
    };
    // What came in time is told.
    let _ = tokio::time::timeout(ANSWER_TIMEOUT, read).await;
    let text = String::from_utf8_lossy(&bytes);
    let tame = text.chars().take(SAID_MAX_CHARS).map(|one| match one {
        '\n' => '\n',
        one if one.is_control() => ' ',
        one => one,
    });
    tame.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
