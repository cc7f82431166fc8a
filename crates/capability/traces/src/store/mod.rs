//! SQL of traces. Modules hold functions on an open transaction; they decide nothing.
//!
//! A trace has a number inside, which grows with time, so that what hangs on new traces lies together. Its spans
//! lie in a few compressed parts; what searches need of them stands beside, in rows of their own.

mod assessments;
mod evaluation;
mod filter;
mod infos;
mod links;
mod metrics;
mod pairs;
mod search;
mod spans;

pub(crate) use assessments::{
    assessment, assessments_of, assessments_size, delete_assessment, insert_assessment, set_valid,
    update_assessment,
};
pub(crate) use evaluation::{
    DatasetRow, KeptRecord, bytes_of_hashes, count_dataset_tags, dataset, dataset_experiments, dataset_tags,
    delete_dataset, delete_dataset_tag, delete_records, delete_scorer, forget_experiment, insert_dataset,
    insert_records, insert_scorer_version, latest_scorers, link_dataset, next_scorer_version,
    put_dataset_tags, record_sizes, records_between, records_of_hashes, scorer, scorer_bytes,
    scorer_versions, search_datasets, unlink_dataset, update_dataset, update_record,
};
pub(crate) use filter::{Filter, Ordering, Pair};
pub(crate) use infos::{
    Head, count_of, delete_traces, doomed, experiments_here, head, heads, insert_head, numbers_of,
    update_head,
};
pub(crate) use links::{link_prompts, link_runs, runs_of};
pub(crate) use metrics::{MetricGroup, MetricRows, interpolated, metric_groups, span_bytes_of};
pub(crate) use pairs::{add_metadata, count_pairs, delete_tag, pairs_of, put_pairs};
pub(crate) use search::{Candidates, candidate_numbers, candidates, count_candidates};
pub(crate) use spans::{
    Part, contents_of, insert_kinds, insert_part, join_parts, nodes_of, parts_of, sizes_of,
};

use corliss_metastore::Migrations;
use corliss_metastore::lists::{list, number_lists, placeholders, text_lists};

/// The schema.
pub const MIGRATIONS: Migrations = Migrations {
    component: "traces",
    steps: &[STEP_1, evaluation::TABLES],
};

// A head is the first characters of a value: what an index can hold of a text that may be long.
const STEP_1: &str = "
CREATE TABLE traces_info (
    number BIGINT NOT NULL PRIMARY KEY,
    trace_id TEXT NOT NULL UNIQUE,
    experiment_id BIGINT NOT NULL,
    request_ms BIGINT NOT NULL,
    duration_ms BIGINT,
    state TEXT NOT NULL,
    name TEXT,
    name_head TEXT,
    session_id TEXT,
    client_request_id TEXT,
    request_preview TEXT,
    response_preview TEXT,
    is_final BIGINT NOT NULL,
    input_tokens BIGINT,
    output_tokens BIGINT,
    total_tokens BIGINT,
    cache_read_input_tokens BIGINT,
    cache_creation_input_tokens BIGINT,
    cache_creation_input_tokens_above_1hr BIGINT,
    input_cost DOUBLE PRECISION,
    output_cost DOUBLE PRECISION,
    total_cost DOUBLE PRECISION,
    next_part BIGINT NOT NULL,
    spans BIGINT NOT NULL,
    span_bytes BIGINT NOT NULL,
    kinds BIGINT NOT NULL,
    kinds_whole BIGINT NOT NULL
);
CREATE INDEX traces_info_by_time ON traces_info (experiment_id, request_ms DESC, trace_id);
CREATE INDEX traces_info_by_state ON traces_info (experiment_id, state, request_ms DESC, trace_id);
CREATE INDEX traces_info_by_name ON traces_info (experiment_id, name_head, request_ms DESC, trace_id);
CREATE INDEX traces_info_by_session ON traces_info (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX traces_info_by_client ON traces_info (client_request_id) WHERE client_request_id IS NOT NULL;
CREATE INDEX traces_info_open_kinds ON traces_info (number) WHERE kinds_whole = 0;
CREATE TABLE traces_tags (
    number BIGINT NOT NULL REFERENCES traces_info (number),
    key TEXT NOT NULL,
    head TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (number, key)
);
CREATE INDEX traces_tags_by_head ON traces_tags (key, head, number);
CREATE TABLE traces_metadata (
    number BIGINT NOT NULL REFERENCES traces_info (number),
    key TEXT NOT NULL,
    head TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (number, key)
);
CREATE INDEX traces_metadata_by_head ON traces_metadata (key, head, number);
CREATE TABLE traces_spans (
    number BIGINT NOT NULL REFERENCES traces_info (number),
    part BIGINT NOT NULL,
    level BIGINT NOT NULL,
    raw_bytes BIGINT NOT NULL,
    nodes BYTEA NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (number, part)
);
CREATE TABLE traces_span_kinds (
    number BIGINT NOT NULL REFERENCES traces_info (number),
    name TEXT NOT NULL,
    span_type TEXT NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (number, name, span_type, status)
);
CREATE INDEX traces_span_kinds_by_name ON traces_span_kinds (name, number);
CREATE INDEX traces_span_kinds_by_type ON traces_span_kinds (span_type, status, number);
CREATE TABLE traces_assessments (
    assessment_id TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL REFERENCES traces_info (number),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    error TEXT,
    source_kind TEXT NOT NULL,
    source_id TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    rationale TEXT,
    metadata TEXT NOT NULL,
    span_id TEXT,
    run_id TEXT,
    overrides TEXT,
    valid BIGINT NOT NULL,
    number_value DOUBLE PRECISION,
    of_session BIGINT NOT NULL
);
CREATE INDEX traces_assessments_by_trace ON traces_assessments (number, created_ms);
CREATE INDEX traces_assessments_by_name ON traces_assessments (name, kind, number);
CREATE TABLE traces_run_links (
    run_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    PRIMARY KEY (run_id, trace_id)
);
CREATE INDEX traces_run_links_by_trace ON traces_run_links (trace_id);
CREATE TABLE traces_prompt_links (
    prompt TEXT NOT NULL,
    number BIGINT NOT NULL REFERENCES traces_info (number),
    PRIMARY KEY (prompt, number)
);
CREATE INDEX traces_prompt_links_by_trace ON traces_prompt_links (number);
";

/// Rows of one multi-row INSERT. Each shorter remainder is a statement of its own, so this also bounds how many of
/// them the connection keeps compiled.
const ROWS: usize = 24;
