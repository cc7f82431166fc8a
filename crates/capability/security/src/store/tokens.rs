//! Tokens: found by digest, listed, revoked, purged.

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_types::{Principal, PrincipalId, Role, RunId, Timestamp, TokenId};

use crate::secret::Digest;
use crate::types::{Found, TokenKind, TokenView};

/// A token to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewToken {
    pub(crate) id: TokenId,
    pub(crate) digest: String,
    pub(crate) kind: TokenKind,
    pub(crate) principal: Principal,
    pub(crate) run: Option<RunId>,
    pub(crate) step: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) expires: Option<Timestamp>,
}

/// Stores a token. One with the same digest is the same token: its life is extended and it works again.
pub(crate) fn put(tx: &mut dyn Tx, token: &NewToken) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO security_tokens \
         (id, digest, kind, principal_id, name, role, run_id, step, created_ms, expires_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (digest) DO UPDATE SET expires_ms = excluded.expires_ms, revoked_ms = NULL",
        params![
            &token.id,
            &token.digest,
            token.kind.as_str(),
            &token.principal.id,
            &token.principal.name,
            token.principal.role.as_str(),
            token.run.as_ref(),
            token.step.as_ref(),
            token.created,
            token.expires,
        ],
    )?;
    Ok(())
}

/// The token of this digest, unless it was revoked. Expiry is left to the caller, who can then say so.
pub(crate) fn find(tx: &mut dyn Tx, digest: &Digest) -> Result<Option<Found>, StoreError> {
    let row = tx.query_opt(
        "SELECT id, digest, principal_id, name, role, expires_ms, last_used_ms FROM security_tokens \
         WHERE digest = $1 AND revoked_ms IS NULL",
        params![digest.hex()],
    )?;
    match row {
        Some(row) if digest.matches(&row.text("digest")?) => {
            found(&row, row.opt_timestamp("expires_ms")?).map(Some)
        }
        _ => Ok(None),
    }
}

pub(crate) fn found(row: &Row, expires: Option<Timestamp>) -> Result<Found, StoreError> {
    Ok(Found {
        principal: Principal {
            id: row.parse("principal_id")?,
            name: row.text("name")?,
            role: role(row)?,
        },
        token: row.parse("id")?,
        expires,
        last_used: row.opt_timestamp("last_used_ms")?,
    })
}

fn role(row: &Row) -> Result<Role, StoreError> {
    let name = row.text("role")?;
    Role::from_name(&name).ok_or_else(|| StoreError::Malformed {
        column: "role".to_owned(),
        message: format!("'{name}' is not a role"),
    })
}

/// Who the working tokens of this name belong to.
pub(crate) fn principal_named(
    tx: &mut dyn Tx,
    name: &str,
    now: Timestamp,
) -> Result<Option<Principal>, StoreError> {
    let row = tx.query_opt(
        "SELECT principal_id, name, role FROM security_tokens \
         WHERE name = $1 AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > $2) \
         ORDER BY id LIMIT 1",
        params![name, now],
    )?;
    row.map(|row| {
        Ok(Principal {
            id: row.parse::<PrincipalId>("principal_id")?,
            name: row.text("name")?,
            role: role(&row)?,
        })
    })
    .transpose()
}

/// Working tokens, in order of their ids, after `after`; those of workloads are not listed.
pub(crate) fn list(
    tx: &mut dyn Tx,
    after: &str,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<TokenView>, StoreError> {
    let rows = tx.query(
        "SELECT id, name, role, kind, created_ms, expires_ms, last_used_ms FROM security_tokens \
         WHERE id > $1 AND kind <> 'workload' AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > $2) \
         ORDER BY id LIMIT $3",
        params![after, now, limit],
    )?;
    rows.iter()
        .map(|row| {
            let kind = row.text("kind")?;
            Ok(TokenView {
                id: row.parse("id")?,
                name: row.text("name")?,
                role: role(row)?,
                kind: TokenKind::from_name(&kind).ok_or_else(|| StoreError::Malformed {
                    column: "kind".to_owned(),
                    message: format!("'{kind}' is not a kind of token"),
                })?,
                created_ms: row.timestamp("created_ms")?,
                expires_ms: row.opt_timestamp("expires_ms")?,
                last_used_ms: row.opt_timestamp("last_used_ms")?,
            })
        })
        .collect()
}

/// Whether a token ever existed here.
pub(crate) fn any(tx: &mut dyn Tx) -> Result<bool, StoreError> {
    Ok(tx
        .query_opt("SELECT id FROM security_tokens LIMIT 1", params![])?
        .is_some())
}

/// How many tokens without an end, other than this one, let a platform admin in.
pub(crate) fn lasting_admins_besides(tx: &mut dyn Tx, id: &TokenId) -> Result<u64, StoreError> {
    tx.query_one(
        "SELECT COUNT(*) AS n FROM security_tokens \
         WHERE id <> $1 AND role = $2 AND revoked_ms IS NULL AND expires_ms IS NULL",
        params![id, Role::PlatformAdmin.as_str()],
    )?
    .unsigned("n")
}

/// The role of a working token.
pub(crate) fn role_of(tx: &mut dyn Tx, id: &TokenId) -> Result<Option<Role>, StoreError> {
    tx.query_opt(
        "SELECT role FROM security_tokens WHERE id = $1 AND revoked_ms IS NULL",
        params![id],
    )?
    .map(|row| role(&row))
    .transpose()
}

/// Revokes one token and ends its sessions.
pub(crate) fn revoke(tx: &mut dyn Tx, id: &TokenId, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM security_sessions WHERE token_id = $1", params![id])?;
    tx.execute(
        "UPDATE security_tokens SET revoked_ms = $2 WHERE id = $1 AND revoked_ms IS NULL",
        params![id, now],
    )
}

/// Revokes the tokens of a run, or of one of its steps.
pub(crate) fn revoke_workload(
    tx: &mut dyn Tx,
    run: &RunId,
    step: Option<&str>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    match step {
        Some(step) => tx.execute(
            "UPDATE security_tokens SET revoked_ms = $3 WHERE run_id = $1 AND step = $2 AND revoked_ms IS NULL",
            params![run, step, now],
        ),
        None => tx.execute(
            "UPDATE security_tokens SET revoked_ms = $2 WHERE run_id = $1 AND revoked_ms IS NULL",
            params![run, now],
        ),
    }
}

/// Revokes every token that a first start made, with its sessions.
pub(crate) fn revoke_local(tx: &mut dyn Tx, now: Timestamp) -> Result<(), StoreError> {
    let rows = tx.query(
        "SELECT id FROM security_tokens WHERE kind = 'local' AND revoked_ms IS NULL",
        params![],
    )?;
    for row in rows {
        revoke(tx, &row.parse("id")?, now)?;
    }
    Ok(())
}

/// Writes down when a token was last used.
pub(crate) fn used(tx: &mut dyn Tx, id: &TokenId, at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE security_tokens SET last_used_ms = $2 \
         WHERE id = $1 AND (last_used_ms IS NULL OR last_used_ms < $2)",
        params![id, at],
    )?;
    Ok(())
}

/// Deletes tokens that stopped working: a workload's before `workloads`, others before `others`.
pub(crate) fn purge(tx: &mut dyn Tx, workloads: Timestamp, others: Timestamp) -> Result<u64, StoreError> {
    let stopped = "((kind = 'workload' AND (expires_ms < $1 OR revoked_ms < $1)) \
                    OR (kind <> 'workload' AND (expires_ms < $2 OR revoked_ms < $2)))";
    tx.execute(
        &format!(
            "DELETE FROM security_sessions WHERE token_id IN (SELECT id FROM security_tokens WHERE {stopped})"
        ),
        params![workloads, others],
    )?;
    tx.execute(
        &format!("DELETE FROM security_tokens WHERE {stopped}"),
        params![workloads, others],
    )
}
