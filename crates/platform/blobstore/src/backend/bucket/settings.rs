//! Which bucket, how to reach it, and as whom. Secrets have a type of their own, which cannot be printed.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// A secret of a setting. `Debug` masks it, and there is no `Display` or `Serialize`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For the one library that signs with it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// A bucket and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketSettings {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or
    /// `abfss://container@account.dfs.core.windows.net/prefix`. The prefix may be empty. One server at a time
    /// may use one prefix.
    pub url: String,
    /// Address of the service, such as `https://minio.example.org:9000`; None for the cloud's own.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Region, for S3; None for the environment's, else `us-east-1`.
    #[serde(default)]
    pub region: Option<String>,
    /// As whom.
    #[serde(default)]
    pub credentials: BucketCredentials,
    /// Whether an endpoint beyond this machine may be reached without TLS. What is stored is sealed either
    /// way, but a signed request can be repeated by whoever saw it.
    #[serde(default)]
    pub allow_http: bool,
    /// How long to wait and how often to try.
    #[serde(skip)]
    pub limits: BucketLimits,
}

impl BucketSettings {
    /// The bucket of a URL, with everything else as it is by default.
    #[must_use]
    pub fn of(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            endpoint: None,
            region: None,
            credentials: BucketCredentials::default(),
            allow_http: false,
            limits: BucketLimits::default(),
        }
    }
}

/// As whom a bucket is used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BucketCredentials {
    /// What the cloud's own variables of the environment say, else the identity of the machine.
    #[default]
    Environment,
    /// An access key of S3.
    AccessKey {
        /// Its id.
        id: String,
        /// Its secret.
        secret: Secret,
        /// The session's token, if it is a temporary key.
        #[serde(default)]
        session_token: Option<Secret>,
    },
    /// A service account of Google Cloud.
    ServiceAccount {
        /// Its JSON key.
        key: Secret,
    },
    /// A storage account of Azure.
    StorageAccount {
        /// Its name; None where the URL names it.
        #[serde(default)]
        account: Option<String>,
        /// Its key.
        key: Secret,
    },
    /// A shared access signature of Azure.
    SharedAccess {
        /// Name of the storage account; None where the URL names it.
        #[serde(default)]
        account: Option<String>,
        /// The signature, as a query string.
        signature: Secret,
    },
}

/// How long to wait and how often to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketLimits {
    /// Until a connection stands.
    pub connect: Duration,
    /// For one request, its body and that of its answer included.
    pub request: Duration,
    /// For one operation, with all its tries and pauses. A list has ten times as long: it has many pages.
    pub operation: Duration,
    /// Tries of one request.
    pub tries: u32,
    /// The pause before the second try. It doubles from try to try, and half of it is left to chance.
    pub pause: Duration,
}

impl Default for BucketLimits {
    /// A request of 8 MiB has a minute, which asks for 140 kB/s.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(60),
            operation: Duration::from_secs(180),
            tries: 6,
            pause: Duration::from_millis(200),
        }
    }
}
