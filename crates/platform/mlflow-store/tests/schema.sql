-- The tables of MLflow 3.17 that are read, in the words that SQLite and PostgreSQL share.
CREATE TABLE experiments (experiment_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(256) NOT NULL,
    artifact_location VARCHAR(256), lifecycle_stage VARCHAR(32), creation_time BIGINT, last_update_time BIGINT,
    workspace VARCHAR(63) DEFAULT 'default' NOT NULL);
CREATE TABLE experiment_tags (key VARCHAR(250) NOT NULL, value TEXT, experiment_id INTEGER NOT NULL);
CREATE TABLE runs (run_uuid VARCHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(250), source_type VARCHAR(20),
    user_id VARCHAR(256), status VARCHAR(9), start_time BIGINT, end_time BIGINT, lifecycle_stage VARCHAR(20),
    artifact_uri VARCHAR(200), experiment_id INTEGER, deleted_time BIGINT);
CREATE TABLE params (key VARCHAR(250) NOT NULL, value VARCHAR(8000) NOT NULL, run_uuid VARCHAR(32) NOT NULL);
CREATE TABLE tags (key VARCHAR(250) NOT NULL, value VARCHAR(8000), run_uuid VARCHAR(32) NOT NULL);
CREATE TABLE metrics (key VARCHAR(250) NOT NULL, value DOUBLE PRECISION NOT NULL, timestamp BIGINT NOT NULL,
    run_uuid VARCHAR(32) NOT NULL, step BIGINT DEFAULT 0 NOT NULL, is_nan BOOLEAN NOT NULL,
    PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
CREATE TABLE datasets (dataset_uuid VARCHAR(36) NOT NULL, experiment_id INTEGER NOT NULL, name VARCHAR(500) NOT NULL,
    digest VARCHAR(36) NOT NULL, dataset_source_type VARCHAR(36) NOT NULL, dataset_source TEXT NOT NULL,
    dataset_schema TEXT, dataset_profile TEXT);
CREATE TABLE inputs (input_uuid VARCHAR(36) NOT NULL, source_type VARCHAR(36) NOT NULL, source_id VARCHAR(36) NOT NULL,
    destination_type VARCHAR(36) NOT NULL, destination_id VARCHAR(36) NOT NULL, step BIGINT DEFAULT 0 NOT NULL);
CREATE TABLE input_tags (input_uuid VARCHAR(36) NOT NULL, name VARCHAR(255) NOT NULL, value VARCHAR(500) NOT NULL);
CREATE TABLE logged_models (model_id VARCHAR(36) NOT NULL PRIMARY KEY, experiment_id INTEGER NOT NULL,
    name VARCHAR(500) NOT NULL, artifact_location VARCHAR(1000) NOT NULL, creation_timestamp_ms BIGINT NOT NULL,
    last_updated_timestamp_ms BIGINT NOT NULL, status INTEGER NOT NULL, lifecycle_stage VARCHAR(32),
    model_type VARCHAR(500), source_run_id VARCHAR(32));
CREATE TABLE logged_model_params (model_id VARCHAR(36) NOT NULL, experiment_id INTEGER NOT NULL,
    param_key VARCHAR(255) NOT NULL, param_value TEXT NOT NULL);
CREATE TABLE logged_model_tags (model_id VARCHAR(36) NOT NULL, experiment_id INTEGER NOT NULL,
    tag_key VARCHAR(255) NOT NULL, tag_value TEXT NOT NULL);
CREATE TABLE logged_model_metrics (model_id VARCHAR(36) NOT NULL, metric_name VARCHAR(500) NOT NULL,
    metric_timestamp_ms BIGINT NOT NULL, metric_step BIGINT NOT NULL, metric_value DOUBLE PRECISION,
    experiment_id INTEGER NOT NULL, run_id VARCHAR(32) NOT NULL, dataset_name VARCHAR(500), dataset_digest VARCHAR(36));
CREATE TABLE registered_models (name VARCHAR(256) NOT NULL, creation_time BIGINT, last_updated_time BIGINT,
    description VARCHAR(5000), workspace VARCHAR(63) DEFAULT 'default' NOT NULL);
CREATE TABLE registered_model_tags (key VARCHAR(250) NOT NULL, value VARCHAR(5000), name VARCHAR(256) NOT NULL,
    workspace VARCHAR(63) DEFAULT 'default' NOT NULL);
CREATE TABLE registered_model_aliases (alias VARCHAR(256) NOT NULL, version INTEGER NOT NULL, name VARCHAR(256) NOT NULL,
    workspace VARCHAR(63) DEFAULT 'default' NOT NULL);
CREATE TABLE model_versions (name VARCHAR(256) NOT NULL, version INTEGER NOT NULL, creation_time BIGINT,
    last_updated_time BIGINT, description VARCHAR(5000), current_stage VARCHAR(20), source VARCHAR(500),
    run_id VARCHAR(32), run_link VARCHAR(500), storage_location VARCHAR(500),
    workspace VARCHAR(63) DEFAULT 'default' NOT NULL);
CREATE TABLE model_version_tags (key VARCHAR(250) NOT NULL, value TEXT, name VARCHAR(256) NOT NULL,
    version INTEGER NOT NULL, workspace VARCHAR(63) DEFAULT 'default' NOT NULL);

INSERT INTO experiments VALUES (0, 'Default', '/m/0', 'active', 1, 1, 'default'),
    (1, 'vision', 's3://b/1', 'active', 10, 20, 'default'), (2, 'old', '/m/2', 'deleted', NULL, NULL, 'default'),
    (3, 'vision', '/m/3', 'active', 1, 1, 'other');
INSERT INTO experiment_tags VALUES ('team', 'a', 1);
INSERT INTO runs VALUES
    ('r1', 'first', 'LOCAL', 'ada', 'FINISHED', 1000, 2000, 'active', 's3://b/1/r1/artifacts', 1, NULL),
    ('r2', 'gone', NULL, NULL, 'FAILED', 1001, NULL, 'deleted', '/m/1/r2/artifacts', 1, 3000);
INSERT INTO params VALUES ('lr/rate', '0.1', 'r1'), ('a', 'x', 'r1');
INSERT INTO tags VALUES ('mlflow.runName', 'first', 'r1'), ('empty', NULL, 'r1');
INSERT INTO metrics VALUES ('loss', 0.5, 1, 'r1', 0, FALSE), ('loss', 0.25, 2, 'r1', 1, FALSE),
    ('bad', 0, 3, 'r1', 0, TRUE), ('bad', 0, 3, 'r1', 0, FALSE),
    ('bad', 1.7976931348623157e308, 4, 'r1', 0, FALSE), ('bad', -1.7976931348623157e308, 5, 'r1', 0, FALSE);
INSERT INTO datasets VALUES ('d1', 1, 'set', 'abc', 'local', '{}', NULL, '{"rows": 1}');
INSERT INTO inputs VALUES ('i1', 'DATASET', 'd1', 'RUN', 'r1', 0), ('i2', 'RUN_OUTPUT', 'r1', 'MODEL_OUTPUT', 'm-1', 7),
    ('i3', 'RUN_INPUT', 'r1', 'MODEL_INPUT', 'm-0', 0);
INSERT INTO input_tags VALUES ('i1', 'mlflow.data.context', 'train'), ('i1', 'other', 'y');
INSERT INTO logged_models VALUES ('m-1', 1, 'net', 's3://b/1/models/m-1/artifacts', 5, 6, 2, 'active', NULL, 'r1');
INSERT INTO logged_model_params VALUES ('m-1', 1, 'p', 'q');
INSERT INTO logged_model_tags VALUES ('m-1', 1, 't', 'u');
INSERT INTO logged_model_metrics VALUES ('m-1', 'acc', 9, 3, 0.5, 1, 'r1', 'set', 'abc');
INSERT INTO registered_models VALUES ('net', 7, 8, 'a net', 'default'), ('hidden', 1, 1, NULL, 'other');
INSERT INTO registered_model_tags VALUES ('k', 'v', 'net', 'default');
INSERT INTO registered_model_aliases VALUES ('live', 2, 'net', 'default');
INSERT INTO model_versions VALUES ('net', 1, 7, 7, NULL, 'Deleted_Internal', NULL, NULL, NULL, NULL, 'default'),
    ('net', 2, 7, 8, 'second', 'Production', 'models:/m-1', 'r1', 'http://x', 's3://b/1/models/m-1/artifacts', 'default');
INSERT INTO model_version_tags VALUES ('vk', 'vv', 'net', 2, 'default');
