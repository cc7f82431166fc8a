//! The native API over HTTP, with the server's own error reports passed through.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use corliss_diagnostics::ErrorReport;
use corliss_pipelines::project_file::Problem;
use reqwest::blocking::{Body, Client, RequestBuilder, Response};
use reqwest::{Certificate, Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{CliError, CliResult, EXIT_FAILED, EXIT_UNREACHABLE};
use crate::home::Credentials;
use crate::unreachable;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Of a request that is made again and again, so that a server that hangs is soon noticed.
const POLL_TIMEOUT: Duration = Duration::from_secs(10);
/// Of what may carry, or make the server look at, any number of bytes.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(3600);

/// A connection to one server.
pub struct Api {
    client: Client,
    credentials: Credentials,
}

impl Api {
    /// Connects lazily; nothing is sent yet.
    pub fn new(credentials: Credentials) -> CliResult<Self> {
        check_url(&credentials)?;
        check_token(&credentials)?;
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .tls_certs_merge(private_authority(credentials.ca.as_deref())?)
            .build()
            .map_err(|error| CliError::failed(format!("cannot set up an HTTP client: {error}")))?;
        Ok(Self { client, credentials })
    }

    /// Where this server is, and the token for it.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
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
        let response = request
            .send()
            .map_err(|error| unreachable::explain(&self.credentials, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.text().unwrap_or_default();
        Err(refusal(status, &body))
    }

    /// Whether it answers at all.
    pub fn answers(&self) -> bool {
        let probe = self.request(Method::GET, "/healthz").timeout(POLL_TIMEOUT);
        self.send(probe).is_ok()
    }

    /// GET, parsed.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> CliResult<T> {
        parse(self.send(self.request(Method::GET, path).timeout(REQUEST_TIMEOUT))?)
    }

    /// GET, parsed, for what is asked again and again.
    pub fn poll<T: DeserializeOwned>(&self, path: &str) -> CliResult<T> {
        parse(self.send(self.request(Method::GET, path).timeout(POLL_TIMEOUT))?)
    }

    /// POST of a JSON body, parsed.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> CliResult<T> {
        self.send_json(Method::POST, path, body, REQUEST_TIMEOUT)
    }

    /// POST of a JSON body that lists what was uploaded, which the server looks through; parsed.
    pub fn post_list<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> CliResult<T> {
        self.send_json(Method::POST, path, body, UPLOAD_TIMEOUT)
    }

    /// PUT of a JSON body, parsed.
    pub fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> CliResult<T> {
        self.send_json(Method::PUT, path, body, REQUEST_TIMEOUT)
    }

    fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> CliResult<T> {
        parse(self.send(self.request(method, path).timeout(timeout).json(body))?)
    }

    /// POST of a JSON body, answered with bytes.
    pub fn post_for_bytes(&self, path: &str, body: &impl Serialize) -> CliResult<Bytes> {
        let request = self.request(Method::POST, path).timeout(UPLOAD_TIMEOUT);
        let response = self.send(request.json(body))?;
        response.bytes().map_err(|error| broke_off(&error))
    }

    /// GET of bytes, to be read as they come.
    pub fn bytes(&self, path: &str) -> CliResult<impl Read + use<>> {
        self.send(self.request(Method::GET, path).timeout(UPLOAD_TIMEOUT))
    }

    /// POST of a JSON body, answered with lines of JSON as they come.
    pub fn lines(
        &self,
        path: &str,
        body: &impl Serialize,
        mut each: impl FnMut(Value) -> CliResult,
    ) -> CliResult {
        let request = self.request(Method::POST, path).timeout(UPLOAD_TIMEOUT);
        for line in BufReader::new(self.send(request.json(body))?).lines() {
            let line = line.map_err(|error| broke_off(&error))?;
            each(from_json(line.as_bytes())?)?;
        }
        Ok(())
    }

    /// POST of raw bytes.
    pub fn post_bytes(&self, path: &str, body: Vec<u8>) -> CliResult {
        let request = self.request(Method::POST, path).timeout(UPLOAD_TIMEOUT);
        let octets = request.header("content-type", "application/octet-stream");
        self.send(octets.body(body)).map(drop)
    }

    /// PUT of a file's bytes, sent as they are read.
    pub fn put_file(&self, path: &str, file: File, size_bytes: u64) -> CliResult {
        let request = self.request(Method::PUT, path).timeout(UPLOAD_TIMEOUT);
        let octets = request.header("content-type", "application/octet-stream");
        self.send(octets.body(Body::sized(file, size_bytes))).map(drop)
    }

    /// PATCH of a JSON body, parsed.
    pub fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> CliResult<T> {
        self.send_json(Method::PATCH, path, body, REQUEST_TIMEOUT)
    }

    /// DELETE, parsed.
    pub fn delete_for<T: DeserializeOwned>(&self, path: &str) -> CliResult<T> {
        parse(self.send(self.request(Method::DELETE, path).timeout(REQUEST_TIMEOUT))?)
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

fn broke_off(error: &dyn std::error::Error) -> CliError {
    let message = format!("the answer broke off: {error}");
    CliError::new(EXIT_UNREACHABLE, "unreachable", message)
}

fn parse<T: DeserializeOwned>(response: Response) -> CliResult<T> {
    let bytes = response.bytes().map_err(|error| broke_off(&error))?;
    from_json(if bytes.is_empty() { b"null" } else { &bytes })
}

fn from_json<T: DeserializeOwned>(text: &[u8]) -> CliResult<T> {
    serde_json::from_slice(text).map_err(|error| {
        CliError::new(
            EXIT_FAILED,
            "unexpected_answer",
            format!("the server's answer is not what was expected: {error}"),
        )
        .hint("check that `corliss --version` and the server's version are the same")
    })
}

/// The server's refusal as an error; what is wrong with a project file goes along, problem by problem.
fn refusal(status: u16, body: &str) -> CliError {
    let mut answer: Value = serde_json::from_str(body).unwrap_or_default();
    let mut member = |name| answer.get_mut(name).map(Value::take).unwrap_or_default();
    let problems: Vec<Problem> = serde_json::from_value(member("problems")).unwrap_or_default();
    if !problems.is_empty() {
        return CliError::project_file("the project file", problems);
    }
    let native = serde_json::from_value(member("error")).ok();
    let mlflow = || serde_json::from_value(answer).map(|said: MlflowRefusal| said.report(status));
    let report = native.or_else(|| mlflow().ok()).unwrap_or_else(|| ErrorReport {
        code: format!("http_{status}"),
        message: format!("the server answered with status {status}"),
        field: None,
        hint: None,
        retryable: status >= 500,
    });
    CliError::answered(status, report)
}

/// What MLflow's dialect says of a refusal.
#[derive(serde::Deserialize)]
struct MlflowRefusal {
    error_code: String,
    message: String,
}

impl MlflowRefusal {
    fn report(self, status: u16) -> ErrorReport {
        ErrorReport {
            code: self.error_code.to_lowercase(),
            message: self.message,
            field: None,
            hint: None,
            retryable: status >= 500,
        }
    }
}

/// An address that cannot be one is told apart from one where nothing answers.
fn check_url(credentials: &Credentials) -> CliResult {
    let url = &credentials.url;
    let parsed = Url::parse(url).ok();
    if parsed.is_some_and(|parsed| matches!(parsed.scheme(), "http" | "https") && parsed.has_host()) {
        return Ok(());
    }
    let named_by = if credentials.from_environment {
        "CORLISS_URL"
    } else {
        "url in the home's credentials"
    };
    Err(CliError::input(format!("'{url}' is not the URL of a server"))
        .hint(format!("set {named_by} to one such as http://127.0.0.1:7070")))
}

/// A token is sent in a header, which holds plain characters alone.
fn check_token(credentials: &Credentials) -> CliResult {
    let Some(bad) = credentials.token.chars().find(|char| !char.is_ascii_graphic()) else {
        return Ok(());
    };
    let named_by = match credentials.from_environment {
        true => "CORLISS_TOKEN",
        false => "the token in the home's credentials",
    };
    let what = match bad {
        '\n' | '\r' => "the end of a line".to_owned(),
        ' ' | '\t' => "a space".to_owned(),
        other => format!("'{}'", other.escape_default()),
    };
    Err(
        CliError::input(format!("{named_by} is no token: there is {what} in it"))
            .hint("set it to the token alone, as it was shown when it was made"),
    )
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
            refusal(502, "<html>").report.message,
            "the server answered with status 502"
        );
        let error = refusal(
            404,
            r#"{"error":{"code":"job_not_found","message":"no job 'x'"}}"#,
        );
        assert_eq!(error.report.code, "job_not_found");
        let body = r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No Experiment with id=9 exists"}"#;
        let error = refusal(404, body);
        assert_eq!(
            (
                error.report.code.as_str(),
                error.report.message.as_str(),
                error.exit_code
            ),
            ("resource_does_not_exist", "No Experiment with id=9 exists", 5)
        );
        assert_eq!(refusal(500, "[]").report.code, "http_500");
    }

    #[test]
    fn what_only_the_server_knows_about_a_file_is_told_problem_by_problem() {
        let body = r#"{"error":{"code":"project_file_invalid","message":"1 problem","hint":"see 'problems'"},
            "problems":[{"line":4,"column":7,"field":"steps.a","message":"no machine has 99 CPUs"}]}"#;
        let error = refusal(400, body).in_file("a.yaml");
        assert_eq!(error.report.message, "a.yaml has 1 problem");
        let problems = error.problems.unwrap();
        assert_eq!((problems.list[0].line, problems.list[0].column), (4, 7));
    }

    #[test]
    fn what_is_no_token_is_said_to_be_none() {
        let token = |text: &str| Credentials {
            url: String::new(),
            token: text.to_owned(),
            ca: None,
            from_environment: true,
        };
        for (bad, why) in [
            ("abc\n", "the end of a line"),
            ("a b", "a space"),
            ("a\u{1b}", "'\\u{1b}'"),
        ] {
            let error = check_token(&token(bad)).unwrap_err();
            assert_eq!(
                error.report.message,
                format!("CORLISS_TOKEN is no token: there is {why} in it")
            );
        }
        assert!(check_token(&token("cls_0a-1B.~")).is_ok());
        assert!(check_token(&token("")).is_ok());
    }

    #[test]
    fn what_is_no_url_is_said_to_be_none() {
        let url = |text: &str| Credentials {
            url: text.to_owned(),
            token: String::new(),
            ca: None,
            from_environment: true,
        };
        for bad in ["", "here", "127.0.0.1:7070", "ftp://x", "http://"] {
            let error = check_url(&url(bad)).unwrap_err();
            assert!(error.report.message.contains("is not the URL"), "{bad}");
        }
        assert!(check_url(&url("http://127.0.0.1:7070/")).is_ok());
    }
}
