//! `corliss data log`.

use serde_json::Value;

use crate::api::segment;
use crate::context::Context;
use crate::error::CliResult;
use crate::output::Table;
use crate::text::short;
use crate::units;
use crate::views::{CommitView, Page};

pub(super) fn log(context: &Context, target: &str, limit: u32) -> CliResult {
    let path = format!("/api/v1/data/log?reference={}&limit={limit}", segment(target));
    let answer: Value = context.api()?.get(&path)?;
    context.answer(answer, |page: Page<CommitView>| {
        let mut table = Table::new(&["commit", "version", "files", "size", "created", "by", "message"]);
        for commit in page.items {
            let mut message = commit.message;
            if commit.parents.len() > 1 {
                message = format!("{message} (merges {})", short(&commit.parents[1]));
            }
            table.row([
                short_commit(&commit.commit),
                short(&commit.version),
                commit.files.to_string(),
                units::bytes(commit.size_bytes),
                units::ago(commit.created_ms),
                commit.author,
                message,
            ]);
        }
        table.print("It has no commits.");
    })
}

/// `c_` and 12 digits, which other commands take.
pub(super) fn short_commit(id: &str) -> String {
    id.chars().take(14).collect()
}
