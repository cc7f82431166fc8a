//! `corliss data status`: what was changed in a working copy, and whether its branch moved on.

use std::path::{Path, PathBuf};

use corliss_data::snapshot::Kind;
use serde_json::json;

use crate::commands::versions::resolve;
use crate::context::Context;
use crate::data::changes::{self, LocalChange};
use crate::data::copies::{Copy, Notes};
use crate::data::{staging, upload};
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND};
use crate::output;
use crate::program;
use crate::text::short;
use crate::units;

/// Files that are listed; a program reads all of them from `--json`.
const SHOWN: usize = 100;

pub(super) fn status(context: &Context, path: &Path, rehash: bool) -> CliResult {
    let Some((notes, copy)) = Notes::around(&context.home, path)? else {
        return Err(
            CliError::input(format!("{} is not in a working copy", path.display())).hint(format!(
                "make one with `{}`, or commit a folder with `{}`",
                program::command("data checkout NAME"),
                program::command("data add FOLDER")
            )),
        );
    };
    let api = context.api()?;
    if api.url() != copy.server {
        return Err(CliError::input(format!(
            "it is a working copy of {} at {}",
            copy.dataset, copy.server
        ))
        .hint("set CORLISS_URL to that server"));
    }
    staging::check_whole(notes.folder())?;
    if rehash {
        notes.forget(Kind::Data)?;
    }
    let exclude: Vec<PathBuf> = upload::within(notes.folder(), &context.home)
        .into_iter()
        .collect();
    let taken = upload::take(
        &context.home,
        notes.folder(),
        &upload::data_options(exclude),
        None,
    )?;
    let changes = changes::since(&api, &copy.version, &taken.tree, &copy.only)?;
    let head = match &copy.branch {
        Some(branch) => match resolve(&api, &format!("{}@{branch}", copy.dataset)) {
            Ok(head) => head.commit,
            Err(error) if error.exit_code == EXIT_NOT_FOUND => None,
            Err(error) => return Err(error),
        },
        None => copy.commit.clone(),
    };
    let moved = head != copy.commit;
    if context.json {
        output::say_json(&json!({
            "folder": notes.folder(), "dataset": copy.dataset, "branch": copy.branch, "commit": copy.commit,
            "version": copy.version, "only": copy.only, "head": head, "branch_moved": moved, "changes": changes,
        }));
        return Ok(());
    }
    tell(&copy, head.as_deref().filter(|_| moved), moved, &changes);
    Ok(())
}

fn tell(copy: &Copy, head: Option<&str>, moved: bool, changes: &[LocalChange]) {
    let of = match &copy.branch {
        Some(branch) => format!("{}@{branch}", copy.dataset),
        None => copy.dataset.clone(),
    };
    output::say(&format!(
        "{} is a working copy of {of} at {}",
        copy.folder.display(),
        short(&copy.version)
    ));
    if !copy.only.is_empty() {
        output::say(&format!("with only {}", copy.only.join(", ")));
    }
    match head {
        Some(head) => output::say(&format!(
            "{of} has moved on to {}; `{}` brings it here",
            short(head),
            program::command(&format!("data checkout {of} {}", copy.folder.display()))
        )),
        None if moved => output::say(&format!("{of} is gone")),
        None => {}
    }
    if changes.is_empty() {
        output::say("nothing was changed");
        return;
    }
    print_changes(changes);
    output::say(&summary(changes));
}

pub(super) fn print_changes(changes: &[LocalChange]) {
    for change in changes.iter().take(SHOWN) {
        output::say(&format!("{:8} {}", change.change, change.path));
    }
    if changes.len() > SHOWN {
        output::say(&format!("… and {} more", changes.len() - SHOWN));
    }
}

/// `2 files added, 1 removed`
pub(super) fn summary(changes: &[LocalChange]) -> String {
    let count = |kinds: &[&str]| {
        let of_kind = changes.iter().filter(|change| kinds.contains(&change.change));
        of_kind.count() as u64
    };
    let each = [
        (count(&["added"]), "added"),
        (count(&["removed"]), "removed"),
        (count(&["changed", "mode"]), "changed"),
    ];
    let mut parts = Vec::new();
    for (count, what) in each {
        if count > 0 && parts.is_empty() {
            parts.push(format!("{} {what}", units::plural(count, "file")));
        } else if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}
