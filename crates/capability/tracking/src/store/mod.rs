//! SQL of tracking. Modules hold functions on an open transaction; they decide nothing.

mod artifacts;
mod children;
mod experiments;
mod logged_models;
mod metrics;
mod runs;
mod search;

pub(crate) use artifacts::{all_blobs, delete_artifact, file_at, files_under, list_folder, put_artifact};
pub(crate) use children::{
    datasets_of, existing_params, insert_params, models_of, params_of, put_datasets, put_model_links,
    put_tags, tags_of,
};
pub(crate) use experiments::{
    delete_experiment_tag, experiment_by_id, experiment_by_name, insert_experiment, next_experiment_id,
    put_experiment_tag, rename_experiment, set_experiment_stage, set_only_experiment_stage,
};
pub(crate) use logged_models::{
    delete_model_tag, insert_logged_model, insert_model_metrics, logged_model, put_model_params,
    put_model_tags, search_logged_models, set_model_stage, set_model_status,
};
pub(crate) use metrics::{history, history_bulk, latest_of, log_metrics, steps_of};
pub(crate) use runs::{
    delete_tag, finish_run, insert_run, reopen_run, run_info, run_stage, set_run_stage, update_run,
};
pub(crate) use search::{search_experiments, search_runs};

use corliss_metastore::{Migrations, Value};

/// The schema.
pub const MIGRATIONS: Migrations = Migrations {
    component: "tracking",
    steps: &[STEP_1],
};

const STEP_1: &str = "
CREATE TABLE tracking_experiments (
    experiment_id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    artifact_location TEXT NOT NULL,
    lifecycle_stage TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
CREATE TABLE tracking_experiment_tags (
    experiment_id BIGINT NOT NULL REFERENCES tracking_experiments (experiment_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (experiment_id, key)
);
CREATE TABLE tracking_runs (
    run_id TEXT NOT NULL PRIMARY KEY,
    experiment_id BIGINT NOT NULL REFERENCES tracking_experiments (experiment_id),
    name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    status TEXT NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT,
    lifecycle_stage TEXT NOT NULL,
    deleted_ms BIGINT,
    artifact_uri TEXT NOT NULL
);
CREATE INDEX tracking_runs_by_start ON tracking_runs (experiment_id, lifecycle_stage, start_ms DESC, run_id);
CREATE TABLE tracking_params (
    run_id TEXT NOT NULL REFERENCES tracking_runs (run_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
);
CREATE TABLE tracking_run_tags (
    run_id TEXT NOT NULL REFERENCES tracking_runs (run_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
);
CREATE TABLE tracking_metrics (
    run_id TEXT NOT NULL REFERENCES tracking_runs (run_id),
    key TEXT NOT NULL,
    logged_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    PRIMARY KEY (run_id, key, logged_ms, step, value, is_nan)
);
CREATE TABLE tracking_latest_metrics (
    run_id TEXT NOT NULL REFERENCES tracking_runs (run_id),
    key TEXT NOT NULL,
    step BIGINT NOT NULL,
    logged_ms BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    PRIMARY KEY (run_id, key)
);
CREATE TABLE tracking_datasets (
    run_id TEXT NOT NULL REFERENCES tracking_runs (run_id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    schema_json TEXT,
    profile_json TEXT,
    PRIMARY KEY (run_id, name, digest)
);
CREATE TABLE tracking_dataset_tags (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, name, digest, key),
    FOREIGN KEY (run_id, name, digest) REFERENCES tracking_datasets (run_id, name, digest)
);
CREATE TABLE tracking_logged_models (
    model_id TEXT NOT NULL PRIMARY KEY,
    experiment_id BIGINT NOT NULL REFERENCES tracking_experiments (experiment_id),
    name TEXT NOT NULL,
    artifact_uri TEXT NOT NULL,
    model_type TEXT NOT NULL,
    source_run_id TEXT NOT NULL,
    status BIGINT NOT NULL,
    lifecycle_stage TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
CREATE INDEX tracking_logged_models_by_time
    ON tracking_logged_models (experiment_id, lifecycle_stage, created_ms DESC, model_id);
CREATE TABLE tracking_model_params (
    model_id TEXT NOT NULL REFERENCES tracking_logged_models (model_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model_id, key)
);
CREATE TABLE tracking_model_tags (
    model_id TEXT NOT NULL REFERENCES tracking_logged_models (model_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model_id, key)
);
CREATE TABLE tracking_model_metrics (
    model_id TEXT NOT NULL REFERENCES tracking_logged_models (model_id),
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    logged_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    dataset_name TEXT,
    dataset_digest TEXT,
    PRIMARY KEY (model_id, run_id, key, logged_ms, step)
);
CREATE TABLE tracking_run_models (
    run_id TEXT NOT NULL REFERENCES tracking_runs (run_id),
    model_id TEXT NOT NULL,
    is_output BIGINT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run_id, model_id, is_output)
);
CREATE TABLE tracking_artifacts (
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    blob TEXT,
    size_bytes BIGINT,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (folder, name)
);
";

/// Rows of one multi-row INSERT. Each shorter remainder is a statement of its own, so this also bounds how
/// many of them the connection keeps compiled.
const ROWS: usize = 24;

/// Ids of one IN list. Lists are padded to one of these lengths with their last id, so that three statements
/// serve every number of ids.
const IN_LENGTHS: [usize; 3] = [1, 32, 512];

/// Splits ids into padded lists.
fn id_lists(ids: &[String]) -> Vec<Vec<Value>> {
    ids.chunks(IN_LENGTHS[2])
        .map(|chunk| {
            let length = IN_LENGTHS
                .into_iter()
                .find(|length| *length >= chunk.len())
                .unwrap_or(chunk.len());
            let last = chunk.last().map(Value::from);
            let padding = last.into_iter().cycle().take(length - chunk.len());
            chunk.iter().map(Value::from).chain(padding).collect()
        })
        .collect()
}

/// `($1,$2),($3,$4)`: placeholders for `rows` rows of `columns` columns.
fn placeholders(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let cells: Vec<String> = (1..=columns)
            .map(|column| format!("${}", row * columns + column))
            .collect();
        format!("({})", cells.join(","))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(",")
}

/// `$1,$2,…` for one list.
fn list(length: usize) -> String {
    (1..=length)
        .map(|index| format!("${index}"))
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_lists_have_few_lengths() {
        let ids: Vec<String> = (0..1000).map(|index| index.to_string()).collect();
        let lengths: Vec<usize> = id_lists(&ids).iter().map(Vec::len).collect();
        assert_eq!(lengths, [512, 512]);
        assert_eq!(id_lists(&ids[..5])[0].len(), 32);
        assert_eq!(id_lists(&ids[..1])[0].len(), 1);
        assert!(id_lists(&[]).is_empty());
        assert_eq!(placeholders(2, 2), "($1,$2),($3,$4)");
    }
}
