//! The tables of the data capability; SQL only, every id and time is given.

pub(crate) mod commits;
pub(crate) mod datasets;
pub(crate) mod hooks;
pub(crate) mod imports;
pub(crate) mod lineage;
pub(crate) mod outbox;
pub(crate) mod refs;
pub(crate) mod upkeep;
pub(crate) mod versions;

use corliss_metastore::Migrations;

/// The schema.
pub const MIGRATIONS: Migrations = Migrations {
    component: "data",
    steps: &[FIRST, HISTORY, HOOKS, IMPORTS, LINKS],
};

const FIRST: &str = "CREATE TABLE data_version (
        id TEXT NOT NULL PRIMARY KEY,
        created_ms BIGINT NOT NULL,
        files BIGINT NOT NULL,
        size_bytes BIGINT NOT NULL
    );
    CREATE TABLE data_dataset (
        name TEXT NOT NULL PRIMARY KEY,
        latest TEXT NOT NULL REFERENCES data_version (id),
        versions BIGINT NOT NULL,
        updated_ms BIGINT NOT NULL
    );
    CREATE TABLE data_dataset_version (
        dataset TEXT NOT NULL REFERENCES data_dataset (name),
        sequence BIGINT NOT NULL,
        version TEXT NOT NULL REFERENCES data_version (id),
        created_ms BIGINT NOT NULL,
        message TEXT NOT NULL,
        PRIMARY KEY (dataset, sequence)
    );
    CREATE INDEX data_dataset_version_by_version ON data_dataset_version (version, dataset);
    CREATE TABLE data_edge (
        from_node TEXT NOT NULL,
        to_node TEXT NOT NULL,
        relation TEXT NOT NULL,
        created_ms BIGINT NOT NULL,
        PRIMARY KEY (from_node, to_node, relation)
    );
    CREATE INDEX data_edge_by_to ON data_edge (to_node, from_node);";

/// Commits in place of moves of one name. What stood in the tables before named trees of a form that the blob
/// store of this version refuses to open, so nothing is carried over.
const HISTORY: &str = "DROP TABLE data_dataset_version;
    DROP TABLE data_dataset;
    DELETE FROM data_version;
    ALTER TABLE data_version ADD COLUMN is_expired BIGINT NOT NULL DEFAULT 0;
    CREATE TABLE data_dataset (
        name TEXT NOT NULL PRIMARY KEY,
        default_branch TEXT NOT NULL,
        retention_days BIGINT,
        created_ms BIGINT NOT NULL,
        updated_ms BIGINT NOT NULL
    );
    CREATE TABLE data_commit (
        id TEXT NOT NULL PRIMARY KEY,
        version TEXT NOT NULL REFERENCES data_version (id),
        created_ms BIGINT NOT NULL,
        recorded_ms BIGINT NOT NULL,
        author TEXT NOT NULL,
        message TEXT NOT NULL,
        generation BIGINT NOT NULL
    );
    CREATE INDEX data_commit_by_version ON data_commit (version);
    CREATE TABLE data_commit_parent (
        commit_id TEXT NOT NULL REFERENCES data_commit (id),
        position BIGINT NOT NULL,
        parent TEXT NOT NULL REFERENCES data_commit (id),
        PRIMARY KEY (commit_id, position)
    );
    CREATE INDEX data_commit_parent_by_parent ON data_commit_parent (parent);
    CREATE TABLE data_dataset_commit (
        dataset TEXT NOT NULL REFERENCES data_dataset (name),
        commit_id TEXT NOT NULL REFERENCES data_commit (id),
        PRIMARY KEY (dataset, commit_id)
    );
    CREATE INDEX data_dataset_commit_by_commit ON data_dataset_commit (commit_id, dataset);
    CREATE TABLE data_ref (
        dataset TEXT NOT NULL REFERENCES data_dataset (name),
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        commit_id TEXT NOT NULL REFERENCES data_commit (id),
        updated_ms BIGINT NOT NULL,
        is_protected BIGINT NOT NULL,
        PRIMARY KEY (dataset, kind, name)
    );
    CREATE INDEX data_ref_by_commit ON data_ref (commit_id);
    CREATE TABLE data_ref_move (
        dataset TEXT NOT NULL REFERENCES data_dataset (name),
        sequence BIGINT NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        old_commit TEXT,
        new_commit TEXT,
        created_ms BIGINT NOT NULL,
        author TEXT NOT NULL,
        action TEXT NOT NULL,
        PRIMARY KEY (dataset, sequence)
    );";

/// Whom to call when a name moves, and what they are yet to be told.
const HOOKS: &str = "CREATE TABLE data_hook (
        id TEXT NOT NULL PRIMARY KEY,
        dataset TEXT NOT NULL REFERENCES data_dataset (name),
        url TEXT NOT NULL,
        events TEXT NOT NULL,
        branches TEXT NOT NULL,
        phase TEXT NOT NULL,
        is_enabled BIGINT NOT NULL,
        disabled_reason TEXT,
        timeout_ms BIGINT NOT NULL,
        secret BYTEA NOT NULL,
        secret_key BIGINT NOT NULL,
        created_by TEXT NOT NULL,
        created_ms BIGINT NOT NULL,
        updated_ms BIGINT NOT NULL,
        dropped BIGINT NOT NULL
    );
    CREATE INDEX data_hook_by_dataset ON data_hook (dataset, phase);
    CREATE TABLE data_hook_delivery (
        hook TEXT NOT NULL REFERENCES data_hook (id),
        sequence BIGINT NOT NULL,
        event TEXT NOT NULL,
        body TEXT NOT NULL,
        created_ms BIGINT NOT NULL,
        state TEXT NOT NULL,
        tries BIGINT NOT NULL,
        next_ms BIGINT NOT NULL,
        lease_owner TEXT,
        lease_until_ms BIGINT,
        status BIGINT,
        outcome TEXT,
        tried_ms BIGINT,
        PRIMARY KEY (hook, sequence)
    );
    CREATE INDEX data_hook_delivery_by_state ON data_hook_delivery (hook, state, sequence);";
/// What objects of sources were when they were imported. No dataset need be there yet: an import that was broken off
/// before its commit goes on where it was.
const IMPORTS: &str = "CREATE TABLE data_import (
        dataset TEXT NOT NULL,
        place TEXT NOT NULL,
        object TEXT NOT NULL,
        etag TEXT NOT NULL,
        size_bytes BIGINT NOT NULL,
        blob TEXT NOT NULL,
        PRIMARY KEY (dataset, place, object)
    );";

/// How much of a version is linked and not stored.
const LINKS: &str = "ALTER TABLE data_version ADD COLUMN linked_files BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE data_version ADD COLUMN linked_bytes BIGINT NOT NULL DEFAULT 0;";
