//! The tables of tracking.
//!
//! Tables whose rows are read by their key lie in its order (`WITHOUT ROWID`): what hangs on a run lies together.

use corliss_metastore::Migrations;

/// The schema.
pub const MIGRATIONS: Migrations = Migrations {
    component: "tracking",
    steps: &[STEP_1, STEP_2, super::transfers::TABLES, super::import::TABLES],
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

/// Runs and names get numbers, and points of metrics are packed. The points themselves are moved by `moving`, since no
/// SQL packs them.
const STEP_2: &str = "
CREATE TABLE tracking_numbers (
    what TEXT NOT NULL PRIMARY KEY,
    next BIGINT NOT NULL
);
CREATE TABLE tracking_keys (
    key_no BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
INSERT INTO tracking_keys (key_no, name)
    SELECT ROW_NUMBER() OVER (ORDER BY k.key), k.key
    FROM (SELECT key FROM tracking_params UNION SELECT key FROM tracking_run_tags
          UNION SELECT key FROM tracking_metrics) AS k;

CREATE TABLE tracking_run_numbers AS
    SELECT ROW_NUMBER() OVER (ORDER BY start_ms, run_id) AS run_no, r.* FROM tracking_runs AS r;
CREATE TABLE tracking_params_1 AS
    SELECT r.run_no, k.key_no, r.experiment_id, p.value FROM tracking_params AS p
    JOIN tracking_run_numbers AS r ON r.run_id = p.run_id JOIN tracking_keys AS k ON k.name = p.key;
CREATE TABLE tracking_run_tags_1 AS
    SELECT r.run_no, k.key_no, r.experiment_id, t.value FROM tracking_run_tags AS t
    JOIN tracking_run_numbers AS r ON r.run_id = t.run_id JOIN tracking_keys AS k ON k.name = t.key;
CREATE TABLE tracking_metrics_1 AS
    SELECT r.run_no, k.key_no, m.logged_ms, m.step, m.value, m.is_nan FROM tracking_metrics AS m
    JOIN tracking_run_numbers AS r ON r.run_id = m.run_id JOIN tracking_keys AS k ON k.name = m.key;
CREATE INDEX tracking_metrics_1_by_run ON tracking_metrics_1 (run_no);
CREATE TABLE tracking_datasets_1 AS
    SELECT r.run_no, d.* FROM tracking_datasets AS d JOIN tracking_run_numbers AS r ON r.run_id = d.run_id;
CREATE TABLE tracking_dataset_tags_1 AS
    SELECT r.run_no, d.* FROM tracking_dataset_tags AS d JOIN tracking_run_numbers AS r ON r.run_id = d.run_id;
CREATE TABLE tracking_run_models_1 AS
    SELECT r.run_no, m.* FROM tracking_run_models AS m JOIN tracking_run_numbers AS r ON r.run_id = m.run_id;
DROP TABLE tracking_params;
DROP TABLE tracking_run_tags;
DROP TABLE tracking_metrics;
DROP TABLE tracking_latest_metrics;
DROP TABLE tracking_dataset_tags;
DROP TABLE tracking_datasets;
DROP TABLE tracking_run_models;
DROP TABLE tracking_runs;

CREATE TABLE tracking_runs (
    run_no BIGINT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    experiment_id BIGINT NOT NULL REFERENCES tracking_experiments (experiment_id),
    name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    status TEXT NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT,
    lifecycle_stage TEXT NOT NULL,
    deleted_ms BIGINT,
    artifact_uri TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO tracking_runs (run_no, run_id, experiment_id, name, user_name, status, start_ms, end_ms,
        lifecycle_stage, deleted_ms, artifact_uri)
    SELECT run_no, run_id, experiment_id, name, user_name, status, start_ms, end_ms, lifecycle_stage,
        deleted_ms, artifact_uri
    FROM tracking_run_numbers;
CREATE INDEX tracking_runs_by_start ON tracking_runs (experiment_id, lifecycle_stage, start_ms DESC, run_id);
CREATE TABLE tracking_params (
    run_no BIGINT NOT NULL,
    key_no BIGINT NOT NULL,
    experiment_id BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_no, key_no)
) WITHOUT ROWID;
INSERT INTO tracking_params (run_no, key_no, experiment_id, value)
    SELECT run_no, key_no, experiment_id, value FROM tracking_params_1;
CREATE INDEX tracking_params_by_value ON tracking_params (experiment_id, key_no, substr(value, 1, 64));
CREATE TABLE tracking_run_tags (
    run_no BIGINT NOT NULL,
    key_no BIGINT NOT NULL,
    experiment_id BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_no, key_no)
) WITHOUT ROWID;
INSERT INTO tracking_run_tags (run_no, key_no, experiment_id, value)
    SELECT run_no, key_no, experiment_id, value FROM tracking_run_tags_1;
CREATE INDEX tracking_run_tags_by_value ON tracking_run_tags (experiment_id, key_no, substr(value, 1, 64));
CREATE TABLE tracking_latest (
    run_no BIGINT NOT NULL,
    key_no BIGINT NOT NULL,
    experiment_id BIGINT NOT NULL,
    step BIGINT NOT NULL,
    logged_ms BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL,
    PRIMARY KEY (run_no, key_no)
) WITHOUT ROWID;
CREATE INDEX tracking_latest_by_value ON tracking_latest (experiment_id, key_no, is_nan, value);
CREATE TABLE tracking_batches (
    run_no BIGINT NOT NULL,
    batch BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (run_no, batch)
) WITHOUT ROWID;
CREATE TABLE tracking_points (
    run_no BIGINT NOT NULL,
    key_no BIGINT NOT NULL,
    chunk BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (run_no, key_no, chunk)
) WITHOUT ROWID;
CREATE TABLE tracking_datasets (
    run_no BIGINT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    schema_json TEXT,
    profile_json TEXT,
    PRIMARY KEY (run_no, name, digest)
);
INSERT INTO tracking_datasets (run_no, name, digest, source_type, source, schema_json, profile_json)
    SELECT run_no, name, digest, source_type, source, schema_json, profile_json FROM tracking_datasets_1;
CREATE TABLE tracking_dataset_tags (
    run_no BIGINT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_no, name, digest, key)
);
INSERT INTO tracking_dataset_tags (run_no, name, digest, key, value)
    SELECT run_no, name, digest, key, value FROM tracking_dataset_tags_1;
CREATE TABLE tracking_run_models (
    run_no BIGINT NOT NULL,
    model_id TEXT NOT NULL,
    is_output BIGINT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run_no, model_id, is_output)
);
INSERT INTO tracking_run_models (run_no, model_id, is_output, step)
    SELECT run_no, model_id, is_output, step FROM tracking_run_models_1;
DROP TABLE tracking_run_numbers;
DROP TABLE tracking_params_1;
DROP TABLE tracking_run_tags_1;
DROP TABLE tracking_datasets_1;
DROP TABLE tracking_dataset_tags_1;
DROP TABLE tracking_run_models_1;
";
