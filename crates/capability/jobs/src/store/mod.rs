//! Tables and statements of jobs. Nothing here decides; times and ids come from the service.

mod queue;
mod read;
mod usage;
mod write;

use corliss_metastore::Migrations;

pub(crate) use queue::{
    Asked, Declared, Open, Promise, changed, declare, declared, forget_changes, open, past, promise,
    unpromise,
};
pub(crate) use read::{Load, active, by_id, by_key, count_queued, list, many, sibling};
pub(crate) use usage::accounts;
pub(crate) use write::{
    Admission, JobChange, admit, apply, give_up, insert, preempt, request_stop, set_launch,
};

/// The schema of jobs.
pub const MIGRATIONS: Migrations = Migrations {
    component: "jobs",
    steps: &[STEP_1, STEP_2, STEP_3, STEP_4],
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

/// `terms` is what the queue knows of a job beside its resources; `promise` is where it will be when those have ended who
/// are there. A job stands in `jobs_changed` from each change until the queue has taken note of it.
const STEP_2: &str = "
ALTER TABLE jobs_jobs ADD COLUMN terms TEXT;
ALTER TABLE jobs_jobs ADD COLUMN run_ms BIGINT;
ALTER TABLE jobs_jobs ADD COLUMN promise TEXT;
CREATE INDEX jobs_jobs_by_end ON jobs_jobs (ended_ms);
CREATE TABLE jobs_changed (
    job_id TEXT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL
);
CREATE TABLE jobs_queues (
    one BIGINT NOT NULL PRIMARY KEY,
    queues TEXT NOT NULL,
    generation BIGINT NOT NULL
);
";

/// `saved_ms` is when the newest checkpoint was begun that an attempt left when it ended.
const STEP_3: &str = "
ALTER TABLE jobs_jobs ADD COLUMN saved_ms BIGINT;
";

/// `nodes` is what the machine is declared to act as.
const STEP_4: &str = "
ALTER TABLE jobs_queues ADD COLUMN nodes TEXT;
";
