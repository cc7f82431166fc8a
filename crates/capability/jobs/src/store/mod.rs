//! Tables and statements of jobs. Nothing here decides; times and ids come from the service.

mod read;
mod write;

use corliss_metastore::Migrations;

pub(crate) use read::{
    Load, active, by_id, by_key, count_queued, holders, list, queued_gangs, sibling, waiting,
};
pub(crate) use write::{Admission, JobChange, admit, apply, give_up, insert, request_stop, set_launch};

/// The schema of jobs.
pub const MIGRATIONS: Migrations = Migrations {
    component: "jobs",
    steps: &[STEP_1],
};

const STEP_1: &str = "
CREATE TABLE jobs_jobs (
    id TEXT NOT NULL PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    run_id TEXT,
    step TEXT,
    attempt BIGINT NOT NULL,
    workers BIGINT NOT NULL,
    cpu_milli BIGINT NOT NULL,
    memory_bytes BIGINT NOT NULL,
    accelerators BIGINT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    generation BIGINT NOT NULL,
    reason TEXT,
    class TEXT,
    stop_cause TEXT,
    placement TEXT,
    boot_id TEXT,
    launch TEXT,
    created_ms BIGINT NOT NULL,
    admitted_ms BIGINT,
    started_ms BIGINT,
    ended_ms BIGINT
);
CREATE INDEX jobs_jobs_by_state ON jobs_jobs (state, created_ms, id);
CREATE INDEX jobs_jobs_by_run ON jobs_jobs (run_id, step, attempt);
CREATE TABLE jobs_tasks (
    id TEXT NOT NULL PRIMARY KEY,
    job_id TEXT NOT NULL,
    rank BIGINT NOT NULL,
    phase TEXT NOT NULL,
    pid BIGINT,
    exit TEXT,
    UNIQUE (job_id, rank)
);
";
