//! `corliss models show NAME VERSION` and `check`: one version and its files.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::segment;
use crate::args::VersionArgs;
use crate::context::{Context, typed};
use crate::error::{CliError, CliResult};
use crate::output::{self, Table};
use crate::text::short;
use crate::units;

#[derive(Debug, Deserialize)]
struct Version {
    version: u32,
    created_ms: i64,
    registered_by: Option<String>,
    #[serde(default)]
    description: String,
    source_version: Option<String>,
    #[serde(default)]
    source: String,
    run_id: Option<String>,
    step: Option<String>,
    tracking_run_id: Option<String>,
    logged_model_id: Option<String>,
    #[serde(default)]
    data: Vec<Input>,
    code: Option<String>,
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
    #[serde(default)]
    flavor: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    files: Vec<File>,
    #[serde(default)]
    model: Described,
    #[serde(default)]
    decisions: Vec<Decision>,
    missing_approval: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Input {
    name: String,
    version: String,
}

#[derive(Debug, Default, Deserialize)]
struct Described {
    #[serde(default)]
    flavors: Vec<String>,
    inputs: Option<String>,
    outputs: Option<String>,
    input_example: Option<String>,
}

#[derive(Debug, Deserialize)]
struct File {
    path: String,
    size_bytes: u64,
    verdict: String,
    #[serde(default)]
    format: String,
    #[serde(default)]
    detail: String,
    at_byte: Option<u64>,
}

/// What somebody said of a version.
#[derive(Debug, Deserialize)]
pub(super) struct Decision {
    pub actor: String,
    pub approved: bool,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub decided_ms: i64,
}

pub(super) fn show(context: &Context, name: &str, number: u32) -> CliResult {
    let path = format!("/api/v1/models/{}/versions/{number}", segment(name));
    let answer: Value = context.api()?.get(&path)?;
    context.answer(answer, |version: Version| print(name, &version))
}

fn print(name: &str, version: &Version) {
    let aliases = version.aliases.iter().map(|alias| format!("  @{alias}"));
    let stage = Some(&version.stage).filter(|stage| !stage.is_empty() && *stage != "None");
    let stage = stage.map(|stage| format!("  {stage}")).unwrap_or_default();
    output::say(&format!(
        "{name}/{}{}{stage}",
        version.version,
        aliases.collect::<String>()
    ));
    if !version.description.is_empty() {
        output::say(&version.description);
    }
    output::say("");
    let mut table = Table::new(&["what", "is"]);
    facts(version, &mut |what, is| table.row([what.to_owned(), is]));
    table.print("");
    output::say("");
    print_files(&version.files);
    if !version.decisions.is_empty() || version.missing_approval.is_some() {
        output::say("");
        print_decisions(version);
    }
}

fn facts(version: &Version, say: &mut dyn FnMut(&str, String)) {
    let by = version
        .registered_by
        .as_deref()
        .map(|by| format!(" by {by}"))
        .unwrap_or_default();
    say("registered", format!("{}{by}", units::ago(version.created_ms)));
    let mut given = |what: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            say(what, value);
        }
    };
    let step = version
        .step
        .as_deref()
        .map(|step| format!(" step {step}"))
        .unwrap_or_default();
    given("run", version.run_id.as_ref().map(|run| format!("{run}{step}")));
    given("tracking run", version.tracking_run_id.clone());
    given("logged model", version.logged_model_id.clone());
    given("source", Some(version.source.clone()));
    given("files", version.source_version.clone());
    given("code", version.code.clone());
    for input in &version.data {
        given("data", Some(format!("{} {}", input.name, short(&input.version))));
    }
    let metrics = version.metrics.iter();
    let metrics = metrics.map(|(name, value)| format!("{name}={}", units::metric(*value)));
    given("metrics", Some(metrics.collect::<Vec<_>>().join(" ")));
    let flavors = match version.model.flavors.as_slice() {
        [] => version.flavor.clone(),
        flavors => flavors.join(", "),
    };
    given("flavors", Some(flavors));
    given("inputs", version.model.inputs.clone());
    given("outputs", version.model.outputs.clone());
    given("input example", version.model.input_example.clone());
}

fn print_files(files: &[File]) {
    let mut table = Table::new(&["file", "is", "format", "size", "details"]);
    for file in files {
        let at = file
            .at_byte
            .map(|at| format!(" (at byte {at})"))
            .unwrap_or_default();
        table.row([
            file.path.clone(),
            file.verdict.clone(),
            file.format.clone(),
            units::bytes(file.size_bytes),
            format!("{}{at}", file.detail),
        ]);
    }
    table.print("Its files were not looked at yet.");
}

fn print_decisions(version: &Version) {
    let mut table = Table::new(&["who", "said", "when", "why"]);
    for decision in &version.decisions {
        let said = if decision.approved { "approved" } else { "rejected" };
        table.row([
            decision.actor.clone(),
            said.to_owned(),
            units::ago(decision.decided_ms),
            decision.reason.clone(),
        ]);
    }
    table.print("Nobody said anything about it.");
    if let Some(missing) = &version.missing_approval {
        output::say(&format!("It {missing}."));
    }
}

#[derive(Debug, Deserialize)]
struct Checked {
    files: Vec<File>,
}

pub(super) fn check(context: &Context, version: &VersionArgs) -> CliResult {
    let VersionArgs { name, version } = version;
    let path = format!("/api/v1/models/{}/versions/{version}/check", segment(name));
    let answer: Value = context.api()?.post(&path, &json!({}))?;
    let checked: Checked = typed(answer.clone())?;
    if context.json {
        output::say_json(&answer);
    } else {
        print_files(&checked.files);
    }
    let damaged = checked
        .files
        .iter()
        .filter(|file| file.verdict == "damaged")
        .count() as u64;
    match damaged {
        0 => Ok(()),
        count => Err(CliError::failed(format!(
            "version {version} of '{name}' is damaged: {}",
            units::plural(count, "file")
        ))),
    }
}
