//! What a client of MLflow may name as the source of a version. It is a name to look up, never a path to open: what names
//! a place on this machine, another host or something outside of what it is said to belong to is refused, in MLflow's
//! sentences.

use percent_encoding::percent_decode_str;

use crate::RegistryError;

/// What senders of prompts write where a source is demanded; a prompt has none.
const PROMPT_PLACEHOLDERS: [&str; 2] = ["dummy-source", "prompt-template"];
/// Schemes by which a source names another host.
const OF_HOSTS: [&str; 7] = [
    "http",
    "https",
    "ftp",
    "sftp",
    "hdfs",
    "viewfs",
    "mlflow-artifacts",
];

/// A source, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// `models:/<id>`: a logged model.
    LoggedModel(String),
    /// `models:/<name>/…` or `models:/<name>@…`: a version of a registered model.
    Version(String, Which),
    /// `runs:/<id>/…`: artifacts of a run.
    Run(String),
    /// `mlflow-artifacts:/…`: artifacts.
    Artifacts,
    /// Anything else, which is for the port to know.
    Elsewhere,
}

/// Which version of a registered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    Number(i64),
    Alias(String),
    Latest,
    Stage(String),
}

/// The run and the logged model that a request names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub run_id: Option<&'a str>,
    pub model_id: Option<&'a str>,
}

fn refusal(source: &str, reason: &str) -> RegistryError {
    let shown: String = source.chars().take(300).collect();
    RegistryError::invalid(format!("Invalid model version source: '{shown}'. {reason}"))
}

/// The refusal of a source that is not part of what the request names.
pub(super) fn outside(source: &str, field: &str) -> RegistryError {
    let reason =
        format!("The {field} request parameter must identify the resource that contains the source.");
    refusal(source, &reason)
}

/// The refusal of a source that is part of what the request names and holds no files: a version is its files.
pub(super) fn empty(source: &str) -> RegistryError {
    refusal(source, "There are no files at it.")
}

/// The refusal of a copy that is said to come from elsewhere than its original.
pub(super) fn other_lineage(source: &str) -> RegistryError {
    let reason = "The run_id and model_id request parameters must match the referenced model version.";
    refusal(source, reason)
}

/// The refusal of a prompt as a model.
pub(super) fn prompt(source: &str) -> RegistryError {
    refusal(source, "Prompt versions cannot be used as model version sources.")
}

/// Checks the source of a prompt.
pub(super) fn check_prompt(source: &str) -> Result<(), RegistryError> {
    if PROMPT_PLACEHOLDERS.contains(&source) {
        return Ok(());
    }
    let shown: String = source.chars().take(300).collect();
    Err(RegistryError::invalid(format!(
        "Invalid prompt source: '{shown}'. Prompt sources must use an MLflow placeholder."
    )))
}

/// Reads the source of a model's version.
///
/// # Errors
/// It names a place on this machine, another host, or something outside of what the request names.
pub(super) fn read(source: &str, named: Named<'_>) -> Result<Source, RegistryError> {
    let (scheme, rest) = split(source);
    let has_host = rest.starts_with("//") && !rest.starts_with("///") && rest.len() > 2;
    if OF_HOSTS.contains(&scheme.as_str()) && (has_host || scheme != "mlflow-artifacts") {
        return Err(RegistryError::invalid(format!(
            "'source' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host other than the tracking \
             server's configured artifact storage, so the server would connect to the host named in the URI."
        )));
    }
    if scheme == "models" {
        if has_host {
            return Err(refusal(
                source,
                "Registered model sources must use the active model registry.",
            ));
        }
        let parsed = model_uri(rest).ok_or_else(|| outside(source, "model_id"))?;
        check_plain(source)?;
        return match parsed {
            Source::LoggedModel(id) if named.model_id != Some(id.as_str()) => {
                Err(outside(source, "model_id"))
            }
            parsed => Ok(parsed),
        };
    }
    if scheme.is_empty() || scheme == "file" {
        let field = if named.model_id.is_some() {
            "model_id"
        } else {
            "run_id"
        };
        let reason = format!(
            "To use a local path as a model version source, the {field} request parameter has to be specified and the \
             local path has to be contained within the artifact directory of the run specified by the {field}."
        );
        return Err(refusal(source, &reason));
    }
    check_plain(source)?;
    match scheme.as_str() {
        "runs" => {
            let run = rest.strip_prefix('/').and_then(|path| path.split('/').next());
            let is_named = run.is_some_and(|run| !run.is_empty() && Some(run) == named.run_id);
            match (run, is_named && named.model_id.is_none()) {
                (Some(run), true) => Ok(Source::Run(run.to_owned())),
                _ if named.model_id.is_some() => Err(outside(source, "model_id")),
                _ => Err(outside(source, "run_id")),
            }
        }
        "mlflow-artifacts" => match named {
            Named {
                run_id: None,
                model_id: None,
            } => Err(outside(source, "run_id")),
            _ => Ok(Source::Artifacts),
        },
        _ => Ok(Source::Elsewhere),
    }
}

/// Scheme, in small letters, and what follows its colon; no scheme is an empty one.
fn split(source: &str) -> (String, &str) {
    let is_scheme = |text: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_letter)
    };
    match source.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
        _ => (String::new(), source),
    }
}

/// What follows `models:`.
fn model_uri(rest: &str) -> Option<Source> {
    let path = rest.strip_prefix('/')?.trim_start_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [name, suffix] if !name.trim().is_empty() && !suffix.trim().is_empty() => {
            let which = if suffix.bytes().all(|byte| byte.is_ascii_digit()) {
                Which::Number(suffix.parse().ok()?)
            } else if suffix.eq_ignore_ascii_case("latest") {
                Which::Latest
            } else {
                Which::Stage((*suffix).to_owned())
            };
            Some(Source::Version((*name).to_owned(), which))
        }
        [one] => match one.rsplit_once('@') {
            Some((name, alias)) if !alias.trim().is_empty() => {
                Some(Source::Version(name.to_owned(), Which::Alias(alias.to_owned())))
            }
            Some(_) => None,
            None if one.trim().is_empty() => None,
            None => Some(Source::LoggedModel((*one).to_owned())),
        },
        _ => None,
    }
}

/// Refuses `..` and what stands for it, however often it is escaped.
fn check_plain(source: &str) -> Result<(), RegistryError> {
    let climbs = |text: &str| text.contains('\0') || text.split(['/', '\\']).any(|part| part == "..");
    let mut text = source.to_owned();
    // Each round takes at least two characters away, so this ends.
    loop {
        if climbs(&text) {
            let reason = "If supplying a source as an http, https, local file path, ftp, objectstore, or \
                          mlflow-artifacts uri, an absolute path must be provided without relative path references \
                          present. Please provide an absolute path.";
            return Err(refusal(source, reason));
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return Ok(());
        }
        text = decoded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Named<'_> = Named {
        run_id: None,
        model_id: None,
    };
    const OF_RUN: Named<'_> = Named {
        run_id: Some("r1"),
        model_id: None,
    };
    const OF_MODEL: Named<'_> = Named {
        run_id: Some("r1"),
        model_id: Some("m-1"),
    };

    #[test]
    fn sources_are_what_they_say_they_are() {
        let of = |name: &str, which| Source::Version(name.to_owned(), which);
        for (source, named, expected) in [
            ("models:/net/3", NOBODY, of("net", Which::Number(3))),
            ("models:/net/Latest", NOBODY, of("net", Which::Latest)),
            (
                "models:/net/Production",
                NOBODY,
                of("net", Which::Stage("Production".into())),
            ),
            ("models:/net@live", NOBODY, of("net", Which::Alias("live".into()))),
            ("models:/m-1", OF_MODEL, Source::LoggedModel("m-1".into())),
            ("runs:/r1/model", OF_RUN, Source::Run("r1".into())),
            (
                "mlflow-artifacts:/0/r1/artifacts/model",
                OF_RUN,
                Source::Artifacts,
            ),
            ("s3://bucket/model", NOBODY, Source::Elsewhere),
        ] {
            assert_eq!(read(source, named).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for source in [
            "",
            "/etc/passwd",
            "./x",
            "../x",
            "C",
            "file:///etc/passwd",
            "file:/etc",
            "FILE://localhost/etc",
            "http://169.254.169.254/latest",
            "https://example.org/x",
            "ftp://example.org/x",
            "mlflow-artifacts://example.org/x",
            "mlflow-artifacts:/0/../x",
            "mlflow-artifacts:/0/%2e%2e/x",
            "mlflow-artifacts:/0/%252e%252e/x",
            "mlflow-artifacts:/0/..%2fx",
            "mlflow-artifacts:/0/x%00",
            "mlflow-artifacts:/0/a/..\\x",
            "s3://bucket/../x",
            "models:/",
            "models:net/1",
            "models:/a/b/c",
            "models:/net@",
            "models:/net/99999999999999999999",
            "models://host/net/1",
            "models:/m-2",
            "runs:/r2/model",
            "runs:r1/model",
            "runs:/",
        ] {
            assert!(read(source, OF_RUN).is_err(), "{source}");
        }
        assert!(read("mlflow-artifacts:/0/x", NOBODY).is_err());
        assert!(read("runs:/r1/model", OF_MODEL).is_err());
        assert!(check_prompt("/etc/passwd").is_err());
        check_prompt("dummy-source").unwrap();
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_none_climbs(text in "(models|runs|mlflow-artifacts|file|s3|http)?:?/{0,3}[ -~]{0,60}") {
            for named in [NOBODY, OF_RUN, OF_MODEL] {
                if read(&text, named).is_ok() {
                    proptest::prop_assert!(!text.split('/').any(|part| part == ".."), "{text}");
                    proptest::prop_assert!(!text.starts_with('/') && !text.starts_with("file:"), "{text}");
                }
            }
        }
    }
}
