//! `corliss data get`: a version as a folder of its own.

use std::path::Path;

use corliss_data::Entry;
use serde_json::json;

use crate::api::Api;
use crate::commands::versions::version_of;
use crate::context::Context;
use crate::data::changes::is_within;
use crate::data::staging::Staging;
use crate::data::tree;
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND};
use crate::text::short;
use crate::{output, units};

pub(super) fn get(context: &Context, target: &str, path: &Path, only: &[String]) -> CliResult {
    let api = context.api()?;
    let version = version_of(&api, target)?;
    if path.symlink_metadata().is_ok() {
        return Err(CliError::input(format!("{} exists already", path.display()))
            .hint("name a folder that does not exist yet"));
    }
    let entries = wanted(&api, &version, only)?;
    let staging = Staging::beside(path, &context.home)?;
    staging.fetch(&api, &context.home, &version, &entries)?;
    staging.become_folder(path)?;
    let (files, bytes) = (entries.len() as u64, size_of(&entries));
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

/// Bytes of all of them.
pub(super) fn size_of(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.size_bytes).sum()
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
