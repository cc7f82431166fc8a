//! `corliss experiments …`: list, purge what was deleted, move in from elsewhere.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::args::ExperimentsCommand;
use crate::confirm::confirm;
use crate::context::Context;
use crate::error::{CliError, CliResult, EXIT_NOT_FOUND};
use crate::output::{self, Table};
use crate::progress::Meter;
use crate::{moving, program, units};

/// Experiments of one page, as many as the server gives.
const PAGE: u64 = 50_000;
const SECONDS_A_DAY: u64 = 86_400;

#[derive(Deserialize)]
struct Experiment {
    experiment_id: String,
    name: String,
    last_update_time: i64,
}

#[derive(Deserialize)]
struct Experiments {
    #[serde(default)]
    experiments: Vec<Experiment>,
}

/// Dispatches.
pub fn run(context: &Context, command: &ExperimentsCommand) -> CliResult {
    match command {
        ExperimentsCommand::Import { from } => moving::run(context, from),
        ExperimentsCommand::List { deleted } => list(context, *deleted),
        ExperimentsCommand::Purge {
            older_than_days,
            experiment,
            dry_run,
            yes,
        } => {
            let api = context.api()?;
            let wish = json!({
                "older_than_seconds": older_than_days.saturating_mul(SECONDS_A_DAY),
                "experiment_ids": ids_of(&api, experiment)?,
            });
            purge(context, &api, wish, *dry_run, *yes)
        }
    }
}

fn list(context: &Context, deleted: bool) -> CliResult {
    let view = if deleted { "DELETED_ONLY" } else { "ACTIVE_ONLY" };
    let path = format!("/api/2.0/mlflow/experiments/search?view_type={view}&max_results={PAGE}");
    let answer: Value = context.api()?.get(&path)?;
    context.answer(answer, |found: Experiments| {
        let mut table = Table::new(&["id", "name", "updated"]);
        for experiment in found.experiments {
            table.row([
                experiment.experiment_id,
                experiment.name,
                units::ago(experiment.last_update_time),
            ]);
        }
        table.print(if deleted {
            "None was deleted."
        } else {
            "No experiments yet. A run of mlflow or of a project file makes the first."
        });
    })
}

#[derive(Deserialize)]
struct Found {
    experiment: Experiment,
}

/// The numbers of experiments that are named by name or number, active or deleted.
fn ids_of(api: &Api, named: &[String]) -> CliResult<Vec<i64>> {
    let id_of = |named: &String| {
        let by = match named.parse::<u32>() {
            Ok(id) => format!("get?experiment_id={id}"),
            Err(_) => format!("get-by-name?experiment_name={}", segment(named)),
        };
        let found: Found = api
            .get(&format!("/api/2.0/mlflow/experiments/{by}"))
            .map_err(|error| unknown(error, named))?;
        let id = found.experiment.experiment_id;
        id.parse()
            .map_err(|_| CliError::failed(format!("the server says that '{id}' is the number of {named}")))
    };
    named.iter().map(id_of).collect()
}

fn unknown(error: CliError, named: &str) -> CliError {
    if error.exit_code != EXIT_NOT_FOUND {
        return error;
    }
    let message = format!("there is no experiment '{named}', neither active nor deleted");
    CliError::new(EXIT_NOT_FOUND, "experiment_not_found", message).hint(format!(
        "list those that were deleted with: {}",
        program::command("experiments list --deleted")
    ))
}

#[derive(Debug, Default, Deserialize)]
struct Purged {
    runs: u64,
    logged_models: u64,
    experiments: u64,
    traces: u64,
    artifacts: u64,
    artifact_bytes: u64,
    more: bool,
}

impl Purged {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.logged_models += other.logged_models;
        self.experiments += other.experiments;
        self.traces += other.traces;
        self.artifacts += other.artifacts;
        self.artifact_bytes += other.artifact_bytes;
    }

    fn told(&self) -> String {
        format!(
            "{}, {}, {} and {}",
            units::plural(self.runs, "run"),
            units::plural(self.logged_models, "logged model"),
            units::plural(self.experiments, "experiment"),
            units::plural(self.traces, "trace")
        )
    }
}

fn purge(context: &Context, api: &Api, mut wish: Value, dry_run: bool, yes: bool) -> CliResult {
    const ROUTE: &str = "/api/v1/tracking/purge";
    wish["dry_run"] = json!(true);
    let would: Value = api.post(ROUTE, &wish)?;
    if dry_run {
        return context.answer(would, |would: Purged| {
            output::say(&format!("would remove {} for good", would.told()));
        });
    }
    let expected: Purged = crate::context::typed(would)?;
    if expected.runs + expected.logged_models + expected.experiments > 0 && !yes {
        confirm(&format!("Remove {} for good?", expected.told()))?;
    }
    wish["dry_run"] = json!(false);
    let mut bar = Meter::new("purging");
    let mut purged = Purged::default();
    loop {
        let step: Purged = api.post(ROUTE, &wish)?;
        purged.add(&step);
        bar.things("purging runs", purged.runs, expected.runs);
        if !step.more {
            break;
        }
    }
    bar.clear();
    let answer = json!({
        "dry_run": false, "runs": purged.runs, "logged_models": purged.logged_models,
        "experiments": purged.experiments, "traces": purged.traces, "artifacts": purged.artifacts, "artifact_bytes": purged.artifact_bytes,
        "more": false,
    });
    context.answer(answer, |purged: Purged| {
        output::say(&format!("removed {} for good", purged.told()));
        if purged.artifacts > 0 {
            output::say(&format!(
                "{} with {}: their space is freed by the daily `{}`, two weeks after they were written \
                 (at once with --grace-hours 0)",
                units::plural(purged.artifacts, "artifact"),
                units::bytes(purged.artifact_bytes),
                program::command("data gc")
            ));
        }
    })
}
