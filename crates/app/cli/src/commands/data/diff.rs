//! `corliss data diff`.

use serde_json::Value;

use crate::api::segment;
use crate::context::Context;
use crate::error::CliResult;
use crate::output;
use crate::text::short;
use crate::units;
use crate::views::DiffView;

pub(super) fn diff(context: &Context, from: &str, to: &str, limit: u32) -> CliResult {
    let path = format!(
        "/api/v1/data/diff?from={}&to={}&limit={limit}",
        segment(from),
        segment(to)
    );
    let answer: Value = context.api()?.get(&path)?;
    context.answer(answer, |diff: DiffView| {
        for change in &diff.items {
            let size = |entry: &Option<corliss_data::Entry>| {
                let size = entry.as_ref().map(|entry| units::bytes(entry.size_bytes));
                size.unwrap_or_default()
            };
            let sizes = match (&change.old, &change.new) {
                (Some(old), Some(new)) if old.size_bytes != new.size_bytes => {
                    format!("{} to {}", size(&change.old), size(&change.new))
                }
                (None, _) => size(&change.new),
                _ => size(&change.old),
            };
            output::say(&format!("{:8} {}  ({sizes})", change.change, change.path));
        }
        if diff.next_page_token.is_some() {
            output::say("… and more; --limit shows up to 10000, --json gives the token of the next page");
        }
        let ends = format!("{} to {}", short(&diff.from), short(&diff.to));
        match diff.summary {
            Some(sum) if sum.added + sum.removed + sum.changed > 0 => output::say(&format!(
                "{ends}: {} added, {} removed, {} changed; {} new, {} gone",
                sum.added,
                sum.removed,
                sum.changed,
                units::bytes(sum.bytes_new),
                units::bytes(sum.bytes_old)
            )),
            _ => output::say(&format!("{ends}: no file differs")),
        }
    })
}
