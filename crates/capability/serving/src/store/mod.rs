//! Tables and SQL. Nothing here decides.

mod endpoints;
pub mod json;
mod releases;
mod replicas;

use corliss_metastore::Migrations;

pub use endpoints::{
    Desired, EndpointRow, delete_endpoint, get_endpoint, list_endpoints, mark_deleting, record_crash,
    redirect, routing, set_logged, set_phase, set_release_plan, set_routing, set_size, upsert_endpoint,
};
pub use releases::{
    ReleaseRow, Target, complete_release, insert_release, list_releases, newest_release, newest_releases,
    supersede_release, update_release,
};
pub use replicas::{
    Failure, ReplicaRow, insert_replica, last_failure, last_failure_of, list_replicas, live_replicas,
    prune_ended, set_job, set_replica_phase,
};

/// The schema.
pub const MIGRATIONS: Migrations = Migrations {
    component: "serving",
    steps: &[
        "
    CREATE TABLE serving_endpoints (
        name TEXT NOT NULL PRIMARY KEY,
        reference TEXT NOT NULL,
        model TEXT NOT NULL,
        version BIGINT NOT NULL,
        files TEXT NOT NULL,
        flavor TEXT NOT NULL,
        replicas BIGINT NOT NULL,
        cpu_milli BIGINT NOT NULL,
        memory_bytes BIGINT NOT NULL,
        accelerators BIGINT NOT NULL,
        deleting BIGINT NOT NULL,
        generation BIGINT NOT NULL,
        crashes BIGINT NOT NULL,
        last_crash_ms BIGINT NOT NULL,
        phase TEXT NOT NULL,
        reason TEXT,
        created_ms BIGINT NOT NULL,
        updated_ms BIGINT NOT NULL
    );
    CREATE TABLE serving_replicas (
        id TEXT NOT NULL PRIMARY KEY,
        endpoint TEXT NOT NULL,
        version BIGINT NOT NULL,
        files TEXT NOT NULL,
        phase TEXT NOT NULL,
        phase_since_ms BIGINT NOT NULL,
        ready_ms BIGINT,
        ended_ms BIGINT,
        reason TEXT,
        job_id TEXT,
        restarts BIGINT NOT NULL,
        created_ms BIGINT NOT NULL
    );
    CREATE INDEX serving_replicas_by_endpoint ON serving_replicas (endpoint, id);
    ",
        // Who deployed what is there already is not known, and their models' logs are told nothing of it.
        "
    ALTER TABLE serving_endpoints ADD COLUMN allow_pickle BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE serving_endpoints ADD COLUMN deployed_by TEXT;
    ALTER TABLE serving_endpoints ADD COLUMN logged TEXT NOT NULL DEFAULT '';
    UPDATE serving_endpoints SET logged = reference || ' ' || model || '/' || CAST(version AS TEXT) || ' 0';
    ",
        "
    ALTER TABLE serving_endpoints ADD COLUMN routing TEXT NOT NULL DEFAULT '{}';
    ",
        "
    ALTER TABLE serving_endpoints ADD COLUMN release_plan TEXT NOT NULL DEFAULT '{\"strategy\":\"rolling\"}';
    CREATE TABLE serving_releases (
        id TEXT NOT NULL PRIMARY KEY,
        endpoint TEXT NOT NULL,
        from_version BIGINT NOT NULL,
        target TEXT NOT NULL,
        plan TEXT NOT NULL,
        state TEXT NOT NULL,
        step BIGINT NOT NULL,
        begun_ms BIGINT,
        crashes BIGINT NOT NULL,
        last_crash_ms BIGINT NOT NULL,
        reason TEXT,
        started_by TEXT,
        steps TEXT NOT NULL,
        generation BIGINT NOT NULL,
        created_ms BIGINT NOT NULL,
        updated_ms BIGINT NOT NULL,
        ended_ms BIGINT
    );
    CREATE INDEX serving_releases_by_endpoint ON serving_releases (endpoint, id);
    ",
        "
    CREATE TABLE serving_services (
        name TEXT NOT NULL PRIMARY KEY,
        dialect TEXT NOT NULL,
        model TEXT NOT NULL,
        targets TEXT NOT NULL,
        secret BYTEA,
        secret_key BIGINT,
        routing TEXT NOT NULL,
        created_by TEXT NOT NULL,
        created_ms BIGINT NOT NULL,
        updated_ms BIGINT NOT NULL
    );
    ",
        "
    ALTER TABLE serving_endpoints ADD COLUMN batching TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE serving_endpoints ADD COLUMN settings_ms BIGINT NOT NULL DEFAULT 0;
    ",
        // Of which model a version was that a release began beside is not known of those that have begun.
        "
    ALTER TABLE serving_releases ADD COLUMN from_model TEXT;
    ",
    ],
};
