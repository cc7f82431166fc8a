//! `corliss data list` and `show`.

use serde_json::Value;

use crate::api::segment;
use crate::commands::versions::version_of;
use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table};
use crate::program;
use crate::text::short;
use crate::units;
use crate::views::{DatasetDetail, DatasetView, Page, VersionView};

pub(super) fn list(context: &Context) -> CliResult {
    let answer: Value = context.api()?.get("/api/v1/data/datasets")?;
    context.answer(answer, |page: Page<DatasetView>| {
        let mut table = Table::new(&["dataset", "latest", "versions", "files", "size", "updated"]);
        for dataset in page.items {
            table.row([
                dataset.name,
                short(&dataset.latest),
                dataset.versions.to_string(),
                dataset.files.to_string(),
                units::bytes(dataset.size_bytes),
                units::ago(dataset.updated_ms),
            ]);
        }
        table.print(&format!(
            "No datasets yet. Add a folder with: {}",
            program::command("data add ./folder --name NAME")
        ));
    })
}

pub(super) fn show(context: &Context, target: &str) -> CliResult {
    let api = context.api()?;
    if target.starts_with("v_") || target.starts_with("c_") || target.contains(['@', '~']) {
        let version = version_of(&api, target)?;
        let answer: Value = api.get(&format!("/api/v1/data/versions/{}", segment(&version)))?;
        return context.answer(answer, |version: VersionView| print_version(&version));
    }
    let answer: Value = api.get(&format!("/api/v1/data/datasets/{}", segment(target)))?;
    context.answer(answer, |dataset: DatasetDetail| {
        let mut table = Table::new(&["version", "files", "size", "created", "by", "message"]);
        for commit in dataset.history {
            table.row([
                commit.version,
                commit.files.to_string(),
                units::bytes(commit.size_bytes),
                units::ago(commit.created_ms),
                commit.author,
                commit.message,
            ]);
        }
        table.print("It has no versions.");
    })
}

fn print_version(version: &VersionView) {
    output::say(&format!(
        "{}  {}, {}",
        version.version,
        units::plural(version.files, "file"),
        units::bytes(version.size_bytes)
    ));
    if version.linked_files > 0 {
        output::say(&format!(
            "{}, {}, linked and not stored here",
            units::plural(version.linked_files, "file"),
            units::bytes(version.linked_bytes)
        ));
    }
    let columns = ["size", "path", "linked to"];
    let shown = if version.linked_files > 0 { 3 } else { 2 };
    let mut table = Table::new(&columns[..shown]);
    for entry in &version.entries {
        let linked = entry.linked.as_ref();
        let linked = linked.map(|link| format!("{}/{}", link.source, link.key));
        let size = units::bytes(entry.size_bytes);
        let cells = [size, entry.path.clone(), linked.unwrap_or_default()];
        table.row(cells.into_iter().take(shown));
    }
    table.print("It has no files.");
    if version.next_page_token.is_some() {
        output::say(&format!(
            "… and more; `{}` lays all of them out",
            program::command("data get")
        ));
    }
}
