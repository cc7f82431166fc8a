//! One request to the transit engine: sent, repeated while that helps, and its refusals told apart.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Response, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::{Zeroize, Zeroizing};

use super::{Token, TransitSettings, Trouble};

/// The first try included.
const TRIES: u32 = 4;
/// Doubled after each try.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An answer of more is not one of a transit engine.
const MAX_ANSWER_BYTES: u64 = 1 << 20;
/// Of the server's words, what goes into an error.
const MAX_MESSAGE_CHARS: usize = 300;

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Asked for by agents and proxies that must not be fooled into sending it by a browser.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// Speaks to one transit engine.
pub(super) struct TransitClient {
    http: Client,
    /// Address with the mount.
    base: String,
    mount: String,
    key: String,
    namespace: Option<HeaderValue>,
    token: Token,
}

impl TransitClient {
    pub fn new(settings: &TransitSettings) -> Result<Self, Trouble> {
        let mut http = Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout)
            // Keys go where the settings say and nowhere else: a redirect would carry the token along, and a
            // proxy of the environment would see what is sent to this machine.
            .redirect(redirect::Policy::none())
            .no_proxy();
        if let Some(authority) = settings.authority()? {
            http = http.tls_certs_only(authority);
        }
        let http = http.build().map_err(|error| Trouble::Setting {
            problem: format!("there is no TLS: {}", with_causes(&error)),
        })?;
        Ok(Self {
            http,
            base: settings.base()?,
            mount: settings.mount.trim_matches('/').to_owned(),
            key: settings.key.clone(),
            namespace: settings.namespace()?,
            token: settings.token.clone(),
        })
    }

    /// The `data` of the answer. `body` is JSON, wiped from memory afterwards. All that is asked for may be
    /// asked for again: none of it changes the engine.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        action: &str,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<T, Trouble> {
        let path = format!("{action}/{}", self.key);
        let body = body.map(Bytes::from_owner);
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.once(&path, body.clone()).await {
                Err((trouble, wait)) if trouble.passes() => {
                    let wait = wait.unwrap_or(pause).min(LONGEST_PAUSE);
                    tracing::debug!(%trouble, ?wait, "the transit engine is asked again");
                    tokio::time::sleep(wait).await;
                    pause *= 2;
                }
                other => return other.map_err(|(trouble, _)| trouble),
            }
        }
        self.once(&path, body).await.map_err(|(trouble, _)| trouble)
    }

    /// With a trouble, how long the server asks to wait.
    async fn once<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<T, (Trouble, Option<Duration>)> {
        let alone = |trouble| (trouble, None);
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = self
            .http
            .request(method, format!("{}/{path}", self.base))
            .header(TOKEN, self.token.read().map_err(alone)?)
            .header(REQUEST, "true");
        if let Some(namespace) = &self.namespace {
            request = request.header(NAMESPACE, namespace);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| alone(unreachable(&error)))?;
        let (status, wait) = (response.status().as_u16(), retry_after(&response));
        let answer = read(response).await.map_err(alone)?;
        if status == 200 {
            return parse(&answer).map_err(alone);
        }
        Err((self.refusal(status, path, &answer), wait))
    }

    /// What a status and the words with it mean: as Vault and OpenBao document them, and 2.7 says them.
    fn refusal(&self, status: u16, path: &str, answer: &[u8]) -> Trouble {
        let message = words(answer);
        let has = |text: &str| message.contains(text);
        let key = || Trouble::NoKey {
            key: self.key.clone(),
        };
        match status {
            400 if has("encryption key not found") => key(),
            404 if has("no handler for route") => Trouble::NoMount {
                mount: self.mount.clone(),
            },
            // A path of the engine that has nothing: no words at all.
            404 if message.is_empty() => key(),
            403 => Trouble::Denied {
                path: format!("{}/{path}", self.mount),
            },
            503 if has("sealed") => Trouble::Sealed,
            300..=399 => Trouble::Refused {
                status,
                message: "it sends elsewhere; set the address of the active node".to_owned(),
            },
            // 412: a replica that has not seen the latest write. 472 and 473: a standby.
            412 | 429 | 472 | 473 | 500..=599 => Trouble::Busy { status, message },
            _ => Trouble::Refused { status, message },
        }
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// Wiped from memory as far as it is this crate's: what hyper and TLS have buffered is theirs.
async fn read(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let mut answer = Zeroizing::new(Vec::with_capacity(4096));
    while let Some(part) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if answer.len() as u64 + part.len() as u64 > MAX_ANSWER_BYTES {
            let problem = format!("it is longer than {MAX_ANSWER_BYTES} bytes");
            return Err(Trouble::Answer { problem });
        }
        answer.extend_from_slice(&part);
        if let Ok(mut part) = part.try_into_mut() {
            part.as_mut().zeroize();
        }
    }
    Ok(answer)
}

fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Trouble> {
    #[derive(Deserialize)]
    struct Answer<T> {
        data: T,
    }
    // Only where it is wrong: serde's own words may quote the answer, which may hold a key.
    let parsed: Result<Answer<T>, _> = serde_json::from_slice(answer);
    parsed.map(|answer| answer.data).map_err(|error| Trouble::Answer {
        problem: format!("line {}, column {}", error.line(), error.column()),
    })
}

/// The words of a refusal; they hold nothing that was sent.
fn words(answer: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        errors: Vec<String>,
    }
    let words = match serde_json::from_slice::<Refusal>(answer) {
        Ok(refusal) => refusal.errors.join("; "),
        Err(_) => String::from_utf8_lossy(answer).into_owned(),
    };
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join(" ").chars().take(MAX_MESSAGE_CHARS).collect()
}

fn unreachable(error: &reqwest::Error) -> Trouble {
    let message = if error.is_timeout() {
        "it has not answered in time".to_owned()
    } else {
        with_causes(error)
    };
    Trouble::Unreachable { message }
}

/// The last cause says what it is; what is above it only says that it failed.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}
