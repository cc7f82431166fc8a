//! `corliss data checkout`: a version as a working copy, and a working copy moved to another version.

use std::fs;
use std::path::{Path, PathBuf};

use corliss_data::Entry;
use serde_json::json;

use super::get::{Written, lay_out, wanted};
use super::obstacles;
use super::status::summary;
use crate::api::Api;
use crate::commands::versions::{Resolved, resolve};
use crate::context::Context;
use crate::data::changes::{self, LocalChange};
use crate::data::copies::{Copy, Notes};
use crate::data::{download, upload};
use crate::error::{CliError, CliResult, cause};
use crate::text::short;
use crate::{output, program, progress, units};

pub(super) fn checkout(
    context: &Context,
    target: &str,
    path: Option<&Path>,
    only: &[String],
    discard: bool,
) -> CliResult {
    let api = context.api()?;
    let dataset = target.split(['@', '~']).next().unwrap_or(target);
    if dataset.starts_with("v_") || dataset.starts_with("c_") {
        return Err(CliError::input("a working copy is of a dataset").hint(format!("write NAME@{dataset}")));
    }
    let resolved = resolve(&api, target)?;
    let path = path.map_or_else(|| PathBuf::from(dataset), Path::to_path_buf);
    let known = if path.is_dir() {
        Notes::on(&context.home, &path)?
            .copy()?
            .filter(|copy| copy.server == api.url() && copy.dataset == dataset)
    } else {
        None
    };
    let only = match &known {
        Some(copy) if only.is_empty() => copy.only.clone(),
        _ => only.to_vec(),
    };
    let Written { files, bytes, linked } = match &known {
        Some(copy) => switch(context, &api, copy, &resolved.version, &only, discard)?,
        None => fresh(context, &api, &resolved, &path, &only)?,
    };
    let notes = Notes::on(&context.home, &path)?;
    notes.remember_links(&linked)?;
    notes.set_copy(&Copy {
        folder: notes.folder().to_path_buf(),
        server: api.url().to_owned(),
        dataset: dataset.to_owned(),
        branch: resolved.branch.clone(),
        commit: resolved.commit.clone(),
        version: resolved.version.clone(),
        only,
    })?;
    if context.json {
        output::say_json(&json!({
            "dataset": dataset, "branch": resolved.branch, "commit": resolved.commit, "version": resolved.version,
            "path": path.to_string_lossy(), "files_written": files,
        }));
        return Ok(());
    }
    output::say(&format!(
        "{} is {target}, {}: {} written, {}",
        path.display(),
        short(&resolved.version),
        units::plural(files, "file"),
        units::bytes(bytes),
    ));
    Ok(())
}

/// A folder that is not there yet, or empty.
fn fresh(
    context: &Context,
    api: &Api,
    resolved: &Resolved,
    path: &Path,
    only: &[String],
) -> CliResult<Written> {
    let is_new = !path.exists();
    if !is_new {
        let is_empty = fs::read_dir(path).map(|mut entries| entries.next().is_none());
        if !is_empty.unwrap_or(false) {
            return Err(CliError::input(format!(
                "{} is there and not a working copy of this dataset",
                path.display()
            ))
            .hint("name a new or empty folder"));
        }
    }
    fs::create_dir_all(path)
        .map_err(|error| CliError::input(format!("cannot make {}: {}", path.display(), cause(&error))))?;
    let written = lay_out(context, api, &resolved.version, path, only);
    if written.is_err() {
        // Nothing was in it before.
        let _ = if is_new {
            fs::remove_dir_all(path)
        } else {
            empty(path)
        };
    }
    written
}

fn empty(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A working copy at another version: only the files that differ are touched, and only once all of the new ones
/// are here.
fn switch(
    context: &Context,
    api: &Api,
    copy: &Copy,
    version: &str,
    only: &[String],
    discard: bool,
) -> CliResult<Written> {
    let folder = &copy.folder;
    let staging = folder.join(upload::STAGING);
    if staging.exists() {
        // Of a checkout that was killed.
        fs::remove_dir_all(&staging).map_err(|error| unwritable(&staging, &error))?;
    }
    let exclude = upload::within(folder, &context.home).into_iter().collect();
    let taken = upload::take(&context.home, folder, &upload::data_options(exclude), None)?;
    if !discard {
        let own = changes::since(api, &copy.version, &taken.tree, &copy.only)?;
        if !own.is_empty() {
            return Err(CliError::input(format!(
                "{} has changes of its own: {}",
                folder.display(),
                summary(&own)
            ))
            .hint(format!(
                "commit them with `{}`, or pass --discard to lose them",
                program::command("data add")
            )));
        }
    }
    if !only.is_empty() {
        // Told before anything is touched.
        wanted(api, version, only)?;
    }
    // `theirs` is as it shall be.
    let differing = changes::since(api, version, &taken.tree, only)?;
    obstacles::check(folder, &differing, discard)?;
    let new: Vec<Entry> = differing
        .iter()
        .filter_map(|change| change.theirs.clone())
        .collect();
    let bytes = new.iter().map(|entry| entry.size_bytes).sum();
    let bar = progress::bytes(&format!("fetching {}", short(version)), bytes);
    fs::create_dir(&staging).map_err(|error| unwritable(&staging, &error))?;
    let fetched = download::entries(api, &context.home, version, &new, &staging, &bar);
    bar.finish_and_clear();
    let placed = fetched.and_then(|()| place(folder, &staging, &differing));
    let _ = fs::remove_dir_all(&staging);
    placed?;
    Ok(Written::of(new))
}

fn place(folder: &Path, staging: &Path, differing: &[LocalChange]) -> CliResult {
    for change in differing.iter().filter(|change| change.here.is_some()) {
        let path = folder.join(&change.path);
        fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
        if change.theirs.is_none() {
            prune(folder, &path);
        }
    }
    for change in differing.iter().filter(|change| change.theirs.is_some()) {
        let (from, to) = (staging.join(&change.path), folder.join(&change.path));
        let parent = to.parent().unwrap_or(folder);
        // An empty folder may be there, which no version knows.
        let _ = fs::remove_dir(&to);
        fs::create_dir_all(parent)
            .and_then(|()| fs::rename(&from, &to))
            .map_err(|error| unwritable(&to, &error))?;
    }
    Ok(())
}

/// Removes the folders that a removed file leaves empty.
fn prune(folder: &Path, path: &Path) {
    let mut parent = path.parent();
    while let Some(at) = parent.filter(|at| *at != folder) {
        if fs::remove_dir(at).is_err() {
            return;
        }
        parent = at.parent();
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::failed(format!("cannot write {}: {}", path.display(), cause(error)))
}
