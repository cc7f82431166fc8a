//! Settings: `config.toml` in the home folder, overridden by `CORLISS_*` variables, overridden by flags.
//!
//! Every setting is one dotted key in [`keys`]; its variable is the key in capitals with `_` for `.`. An
//! unknown key is an error that names the nearest known one, so a typo never becomes a silent default.

mod remotes;
mod sources;
mod storage;
mod telemetry;
mod webhooks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use corliss_diagnostics::{Diagnose, Meaning, nearest};
use corliss_upstream::BaseUrl;
use corliss_webhook::Reach;

pub use remotes::RemoteConfig;
pub use sources::SourceConfig;
pub use storage::{RootKeeper, Storage};

/// Settings of other sections are in their own module; [`keys`] has all.
const OWN_KEYS: &[(&str, &str)] = &[
    (
        "server.listen",
        "address of the console and all protocols; beyond loopback only with TLS",
    ),
    (
        "server.hosts",
        "further host names, separated by commas, under which clients reach the server",
    ),
    (
        "server.url",
        "address under which clients and steps reach the server [default: the one it listens on]",
    ),
    ("server.tls_cert", "PEM file with the certificate chain"),
    ("server.tls_key", "PEM file with the private key"),
    (
        "server.tls_ca",
        "PEM file with the authority that signed the certificate, if it is a private one",
    ),
    (
        "database.url",
        "postgres://… to keep metadata in PostgreSQL instead of SQLite in the home folder",
    ),
    (
        "machine.cpus",
        "CPUs to hand out, such as 4 or 1.5 [default: what this machine gives us]",
    ),
    (
        "machine.memory",
        "memory to hand out, such as 8GiB [default: what this machine gives us]",
    ),
    (
        "machine.accelerators",
        "number of accelerators to declare where no driver reports any; shown as declared",
    ),
    (
        "data.repair_from",
        "remote from which pieces are fetched that are found damaged in the background",
    ),
    (
        "data.input_cache",
        "how much of what steps have read stays laid out for later runs, 0 for nothing [default: 20GiB]",
    ),
    (
        "serving.python",
        "a Python with all that MLflow models require, used as it is [default: an environment for each model]",
    ),
    (
        "serving.onnx_runtime",
        "the library of ONNX Runtime that runs ONNX models, such as libonnxruntime.so.1.31.1 [default: they run in this binary]",
    ),
    (
        "log.filter",
        "what the server logs, such as info or corliss_jobs=debug",
    ),
];

/// Every setting: its key and what it means.
pub fn keys() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let others = [storage::KEYS, webhooks::KEYS, telemetry::KEYS];
    OWN_KEYS.iter().chain(others.into_iter().flatten())
}

const DEFAULT_LISTEN: &str = "127.0.0.1:7070";
const DEFAULT_LOG_FILTER: &str = "info";
const DEFAULT_INPUT_CACHE_BYTES: u64 = 20 << 30;
const MAX_CONFIG_BYTES: u64 = 256 * 1024;

/// Settings, typed and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Absolute home folder.
    pub home: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Further names in `Host` headers.
    pub hosts: Vec<String>,
    /// Address to give to clients instead of the one that is listened on.
    pub url: Option<String>,
    /// Certificate and key, if TLS is on.
    pub tls: Option<TlsFiles>,
    /// PostgreSQL address; SQLite if none.
    pub database_url: Option<String>,
    /// What to hand out instead of what the machine has.
    pub machine: MachineLimits,
    /// Where blobs lie.
    pub storage: Storage,
    /// Who keeps the root key.
    pub root_keeper: RootKeeper,
    /// Where datasets are pushed to and pulled from.
    pub remotes: Vec<RemoteConfig>,
    /// How far webhooks reach.
    pub webhooks: Reach,
    /// Where data is imported from.
    pub sources: Vec<SourceConfig>,
    /// The remote from which the scrub fetches what it finds damaged.
    pub repair_from: Option<String>,
    /// Bytes that stay laid out for later runs.
    pub input_cache_bytes: u64,
    /// The Python of models that only Python loads; none: an environment is made for each.
    pub python: Option<PathBuf>,
    /// The library of ONNX Runtime; none: ONNX models run in this binary.
    pub onnx_runtime: Option<PathBuf>,
    /// Who gets spans of requests to language models.
    pub otlp_endpoint: Option<BaseUrl>,
    /// Filter of the server's own log.
    pub log_filter: String,
}

/// PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Authority that clients are to trust, if it is not a public one.
    pub ca: Option<PathBuf>,
}

/// Limits below, or declarations beyond, what the machine reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MachineLimits {
    /// Thousandths of a CPU.
    pub cpu_milli: Option<u64>,
    /// Bytes.
    pub memory_bytes: Option<u64>,
    /// Declared accelerators.
    pub accelerators: Option<u32>,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// The reason.
        why: String,
    },
    /// The file is not TOML.
    #[error("{path} is not valid TOML: {why}")]
    Syntax {
        /// The file.
        path: String,
        /// Where and what.
        why: String,
    },
    /// A key nobody knows.
    #[error("unknown setting '{key}' in {origin}")]
    UnknownKey {
        /// The key as written.
        key: String,
        /// File or environment.
        origin: String,
        /// What was probably meant.
        nearest: Option<String>,
        /// What may stand there.
        known: String,
    },
    /// A value that does not fit its key.
    #[error("setting '{key}' {}must be {expected}", refused(.value))]
    BadValue {
        /// The key.
        key: String,
        /// The value as given.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
}

impl Diagnose for ConfigError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config_unreadable",
            Self::Syntax { .. } => "config_syntax",
            Self::UnknownKey { .. } => "config_unknown_key",
            Self::BadValue { .. } => "config_bad_value",
        }
    }

    fn meaning(&self) -> Meaning {
        Meaning::InvalidInput
    }

    fn field(&self) -> Option<String> {
        match self {
            Self::UnknownKey { key, .. } | Self::BadValue { key, .. } => Some(key.clone()),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey {
                nearest: Some(name), ..
            } => Some(format!("did you mean '{name}'?")),
            Self::UnknownKey { known, .. } => Some(format!("the settings are {known}")),
            _ => None,
        }
    }
}

impl Config {
    /// Reads the home's `config.toml`, the environment and the flag, in rising order of weight.
    pub fn load(
        home: &Path,
        listen_flag: Option<&str>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let (mut values, places) = from_file(home, &home.join("config.toml"))?;
        values.extend(from_environment(environment)?);
        if let Some(listen) = listen_flag {
            values.insert("server.listen", listen.to_owned());
        }
        typed(home, &values, places)
    }
}

type Values = BTreeMap<&'static str, String>;

/// What has sections of its own, by names that the administrator chooses.
#[derive(Default)]
struct Places {
    remotes: Vec<RemoteConfig>,
    sources: Vec<SourceConfig>,
}

fn known(key: &str) -> Option<&'static str> {
    keys().map(|(known, _)| *known).find(|known| *known == key)
}

fn unknown(key: &str, origin: String) -> ConfigError {
    let nearest = nearest(key, keys().map(|(known, _)| *known)).map(str::to_owned);
    let mut known: Vec<&str> = keys().map(|(key, _)| *key).collect();
    known.extend(["remotes.NAME.…", "sources.NAME.…"]);
    ConfigError::UnknownKey {
        key: key.to_owned(),
        origin,
        nearest,
        known: known.join(", "),
    }
}

/// Of a section that may be there many times, such as `remotes.NAME`; without `key` all of it is wrong.
fn unknown_in(
    section: &str,
    name: &str,
    key: Option<&str>,
    keys: &[&'static str],
    origin: &str,
) -> ConfigError {
    let known: Vec<String> = keys.iter().map(|key| format!("{section}.{name}.{key}")).collect();
    let meant = key.and_then(|key| nearest(key, keys.iter().copied()));
    ConfigError::UnknownKey {
        key: match key {
            Some(key) => format!("{section}.{name}.{key}"),
            None => format!("{section}.{name}"),
        },
        origin: origin.to_owned(),
        nearest: meant.map(|key| format!("{section}.{name}.{key}")),
        known: known.join(", "),
    }
}

fn from_file(home: &Path, path: &Path) -> Result<(Values, Places), ConfigError> {
    let shown = path.display().to_string();
    let unreadable = |why: String| ConfigError::Unreadable {
        path: shown.clone(),
        why,
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => return Err(unreadable(error.to_string())),
        Ok(meta) if meta.len() > MAX_CONFIG_BYTES => {
            return Err(unreadable(format!("it is larger than {MAX_CONFIG_BYTES} bytes")));
        }
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: shown.clone(),
            why: error.to_string().trim().to_owned(),
        })?;
    let mut values = Values::new();
    let mut places = Places::default();
    for (section, content) in &table {
        match section.as_str() {
            "remotes" => {
                places.remotes = remotes::read(home, content, &shown)?;
                continue;
            }
            "sources" => {
                places.sources = sources::read(content, &shown)?;
                continue;
            }
            _ => {}
        }
        let Some(content) = content.as_table() else {
            return Err(unknown(section, shown));
        };
        for (name, value) in content {
            let key = format!("{section}.{name}");
            let known = known(&key).ok_or_else(|| unknown(&key, shown.clone()))?;
            values.insert(known, plain(value));
        }
    }
    Ok((values, places))
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Only variables that begin like a section of ours are settings; `CORLISS_HOME`, `CORLISS_URL` and what
/// tasks get are not.
fn from_environment(environment: impl Iterator<Item = (String, String)>) -> Result<Values, ConfigError> {
    let variable = |key: &str| format!("CORLISS_{}", key.to_ascii_uppercase().replace('.', "_"));
    let begins = |name: &str| {
        let mut sections = keys().filter_map(|(key, _)| key.split_once('.'));
        sections.any(|(section, _)| name.starts_with(&format!("CORLISS_{}_", section.to_ascii_uppercase())))
    };
    let mut values = Values::new();
    for (name, value) in environment.filter(|(name, _)| begins(name) && name != storage::TOKEN_VARIABLE) {
        match keys().find(|(key, _)| variable(key) == name) {
            Some((key, _)) => {
                values.insert(key, value);
            }
            None => {
                let names: Vec<String> = keys().map(|(key, _)| variable(key)).collect();
                let nearest = nearest(&name, names.iter().map(String::as_str)).map(str::to_owned);
                return Err(ConfigError::UnknownKey {
                    key: name,
                    origin: "the environment".to_owned(),
                    nearest,
                    known: names.join(", "),
                });
            }
        }
    }
    Ok(values)
}

fn typed(home: &Path, values: &Values, places: Places) -> Result<Config, ConfigError> {
    let text = |key: &'static str| {
        values
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    };
    let listen = text("server.listen").unwrap_or(DEFAULT_LISTEN);
    let tls = match (text("server.tls_cert"), text("server.tls_key")) {
        (Some(cert), Some(key)) => Some(TlsFiles {
            cert: home.join(cert),
            key: home.join(key),
            ca: text("server.tls_ca").map(|ca| home.join(ca)),
        }),
        (None, None) if text("server.tls_ca").is_some() => {
            return Err(bad(
                "server.tls_cert",
                "",
                "a PEM file, since server.tls_ca is set",
            ));
        }
        (None, None) => None,
        (Some(_), None) => {
            return Err(bad(
                "server.tls_key",
                "",
                "a PEM file, since server.tls_cert is set",
            ));
        }
        (None, Some(_)) => {
            return Err(bad(
                "server.tls_cert",
                "",
                "a PEM file, since server.tls_key is set",
            ));
        }
    };
    let database_url = text("database.url").map(str::to_owned);
    if let Some(url) = &database_url
        && !(url.starts_with("postgres://") || url.starts_with("postgresql://"))
    {
        // Only the scheme: the rest may hold a password.
        let scheme = url
            .split_once("://")
            .map_or(String::new(), |(scheme, _)| format!("{scheme}://…"));
        return Err(bad(
            "database.url",
            &scheme,
            "an address that begins with postgres://",
        ));
    }
    let url = text("server.url")
        .map(|url| address(url, tls.is_some()))
        .transpose()?;
    let mut hosts: Vec<String> = text("server.hosts")
        .map(|hosts| hosts.split(',').map(|host| host.trim().to_owned()).collect())
        .unwrap_or_default();
    hosts.extend(url.as_deref().and_then(host).map(str::to_owned));
    Ok(Config {
        home: home.to_path_buf(),
        listen: listen.parse().map_err(|_| {
            bad(
                "server.listen",
                listen,
                "an IP address and a port, such as 127.0.0.1:7070",
            )
        })?,
        hosts,
        url,
        tls,
        database_url,
        machine: machine(&text)?,
        storage: storage::storage(&text)?,
        root_keeper: storage::root_keeper(home, &text)?,
        webhooks: webhooks::reach(&text)?,
        repair_from: text("data.repair_from")
            .map(|name| remotes::named(name, &places.remotes))
            .transpose()?,
        input_cache_bytes: match text("data.input_cache") {
            None => DEFAULT_INPUT_CACHE_BYTES,
            Some("0") => 0,
            Some(value) => {
                size(value).ok_or_else(|| bad("data.input_cache", value, "a size such as 20GiB, or 0"))?
            }
        },
        remotes: places.remotes,
        sources: places.sources,
        python: file(
            home,
            &text,
            "serving.python",
            "an interpreter that is there, such as /usr/bin/python3",
        )?,
        onnx_runtime: file(
            home,
            &text,
            "serving.onnx_runtime",
            "the library's file, such as /opt/onnxruntime/lib/libonnxruntime.so",
        )?,
        otlp_endpoint: telemetry::otlp_endpoint(&text)?,
        log_filter: text("log.filter").unwrap_or(DEFAULT_LOG_FILTER).to_owned(),
    })
}

/// The file that a setting names, seen from the home. One that is not there is told at the start, not by the first model
/// that needs it.
fn file<'a>(
    home: &Path,
    text: &impl Fn(&'static str) -> Option<&'a str>,
    setting: &'static str,
    wanted: &'static str,
) -> Result<Option<PathBuf>, ConfigError> {
    let Some(value) = text(setting) else {
        return Ok(None);
    };
    let path = home.join(value);
    if path.is_file() {
        Ok(Some(path))
    } else {
        Err(bad(setting, value, wanted))
    }
}

/// An address for clients: scheme, host and perhaps a port, without a slash at the end.
fn address(url: &str, tls: bool) -> Result<String, ConfigError> {
    let (scheme, example) = if tls {
        (
            "https://",
            "an address without a path, such as https://corliss.example:7070",
        )
    } else {
        (
            "http://",
            "an address without a path, such as http://localhost:7070",
        )
    };
    let url = url.trim_end_matches('/');
    match url.strip_prefix(scheme) {
        Some(rest) if !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' ']) => Ok(url.to_owned()),
        _ => Err(bad("server.url", url, example)),
    }
}

/// The host in an address.
fn host(url: &str) -> Option<&str> {
    let (_, authority) = url.split_once("://")?;
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(host),
        _ => Some(authority),
    }
}

fn machine<'a>(text: &impl Fn(&'static str) -> Option<&'a str>) -> Result<MachineLimits, ConfigError> {
    let cpu_milli = text("machine.cpus")
        .map(|value| {
            cpus(value).ok_or_else(|| bad("machine.cpus", value, "a number above 0, such as 4 or 1.5"))
        })
        .transpose()?;
    let memory_bytes = text("machine.memory")
        .map(|value| size(value).ok_or_else(|| bad("machine.memory", value, "a size such as 8GiB or 512MiB")))
        .transpose()?;
    let accelerators = text("machine.accelerators")
        .map(|value| {
            value
                .parse::<u32>()
                .ok()
                .filter(|count| *count <= 64)
                .ok_or_else(|| bad("machine.accelerators", value, "a whole number up to 64"))
        })
        .transpose()?;
    Ok(MachineLimits {
        cpu_milli,
        memory_bytes,
        accelerators,
    })
}

fn refused(value: &str) -> String {
    if value.is_empty() {
        String::new()
    } else {
        format!("cannot be '{value}': it ")
    }
}

fn bad(key: &str, value: &str, expected: &'static str) -> ConfigError {
    ConfigError::BadValue {
        key: key.to_owned(),
        value: value.to_owned(),
        expected,
    }
}

/// `1.5` as 1500, exactly.
fn cpus(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let milli = whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(format!("{part:0<3}").parse().ok()?)?;
    (milli > 0).then_some(milli)
}

/// `8GiB` in bytes.
fn size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let unit: u64 = match &text[split..] {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    text[..split]
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)
        .filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), file).unwrap();
        let environment: Vec<_> = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Config::load(home.path(), None, environment.into_iter())
    }

    #[test]
    fn the_environment_outweighs_the_file() {
        let config = load(
            "[server]\nlisten = '127.0.0.1:1'",
            &[("CORLISS_SERVER_LISTEN", "127.0.0.1:2")],
        )
        .unwrap();
        assert_eq!(config.listen.port(), 2);
    }

    #[test]
    fn a_typo_names_what_was_meant() {
        let error = load("[server]\nlisen = 'x'", &[]).unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean 'server.listen'?");
        let error = load("", &[("CORLISS_SERVER_LISTN", "x")]).unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean 'CORLISS_SERVER_LISTEN'?");
    }

    #[test]
    fn inputs_are_kept_up_to_a_size_or_not_at_all() {
        let kept = |text: &str| load(text, &[]).map(|config| config.input_cache_bytes);
        assert_eq!(kept("").unwrap(), 20 << 30);
        assert_eq!(kept("[data]\ninput_cache = '3MiB'").unwrap(), 3 << 20);
        assert_eq!(kept("[data]\ninput_cache = 0").unwrap(), 0);
        let error = kept("[data]\ninput_cache = 'much'").unwrap_err();
        assert_eq!(error.field().unwrap(), "data.input_cache");
    }

    #[test]
    fn what_is_repaired_from_must_be_a_remote() {
        let backup = "[remotes.backup]\nurl = 'file:///mnt/backup'\n[data]\nrepair_from = ";
        let config = load(&format!("{backup}'backup'"), &[]).unwrap();
        assert_eq!(config.repair_from.as_deref(), Some("backup"));
        let error = load(&format!("{backup}'bakcup'"), &[]).unwrap_err();
        assert_eq!(error.field().unwrap(), "data.repair_from");
        assert!(error.to_string().contains("[remotes.NAME]"), "{error}");
        let error = load("", &[("CORLISS_DATA_REPAIR_FROM", "backup")]).unwrap_err();
        assert_eq!(error.field().unwrap(), "data.repair_from");
    }

    #[test]
    fn values_are_checked() {
        let config = load("[machine]\ncpus = 1.5\nmemory = '2GiB'\naccelerators = 2", &[]).unwrap();
        let expected = MachineLimits {
            cpu_milli: Some(1500),
            memory_bytes: Some(2 << 30),
            accelerators: Some(2),
        };
        assert_eq!(config.machine, expected);
        for file in [
            "[machine]\nmemory = '2G'",
            "[machine]\ncpus = 0",
            "[server]\nlisten = 'here'",
            "[server]\ntls_cert = 'a'",
            "[server]\ntls_ca = 'a'",
            "[server]\nurl = 'https://plain.example'",
            "[server]\nurl = 'http://a/b'",
            "[serving]\nonnx_runtime = '/not/there/libonnxruntime.so'",
            "[serving]\npython = '/'",
        ] {
            assert!(load(file, &[]).is_err(), "{file}");
        }
    }

    #[test]
    fn the_address_for_clients_is_also_a_host_they_may_name() {
        let file = "[server]\nurl = 'https://ai.example:7443/'\ntls_cert = 'c'\ntls_key = 'k'\ntls_ca = 'ca'";
        let config = load(file, &[]).unwrap();
        assert_eq!(config.url.as_deref(), Some("https://ai.example:7443"));
        assert_eq!(config.hosts, ["ai.example"]);
        assert_eq!(config.tls.unwrap().ca, Some(config.home.join("ca")));
    }

    #[test]
    fn a_password_in_the_database_url_is_not_repeated() {
        let error = load("[database]\nurl = 'mysql://u:secret@h/d'", &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "setting 'database.url' cannot be 'mysql://…': it must be an address that begins with postgres://"
        );
    }
}
