//! The remotes that datasets are pushed to and pulled from: a section `[remotes.NAME]` each, in `config.toml` alone.

use std::path::{Path, PathBuf};

use corliss_blobstore::BucketSettings;
use corliss_data::remote::ServerLimits;
use corliss_data::{DataError, RemoteSettings, Remotes, ServerSettings};
use corliss_diagnostics::Diagnose;
use corliss_keyring::FileRootKey;

use super::{ConfigError, bad, plain, unknown, unknown_in};

/// What such a section may hold.
const KEYS: [&str; 7] = [
    "url",
    "token_file",
    "ca_file",
    "key_file",
    "endpoint",
    "region",
    "allow_http",
];

/// One remote, as it is written.
#[derive(Debug, Clone, Default)]
pub struct RemoteConfig {
    name: String,
    url: String,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    endpoint: Option<String>,
    region: Option<String>,
    allow_http: bool,
}

/// Reads the section; `origin` is the file.
pub(super) fn read(
    home: &Path,
    section: &toml::Value,
    origin: &str,
) -> Result<Vec<RemoteConfig>, ConfigError> {
    let Some(remotes) = section.as_table() else {
        return Err(unknown("remotes", origin.to_owned()));
    };
    let mut read = Vec::new();
    for (name, settings) in remotes {
        let Some(settings) = settings.as_table() else {
            return Err(unknown_in("remotes", name, None, &KEYS, origin));
        };
        if let Some(key) = settings.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(unknown_in("remotes", name, Some(key), &KEYS, origin));
        }
        let text = |key: &str| settings.get(key).map(plain).filter(|text| !text.is_empty());
        let path = |key| text(key).map(|path| home.join(path));
        let wrong = |key: &str, value: &str, expected| bad(&format!("remotes.{name}.{key}"), value, expected);
        let url = text("url").ok_or_else(|| wrong("url", "", "set"))?;
        let allow_http = match text("allow_http").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => return Err(wrong("allow_http", other, "true or false")),
        };
        read.push(RemoteConfig {
            name: name.clone(),
            url,
            token_file: path("token_file"),
            ca_file: path("ca_file"),
            key_file: path("key_file"),
            endpoint: text("endpoint"),
            region: text("region"),
            allow_http,
        });
    }
    Ok(read)
}

/// A setting that names one of them.
pub(super) fn named(name: &str, remotes: &[RemoteConfig]) -> Result<String, ConfigError> {
    match remotes.iter().any(|remote| remote.name == name) {
        true => Ok(name.to_owned()),
        false => Err(bad(
            "data.repair_from",
            name,
            "the name of a remote, which has a section [remotes.NAME]",
        )),
    }
}

impl RemoteConfig {
    /// Adds it to the others. A folder or bucket without a key file gets one in the home, made when it is first used.
    pub fn add_to(&self, remotes: Remotes, home: &Path) -> Result<Remotes, RemoteError> {
        let wrong = |message: String, hint: &str| RemoteError {
            name: self.name.clone(),
            message,
            hint: hint.to_owned(),
        };
        let key = || {
            let default = home.join("remotes").join(format!("{}.key", self.name));
            let path = self.key_file.clone().unwrap_or(default);
            let made = path.parent().map(std::fs::create_dir_all).transpose();
            made.map_err(|error| wrong(error.to_string(), "name a key_file that can be written"))?;
            FileRootKey::open(&path)
                .map(|key| std::sync::Arc::new(key) as _)
                .map_err(|error| wrong(error.to_string(), &error.hint().unwrap_or_default()))
        };
        let settings = if self.url.starts_with("http://") || self.url.starts_with("https://") {
            RemoteSettings::Server(ServerSettings {
                url: self.url.clone(),
                token_file: self.token_file.clone().ok_or_else(|| {
                    wrong(
                        "it has no token_file".to_owned(),
                        "write a token of that server into a file of mode 0600, and name it",
                    )
                })?,
                ca_file: self.ca_file.clone(),
                allow_http: self.allow_http,
                limits: ServerLimits::default(),
            })
        } else if let Some(path) = self.url.strip_prefix("file://") {
            let path = PathBuf::from(path);
            if !path.is_absolute() {
                return Err(wrong(
                    format!("'{}' is not an absolute path", path.display()),
                    "write file:///mnt/share/datasets",
                ));
            }
            RemoteSettings::Folder { path, key: key()? }
        } else {
            let mut bucket = BucketSettings::of(&self.url);
            bucket.endpoint.clone_from(&self.endpoint);
            bucket.region.clone_from(&self.region);
            bucket.allow_http = self.allow_http;
            RemoteSettings::Bucket {
                bucket: Box::new(bucket),
                key: key()?,
            }
        };
        remotes
            .with(&self.name, settings)
            .map_err(|error: DataError| wrong(error.to_string(), &error.hint().unwrap_or_default()))
    }
}

/// A remote whose settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("remote '{name}': {message}")]
pub struct RemoteError {
    name: String,
    message: String,
    hint: String,
}

impl Diagnose for RemoteError {
    fn code(&self) -> &'static str {
        "config_remote"
    }

    fn meaning(&self) -> corliss_diagnostics::Meaning {
        corliss_diagnostics::Meaning::InvalidInput
    }

    fn field(&self) -> Option<String> {
        Some(format!("remotes.{}", self.name))
    }

    fn hint(&self) -> Option<String> {
        (!self.hint.is_empty()).then(|| self.hint.clone())
    }
}
