//! Uploads the code and data that a project file names, then submits it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use corliss_pipelines::project_file::DataSource;
use serde::Deserialize;
use serde_json::json;

use super::place;
use super::project::{self, Loaded};
use crate::api::Api;
use crate::context::Context;
use crate::error::{CliError, CliResult};
use crate::upload;

/// The script that by custom makes the data of an example.
const MAKES_DATA: &str = "get_data.py";

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

/// Submits a project file; answers the run's id.
pub fn submit(context: &Context, api: &Api, file: &Path) -> CliResult<String> {
    let loaded = project::load(file, context.json)?;
    let name = &loaded.project.project;
    let mut data = BTreeMap::new();
    let mut data_folders = Vec::new();
    for source in &loaded.project.data {
        let folder = data_folder(&loaded, source, file)?;
        let message = format!("data of {name}");
        let uploaded = upload::folder(api, &folder, &upload::data_options(), &source.name, &message)
            .map_err(|mut error| {
                error
                    .report
                    .field
                    .get_or_insert_with(|| format!("data.{}", source.name));
                error
            })?;
        data.insert(source.name.clone(), uploaded.version);
        data_folders.extend(within(&loaded.folder, &folder));
    }
    let options = upload::code_options(data_folders);
    let code = upload::folder(
        api,
        &loaded.folder,
        &options,
        &format!("{name}.code"),
        &format!("code of {name}"),
    )?;
    let accepted: Accepted = api.post(
        "/api/v1/runs",
        &json!({
            "project_file": loaded.text,
            "file_name": loaded.file_name,
            "source": code.version,
            "data": data,
            "environment": environment()?,
        }),
    )?;
    Ok(accepted.id)
}

/// The folder of an entry under `data`; one that is missing is told with its place in the project file.
fn data_folder(loaded: &Loaded, source: &DataSource, file: &Path) -> CliResult<PathBuf> {
    // By its parts, so that the path is shown without "/./".
    let folder: PathBuf = loaded.folder.join(&source.folder).components().collect();
    if folder.is_dir() {
        return Ok(folder);
    }
    let what = if folder.exists() {
        format!("{} is not a folder", folder.display())
    } else {
        format!("there is no folder {}", folder.display())
    };
    let (line, column) = place::of_data(&loaded.text, &source.name);
    let field = format!("data.{}", source.name);
    let hint = if loaded.folder.join(MAKES_DATA).is_file() && !folder.exists() {
        format!("run python {} first", beside(file, MAKES_DATA).display())
    } else {
        format!("make the folder or correct {field}")
    };
    let mut error = CliError::input(format!("{}:{line}:{column}: {what}", file.display())).hint(hint);
    error.report.field = Some(field);
    Err(error)
}

/// A file in the project file's folder, as it is called from here.
fn beside(file: &Path, name: &str) -> PathBuf {
    file.with_file_name(name)
}

/// A data folder's path relative to the code's, if it lies in it: it is not code then.
fn within(root: &Path, folder: &Path) -> Option<PathBuf> {
    let folder = std::fs::canonicalize(folder).ok()?;
    let relative = folder.strip_prefix(root).ok()?;
    (!relative.as_os_str().is_empty()).then(|| relative.to_path_buf())
}

/// What of this shell's environment the steps get: where programs are, and whose they are.
fn environment() -> CliResult<BTreeMap<&'static str, String>> {
    let variables: BTreeMap<_, _> = ["PATH", "VIRTUAL_ENV", "HOME", "LANG"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var(name).ok()?)))
        .collect();
    if !variables.contains_key("PATH") {
        return Err(CliError::input(
            "PATH is not set, so no step would find its programs",
        ));
    }
    Ok(variables)
}
