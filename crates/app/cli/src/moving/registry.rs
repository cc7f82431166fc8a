//! Registered models: what their versions were made from is named anew, by where it lies on the server.

use std::collections::{BTreeMap, BTreeSet};

use corliss_mlflow_store::{MlflowStore, ModelVersion, RegisteredModel};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use super::artifacts::Artifacts;
use super::failed;
use super::mover::Mover;
use super::server::pairs;
use crate::error::{CliResult, EXIT_BAD_INPUT, EXIT_DENIED};

/// Versions of one call.
const VERSIONS: usize = 100;
/// Why a version does not come.
const UNREACHED: &str = "its files are at an address that cannot be reached from here";
const NO_ARTIFACTS: &str = "its files were left out by --no-artifacts, and there is no version without files";
/// What marks a version of a prompt, which has no files.
const PROMPT: &str = "mlflow.prompt.is_prompt";

#[derive(Deserialize)]
struct Answer {
    has_model: bool,
    here: Vec<i64>,
    stages: BTreeMap<i64, String>,
    aliases: BTreeMap<String, i64>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    version: i64,
    message: String,
}

/// What a version was made from, as the source says it.
#[derive(Debug, PartialEq, Eq)]
enum Made {
    Prompt,
    /// A logged model.
    OfModel(String),
    /// A version of a registered model.
    Copy,
    /// Artifacts of a run: the run, and the path within.
    OfRun(String, String),
    Elsewhere,
}

/// Moves the registered models; where `wanted` is given, those versions whose run or logged model is in it. Without
/// artifacts, versions that have files are left out.
pub fn move_models(
    mover: &mut Mover<'_>,
    store: &mut dyn MlflowStore,
    wanted: Option<&BTreeSet<String>>,
    artifacts: &Artifacts,
) -> CliResult {
    let mut copies = Vec::new();
    for model in store.registered_models().map_err(failed)? {
        let versions = store.versions(&model.name).map_err(failed)?;
        let mut made: Vec<(ModelVersion, Made)> = versions
            .into_iter()
            .map(|version| {
                let made = made_of(&version);
                (version, made)
            })
            .collect();
        if let Some(wanted) = wanted {
            made.retain(|(version, made)| match made {
                Made::OfModel(id) | Made::OfRun(id, _) => wanted.contains(id),
                _ => version.run_id.as_ref().is_some_and(|run| wanted.contains(run)),
            });
            if made.is_empty() {
                continue;
            }
        }
        mover.report.source.registered_models += 1;
        mover.report.source.model_versions += made.len() as u64;
        // What a copy was made of may be a version of a model that comes later.
        let (of_versions, own): (Vec<_>, Vec<_>) =
            made.into_iter().partition(|(_, made)| *made == Made::Copy);
        let has_copies = !of_versions.is_empty();
        let is_here = send(mover, &model, &own, artifacts, own.is_empty())?;
        mover.report.here.registered_models += u64::from(is_here);
        if has_copies {
            copies.push((model, of_versions));
        }
    }
    for (model, versions) in copies {
        send(mover, &model, &versions, artifacts, false)?;
    }
    Ok(())
}

/// Sends a model with some of its versions, or alone; answers whether the model is here. One of whose versions none can
/// come is not made.
fn send(
    mover: &mut Mover<'_>,
    model: &RegisteredModel,
    versions: &[(ModelVersion, Made)],
    artifacts: &Artifacts,
    alone: bool,
) -> CliResult<bool> {
    let with_artifacts = artifacts.are_wanted();
    let mut is_here = false;
    let mut calls: Vec<&[(ModelVersion, Made)]> = versions.chunks(VERSIONS).collect();
    if alone {
        calls.push(&[]);
    }
    for some in calls {
        // Asked about by their numbers alone: where files lie, and whether they do, is another question.
        let looked = some
            .iter()
            .map(|(version, _)| wish_of(version, "", None, None))
            .collect();
        let Some(before) = call(mover, model, looked, true)? else {
            return Ok(false);
        };
        is_here |= before.has_model;
        if mover.way.dry_run {
            mover.report.here.model_versions += before.here.len() as u64;
            let new = some
                .iter()
                .filter(|(version, _)| !before.here.contains(&version.version));
            for (version, made) in new {
                if needs_files(made) && !with_artifacts {
                    tell_without_files(mover, model, version, NO_ARTIFACTS);
                } else if is_unreached(made, artifacts) {
                    tell_without_files(mover, model, version, UNREACHED);
                }
            }
            compare(mover, model, some, &before);
            tell(mover, model, before.refused);
            continue;
        }
        let places = places(mover, some)?;
        let mut sent = Vec::new();
        for (version, made) in some {
            let is_known = before.here.contains(&version.version);
            let wish = match version_of(version, made, &places) {
                _ if needs_files(made) && !with_artifacts && !is_known => Err(NO_ARTIFACTS),
                Some(wish) => Ok(wish),
                None if is_known => Ok(wish_of(version, "", None, None)),
                None => Err("its files were not moved in"),
            };
            match wish {
                Ok(wish) => sent.push(wish),
                Err(why) => tell_without_files(mover, model, version, why),
            }
        }
        if sent.is_empty() && !some.is_empty() {
            continue;
        }
        let Some(answer) = call(mover, model, sent, false)? else {
            return Ok(false);
        };
        is_here = answer.has_model;
        mover.report.here.model_versions += answer.here.len() as u64;
        let new = answer.here.iter().filter(|number| !before.here.contains(number));
        mover.report.sent.model_versions += new.count() as u64;
        compare(mover, model, some, &answer);
        // Of one whose files cannot be reached, the server knows only that they are not there.
        let (unreached, others): (Vec<Refused>, Vec<Refused>) =
            answer.refused.into_iter().partition(|refused| {
                let mut of = some
                    .iter()
                    .filter(|(version, _)| version.version == refused.version);
                of.any(|(_, made)| is_unreached(made, artifacts))
            });
        for (version, _) in some {
            if unreached.iter().any(|refused| refused.version == version.version) {
                tell_without_files(mover, model, version, UNREACHED);
            }
        }
        tell(mover, model, others);
    }
    Ok(is_here)
}

/// Tells which of the versions that are here have another stage or other aliases than in the source. What an import has
/// brought can be moved on here, and a protected model takes none of it without approval.
fn compare(mover: &mut Mover<'_>, model: &RegisteredModel, versions: &[(ModelVersion, Made)], here: &Answer) {
    const NO_STAGE: &str = "None";
    let name = &model.name;
    for (version, _) in versions {
        let number = version.version;
        let Some(stage) = here.stages.get(&number) else {
            continue;
        };
        let wanted = if version.stage.is_empty() {
            NO_STAGE
        } else {
            &version.stage
        };
        if !stage.eq_ignore_ascii_case(wanted) {
            mover.report.differences.add(&format!(
                "the stage of version {number} of model '{name}' is {wanted} in the source, {stage} here"
            ));
        }
        for (alias, _) in model.aliases.iter().filter(|(_, to)| **to == number) {
            let told = match here.aliases.get(alias) {
                Some(to) if *to == number => continue,
                Some(to) => format!("version {to} here"),
                // The next import sets it.
                None if mover.way.dry_run => continue,
                None => "nothing here".to_owned(),
            };
            mover.report.differences.add(&format!(
                "the alias '{alias}' of model '{name}' points at version {number} in the source, at {told}"
            ));
        }
    }
}

/// Whether a version is nothing without files of its own.
const fn needs_files(made: &Made) -> bool {
    !matches!(made, Made::Prompt | Made::Copy)
}

/// Whether a version was made from files that cannot be reached.
fn is_unreached(made: &Made, artifacts: &Artifacts) -> bool {
    matches!(made, Made::OfModel(id) | Made::OfRun(id, _) if artifacts.is_unreached(id))
}

fn tell_without_files(mover: &mut Mover<'_>, model: &RegisteredModel, version: &ModelVersion, why: &str) {
    let from = version.storage_location.as_deref().unwrap_or(&version.source);
    mover.report.differences.add(&format!(
        "version {} of model '{}' from '{from}': {why}",
        version.version, model.name
    ));
}

/// Sends or asks about some versions; nothing if the model itself is refused, which is told.
fn call(
    mover: &mut Mover<'_>,
    model: &RegisteredModel,
    versions: Vec<Value>,
    dry_run: bool,
) -> CliResult<Option<Answer>> {
    let wish = json!({
        "source": mover.server.source, "name": model.name, "description": model.description,
        "created_ms": model.created_ms, "updated_ms": model.updated_ms, "tags": pairs(&model.tags),
        "aliases": model.aliases, "versions": versions, "dry_run": dry_run,
    });
    match mover.server.api.post_list("/api/v1/registry/import", &wish) {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.exit_code, EXIT_BAD_INPUT | EXIT_DENIED) => {
            let told = format!("model '{}': {}", model.name, error.report.message);
            mover.report.differences.add(&told);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn tell(mover: &mut Mover<'_>, model: &RegisteredModel, refused: Vec<Refused>) {
    for refused in refused {
        mover.report.differences.add(&format!(
            "version {} of model '{}': {}",
            refused.version, model.name, refused.message
        ));
    }
}

/// Where the artifacts of the runs lie that these versions were made from.
fn places(mover: &Mover<'_>, versions: &[(ModelVersion, Made)]) -> CliResult<BTreeMap<String, String>> {
    let runs: BTreeSet<String> = versions
        .iter()
        .filter_map(|(_, made)| match made {
            Made::OfRun(run, _) => Some(run.clone()),
            _ => None,
        })
        .collect();
    let runs: Vec<String> = runs.into_iter().collect();
    let here = mover.server.state(&runs, &[])?.runs;
    Ok(here
        .into_iter()
        .map(|run| (run.run_id, run.artifact_uri))
        .collect())
}

/// A version as it is sent; nothing if its files are not here.
fn version_of(version: &ModelVersion, made: &Made, places: &BTreeMap<String, String>) -> Option<Value> {
    let (source, run_id, model_id) = match made {
        Made::Prompt => (version.source.clone(), version.run_id.clone(), None),
        Made::Copy => (version.source.clone(), None, None),
        Made::OfModel(id) => (format!("models:/{id}"), version.run_id.clone(), Some(id.clone())),
        Made::OfRun(run, path) => {
            let place = places.get(run)?;
            let source = format!("{place}/{path}");
            (source.trim_end_matches('/').to_owned(), Some(run.clone()), None)
        }
        Made::Elsewhere => return None,
    };
    Some(wish_of(version, &source, run_id, model_id))
}

fn wish_of(version: &ModelVersion, source: &str, run_id: Option<String>, model_id: Option<String>) -> Value {
    json!({
        "version": version.version, "description": version.description, "stage": version.stage, "source": source,
        "run_id": run_id, "model_id": model_id, "run_link": version.run_link, "created_ms": version.created_ms,
        "updated_ms": version.updated_ms, "tags": pairs(&version.tags),
    })
}

/// What a version was made from. Wherever artifacts lie, their path goes through a folder that has the name of the run or
/// logged model, and one in it that is called `artifacts`.
fn made_of(version: &ModelVersion) -> Made {
    let is_mark =
        |tag: &corliss_mlflow_store::Pair| tag.key == PROMPT && tag.value.eq_ignore_ascii_case("true");
    if version.tags.iter().any(is_mark) {
        return Made::Prompt;
    }
    if let Some(name) = version.source.strip_prefix("models:/") {
        return match name.starts_with("m-") && !name.contains(['/', '@']) {
            true => Made::OfModel(name.to_owned()),
            false => Made::Copy,
        };
    }
    if let Some(rest) = version.source.strip_prefix("runs:/") {
        let (run, path) = rest.split_once('/').unwrap_or((rest, ""));
        return Made::OfRun(run.to_owned(), path.trim_matches('/').to_owned());
    }
    let addresses = [version.storage_location.as_deref(), Some(version.source.as_str())];
    for address in addresses.into_iter().flatten() {
        // Only an address of a file is escaped.
        let address = match address.starts_with("file:") {
            true => percent_decode_str(address).decode_utf8_lossy(),
            false => address.into(),
        };
        let parts: Vec<&str> = address.split('/').filter(|part| !part.is_empty()).collect();
        let Some(at) = parts
            .iter()
            .position(|part| *part == "artifacts")
            .filter(|at| *at > 0)
        else {
            continue;
        };
        let (owner, path) = (parts[at - 1], parts[at + 1..].join("/"));
        let is_model = owner.starts_with("m-") && at > 1 && parts[at - 2] == "models";
        return match is_model {
            true if path.is_empty() => Made::OfModel(owner.to_owned()),
            true => Made::Elsewhere,
            false => Made::OfRun(owner.to_owned(), path),
        };
    }
    Made::Elsewhere
}

#[cfg(test)]
mod tests {
    use corliss_mlflow_store::Pair;

    use super::*;

    fn version(source: &str, storage_location: Option<&str>) -> ModelVersion {
        ModelVersion {
            version: 1,
            description: String::new(),
            stage: String::new(),
            source: source.to_owned(),
            storage_location: storage_location.map(str::to_owned),
            run_id: None,
            run_link: String::new(),
            created_ms: 1,
            updated_ms: 1,
            tags: Vec::new(),
        }
    }

    #[test]
    fn what_a_version_was_made_from_is_found_wherever_it_lay() {
        let of_run = |path: &str| Made::OfRun("0a1b".to_owned(), path.to_owned());
        for (source, storage, expected) in [
            ("models:/m-12", None, Made::OfModel("m-12".to_owned())),
            ("models:/net/3", None, Made::Copy),
            ("models:/m-net/3", None, Made::Copy),
            ("models:/net@live", None, Made::Copy),
            ("runs:/0a1b/model", None, of_run("model")),
            ("/home/a/mlruns/1/0a1b/artifacts/model", None, of_run("model")),
            (
                "file:///a%20b/1/0a1b/artifacts/my%20model",
                None,
                of_run("my model"),
            ),
            ("mlflow-artifacts:/1/0a1b/artifacts/a/b", None, of_run("a/b")),
            ("s3://bucket/1/0a1b/artifacts", None, of_run("")),
            (
                "s3://b/x",
                Some("s3://b/1/models/m-12/artifacts"),
                Made::OfModel("m-12".to_owned()),
            ),
            ("s3://b/x", None, Made::Elsewhere),
            ("artifacts/x", None, Made::Elsewhere),
        ] {
            assert_eq!(made_of(&version(source, storage)), expected, "{source}");
        }
        let mut prompt = version("dummy-source", None);
        prompt.tags.push(Pair::new(PROMPT, "True"));
        assert_eq!(made_of(&prompt), Made::Prompt);
    }
}
