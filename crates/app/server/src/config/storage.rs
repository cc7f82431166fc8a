//! Where blobs lie, and who keeps the root key: the settings of `[storage]` and `[keys]`.

use std::path::{Path, PathBuf};

use corliss_blobstore::BucketSettings;
use corliss_keyring::{Token, TransitSettings};

use super::{ConfigError, bad, size};

/// The sections of this module, with every setting of them.
pub const KEYS: &[(&str, &str)] = &[
    (
        "storage.url",
        "s3://bucket/prefix, gs://… or az://… to keep blobs in a bucket [default: a folder of the home]",
    ),
    (
        "storage.endpoint",
        "address of a service that speaks S3, such as https://minio.example:9000",
    ),
    ("storage.region", "region of the bucket"),
    (
        "storage.cache",
        "bytes of a bucket's content to keep in the home, such as 50GiB [default: 10GiB]",
    ),
    (
        "keys.provider",
        "who keeps the root key: file or transit [default: file]",
    ),
    (
        "keys.address",
        "address of Vault or OpenBao, such as https://vault.example:8200",
    ),
    (
        "keys.mount",
        "where its transit engine is mounted [default: transit]",
    ),
    ("keys.key", "name of its transit key"),
    ("keys.namespace", "its namespace, if it has some"),
    (
        "keys.token_file",
        "file with the token for it [default: the variable CORLISS_KEYS_TOKEN]",
    ),
    (
        "keys.ca_file",
        "PEM file with the authority that signed its certificate, if it is a private one",
    ),
];

/// The variable with the token, if no file is named. It is no setting: tokens do not belong into `config.toml`.
pub const TOKEN_VARIABLE: &str = "CORLISS_KEYS_TOKEN";
const DEFAULT_CACHE_BYTES: u64 = 10 << 30;
/// A few packs; less would fetch each again and again.
const CACHE_BYTES_MIN: u64 = 256 << 20;

/// Where blobs lie.
#[derive(Debug, Clone)]
pub enum Storage {
    /// In the home.
    Home,
    /// In a bucket, with copies in the home.
    Bucket {
        /// The bucket.
        bucket: Box<BucketSettings>,
        /// Bytes of copies.
        cache_bytes: u64,
    },
}

/// Who keeps the root key.
#[derive(Debug, Clone)]
pub enum RootKeeper {
    /// A file in the home.
    File,
    /// Vault or OpenBao.
    Transit(Box<TransitSettings>),
}

pub(super) fn storage<'a>(text: &impl Fn(&'static str) -> Option<&'a str>) -> Result<Storage, ConfigError> {
    let Some(url) = text("storage.url") else {
        return Ok(Storage::Home);
    };
    let is_known = ["s3://", "gs://", "az://", "abfs://", "abfss://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    if !is_known {
        return Err(bad("storage.url", url, "an address such as s3://bucket/prefix"));
    }
    let cache_bytes = match text("storage.cache") {
        None => DEFAULT_CACHE_BYTES,
        Some(value) => size(value)
            .filter(|bytes| *bytes >= CACHE_BYTES_MIN)
            .ok_or_else(|| bad("storage.cache", value, "a size from 256MiB on"))?,
    };
    let mut bucket = BucketSettings::of(url);
    bucket.endpoint = text("storage.endpoint").map(str::to_owned);
    bucket.region = text("storage.region").map(str::to_owned);
    Ok(Storage::Bucket {
        bucket: Box::new(bucket),
        cache_bytes,
    })
}

pub(super) fn root_keeper<'a>(
    home: &Path,
    text: &impl Fn(&'static str) -> Option<&'a str>,
) -> Result<RootKeeper, ConfigError> {
    match text("keys.provider") {
        None | Some("file") => Ok(RootKeeper::File),
        Some("transit") => {
            let needed = |key: &'static str| {
                text(key).ok_or_else(|| bad(key, "", "set, since keys.provider is transit"))
            };
            let path = |key| text(key).map(|path| -> PathBuf { home.join(path) });
            let token = match path("keys.token_file") {
                Some(file) => Token::File(file),
                None => Token::Variable(TOKEN_VARIABLE.to_owned()),
            };
            let mut transit = TransitSettings::new(needed("keys.address")?, needed("keys.key")?, token);
            if let Some(mount) = text("keys.mount") {
                mount.clone_into(&mut transit.mount);
            }
            transit.namespace = text("keys.namespace").map(str::to_owned);
            transit.ca_file = path("keys.ca_file");
            Ok(RootKeeper::Transit(Box::new(transit)))
        }
        Some(other) => Err(bad("keys.provider", other, "file or transit")),
    }
}
