//! The buckets and folders that data is imported from: a section `[sources.NAME]` each, in `config.toml` alone.

use std::path::{Path, PathBuf};

use corliss_blobstore::BucketSettings;
use corliss_data::{DataError, ImportSources, SourceSettings};
use corliss_diagnostics::{Diagnose, ErrorReport};

use super::{ConfigError, bad, plain, unknown, unknown_in};

/// What such a section may hold.
const KEYS: [&str; 4] = ["url", "endpoint", "region", "allow_http"];

/// One source, as it is written.
#[derive(Debug, Clone, Default)]
pub struct SourceConfig {
    name: String,
    url: String,
    endpoint: Option<String>,
    region: Option<String>,
    allow_http: bool,
}

/// Reads the section; `origin` is the file.
pub(super) fn read(section: &toml::Value, origin: &str) -> Result<Vec<SourceConfig>, ConfigError> {
    let Some(sources) = section.as_table() else {
        return Err(unknown("sources", origin.to_owned()));
    };
    let mut read = Vec::new();
    for (name, settings) in sources {
        let Some(settings) = settings.as_table() else {
            return Err(unknown_in("sources", name, None, &KEYS, origin));
        };
        if let Some(key) = settings.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(unknown_in("sources", name, Some(key), &KEYS, origin));
        }
        let text = |key: &str| settings.get(key).map(plain).filter(|text| !text.is_empty());
        let wrong = |key: &str, value: &str, expected| bad(&format!("sources.{name}.{key}"), value, expected);
        read.push(SourceConfig {
            name: name.clone(),
            url: text("url").ok_or_else(|| wrong("url", "", "set"))?,
            endpoint: text("endpoint"),
            region: text("region"),
            allow_http: match text("allow_http").as_deref() {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => return Err(wrong("allow_http", other, "true or false")),
            },
        });
    }
    Ok(read)
}

impl SourceConfig {
    /// Adds it to the others. The home is no source, nor what holds it: there are keys and tokens in it.
    pub fn add_to(&self, sources: ImportSources, home: &Path) -> Result<ImportSources, SourceError> {
        let wrong = |message: String, hint: &str| SourceError {
            name: self.name.clone(),
            message,
            hint: hint.to_owned(),
        };
        let settings = if let Some(path) = self.url.strip_prefix("file://") {
            let path = PathBuf::from(path);
            if !path.is_absolute() {
                return Err(wrong(
                    format!("'{}' is not an absolute path", path.display()),
                    "write file:///mnt/share/images",
                ));
            }
            let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            let (folder, home) = (real(&path), real(home));
            if folder.starts_with(&home) || home.starts_with(&folder) {
                return Err(wrong(
                    format!("'{}' and the home share files", path.display()),
                    "name a folder that neither holds the home nor lies in it",
                ));
            }
            SourceSettings::Folder(path)
        } else {
            let mut bucket = BucketSettings::of(&self.url);
            bucket.endpoint.clone_from(&self.endpoint);
            bucket.region.clone_from(&self.region);
            bucket.allow_http = self.allow_http;
            SourceSettings::Bucket(Box::new(bucket))
        };
        sources.with(&self.name, settings).map_err(|error: DataError| {
            wrong(ErrorReport::of(&error).message, &error.hint().unwrap_or_default())
        })
    }
}

/// A source whose settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("source '{name}': {message}")]
pub struct SourceError {
    name: String,
    message: String,
    hint: String,
}

impl Diagnose for SourceError {
    fn code(&self) -> &'static str {
        "config_source"
    }

    fn meaning(&self) -> corliss_diagnostics::Meaning {
        corliss_diagnostics::Meaning::InvalidInput
    }

    fn field(&self) -> Option<String> {
        Some(format!("sources.{}", self.name))
    }

    fn hint(&self) -> Option<String> {
        (!self.hint.is_empty()).then(|| self.hint.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(url: &str, home: &Path) -> Result<(), String> {
        let section: toml::Table = format!("[lake]\nurl = \"{url}\"").parse().unwrap();
        let read = read(&toml::Value::Table(section), "config.toml").unwrap();
        let added = read[0].add_to(ImportSources::default(), home);
        added.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn places_are_taken_and_the_home_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir_all(home.join("work")).unwrap();
        std::fs::create_dir(folder.path().join("share")).unwrap();
        std::os::unix::fs::symlink(&home, folder.path().join("link")).unwrap();
        let at = |path: &str| added(&format!("file://{}/{path}", folder.path().display()), &home);
        assert!(at("share").is_ok() && at("not-mounted-yet").is_ok());
        for path in ["home", "home/work", "", "link", "link/work"] {
            assert!(at(path).unwrap_err().contains("share files"), "{path}");
        }
        assert!(added("file://share", &home).unwrap_err().contains("absolute"));
        assert!(added("s3://bucket/prefix", &home).is_ok());
        for wrong in ["ftp://x", "https://example.org/x", "s3://", "s3://id:hunter2@x"] {
            let message = added(wrong, &home).unwrap_err();
            assert!(
                message.contains("lake") && !message.contains("hunter2"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_mistyped_key_is_told_with_the_nearest() {
        let read_one = |text: &str| {
            let section: toml::Table = text.parse().unwrap();
            read(&toml::Value::Table(section), "config.toml")
                .map(drop)
                .unwrap_err()
                .to_string()
        };
        assert!(read_one("[a]\nurl = \"s3://x\"\nendpiont = \"y\"").contains("sources.a.endpiont"));
        let section: toml::Table = "[a]\nurl = \"s3://x\"\nbucket = \"y\"".parse().unwrap();
        let unknown = read(&toml::Value::Table(section), "config.toml").unwrap_err();
        let hint = unknown.hint().unwrap_or_default();
        assert!(
            hint.contains("sources.a.endpoint") && !hint.contains("server.listen"),
            "{hint}"
        );
        assert!(read_one("[a]\nregion = \"x\"").contains("sources.a.url"));
        assert!(read_one("[a]\nurl = \"s3://x\"\nallow_http = \"perhaps\"").contains("allow_http"));
        assert!(read_one("a = 1").contains("sources.a"));
    }
}
