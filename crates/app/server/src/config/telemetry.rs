//! Where the server tells what it did: the settings of `[telemetry]`.

use corliss_upstream::BaseUrl;

use super::{ConfigError, bad};

/// The section of this module, with every setting of it.
pub const KEYS: &[(&str, &str)] = &[(
    "telemetry.otlp_endpoint",
    "OpenTelemetry collector that gets spans of requests to language models by OTLP over HTTP, such as \
     http://127.0.0.1:4318 [default: none are made]",
)];

pub(super) fn otlp_endpoint<'a>(
    text: &impl Fn(&'static str) -> Option<&'a str>,
) -> Result<Option<BaseUrl>, ConfigError> {
    const KEY: &str = "telemetry.otlp_endpoint";
    let expected = "an address, such as http://127.0.0.1:4318";
    text(KEY)
        .map(|url| url.parse().map_err(|_| bad(KEY, url, expected)))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_or_is_refused() {
        let read = |text: &'static str| otlp_endpoint(&|_| Some(text));
        assert_eq!(
            read("http://127.0.0.1:4318/otlp/").unwrap().unwrap().path(),
            "/otlp"
        );
        assert!(otlp_endpoint(&|_| None).unwrap().is_none());
        for wrong in ["127.0.0.1:4318", "grpc://127.0.0.1:4317", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
