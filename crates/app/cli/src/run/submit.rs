//! Uploads the code and data that a project file names, then submits it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use super::project;
use crate::api::Api;
use crate::error::{CliError, CliResult};
use crate::upload;

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

/// Submits a project file; answers the run's id.
pub fn submit(api: &Api, file: &Path) -> CliResult<String> {
    let loaded = project::load(file)?;
    let name = &loaded.project.project;
    let mut data = BTreeMap::new();
    let mut data_folders = Vec::new();
    for source in &loaded.project.data {
        let folder = loaded.data_folder(source);
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
    let request = json!({
        "project_file": loaded.text,
        "file_name": loaded.file_name,
        "source": code.version,
        "data": data,
        "environment": environment()?,
    });
    let accepted: CliResult<Accepted> = api.post("/api/v1/runs", &request);
    accepted
        .map(|accepted| accepted.id)
        .map_err(|error| error.in_file(file.display().to_string()))
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
