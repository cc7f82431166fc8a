//! `corliss data add`: a folder as the next commit of a branch.

use std::path::Path;

use corliss_data::snapshot::Kind;
use corliss_types::DatasetName;
use serde_json::json;

use super::status::{print_changes, summary};
use crate::api::{Api, segment};
use crate::args::AddArgs;
use crate::commands::versions::resolve;
use crate::context::Context;
use crate::data::changes::{self, LocalChange};
use crate::data::copies::{Copy, Notes};
use crate::data::staging;
use crate::data::upload::{self, Destination, Taken, Uploaded};
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND, cause};
use crate::{output, units};

pub(super) fn add(context: &Context, args: &AddArgs) -> CliResult {
    let folder = std::fs::canonicalize(&args.path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            CliError::input(format!("there is no folder {}", args.path.display()))
                .hint("name a folder that exists; its files become the new version")
        }
        _ => CliError::input(format!("cannot open {}: {}", args.path.display(), cause(&error))),
    })?;
    let api = context.api()?;
    if !folder.is_dir() {
        return Err(CliError::input(format!("{} is not a folder", folder.display()))
            .hint("name the folder that the file lies in: a version is a whole folder"));
    }
    upload::check_outside(&folder, &context.home)?;
    staging::check_whole(&folder)?;
    let notes = Notes::on(&context.home, &folder)?;
    let copy = notes.copy()?.filter(|copy| copy.server == api.url());
    let to = destination(args, &folder, copy.as_ref())?;
    let store = (!args.dry_run).then_some(&api);
    if args.rehash {
        notes.forget(Kind::Data)?;
    }
    let home = upload::within(&folder, &context.home).into_iter().collect();
    let taken = upload::take(&context.home, &folder, &upload::data_options(home), store)?;
    let copy = copy.filter(|copy| copy.dataset == to.dataset);
    let only = copy.as_ref().map(|copy| copy.only.clone()).unwrap_or_default();
    let is_stranger = to.expected.is_none() && !args.replace && only.is_empty();
    if args.dry_run {
        return dry_run(context, &api, &taken, &to, &only, is_stranger);
    }
    let to = if is_stranger {
        going_on(&api, &taken, to)?
    } else {
        to
    };
    let uploaded = match &copy {
        Some(copy) if !copy.only.is_empty() => commit_part(&api, &taken, copy, &to),
        _ => upload::commit(&api, &taken, &to),
    };
    let uploaded = uploaded.map_err(|error| told_if_gone(&api, &to, error))?;
    notes.set_copy(&Copy {
        folder: notes.folder().to_path_buf(),
        server: api.url().to_owned(),
        dataset: to.dataset.clone(),
        branch: uploaded.branch.clone(),
        commit: uploaded.commit.clone(),
        version: uploaded.version.clone(),
        only,
    })?;
    tell(context, &to, &uploaded);
    Ok(())
}

/// A branch that is gone has not moved.
fn told_if_gone(api: &Api, to: &Destination, error: CliError) -> CliError {
    let moved = to.expected.is_some() && error.report.code == "data_branch_moved";
    match moved.then(|| resolve(api, &name_of(to))) {
        Some(Err(missing)) if missing.exit_code == EXIT_NOT_FOUND => CliError::new(
            EXIT_NOT_FOUND,
            &missing.report.code,
            format!(
                "{}: the folder is a working copy of what is gone",
                missing.report.message
            ),
        )
        .hint("pass --replace to make it anew from this folder, without its history"),
        _ => error,
    }
}

/// What was named, else what the folder is a working copy of.
fn destination(args: &AddArgs, folder: &Path, copy: Option<&Copy>) -> CliResult<Destination> {
    let folder_name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let known = copy.map(|copy| copy.dataset.clone());
    let dataset = args
        .name
        .clone()
        .or(known)
        .or(folder_name)
        .ok_or_else(|| CliError::input("the folder has no name").hint("pass --name NAME"))?;
    dataset.parse::<DatasetName>().map_err(|problem| {
        CliError::input(format!("the dataset's name: {problem}")).hint("pass --name NAME")
    })?;
    let copy = copy.filter(|copy| copy.dataset == dataset);
    let branch = args
        .branch
        .clone()
        .or_else(|| copy.and_then(|copy| copy.branch.clone()));
    // Another branch goes on from wherever it is.
    let same_branch = copy.filter(|copy| copy.branch == branch);
    let expected = same_branch.and_then(|copy| copy.commit.clone());
    Ok(Destination {
        dataset,
        branch,
        expected: expected.filter(|_| !args.replace),
        message: args.message.clone().unwrap_or_default(),
    })
}

/// Of a folder that is no working copy of the branch nobody knows whether it goes on from what is there. It does as long
/// as it lacks none of the files.
fn going_on(api: &Api, taken: &Taken, to: Destination) -> CliResult<Destination> {
    let target = name_of(&to);
    let base = match resolve(api, &target) {
        Ok(base) => base,
        Err(error) if error.exit_code == EXIT_NOT_FOUND => return Ok(to),
        Err(error) => return Err(error),
    };
    let changes = changes::since(api, &base.version, &taken.tree, &[])?;
    let removed = changes.iter().filter(|change| change.here.is_none()).count();
    if removed > 0 {
        return Err(CliError::input(format!(
            "{target} has {} that this folder does not have, and the folder is no working copy of it",
            units::plural(removed as u64, "file")
        ))
        .hint(
            "--dry-run shows what would change; --replace makes the folder the next version all the same",
        ));
    }
    Ok(Destination {
        expected: base.commit,
        ..to
    })
}

fn name_of(to: &Destination) -> String {
    match &to.branch {
        Some(branch) => format!("{}@{branch}", to.dataset),
        None => to.dataset.clone(),
    }
}

fn dry_run(
    context: &Context,
    api: &Api,
    taken: &Taken,
    to: &Destination,
    only: &[String],
    is_stranger: bool,
) -> CliResult {
    let target = name_of(to);
    let base = match resolve(api, &target) {
        Ok(base) => Some(base.version),
        Err(error) if error.exit_code == EXIT_NOT_FOUND => None,
        Err(error) => return Err(error),
    };
    let changes = match &base {
        Some(base) => changes::since(api, base, &taken.tree, only)?,
        None => Vec::new(),
    };
    if context.json {
        output::say_json(&json!({
            "dataset": to.dataset, "version": taken.tree.version, "new_dataset": base.is_none(), "changes": changes,
        }));
        return Ok(());
    }
    match base {
        None => {
            if to.expected.is_some() {
                output::say(&format!(
                    "{target} is gone: without --replace nothing would be made"
                ));
            }
            let files = taken.snapshot.entries();
            let bytes = files.iter().map(|entry| entry.size_bytes).sum();
            output::say(&format!(
                "{target} would be made: {}, {}",
                units::plural(files.len() as u64, "file"),
                units::bytes(bytes)
            ));
        }
        Some(_) if changes.is_empty() => output::say(&format!("{target} has exactly these files already")),
        Some(_) => {
            print_changes(&changes);
            output::say(&format!("{target} would get {}", summary(&changes)));
            if is_stranger && changes.iter().any(|change| change.here.is_none()) {
                output::say(
                    "but not without --replace: the folder is no working copy of it, and lacks some of its files",
                );
            }
        }
    }
    Ok(())
}

/// Of a part of a version only what is in that part is committed; the rest stays as it is.
fn commit_part(api: &Api, taken: &Taken, copy: &Copy, to: &Destination) -> CliResult<Uploaded> {
    let changes = changes::since(api, &copy.version, &taken.tree, &copy.only)?;
    upload::send(api, taken, &to.dataset)?;
    let edits: Vec<_> = changes.iter().map(edit).collect();
    let path = format!("/api/v1/data/datasets/{}/commits", segment(&to.dataset));
    api.post_list(
        &path,
        &json!({ "edits": edits, "branch": to.branch, "expected": to.expected, "message": to.message }),
    )
}

fn edit(change: &LocalChange) -> serde_json::Value {
    json!({
        "path": change.path,
        "blob": change.here.as_ref().map(|entry| entry.blob),
        "executable": change.here.as_ref().is_some_and(|entry| entry.executable),
        "link": change.here.as_ref().is_some_and(|entry| entry.link),
    })
}

fn tell(context: &Context, to: &Destination, uploaded: &Uploaded) {
    if context.json {
        output::say_json(&json!({
            "dataset": to.dataset,
            "branch": uploaded.branch,
            "commit": uploaded.commit,
            "version": uploaded.version,
            "created": uploaded.created,
        }));
        return;
    }
    let what = if uploaded.created { "is now" } else { "was already" };
    let name = match &uploaded.branch {
        Some(branch) if to.branch.is_some() => format!("{}@{branch}", to.dataset),
        _ => to.dataset.clone(),
    };
    output::say(&format!("{name} {what} {}", uploaded.version));
    output::say(&format!(
        "{}, {}",
        units::plural(uploaded.files, "file"),
        units::bytes(uploaded.size_bytes)
    ));
}
