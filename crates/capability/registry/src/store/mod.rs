//! SQL of the registry. Modules hold functions on an open transaction; they decide nothing.

mod aliases;
pub(crate) mod contents;
pub(crate) mod decisions;
pub(crate) mod events;
mod models;
pub(crate) mod outbox;
mod search;
mod versions;
mod webhooks;

pub(crate) use aliases::{alias_of, delete_alias, put_alias};
pub(crate) use models::{
    delete_model, delete_model_tag, insert_model, model, model_names, put_model_tag, rename_model,
    set_description, touch_model,
};
pub(crate) use search::{search_models, search_versions};
pub(crate) use versions::{
    by_registration, delete_version, delete_version_tag, insert_version, latest_of, next_version,
    put_version_tag, reserve_version, set_version_description, set_version_stage, version, versions_in_use,
    versions_of,
};
pub(crate) use webhooks::{
    WithSecret, count_webhooks, delete_webhook, disable_webhook, insert_webhook, list_webhooks,
    update_webhook, webhook_of,
};

use corliss_metastore::Migrations;

/// The schema.
pub const MIGRATIONS: Migrations = Migrations {
    component: "registry",
    steps: &[STEP_1, STEP_2, STEP_3],
};

// `last_version` outlives the versions it counted, so a number is never given out twice. No table refers to
// another by a foreign key because a model can be renamed; every operation is one transaction on all of them.
const STEP_1: &str = "
CREATE TABLE registry_models (
    name TEXT NOT NULL PRIMARY KEY,
    description TEXT NOT NULL,
    last_version BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
CREATE TABLE registry_model_tags (
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, key)
);
CREATE TABLE registry_versions (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    description TEXT NOT NULL,
    source_version TEXT NOT NULL,
    source TEXT NOT NULL,
    flavor TEXT NOT NULL,
    run_id TEXT,
    step TEXT,
    tracking_run_id TEXT,
    logged_model_id TEXT,
    run_link TEXT NOT NULL,
    data_json TEXT NOT NULL,
    code_version TEXT,
    metrics_json TEXT NOT NULL,
    stage TEXT NOT NULL,
    registration_key TEXT UNIQUE,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE INDEX registry_versions_by_tracking_run ON registry_versions (tracking_run_id);
CREATE TABLE registry_version_tags (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, version, key)
);
CREATE TABLE registry_aliases (
    name TEXT NOT NULL,
    alias TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (name, alias)
);
";

// A version of a prompt has no files: its `source_version` is empty, as SQLite drops no NOT NULL. What was registered
// before has its download address in `source`.
const STEP_2: &str = "
ALTER TABLE registry_versions ADD COLUMN download_uri TEXT NOT NULL DEFAULT '';
CREATE TABLE registry_webhook (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    is_active BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    secret BYTEA,
    secret_key BIGINT,
    last_sequence BIGINT NOT NULL,
    dropped BIGINT NOT NULL
);
CREATE TABLE registry_webhook_event (
    event TEXT NOT NULL,
    webhook TEXT NOT NULL REFERENCES registry_webhook (id),
    PRIMARY KEY (event, webhook)
);
CREATE INDEX registry_webhook_event_by_webhook ON registry_webhook_event (webhook);
CREATE TABLE registry_webhook_delivery (
    webhook TEXT NOT NULL REFERENCES registry_webhook (id),
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
    PRIMARY KEY (webhook, sequence)
);
CREATE INDEX registry_webhook_delivery_by_state ON registry_webhook_delivery (webhook, state, sequence);
";

// What was found in files is kept by the version of data, which never changes: copies share it. Events outlive the model
// that they tell of, so they have no key in common with it.
const STEP_3: &str = "
ALTER TABLE registry_versions ADD COLUMN registered_by TEXT NOT NULL DEFAULT '';
CREATE INDEX registry_versions_by_source ON registry_versions (source_version);
CREATE TABLE registry_contents (
    source_version TEXT NOT NULL PRIMARY KEY,
    rules BIGINT NOT NULL,
    checked_ms BIGINT NOT NULL,
    damaged BIGINT NOT NULL,
    unsafe BIGINT NOT NULL,
    verified BIGINT NOT NULL,
    unknown BIGINT NOT NULL,
    unread BIGINT NOT NULL,
    files_json TEXT NOT NULL,
    declared_json TEXT NOT NULL
);
CREATE TABLE registry_protections (
    name TEXT NOT NULL PRIMARY KEY,
    approvals BIGINT NOT NULL,
    aliases_json TEXT NOT NULL,
    self_approval BIGINT NOT NULL,
    set_by TEXT NOT NULL,
    set_ms BIGINT NOT NULL
);
CREATE TABLE registry_decisions (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    actor TEXT NOT NULL,
    approved BIGINT NOT NULL,
    reason TEXT NOT NULL,
    decided_ms BIGINT NOT NULL,
    PRIMARY KEY (name, version, actor)
);
CREATE TABLE registry_event_counter (
    id BIGINT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO registry_event_counter (id, last) VALUES (1, 0);
CREATE TABLE registry_events (
    sequence BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    version BIGINT,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    details_json TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    once_key TEXT UNIQUE
);
CREATE INDEX registry_events_by_name ON registry_events (name, sequence);
";

/// `$1,$2,…`: a list of one length, padded, so that few statements serve every number of names.
fn padded(names: &[String]) -> (String, Vec<corliss_metastore::Value>) {
    let length = [1, 16, 256]
        .into_iter()
        .find(|length| *length >= names.len())
        .unwrap_or(names.len());
    let padding = names.last().into_iter().cycle().take(length - names.len());
    let values: Vec<_> = names
        .iter()
        .chain(padding)
        .map(corliss_metastore::Value::from)
        .collect();
    let list = (1..=length)
        .map(|index| format!("${index}"))
        .collect::<Vec<_>>()
        .join(",");
    (list, values)
}

/// Names of one list.
const NAMES: usize = 256;
