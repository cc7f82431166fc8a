//! `corliss data checkout`: a version as a working copy, and a working copy moved to another version.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use corliss_data::Entry;
use serde_json::json;

use super::get::{size_of, wanted};
use super::obstacles;
use super::status::summary;
use crate::api::Api;
use crate::commands::versions::resolve;
use crate::context::Context;
use crate::data::changes::{self, LocalChange};
use crate::data::copies::{Copy, Notes};
use crate::data::staging::{self, Midway, Staging};
use crate::data::upload;
use crate::error::{CliError, CliResult, unwritable};
use crate::text::short;
use crate::{output, program, units};

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
    let wish = Wish {
        context,
        api: &api,
        target,
        version: &resolved.version,
        only: &only,
    };
    let mut staging = None;
    let written = match &known {
        None if path.symlink_metadata().is_err() => wish.make(&path)?,
        None if is_free(&path) => {
            let within = staging.insert(Staging::within(&path, &context.home)?);
            wish.switch(&path, within, None, false)?
        }
        Some(copy) => {
            let within = staging.insert(Staging::within(&path, &context.home)?);
            wish.switch(&path, within, Some(copy), discard)?
        }
        None => {
            return Err(CliError::input(format!(
                "{} is there and not a working copy of this dataset",
                path.display()
            ))
            .hint("name a new or empty folder"));
        }
    };
    let notes = Notes::on(&context.home, &path)?;
    notes.remember_links(&written)?;
    notes.set_copy(&Copy {
        folder: notes.folder().to_path_buf(),
        server: api.url().to_owned(),
        dataset: dataset.to_owned(),
        branch: resolved.branch.clone(),
        commit: resolved.commit.clone(),
        version: resolved.version.clone(),
        only: only.clone(),
    })?;
    // Last, for by it a checkout that was broken off is known.
    if let Some(staging) = staging {
        staging.remove();
    }
    if context.json {
        output::say_json(&json!({
            "dataset": dataset, "branch": resolved.branch, "commit": resolved.commit, "version": resolved.version,
            "path": path.to_string_lossy(), "files_written": written.len(),
        }));
        return Ok(());
    }
    output::say(&format!(
        "{} is {target}, {}: {} written, {}",
        path.display(),
        short(&resolved.version),
        units::plural(written.len() as u64, "file"),
        units::bytes(size_of(&written)),
    ));
    Ok(())
}

/// Whether a folder is empty, or a checkout into it was broken off.
fn is_free(path: &Path) -> bool {
    let is_empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    is_empty || path.join(staging::NAME).is_dir()
}

/// What a folder is to be.
struct Wish<'a> {
    context: &'a Context,
    api: &'a Api,
    target: &'a str,
    version: &'a str,
    only: &'a [String],
}

impl Wish<'_> {
    fn fetch(&self, staging: &Staging, entries: &[Entry]) -> CliResult {
        staging.fetch(self.api, &self.context.home, self.version, entries)
    }

    /// A folder that is not there yet: it appears with all of its files. Answers them.
    fn make(&self, folder: &Path) -> CliResult<Vec<Entry>> {
        let entries = wanted(self.api, self.version, self.only)?;
        let staging = Staging::beside(folder, &self.context.home)?;
        self.fetch(&staging, &entries)?;
        staging.become_folder(folder)?;
        Ok(entries)
    }

    /// A folder that is there: only the files that differ are touched, and only once all of the new ones are here. The
    /// staging is held before the folder is looked at, so that no other checkout changes it meanwhile. Answers the new
    /// ones.
    fn switch(
        &self,
        folder: &Path,
        staging: &Staging,
        from: Option<&Copy>,
        discard: bool,
    ) -> CliResult<Vec<Entry>> {
        let home = &self.context.home;
        let exclude = upload::within(folder, home).into_iter().collect();
        let taken = upload::take(home, folder, &upload::data_options(exclude), None)?;
        if !self.only.is_empty() {
            // Told before anything is touched.
            wanted(self.api, self.version, self.only)?;
        }
        // `theirs` is as it shall be.
        let differing = changes::since(self.api, self.version, &taken.tree, self.only)?;
        if !discard {
            let since = match from {
                Some(copy) => changes::since(self.api, &copy.version, &taken.tree, &copy.only)?,
                None => differing
                    .iter()
                    .filter(|change| change.here.is_some())
                    .cloned()
                    .collect(),
            };
            let midway = staging::midway(folder);
            let mut own = neither(since, &differing, midway.is_some());
            if let Some(midway) = &midway {
                // What that checkout has done is no change of anybody's.
                let since = changes::since(self.api, &midway.version, &taken.tree, self.only)?;
                own = neither(own, &since, true);
            }
            if !own.is_empty() {
                let error = CliError::input(format!(
                    "{} has changes of its own: {}",
                    folder.display(),
                    summary(&own)
                ));
                let add = program::command(&format!("data add {}", folder.display()));
                return Err(match midway {
                    None => error.hint(format!(
                        "commit them with `{add}`, or pass --discard to lose them"
                    )),
                    Some(_) => error.hint("copy them elsewhere, then pass --discard"),
                });
            }
        }
        obstacles::check(folder, &differing, discard)?;
        let new: Vec<Entry> = differing
            .iter()
            .filter_map(|change| change.theirs.clone())
            .collect();
        self.fetch(staging, &new)?;
        staging.begin_placing(&Midway {
            target: self.target.to_owned(),
            version: self.version.to_owned(),
        })?;
        place(folder, staging.path(), &differing)?;
        Ok(new)
    }
}

/// The changes of a folder that would be lost: what is as it shall be is none, such as after a checkout that was
/// broken off. A file that it placed for a link does not look as it shall be, for what it is linked to was not noted yet.
fn neither(since: Vec<LocalChange>, differing: &[LocalChange], is_broken_off: bool) -> Vec<LocalChange> {
    let is_placed = |change: &LocalChange| {
        let (theirs, here) = (change.theirs.as_ref(), change.here.as_ref());
        is_broken_off
            && theirs.zip(here).is_some_and(|(theirs, here)| {
                theirs.link && !here.link && theirs.size_bytes == here.size_bytes
            })
    };
    let differing = differing.iter().filter(|change| !is_placed(change));
    let differing: HashSet<&str> = differing.map(|change| change.path.as_str()).collect();
    since
        .into_iter()
        .filter(|change| differing.contains(change.path.as_str()))
        .collect()
}

/// Every file is at any time as it was or as it shall be, so that this can be broken off and gone on with.
fn place(folder: &Path, staging: &Path, differing: &[LocalChange]) -> CliResult {
    for change in differing.iter().filter(|change| change.theirs.is_none()) {
        let path = folder.join(&change.path);
        fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
        prune(folder, &path);
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
