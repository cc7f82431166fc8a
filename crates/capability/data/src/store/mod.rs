//! The tables of the data capability; SQL only, every id and time is given.

pub(crate) mod datasets;
pub(crate) mod lineage;
pub(crate) mod versions;

use corliss_metastore::Migrations;

/// The schema.
pub const MIGRATIONS: Migrations = Migrations {
    component: "data",
    steps: &["CREATE TABLE data_version (
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
        CREATE INDEX data_edge_by_to ON data_edge (to_node, from_node);"],
};
