//! Which of MLflow's tables a database has. What is used must be there; what came with later versions may be absent as a
//! whole.

use std::collections::BTreeSet;

use super::{Database, cell::Cells};
use crate::SourceError;

/// Tables that older databases do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Optional {
    pub inputs: bool,
    pub logged_models: bool,
    pub registry: bool,
    pub aliases: bool,
    /// Whether one database holds several stores.
    pub workspaces: bool,
}

type Table = (&'static str, &'static [&'static str]);

const CORE: &[Table] = &[
    (
        "experiments",
        &[
            "experiment_id",
            "name",
            "lifecycle_stage",
            "creation_time",
            "last_update_time",
        ],
    ),
    ("experiment_tags", &["experiment_id", "key", "value"]),
    (
        "runs",
        &[
            "run_uuid",
            "experiment_id",
            "name",
            "user_id",
            "status",
            "start_time",
            "end_time",
            "lifecycle_stage",
            "deleted_time",
            "artifact_uri",
        ],
    ),
    ("params", &["run_uuid", "key", "value"]),
    ("tags", &["run_uuid", "key", "value"]),
    (
        "metrics",
        &["run_uuid", "key", "timestamp", "step", "value", "is_nan"],
    ),
];

const INPUTS: &[Table] = &[
    (
        "inputs",
        &[
            "input_uuid",
            "source_type",
            "source_id",
            "destination_type",
            "destination_id",
            "step",
        ],
    ),
    (
        "datasets",
        &[
            "dataset_uuid",
            "name",
            "digest",
            "dataset_source_type",
            "dataset_source",
            "dataset_schema",
            "dataset_profile",
        ],
    ),
    ("input_tags", &["input_uuid", "name", "value"]),
];

const LOGGED_MODELS: &[Table] = &[
    (
        "logged_models",
        &[
            "model_id",
            "experiment_id",
            "name",
            "artifact_location",
            "creation_timestamp_ms",
            "last_updated_timestamp_ms",
            "status",
            "lifecycle_stage",
            "model_type",
            "source_run_id",
        ],
    ),
    ("logged_model_params", &["model_id", "param_key", "param_value"]),
    ("logged_model_tags", &["model_id", "tag_key", "tag_value"]),
    (
        "logged_model_metrics",
        &[
            "model_id",
            "run_id",
            "metric_name",
            "metric_timestamp_ms",
            "metric_step",
            "metric_value",
            "dataset_name",
            "dataset_digest",
        ],
    ),
];

const REGISTRY: &[Table] = &[
    (
        "registered_models",
        &["name", "description", "creation_time", "last_updated_time"],
    ),
    ("registered_model_tags", &["name", "key", "value"]),
    (
        "model_versions",
        &[
            "name",
            "version",
            "description",
            "current_stage",
            "source",
            "storage_location",
            "run_id",
            "run_link",
            "creation_time",
            "last_updated_time",
        ],
    ),
    ("model_version_tags", &["name", "version", "key", "value"]),
];

const ALIASES: &[Table] = &[("registered_model_aliases", &["name", "alias", "version"])];

/// Which optional tables there are.
pub(super) fn check<D: Database>(database: &mut D) -> Result<Optional, SourceError> {
    all(database, CORE)?;
    let inputs = group(database, INPUTS)?;
    if inputs {
        // They came with the step of an input.
        all(database, LOGGED_MODELS)?;
    }
    Ok(Optional {
        inputs,
        logged_models: group(database, LOGGED_MODELS)?,
        registry: group(database, REGISTRY)?,
        aliases: group(database, ALIASES)?,
        workspaces: columns(database, "experiments")?.contains("workspace"),
    })
}

/// Whether something is in a workspace.
pub(super) fn check_workspace<D: Database>(
    database: &mut D,
    has: Optional,
    workspace: &str,
) -> Result<(), SourceError> {
    let refused = |has: String| SourceError::Workspace {
        asked: workspace.to_owned(),
        has,
    };
    if !has.workspaces {
        return Err(refused("its schema is older than workspaces".to_owned()));
    }
    let rows = database.rows(
        "SELECT DISTINCT workspace FROM experiments ORDER BY workspace",
        &[],
    )?;
    let found: Result<Vec<String>, SourceError> = rows
        .into_iter()
        .map(|row| Cells::of("experiments", row).text("workspace"))
        .collect();
    let found = found?;
    match found.iter().any(|one| one == workspace) {
        true => Ok(()),
        false => Err(refused(format!("it has {}", found.join(", ")))),
    }
}

/// Whether tables that came together are there: all of them, with what is used of them, or not even the first.
fn group<D: Database>(database: &mut D, tables: &[Table]) -> Result<bool, SourceError> {
    let first = tables.first().map_or("", |(name, _)| name);
    if columns(database, first)?.is_empty() {
        return Ok(false);
    }
    all(database, tables)?;
    Ok(true)
}

fn all<D: Database>(database: &mut D, tables: &[Table]) -> Result<(), SourceError> {
    for (table, wanted) in tables {
        let found = columns(database, table)?;
        if found.is_empty() {
            return Err(SourceError::Schema {
                missing: format!("table {table}"),
            });
        }
        if let Some(column) = wanted.iter().find(|column| !found.contains(**column)) {
            return Err(SourceError::Schema {
                missing: format!("column {column} in table {table}"),
            });
        }
    }
    Ok(())
}

fn columns<D: Database>(database: &mut D, table: &str) -> Result<BTreeSet<String>, SourceError> {
    let rows = database.rows(D::COLUMNS, &[table])?;
    rows.into_iter()
        .map(|row| Cells::of("schema", row).text("name"))
        .collect()
}
