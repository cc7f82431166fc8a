//! `corliss data …`: list, show, add, get, lineage.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use corliss_data::EntryPath;
use serde_json::{Value, json};

use super::versions::version_of;
use crate::api::{Api, segment};
use crate::args::DataCommand;
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult, cause};
use crate::output::{self, Table};
use crate::program;
use crate::text::short;
use crate::units;
use crate::upload;
use crate::views::{DatasetDetail, DatasetView, LineageNode, LineageView, Page, VersionView};

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
        table.row([units::bytes(entry.size_bytes), entry.path.clone()]);
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
    let mut page_token = None::<String>;
    let (mut files, mut bytes) = (0_u64, 0_u64);
    loop {
        let token = page_token
            .as_ref()
            .map(|token| format!("&page_token={}", segment(token)))
            .unwrap_or_default();
        let answer: Value = api.get(&format!("/api/v1/data/versions/{version}?limit=1000{token}"))?;
        let page: VersionView = typed(answer)?;
        for entry in &page.entries {
            // Checked again here: a server is not to be trusted with where a file goes on this machine.
            let safe: EntryPath = entry.path.parse().map_err(|error| CliError::diagnosed(&error))?;
            download(&api, &version, &safe, &path.join(safe.as_str()), entry.executable)?;
            files += 1;
            bytes += entry.size_bytes;
        }
        page_token = page.next_page_token;
        if page_token.is_none() {
            break;
        }
    }
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

fn download(api: &Api, version: &str, entry: &EntryPath, to: &Path, executable: bool) -> CliResult {
    let failed =
        |error: std::io::Error| CliError::failed(format!("cannot write {}: {}", to.display(), cause(&error)));
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let path: Vec<String> = entry.as_str().split('/').map(segment).collect();
    let mut response = api.download(&format!(
        "/api/v1/data/versions/{version}/files/{}",
        path.join("/")
    ))?;
    let mut file = File::create_new(to).map_err(failed)?;
    std::io::copy(&mut response, &mut file).map_err(failed)?;
    if executable {
        file.set_permissions(std::fs::Permissions::from_mode(0o755))
            .map_err(failed)?;
    }
    Ok(())
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
