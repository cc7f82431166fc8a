//! One request to another server: sent, repeated while that helps, and its refusals told apart.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use corliss_diagnostics::ErrorReport;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, Response, Url, redirect};
use serde::Deserialize;

use crate::DataError;
use crate::remote::RemoteTrouble;
use crate::remote::settings::wrong_settings;

/// No pause is longer, whatever the server asks for.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A body of pieces may be one piece larger than what senders aim at.
const ANSWER_MAX_BYTES: usize = 12 << 20;
const FILE_MAX_BYTES: u64 = 1 << 20;
const MESSAGE_MAX_CHARS: usize = 300;

/// Another Corliss server and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Its address, such as `https://corliss.example.org`.
    pub url: String,
    /// File with a token that it knows; nobody but its owner and group may read it.
    pub token_file: PathBuf,
    /// Certificates of the authority that signed its certificate; None for the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether plain HTTP may be used beyond this machine: the token would be seen on the way.
    pub allow_http: bool,
    /// How long to wait and how often to try.
    pub limits: ServerLimits,
}

/// How long to wait and how often to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Until a connection stands.
    pub connect: Duration,
    /// For one request, its body and that of its answer included.
    pub request: Duration,
    /// Tries of one request.
    pub tries: u32,
    /// The pause before the second try; it doubles from try to try.
    pub pause: Duration,
}

impl Default for ServerLimits {
    /// A request of 8 MiB has two minutes, which asks for 70 kB/s.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(120),
            tries: 6,
            pause: Duration::from_millis(250),
        }
    }
}

impl ServerSettings {
    /// A server, with everything else as it is by default.
    #[must_use]
    pub fn of(url: impl Into<String>, token_file: impl Into<PathBuf>) -> Self {
        Self {
            url: url.into(),
            token_file: token_file.into(),
            ca_file: None,
            allow_http: false,
            limits: ServerLimits::default(),
        }
    }

    /// The address, unless it may hold a password.
    pub(in crate::remote) fn place(&self) -> String {
        match self.url.contains('@') {
            true => "a server".to_owned(),
            false => self.url.clone(),
        }
    }

    fn base(&self) -> Result<Url, String> {
        let url = Url::parse(&self.url).map_err(|error| format!("its url is none: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("its url must not hold a user or a password".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("its url must end before '?' and '#'".to_owned());
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.allow_http || is_loopback(&url) => Ok(url),
            _ => Err("its url must start with https://: the token would be sent in the clear".to_owned()),
        }
    }

    fn authority(&self) -> Result<Option<Vec<Certificate>>, String> {
        let Some(path) = &self.ca_file else {
            return Ok(None);
        };
        let wrong = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
        let mut pem = Vec::new();
        let read = File::open(path).and_then(|file| file.take(FILE_MAX_BYTES).read_to_end(&mut pem));
        read.map_err(|error| wrong(&error))?;
        let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error))?;
        match found.is_empty() {
            true => Err(wrong(&"there is no certificate in it")),
            false => Ok(Some(found)),
        }
    }

    /// What it is now: an agent may renew it while the server runs.
    fn token(&self) -> Result<HeaderValue, String> {
        let path = &self.token_file;
        let wrong = |problem: &dyn std::fmt::Display| format!("its token file {}: {problem}", path.display());
        let mode = fs::metadata(path).map_err(|error| wrong(&error))?.mode();
        if mode & 0o007 != 0 {
            return Err(wrong(&"everybody can read it"));
        }
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(FILE_MAX_BYTES).read_to_string(&mut text));
        read.map_err(|error| wrong(&error))?;
        let value = HeaderValue::from_str(&format!("Bearer {}", text.trim()));
        let mut value = value.map_err(|_| wrong(&"it holds characters that no token has"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Speaks to one server.
pub(super) struct ServerClient {
    http: Client,
    base: Url,
    remote: String,
    settings: ServerSettings,
}

/// Why a request did not do what it should.
struct Failure {
    error: DataError,
    passes: bool,
    wait: Option<Duration>,
}

/// What is sent.
#[derive(Clone)]
pub(super) enum Body {
    Nothing,
    Json(Bytes),
    Pieces(Bytes),
}

impl ServerClient {
    pub fn new(remote: &str, settings: &ServerSettings) -> Result<Self, DataError> {
        let wrong = |message: String| wrong_settings(remote, message);
        let mut http = Client::builder()
            .timeout(settings.limits.request)
            .connect_timeout(settings.limits.connect)
            // The token goes where the settings say and nowhere else.
            .redirect(redirect::Policy::none())
            .no_proxy();
        if let Some(authority) = settings.authority().map_err(wrong)? {
            http = http.tls_certs_only(authority);
        }
        let http = http
            .build()
            .map_err(|error| wrong(format!("there is no TLS: {}", innermost(&error))))?;
        Ok(Self {
            http,
            base: settings.base().map_err(wrong)?,
            remote: remote.to_owned(),
            settings: settings.clone(),
        })
    }

    pub fn told(&self, trouble: RemoteTrouble, message: impl Into<String>) -> DataError {
        DataError::Remote {
            remote: self.remote.clone(),
            trouble,
            message: message.into(),
        }
    }

    /// Asks, and reads the answer with `read`; what that refuses counts as an answer that was cut short. All that
    /// is asked for may be asked for again.
    pub async fn ask<T>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Body,
        read: impl Fn(Bytes) -> Option<T>,
    ) -> Result<T, DataError> {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(["api", "v1", "data"]).extend(path);
        }
        let limits = self.settings.limits;
        let mut pause = limits.pause;
        for tried in 1.. {
            let once = self.once(method.clone(), url.clone(), query, body.clone()).await;
            let failure = match once {
                Ok(answer) => match read(answer) {
                    Some(read) => return Ok(read),
                    None => Failure {
                        error: self.told(RemoteTrouble::Answer, "its answer is cut short or makes no sense"),
                        passes: true,
                        wait: None,
                    },
                },
                Err(failure) => failure,
            };
            if !failure.passes || tried >= limits.tries {
                return Err(failure.error);
            }
            let wait = failure.wait.unwrap_or_default().max(pause).min(PAUSE_MAX);
            tracing::debug!(error = %failure.error, ?wait, "a remote is asked again");
            tokio::time::sleep(wait).await;
            pause = pause.saturating_mul(2);
        }
        Err(self.told(RemoteTrouble::Unavailable, "it was not tried"))
    }

    async fn once(
        &self,
        method: Method,
        url: Url,
        query: &[(&str, &str)],
        body: Body,
    ) -> Result<Bytes, Failure> {
        let lasting = |error| Failure {
            error,
            passes: false,
            wait: None,
        };
        let token = self.settings.token();
        let token = token.map_err(|problem| lasting(wrong_settings(&self.remote, problem)))?;
        let request = self
            .http
            .request(method, url)
            .query(query)
            .header(AUTHORIZATION, token);
        let request = match body {
            Body::Nothing => request,
            Body::Json(json) => request.header(CONTENT_TYPE, "application/json").body(json),
            Body::Pieces(bytes) => request
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(bytes),
        };
        let unreachable = |error: &reqwest::Error| Failure {
            error: self.told(RemoteTrouble::Unavailable, without_url(error)),
            passes: true,
            wait: None,
        };
        let mut response = request.send().await.map_err(|error| unreachable(&error))?;
        let (status, wait) = (response.status().as_u16(), retry_after(&response));
        let mut answer = BytesMut::new();
        while let Some(part) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if answer.len() + part.len() > ANSWER_MAX_BYTES {
                let problem = format!("its answer has more than {ANSWER_MAX_BYTES} bytes");
                return Err(lasting(self.told(RemoteTrouble::Answer, problem)));
            }
            answer.extend_from_slice(&part);
        }
        match status {
            200..=299 => Ok(answer.freeze()),
            _ => Err(self.refusal(status, &answer, wait)),
        }
    }

    fn refusal(&self, status: u16, answer: &[u8], wait: Option<Duration>) -> Failure {
        #[derive(Deserialize)]
        struct Refusal {
            error: ErrorReport,
        }
        let report = serde_json::from_slice::<Refusal>(answer).ok();
        let (code, words) = report.map_or_else(Default::default, |refusal| {
            let words = refusal.error.message;
            let line: String = words.chars().filter(|one| !one.is_control()).collect();
            let line: String = line.chars().take(MESSAGE_MAX_CHARS).collect();
            (refusal.error.code, line)
        });
        let trouble = match (status, code.as_str()) {
            (_, "blob_incomplete" | "data_blob_missing" | "data_tree_missing" | "data_commit_missing") => {
                RemoteTrouble::Lost
            }
            (_, "data_branch_moved" | "data_ref_exists" | "data_not_fast_forward") => RemoteTrouble::Moved,
            (401 | 403, _) => RemoteTrouble::Denied,
            // Pieces that are gone are told apart from paths that nobody answers.
            (404, "blob_not_found" | "version_not_found") => RemoteTrouble::Lost,
            (404, _) => RemoteTrouble::NotFound,
            (408 | 425 | 429 | 500..=504, _) => RemoteTrouble::Unavailable,
            _ => RemoteTrouble::Refused,
        };
        let said: String = match words {
            words if words.is_empty() => format!("it answered {status}"),
            words => format!("it answered {status}: {words}"),
        };
        // Whom that server asks before a name moves has had its time.
        let asked_others = code == "data_hook_unanswered";
        Failure {
            error: self.told(trouble, said),
            passes: matches!(status, 408 | 425 | 429 | 500 | 502..=504) && !asked_others,
            wait,
        }
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

fn without_url(error: &reqwest::Error) -> String {
    match error.is_timeout() {
        true => "it has not answered in time".to_owned(),
        false => innermost(error),
    }
}

/// The last cause says what it is; what is above it repeats the address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_in_the_clear_to_this_machine_only() {
        let base = |url: &str, allow_http| {
            let settings = ServerSettings {
                allow_http,
                ..ServerSettings::of(url, "token")
            };
            settings.base().is_ok()
        };
        for url in [
            "https://corliss.example.org",
            "https://example.org/behind/",
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(base(url, false), "{url}");
        }
        for url in [
            "",
            "corliss",
            "ftp://example.org",
            "http://example.org",
            "http://localhost.example.org",
            "https://ada:hunter2@example.org",
            "https://example.org/?a",
        ] {
            assert!(!base(url, false), "{url}");
        }
        assert!(base("http://example.org", true));
    }

    #[test]
    fn a_token_that_everybody_reads_is_refused_and_none_is_printed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "hunter2\n").unwrap();
        let settings = ServerSettings::of("https://example.org", &file);
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        assert!(settings.token().is_err());
        mode(0o640);
        let token = settings.token().unwrap();
        assert_eq!(token, "Bearer hunter2");
        assert!(!format!("{token:?} {settings:?}").contains("hunter2"));
        fs::write(&file, "two\nlines").unwrap();
        assert!(settings.token().is_err());
    }
}
