//! `corliss data get`: a version as a folder of its own.

use std::path::Path;

use corliss_data::Entry;
use serde_json::json;

use crate::api::Api;
use crate::commands::versions::version_of;
use crate::context::Context;
use crate::data::changes::is_within;
use crate::data::{download, tree};
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND, cause};
use crate::text::short;
use crate::{output, progress, units};

pub(super) fn get(context: &Context, target: &str, path: &Path, only: &[String]) -> CliResult {
    let api = context.api()?;
    let version = version_of(&api, target)?;
    std::fs::create_dir(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => CliError::input(format!("{} exists already", path.display()))
            .hint("name a folder that does not exist yet"),
        _ => CliError::input(format!("cannot make {}: {}", path.display(), cause(&error))),
    })?;
    let written = lay_out(context, &api, &version, path, only);
    if written.is_err() {
        // It was made here and is not whole.
        let _ = std::fs::remove_dir_all(path);
    }
    let Written { files, bytes, .. } = written?;
    if context.json {
        output::say_json(&json!({ "version": version, "path": path.to_string_lossy(), "files": files }));
    } else {
        output::say(&format!(
            "{version}: {}, {} in {}",
            units::plural(files, "file"),
            units::bytes(bytes),
            path.display()
        ));
    }
    Ok(())
}

/// The files of a version that are asked for.
pub(super) fn wanted(api: &Api, version: &str, only: &[String]) -> CliResult<Vec<Entry>> {
    // Read as entries, whose paths cannot lead out of a folder: a server is not to be trusted with where a file
    // goes on this machine.
    let mut entries = tree::entries(api, version)?;
    entries.retain(|entry| is_within(entry, only));
    let absent = only.iter().find(|named| {
        !entries
            .iter()
            .any(|entry| is_within(entry, std::slice::from_ref(named)))
    });
    match absent {
        Some(named) => Err(CliError::new(
            EXIT_NOT_FOUND,
            "file_not_found",
            format!("version {} has no '{named}'", short(version)),
        )),
        None => Ok(entries),
    }
}

/// What was laid out.
pub(super) struct Written {
    pub files: u64,
    pub bytes: u64,
    /// Those of the files that are linked.
    pub linked: Vec<Entry>,
}

impl Written {
    pub fn of(entries: Vec<Entry>) -> Self {
        Self {
            files: entries.len() as u64,
            bytes: entries.iter().map(|entry| entry.size_bytes).sum(),
            linked: entries.into_iter().filter(|entry| entry.link).collect(),
        }
    }
}

pub(super) fn lay_out(
    context: &Context,
    api: &Api,
    version: &str,
    folder: &Path,
    only: &[String],
) -> CliResult<Written> {
    let entries = wanted(api, version, only)?;
    let bytes = entries.iter().map(|entry| entry.size_bytes).sum();
    let bar = progress::bytes(&format!("fetching {}", short(version)), bytes);
    download::entries(api, &context.home, version, &entries, folder, &bar)?;
    bar.finish_and_clear();
    Ok(Written::of(entries))
}
