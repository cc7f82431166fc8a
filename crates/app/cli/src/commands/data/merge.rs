//! `corliss data merge`, `revert` and `cherry-pick`.

use serde_json::{Value, json};

use crate::api::segment;
use crate::args::JoinArgs;
use crate::context::Context;
use crate::error::CliResult;
use crate::output;
use crate::text::short;
use crate::units;
use crate::views::MergeView;

pub(super) fn merge(context: &Context, join: &JoinArgs, always_commit: bool) -> CliResult {
    run(context, join, "merge", "has everything of", always_commit)
}

pub(super) fn revert(context: &Context, join: &JoinArgs) -> CliResult {
    run(context, join, "revert", "has nothing of", false)
}

pub(super) fn cherry_pick(context: &Context, join: &JoinArgs) -> CliResult {
    run(context, join, "cherry-pick", "has everything of", false)
}

fn run(context: &Context, join: &JoinArgs, verb: &str, unchanged: &str, always_commit: bool) -> CliResult {
    let path = format!("/api/v1/data/datasets/{}/{verb}", segment(&join.dataset));
    let request = json!({
        "from": join.from,
        "branch": join.into,
        "on_conflict": join.on_conflict,
        "message": join.message.clone().unwrap_or_default(),
        "always_commit": always_commit,
    });
    let answer: Value = context.api()?.post_list(&path, &request)?;
    context.answer(answer, |merged: MergeView| {
        let branch = format!("{}@{}", join.dataset, merged.branch.unwrap_or_default());
        if !merged.created {
            output::say(&format!("{branch} {unchanged} {} already", join.from));
            return;
        }
        let how = if merged.fast_forward {
            "moved forward to"
        } else {
            "is now"
        };
        output::say(&format!("{branch} {how} {}", short(&merged.version)));
        if merged.settled > 0 {
            let files = units::plural(merged.settled, "file");
            output::say(&format!(
                "{files} that both sides had changed: taken from {}",
                join.on_conflict
            ));
        }
    })
}
