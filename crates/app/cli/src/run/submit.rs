//! Uploads the code and data that a project file names, then submits it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;

use super::project;
use crate::api::Api;
use crate::args::RunArgs;
use crate::context::Context;
use crate::data::upload::{self, Destination};
use crate::error::{CliError, CliResult};

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

/// Submits a project file; answers the run's id.
pub fn submit(context: &Context, api: &Api, args: &RunArgs) -> CliResult<String> {
    let file = args.file.as_path();
    let loaded = project::load(file)?;
    let name = &loaded.project.project;
    let mut data = BTreeMap::new();
    let home = |folder: &Path| upload::within(folder, &context.home).into_iter().collect();
    let mut not_code: Vec<PathBuf> = home(&loaded.folder);
    for source in &loaded.project.data {
        let folder = loaded.data_folder(source);
        let options = upload::data_options(home(&folder));
        let to = Destination {
            dataset: source.name.clone(),
            message: format!("data of {name}"),
            ..Destination::default()
        };
        let uploaded = upload::folder(api, &context.home, &folder, &options, &to).map_err(|mut error| {
            error
                .report
                .field
                .get_or_insert_with(|| format!("data.{}", source.name));
            error
        })?;
        data.insert(source.name.clone(), uploaded.version);
        not_code.extend(upload::within(&loaded.folder, &folder));
    }
    let options = upload::code_options(not_code);
    let to = Destination {
        dataset: format!("{name}.code"),
        message: format!("code of {name}"),
        ..Destination::default()
    };
    let code = upload::folder(api, &context.home, &loaded.folder, &options, &to)?;
    let request = json!({
        "project_file": loaded.text,
        "file_name": loaded.file_name,
        "source": code.version,
        "data": data,
        "begin_ms": args.begin,
        "environment": environment()?,
    });
    let accepted: CliResult<Accepted> = api.post("/api/v1/runs", &request);
    accepted
        .map(|accepted| accepted.id)
        .map_err(|error| error.in_file(file.display().to_string()))
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
