//! The tables of this capability, and the SQL on them.

pub(crate) mod audit;
pub(crate) mod sessions;
pub(crate) mod tokens;

use corliss_metastore::Migrations;

/// The schema: tokens, the sessions opened with them, and the record.
pub const MIGRATIONS: Migrations = Migrations {
    component: "security",
    steps: &["
CREATE TABLE security_tokens (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    run_id TEXT,
    step TEXT,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    revoked_ms BIGINT,
    last_used_ms BIGINT
);
CREATE INDEX security_tokens_by_name ON security_tokens (name);
CREATE INDEX security_tokens_by_run ON security_tokens (run_id, step);
CREATE TABLE security_sessions (
    digest TEXT PRIMARY KEY,
    token_id TEXT NOT NULL REFERENCES security_tokens (id),
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX security_sessions_by_token ON security_sessions (token_id, created_ms);
CREATE TABLE security_audit (
    id TEXT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    principal_id TEXT,
    principal TEXT,
    peer TEXT,
    method TEXT NOT NULL,
    route TEXT NOT NULL,
    target TEXT NOT NULL,
    status BIGINT NOT NULL,
    request_id TEXT NOT NULL
);
"],
};
