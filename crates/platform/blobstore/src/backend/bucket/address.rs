//! The URL of a bucket.

use std::net::IpAddr;

use crate::BlobError;

/// Whose protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cloud {
    S3,
    Google,
    Azure,
}

/// A URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub cloud: Cloud,
    /// Bucket, or container.
    pub bucket: String,
    /// Azure's storage account, where the URL names it.
    pub account: Option<String>,
    /// Without slashes at its ends.
    pub prefix: String,
}

impl Address {
    pub fn parse(url: &str) -> Result<Self, BlobError> {
        let wrong = |problem: &str| settings_error("url", problem);
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("it has no scheme; begin it with s3://, gs:// or az://"))?;
        let cloud = match scheme {
            "s3" | "s3a" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" | "azure" | "abfs" | "abfss" => Cloud::Azure,
            _ => return Err(wrong("its scheme is none of s3, gs, az, abfs and abfss")),
        };
        // What is wrong is described and not repeated: a secret may have been put where none belongs.
        if rest.contains(['?', '#']) {
            return Err(wrong(
                "it has a query or fragment; credentials and options have settings of their own",
            ));
        }
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let (bucket, account) = match host.split_once('@') {
            None => (host, None),
            Some((container, host)) if cloud == Cloud::Azure => (container, Some(azure_account(host)?)),
            Some(_) => return Err(wrong("it names a user; credentials have a setting of their own")),
        };
        let is_name = |text: &str| {
            text.chars()
                .all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one))
        };
        if bucket.is_empty() || !is_name(bucket) {
            return Err(wrong("it does not name a bucket"));
        }
        let prefix = prefix.trim_end_matches('/');
        let is_part = |part: &str| !part.is_empty() && part != "." && part != ".." && is_name(part);
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err(wrong(
                "its prefix may have letters, digits, '-', '_' and '.', in parts joined by single slashes",
            ));
        }
        Ok(Self {
            cloud,
            bucket: bucket.to_owned(),
            account,
            prefix: prefix.to_owned(),
        })
    }

    /// For messages: the same for every way to write it.
    pub fn place(&self) -> String {
        let scheme = match self.cloud {
            Cloud::S3 => "s3",
            Cloud::Google => "gs",
            Cloud::Azure => "az",
        };
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{scheme}://{}{slash}{}", self.bucket, self.prefix)
    }
}

/// Only the public cloud's hosts: any other is an endpoint, which has a setting of its own.
fn azure_account(host: &str) -> Result<String, BlobError> {
    let account = [".dfs.core.windows.net", ".blob.core.windows.net"]
        .iter()
        .find_map(|suffix| host.strip_suffix(suffix))
        .filter(|account| !account.is_empty() && account.chars().all(|one| one.is_ascii_alphanumeric()));
    account.map(ToOwned::to_owned).ok_or_else(|| {
        settings_error(
            "url",
            "what follows the '@' is not ACCOUNT.dfs.core.windows.net or ACCOUNT.blob.core.windows.net",
        )
    })
}

/// Checks the address of a service; answers whether it may be spoken to without TLS.
pub(super) fn check_endpoint(endpoint: &str, allow_http: bool) -> Result<bool, BlobError> {
    let wrong = |problem: &str| settings_error("endpoint", problem);
    let is_http = match endpoint.split_once("://") {
        Some(("https", _)) => false,
        Some(("http", _)) => true,
        _ => return Err(wrong("it does not begin with https:// or http://")),
    };
    let (_, rest) = endpoint.split_once("://").unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() || rest.contains(['@', '?', '#']) {
        return Err(wrong("it is not a host with an optional port and path"));
    }
    if is_http && !allow_http && !is_loopback(authority) {
        return Err(wrong(
            "it is not encrypted and not on this machine; use https://, or set allow_http",
        ));
    }
    Ok(is_http)
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

pub(super) fn settings_error(field: &'static str, problem: &str) -> BlobError {
    BlobError::BucketSettings {
        field,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_each_cloud_are_taken_apart() {
        let cases = [
            ("s3://data", Cloud::S3, "data", None, "", "s3://data"),
            ("s3a://data/", Cloud::S3, "data", None, "", "s3://data"),
            (
                "gs://my.data/a/b-2/",
                Cloud::Google,
                "my.data",
                None,
                "a/b-2",
                "gs://my.data/a/b-2",
            ),
            ("az://box/p", Cloud::Azure, "box", None, "p", "az://box/p"),
            (
                "abfss://box@acme7.dfs.core.windows.net/p",
                Cloud::Azure,
                "box",
                Some("acme7"),
                "p",
                "az://box/p",
            ),
        ];
        for (url, cloud, bucket, account, prefix, place) in cases {
            let address = Address::parse(url).unwrap();
            let expected = Address {
                cloud,
                bucket: bucket.to_owned(),
                account: account.map(ToOwned::to_owned),
                prefix: prefix.to_owned(),
            };
            assert_eq!(address, expected, "{url}");
            assert_eq!(address.place(), place);
        }
    }

    #[test]
    fn what_is_no_address_is_told_without_repeating_it() {
        for url in [
            "",
            "data",
            "ftp://data",
            "s3://",
            "s3:///prefix",
            "s3://id:hunter2@data",
            "s3://data?secret=hunter2",
            "s3://data/a//b",
            "s3://data/../b",
            "s3://data/a b",
            "abfss://box@hunter2.example.org/p",
            "abfss://box@.dfs.core.windows.net/p",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(
                matches!(error, BlobError::BucketSettings { field: "url", .. }),
                "{url}"
            );
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_it_is_allowed() {
        for (endpoint, expected) in [
            ("https://minio.example.org:9000", Some(false)),
            ("http://127.0.0.1:9000", Some(true)),
            ("http://[::1]:9000/path", Some(true)),
            ("http://localhost", Some(true)),
            ("http://minio.example.org", None),
            ("http://127.0.0.1.example.org", None),
            ("http://10.0.0.1", None),
        ] {
            assert_eq!(check_endpoint(endpoint, false).ok(), expected, "{endpoint}");
            assert!(check_endpoint(endpoint, true).is_ok());
        }
        for wrong in [
            "minio:9000",
            "ftp://x",
            "https://",
            "http://user@127.0.0.1",
            "https://a?b",
        ] {
            assert!(check_endpoint(wrong, true).is_err(), "{wrong}");
        }
    }
}
