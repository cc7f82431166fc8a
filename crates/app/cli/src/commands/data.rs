//! `corliss data …`: list, show, add, get, lineage.

use std::path::Path;

use corliss_data::Entry;
use serde_json::{Value, json};

use super::versions::version_of;
use crate::api::{Api, segment};
use crate::args::DataCommand;
use crate::context::Context;
use crate::error::{CliError, CliResult, cause};
use crate::output::{self, Table};
use crate::program;
use crate::text::short;
use crate::units;
use crate::views::{DatasetDetail, DatasetView, LineageNode, LineageView, Page, VersionView};
use crate::{download, progress, upload};

/// Dispatches.
pub fn run(context: &Context, command: &DataCommand) -> CliResult {
    match command {
        DataCommand::List => list(context),
        DataCommand::Show { target } => show(context, target),
        DataCommand::Add { path, name, message } => add(context, path, name.as_deref(), message.as_deref()),
        DataCommand::Get { target, path } => get(context, target, path),
        DataCommand::Lineage { node, direction } => lineage(context, node, direction),
    }
}

fn list(context: &Context) -> CliResult {
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

fn show(context: &Context, target: &str) -> CliResult {
    let api = context.api()?;
    if target.starts_with("v_") || target.contains('@') {
        let version = version_of(&api, target)?;
        let answer: Value = api.get(&format!("/api/v1/data/versions/{}", segment(&version)))?;
        return context.answer(answer, |version: VersionView| print_version(&version));
    }
    let answer: Value = api.get(&format!("/api/v1/data/datasets/{}", segment(target)))?;
    context.answer(answer, |dataset: DatasetDetail| {
        let mut table = Table::new(&["version", "files", "size", "created", "message"]);
        for version in dataset.history {
            table.row([
                version.version,
                version.files.to_string(),
                units::bytes(version.size_bytes),
                units::ago(version.created_ms),
                version.message,
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
    let mut table = Table::new(&["size", "path"]);
    for entry in &version.entries {
        table.row([units::bytes(entry.size_bytes), entry.path.to_string()]);
    }
    table.print("It has no files.");
    if version.next_page_token.is_some() {
        output::say(&format!(
            "… and more; `{}` lays all of them out",
            program::command("data get")
        ));
    }
}

fn add(context: &Context, path: &Path, name: Option<&str>, message: Option<&str>) -> CliResult {
    let full = std::fs::canonicalize(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => CliError::input(format!("there is no folder {}", path.display()))
            .hint("name a folder that exists; its files become the new version"),
        _ => CliError::input(format!("cannot open {}: {}", path.display(), cause(&error))),
    })?;
    let folder_name = full.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name
        .map(str::to_owned)
        .or(folder_name)
        .ok_or_else(|| CliError::input("the folder has no name").hint("pass --name NAME"))?;
    let api = context.api()?;
    let uploaded = upload::folder(
        &api,
        &full,
        &upload::data_options(upload::within(path, &context.home).into_iter().collect()),
        &name,
        message.unwrap_or_default(),
    )?;
    if context.json {
        output::say_json(
            &json!({ "dataset": name, "version": uploaded.version, "created": uploaded.created }),
        );
        return Ok(());
    }
    let what = if uploaded.created { "is now" } else { "was already" };
    output::say(&format!("{name} {what} {}", uploaded.version));
    output::say(&format!(
        "{}, {}",
        units::plural(uploaded.files, "file"),
        units::bytes(uploaded.size_bytes)
    ));
    Ok(())
}

fn get(context: &Context, target: &str, path: &Path) -> CliResult {
    let api = context.api()?;
    let version = version_of(&api, target)?;
    std::fs::create_dir(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => CliError::input(format!("{} exists already", path.display()))
            .hint("name a folder that does not exist yet"),
        _ => CliError::input(format!("cannot make {}: {}", path.display(), cause(&error))),
    })?;
    let written = lay_out(&api, &version, path);
    if written.is_err() {
        // It was made here and is not whole.
        let _ = std::fs::remove_dir_all(path);
    }
    let (files, bytes) = written?;
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

/// Answers the files and their bytes.
fn lay_out(api: &Api, version: &str, folder: &Path) -> CliResult<(u64, u64)> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut token = String::new();
    loop {
        let path = format!("/api/v1/data/versions/{version}?limit=10000{token}");
        // Read as entries, whose paths cannot lead out of the folder: a server is not to be trusted with
        // where a file goes on this machine.
        let mut page: VersionView = api.get(&path)?;
        entries.append(&mut page.entries);
        match page.next_page_token {
            Some(next) => token = format!("&page_token={}", segment(&next)),
            None => break,
        }
    }
    let bytes = entries.iter().map(|entry| entry.size_bytes).sum();
    let bar = progress::bytes(&format!("fetching {}", short(version)), bytes);
    download::entries(api, &entries, folder, &bar)?;
    bar.finish_and_clear();
    Ok((entries.len() as u64, bytes))
}

fn lineage(context: &Context, node: &str, direction: &str) -> CliResult {
    let api = context.api()?;
    let node = match node.strip_prefix("version:") {
        Some(version) => format!("version:{}", version_of(&api, version)?),
        None => node.to_owned(),
    };
    let path = format!("/api/v1/lineage?node={}&direction={direction}", segment(&node));
    let answer: Value = api.get(&path)?;
    context.answer(answer, |graph: LineageView| {
        let label = |id: &str| {
            let found = graph.nodes.iter().find(|node| node.id == id);
            // A version without a dataset is called by its digits alone: `v_` says what they are.
            let label = |node: &LineageNode| match id.strip_prefix("version:") {
                Some(version) if !node.label.contains('@') => short(version),
                _ => node.label.clone(),
            };
            found.map_or_else(|| id.to_owned(), |node| format!("{} {}", node.kind, label(node)))
        };
        let mut table = Table::new(&["from", "relation", "to"]);
        for edge in &graph.edges {
            table.row([label(&edge.from), edge.relation.clone(), label(&edge.to)]);
        }
        table.print("Nothing is known of where it came from or led to.");
    })
}
