//! Why no answer came from a server, told apart by what would mend it.

use std::error::Error;

use crate::error::{CliError, EXIT_UNREACHABLE};
use crate::home::Credentials;
use crate::program;

/// What went wrong between here and the server.
#[derive(Debug, PartialEq, Eq)]
enum Cause {
    /// Its certificate is not trusted.
    Certificate(String),
    /// One side speaks TLS, the other does not.
    NotTls,
    /// The handshake failed otherwise.
    Handshake(String),
    /// A connection was made and no answer came in time.
    Silent,
    /// The connection itself was not made in time.
    NoConnection,
    /// The host's name is not known.
    NoHost,
    /// The connection was closed before an answer came.
    BrokeOff,
    /// The connection was refused, or something else kept it from being made.
    Nothing,
}

/// Puts a failed request into words.
#[must_use]
pub fn explain(credentials: &Credentials, error: &reqwest::Error) -> CliError {
    let chain = causes(error);
    let cause = cause(error.is_timeout(), error.is_connect(), &chain);
    let url = credentials.url.trim_end_matches('/');
    let unreachable = |why: &str| {
        CliError::new(
            EXIT_UNREACHABLE,
            "unreachable",
            format!("cannot reach the server at {url}: {why}"),
        )
    };
    let named_by = if credentials.from_environment {
        "CORLISS_URL"
    } else {
        "server.url in the home's config.toml"
    };
    match cause {
        Cause::Certificate(reason) => CliError::new(
            EXIT_UNREACHABLE,
            "certificate_refused",
            format!("the certificate of {url} is not trusted: {reason}"),
        )
        .hint("name the PEM file of its authority in CORLISS_CA, or in server.tls_ca for the server"),
        Cause::NotTls => unreachable("the TLS handshake failed because the server speaks plain http")
            .hint(format!("write http:// instead of https:// in {named_by}")),
        Cause::Handshake(reason) => unreachable(&format!("the TLS handshake failed: {reason}"))
            .hint("look at the server's certificate and at its log"),
        Cause::Silent => unreachable("it took the request but did not answer in time")
            .hint("try again; if it stays so, look at the server's log and restart it"),
        Cause::NoConnection => unreachable("no connection could be made in time")
            .hint("look whether the address is right and whether a firewall is in between"),
        Cause::NoHost => unreachable("there is no host of this name").hint(format!("look at {named_by}")),
        Cause::BrokeOff => {
            let error = unreachable("it closed the connection without an answer");
            if url.starts_with("http://") {
                error.hint(format!(
                    "it may have been stopped: look with `{}`; if it uses TLS, write https:// in {named_by}",
                    program::command("status")
                ))
            } else {
                error.hint("try again; if it stays so, look at the server's log")
            }
        }
        Cause::Nothing if credentials.from_environment => unreachable("nothing answers there").hint(
            "look whether CORLISS_URL is right and that server runs, or unset it to use the home's server",
        ),
        Cause::Nothing => {
            unreachable("nothing answers there").hint(format!("start it with: {}", program::command("up")))
        }
    }
}

/// What each cause says, the outermost first.
fn causes(error: &reqwest::Error) -> Vec<String> {
    let mut chain = Vec::new();
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(one) = cause {
        chain.push(one.to_string());
        cause = one.source();
    }
    chain
}

fn cause(timed_out: bool, while_connecting: bool, chain: &[String]) -> Cause {
    let after = |start: &str| chain.iter().find_map(|said| said.strip_prefix(start));
    let says = |part: &str| chain.iter().any(|said| said.contains(part));
    if let Some(reason) = after("invalid peer certificate: ") {
        return Cause::Certificate(reason.to_owned());
    }
    if says("InvalidContentType") {
        return Cause::NotTls;
    }
    if let Some(reason) = after("received fatal alert: ") {
        return Cause::Handshake(reason.to_owned());
    }
    if says("tls handshake") {
        return Cause::Handshake(chain.last().cloned().unwrap_or_default());
    }
    match (timed_out, while_connecting) {
        (true, true) => Cause::NoConnection,
        (true, false) => Cause::Silent,
        (false, true) if says("dns error") => Cause::NoHost,
        (false, true) => Cause::Nothing,
        (false, false) => Cause::BrokeOff,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    fn said(chain: &[&str]) -> Vec<String> {
        chain.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_would_mend_it_is_told_apart() {
        let refused = said(&["client error (Connect)", "tcp connect error"]);
        assert_eq!(cause(false, true, &refused), Cause::Nothing);
        assert_eq!(cause(true, true, &refused), Cause::NoConnection);
        assert_eq!(cause(true, false, &[]), Cause::Silent);
        assert_eq!(cause(false, false, &[]), Cause::BrokeOff);
        let unknown = said(&["client error (Connect)", "dns error"]);
        assert_eq!(cause(false, true, &unknown), Cause::NoHost);
        let plain = said(&["received corrupt message of type InvalidContentType"]);
        assert_eq!(cause(false, true, &plain), Cause::NotTls);
        let refused = said(&["invalid peer certificate: UnknownIssuer"]);
        assert_eq!(
            cause(false, true, &refused),
            Cause::Certificate("UnknownIssuer".to_owned())
        );
    }

    #[test]
    fn a_server_that_takes_a_request_and_keeps_silent_is_not_called_absent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let error = client
            .get(&url)
            .timeout(Duration::from_millis(50))
            .send()
            .unwrap_err();
        let credentials = Credentials {
            url,
            token: String::new(),
            ca: None,
            from_environment: true,
        };
        let explained = explain(&credentials, &error).report.message;
        assert!(explained.ends_with("it took the request but did not answer in time"));
    }
}
