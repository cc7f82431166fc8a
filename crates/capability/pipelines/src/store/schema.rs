//! Tables. A step is known by its index in the file, so that rows are small; names are looked up once.

use corliss_metastore::Migrations;

/// The schema of this capability, version by version.
pub const MIGRATIONS: Migrations = Migrations {
    component: "pipelines",
    steps: &[FIRST, SECOND],
};

const FIRST: &str = "
CREATE TABLE pipelines_runs (
    id TEXT NOT NULL PRIMARY KEY,
    project TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    file_name TEXT NOT NULL,
    project_file TEXT NOT NULL,
    source TEXT NOT NULL,
    environment TEXT NOT NULL,
    params TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    rerun_of TEXT,
    created_ms BIGINT NOT NULL,
    started_ms BIGINT,
    ended_ms BIGINT,
    cancel_requested BIGINT NOT NULL,
    steps_total BIGINT NOT NULL,
    released TEXT NOT NULL,
    swept BIGINT NOT NULL
);
CREATE INDEX pipelines_runs_by_state ON pipelines_runs (state, id);
CREATE TABLE pipelines_data (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (run_id, name)
);
CREATE TABLE pipelines_steps (
    run_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    attempt BIGINT NOT NULL,
    infrastructure_failures BIGINT NOT NULL,
    user_failures BIGINT NOT NULL,
    tracking_run TEXT NOT NULL,
    cached_from TEXT,
    use_cache BIGINT NOT NULL,
    closed BIGINT NOT NULL,
    started_ms BIGINT,
    ended_ms BIGINT,
    PRIMARY KEY (run_id, step)
);
CREATE TABLE pipelines_attempts (
    run_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    state TEXT NOT NULL,
    job_id TEXT,
    class TEXT,
    reason TEXT,
    started_ms BIGINT,
    ended_ms BIGINT,
    PRIMARY KEY (run_id, step, attempt)
);
CREATE TABLE pipelines_outputs (
    run_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (run_id, step, name)
);
CREATE TABLE pipelines_models (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT,
    state TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (run_id, name)
);
CREATE TABLE pipelines_endpoints (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (run_id, name)
);
CREATE TABLE pipelines_cache (
    cache_key TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
";

/// `begin_ms` is when the first of a run's steps may start.
const SECOND: &str = "
ALTER TABLE pipelines_runs ADD COLUMN begin_ms BIGINT;
";
