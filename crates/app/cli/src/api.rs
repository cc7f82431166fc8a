//! The native API over HTTP, with the server's own error reports passed through.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use corliss_diagnostics::ErrorReport;
use reqwest::blocking::{Body, Client, RequestBuilder, Response};
use reqwest::{Certificate, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{CliError, CliResult, EXIT_FAILED, EXIT_UNREACHABLE};
use crate::home::Credentials;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(3600);

/// A connection to one server.
pub struct Api {
    client: Client,
    credentials: Credentials,
}

impl Api {
    /// Connects lazily; nothing is sent yet.
    pub fn new(credentials: Credentials) -> CliResult<Self> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .tls_certs_merge(private_authority(credentials.ca.as_deref())?)
            .build()
            .map_err(|error| CliError::failed(format!("cannot set up an HTTP client: {error}")))?;
        Ok(Self { client, credentials })
    }

    /// The file with the private authority of the server's certificate, if it has one.
    pub fn ca(&self) -> Option<&Path> {
        self.credentials.ca.as_deref()
    }

    /// Where this server is.
    pub fn url(&self) -> &str {
        self.credentials.url.trim_end_matches('/')
    }

    /// The token in use.
    pub fn token(&self) -> &str {
        &self.credentials.token
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url()))
            .bearer_auth(&self.credentials.token)
    }

    fn send(&self, request: RequestBuilder) -> CliResult<Response> {
        let response = request.send().map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.text().unwrap_or_default();
        Err(CliError::answered(status, report_in(status, &body)))
    }

    fn unreachable(&self, error: &reqwest::Error) -> CliError {
        let why = if error.is_timeout() {
            "it did not answer in time"
        } else if let Some(reason) = certificate_problem(error) {
            return CliError::new(
                EXIT_UNREACHABLE,
                "certificate_refused",
                format!("the certificate of {} is not trusted: {reason}", self.url()),
            )
            .hint("name the PEM file of its authority in CORLISS_CA, or in server.tls_ca for the server");
        } else {
            "nothing answers there"
        };
        CliError::new(
            EXIT_UNREACHABLE,
            "unreachable",
            format!("cannot reach the server at {}: {why}", self.url()),
        )
        .hint("start it with: corliss up")
    }

    /// GET, parsed.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> CliResult<T> {
        parse(self.send(self.request(Method::GET, path).timeout(REQUEST_TIMEOUT))?)
    }

    /// GET, as it came.
    pub fn download(&self, path: &str) -> CliResult<Response> {
        self.send(self.request(Method::GET, path).timeout(UPLOAD_TIMEOUT))
    }

    /// POST of a JSON body, parsed.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> CliResult<T> {
        parse(
            self.send(
                self.request(Method::POST, path)
                    .timeout(REQUEST_TIMEOUT)
                    .json(body),
            )?,
        )
    }

    /// PUT of a JSON body, parsed.
    pub fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> CliResult<T> {
        parse(
            self.send(
                self.request(Method::PUT, path)
                    .timeout(REQUEST_TIMEOUT)
                    .json(body),
            )?,
        )
    }

    /// PUT of raw bytes.
    pub fn upload(&self, path: &str, body: Body) -> CliResult {
        self.send(self.request(Method::PUT, path).timeout(UPLOAD_TIMEOUT).body(body))
            .map(drop)
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> CliResult {
        self.send(self.request(Method::DELETE, path).timeout(REQUEST_TIMEOUT))
            .map(drop)
    }

    /// Reads server-sent events until the server closes or `each` says stop; returns whether it said so.
    pub fn events(&self, path: &str, mut each: impl FnMut(&str, &str) -> CliResult<bool>) -> CliResult<bool> {
        let response = self.send(
            self.request(Method::GET, path)
                .header("accept", "text/event-stream"),
        )?;
        let (mut event, mut data) = (String::new(), String::new());
        for line in BufReader::new(response).lines() {
            // A broken stream is not an error here: the caller asks again or polls.
            let Ok(line) = line else { return Ok(false) };
            if let Some(name) = line.strip_prefix("event:") {
                name.trim().clone_into(&mut event);
            } else if let Some(part) = line.strip_prefix("data:") {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(part.strip_prefix(' ').unwrap_or(part));
            } else if line.is_empty() {
                if !data.is_empty() && each(&event, &data)? {
                    return Ok(true);
                }
                event.clear();
                data.clear();
            }
        }
        Ok(false)
    }
}

fn private_authority(path: Option<&Path>) -> CliResult<Vec<Certificate>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let unusable = |reason: String| {
        CliError::input(format!(
            "cannot use {} as certificate authority: {reason}",
            path.display()
        ))
        .hint("CORLISS_CA, or server.tls_ca of the server, names a PEM file with certificates")
    };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
    if found.is_empty() {
        return Err(unusable("it holds no certificate".to_owned()));
    }
    Ok(found)
}

/// What was wrong with the server's certificate, if that is why the connection failed.
fn certificate_problem(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(one) = cause {
        let text = one.to_string();
        if let Some(reason) = text.strip_prefix("invalid peer certificate: ") {
            return Some(reason.to_owned());
        }
        cause = one.source();
    }
    None
}

fn parse<T: DeserializeOwned>(response: Response) -> CliResult<T> {
    let bytes = response.bytes().map_err(|error| {
        CliError::new(
            EXIT_UNREACHABLE,
            "unreachable",
            format!("the answer broke off: {error}"),
        )
    })?;
    let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
    serde_json::from_slice(text).map_err(|error| {
        CliError::new(
            EXIT_FAILED,
            "unexpected_answer",
            format!("the server's answer is not what was expected: {error}"),
        )
        .hint("check that `corliss --version` and the server's version are the same")
    })
}

fn report_in(status: u16, body: &str) -> ErrorReport {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let report = parsed
        .as_ref()
        .and_then(|value| serde_json::from_value(value.get("error")?.clone()).ok());
    if let (Some(report), Some(problems)) = (&report, parsed.as_ref().and_then(problems_in)) {
        return ErrorReport {
            message: problems,
            hint: None,
            ..ErrorReport::clone(report)
        };
    }
    report.unwrap_or_else(|| ErrorReport {
        code: format!("http_{status}"),
        message: format!("the server answered with status {status}"),
        field: None,
        hint: None,
        retryable: status >= 500,
    })
}

/// What is wrong with a project file that only the server could know, as one sentence.
fn problems_in(answer: &Value) -> Option<String> {
    let problems = answer.get("problems")?.as_array()?;
    let told = problems.iter().filter_map(|problem| {
        let message = problem.get("message")?.as_str()?;
        Some(format!("line {}: {message}", problem.get("line")?.as_u64()?))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// A path segment, percent-encoded so that a name can never become another path.
#[must_use]
pub fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_a_path() {
        assert_eq!(segment("a/../b?c"), "a%2F..%2Fb%3Fc");
    }

    #[test]
    fn a_foreign_error_body_still_gives_a_sentence() {
        assert_eq!(
            report_in(502, "<html>").message,
            "the server answered with status 502"
        );
        let report = report_in(
            404,
            r#"{"error":{"code":"job_not_found","message":"no job 'x'"}}"#,
        );
        assert_eq!(report.code, "job_not_found");
    }

    #[test]
    fn what_only_the_server_knows_about_a_file_is_told() {
        let body = r#"{"error":{"code":"project_file_invalid","message":"1 problem","hint":"see 'problems'"},
            "problems":[{"line":4,"column":7,"field":"steps.a","message":"no machine has 99 CPUs"}]}"#;
        let report = report_in(400, body);
        assert_eq!(report.message, "line 4: no machine has 99 CPUs");
        assert_eq!(
            (report.code.as_str(), report.hint),
            ("project_file_invalid", None)
        );
    }
}
