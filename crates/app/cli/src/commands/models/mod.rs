//! `corliss models …`: list, show, check, alias, protect, approve, log.

mod approval;
mod log;
mod version;

use serde_json::{Value, json};

use crate::api::segment;
use crate::args::ModelsCommand;
use crate::context::Context;
use crate::error::CliResult;
use crate::output::{self, Table};
use crate::units;
use crate::views::{ModelView, Page};

/// Dispatches.
pub fn run(context: &Context, command: &ModelsCommand) -> CliResult {
    match command {
        ModelsCommand::List => list(context),
        ModelsCommand::Show { name, version: None } => show(context, name),
        ModelsCommand::Show {
            name,
            version: Some(number),
        } => version::show(context, name, *number),
        ModelsCommand::Alias { name, alias, version } => set_alias(context, name, alias, *version),
        ModelsCommand::Check(version) => version::check(context, version),
        ModelsCommand::Log { name, limit } => log::log(context, name, *limit),
        ModelsCommand::Protect {
            name,
            approvals,
            alias,
            self_approval,
        } => approval::protect(context, name, (*approvals, alias, *self_approval)),
        ModelsCommand::Unprotect { name } => approval::unprotect(context, name),
        ModelsCommand::Approve { version, message } => approval::decide(context, version, true, message),
        ModelsCommand::Reject { version, message } => approval::decide(context, version, false, message),
    }
}

fn aliases(model: &ModelView) -> String {
    let pairs: Vec<String> = model
        .aliases
        .iter()
        .map(|(alias, version)| format!("{alias}={version}"))
        .collect();
    pairs.join(" ")
}

fn list(context: &Context) -> CliResult {
    let answer: Value = context.api()?.get("/api/v1/models")?;
    context.answer(answer, |page: Page<ModelView>| {
        let mut table = Table::new(&["model", "latest", "aliases", "updated"]);
        for model in page.items {
            let latest = model
                .latest_version
                .map(|version| version.to_string())
                .unwrap_or_default();
            table.row([
                model.name.clone(),
                latest,
                aliases(&model),
                units::ago(model.updated_ms),
            ]);
        }
        table.print(
            "No models yet. A project file's `models:` registers them, and so does mlflow.register_model.",
        );
    })
}

fn show(context: &Context, name: &str) -> CliResult {
    let answer: Value = context.api()?.get(&format!("/api/v1/models/{}", segment(name)))?;
    context.answer(answer, |model: ModelView| {
        output::say(&format!("{}  {}", model.name, aliases(&model)));
        if let Some(protection) = &model.protection {
            output::say(&protection.told());
        }
        output::say("");
        let mut table = Table::new(&["version", "flavor", "files", "metrics", "run", "data", "created"]);
        for version in model.versions {
            let metrics: Vec<String> = version
                .metrics
                .iter()
                .map(|(name, value)| format!("{name}={}", units::metric(*value)))
                .collect();
            table.row([
                version.version.to_string(),
                version.flavor.unwrap_or_default(),
                version.checked.map(|counts| counts.told()).unwrap_or_default(),
                metrics.join(" "),
                version.run_id.unwrap_or_default(),
                version
                    .source_version
                    .map(|id| id.chars().take(14).collect())
                    .unwrap_or_default(),
                units::ago(version.created_ms),
            ]);
        }
        table.print("It has no versions.");
    })
}

fn set_alias(context: &Context, name: &str, alias: &str, version: u32) -> CliResult {
    let path = format!("/api/v1/models/{}/aliases/{}", segment(name), segment(alias));
    let answer: Value = context.api()?.put(&path, &json!({ "version": version }))?;
    if context.json {
        output::say_json(&answer);
    } else {
        output::say(&format!("{name}@{alias} is now version {version}."));
    }
    Ok(())
}
