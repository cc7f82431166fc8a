//! `corliss data delete`.

use serde_json::json;

use crate::api::segment;
use crate::confirm::confirm;
use crate::context::Context;
use crate::error::CliResult;
use crate::output;
use crate::units;
use crate::views::DatasetDetail;

pub(super) fn delete(context: &Context, name: &str, yes: bool, dry_run: bool) -> CliResult {
    let api = context.api()?;
    let path = format!("/api/v1/data/datasets/{}", segment(name));
    let dataset: DatasetDetail = api.get(&path)?;
    let what = format!(
        "dataset '{name}' with {}, {} and {}",
        units::plural(dataset.versions, "version"),
        units::plural_of(dataset.branches.len() as u64, "branch", "branches"),
        units::plural(dataset.tags.len() as u64, "tag")
    );
    if dry_run {
        if context.json {
            output::say_json(&json!({
                "name": name, "deleted": false, "versions": dataset.versions,
                "branches": dataset.branches.len(), "tags": dataset.tags.len(),
            }));
        } else {
            output::say(&format!("would delete {what}"));
        }
        return Ok(());
    }
    if !yes {
        confirm(&format!("Delete {what}?"))?;
    }
    api.delete(&path)?;
    if context.json {
        output::say_json(&json!({ "name": name, "deleted": true }));
    } else {
        output::say(&format!("deleted {what}"));
    }
    Ok(())
}
