//! Datasets, their records, and scorers.

mod datasets;
mod records;
mod scorers;

pub(crate) use datasets::{
    DatasetRow, count_dataset_tags, dataset, dataset_experiments, dataset_tags, delete_dataset,
    delete_dataset_tag, insert_dataset, link_dataset, put_dataset_tags, search_datasets, unlink_dataset,
    update_dataset,
};
pub(crate) use records::{
    KeptRecord, bytes_of_hashes, delete_records, insert_records, record_sizes, records_between,
    records_of_hashes, update_record,
};
pub(crate) use scorers::{
    delete_scorer, insert_scorer_version, latest_scorers, next_scorer_version, scorer, scorer_bytes,
    scorer_versions,
};

use corliss_metastore::{Row, StoreError, Tx, params};
use serde::de::DeserializeOwned;

/// The tables.
pub(super) const TABLES: &str = "
CREATE TABLE evaluation_datasets (
    dataset_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    created_by TEXT,
    updated_by TEXT,
    records BIGINT NOT NULL,
    next_record BIGINT NOT NULL,
    fingerprint BIGINT NOT NULL,
    dataset_schema TEXT
);
CREATE INDEX evaluation_datasets_by_time ON evaluation_datasets (created_ms DESC, dataset_id);
CREATE INDEX evaluation_datasets_by_name ON evaluation_datasets (name, dataset_id);
CREATE TABLE evaluation_dataset_tags (
    dataset_id TEXT NOT NULL REFERENCES evaluation_datasets (dataset_id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (dataset_id, key)
);
CREATE TABLE evaluation_dataset_experiments (
    experiment_id BIGINT NOT NULL,
    dataset_id TEXT NOT NULL REFERENCES evaluation_datasets (dataset_id),
    PRIMARY KEY (experiment_id, dataset_id)
);
CREATE INDEX evaluation_dataset_experiments_by_dataset ON evaluation_dataset_experiments (dataset_id);
CREATE TABLE evaluation_records (
    dataset_id TEXT NOT NULL REFERENCES evaluation_datasets (dataset_id),
    number BIGINT NOT NULL,
    record_id TEXT NOT NULL,
    input_hash TEXT NOT NULL,
    fingerprint BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    created_by TEXT,
    updated_by TEXT,
    source_kind TEXT,
    source_data TEXT,
    tags TEXT NOT NULL,
    expectations TEXT,
    outputs TEXT NOT NULL,
    inputs TEXT NOT NULL,
    PRIMARY KEY (dataset_id, number)
);
CREATE UNIQUE INDEX evaluation_records_by_inputs ON evaluation_records (dataset_id, input_hash);
CREATE UNIQUE INDEX evaluation_records_by_id ON evaluation_records (dataset_id, record_id);
CREATE TABLE evaluation_scorers (
    scorer_id TEXT NOT NULL PRIMARY KEY,
    experiment_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    last_version BIGINT NOT NULL
);
CREATE UNIQUE INDEX evaluation_scorers_by_name ON evaluation_scorers (experiment_id, name);
CREATE TABLE evaluation_scorer_versions (
    scorer_id TEXT NOT NULL REFERENCES evaluation_scorers (scorer_id),
    version BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    serialized TEXT NOT NULL,
    PRIMARY KEY (scorer_id, version)
);
";

/// Removes the scorers of an experiment; datasets belong to it no more, and stay.
pub(crate) fn forget_experiment(tx: &mut dyn Tx, experiment_id: i64) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM evaluation_scorer_versions
         WHERE scorer_id IN (SELECT scorer_id FROM evaluation_scorers WHERE experiment_id = $1)",
        "DELETE FROM evaluation_scorers WHERE experiment_id = $1",
        "DELETE FROM evaluation_dataset_experiments WHERE experiment_id = $1",
    ] {
        tx.execute(sql, params![experiment_id])?;
    }
    Ok(())
}

/// A column that holds a JSON text.
fn json_of<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, StoreError> {
    row.opt_text(column)?
        .map(|text| {
            serde_json::from_str(&text).map_err(|error| StoreError::Malformed {
                column: column.to_owned(),
                message: error.to_string(),
            })
        })
        .transpose()
}

/// The same of one that is never null.
fn some_json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, StoreError> {
    json_of(row, column)?.ok_or_else(|| StoreError::Malformed {
        column: column.to_owned(),
        message: "it is null".to_owned(),
    })
}
