//! Console sessions: each belongs to the token that it was opened with and ends with it.

use corliss_metastore::{StoreError, Tx, params};
use corliss_types::{Timestamp, TokenId};

use crate::secret::Digest;
use crate::store::tokens;
use crate::types::Found;

/// Opens a session, and closes the oldest ones of the token beyond `keep`.
pub(crate) fn open(
    tx: &mut dyn Tx,
    digest: &str,
    token: &TokenId,
    now: Timestamp,
    expires: Timestamp,
    keep: u32,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO security_sessions (digest, token_id, created_ms, expires_ms) VALUES ($1, $2, $3, $4)",
        params![digest, token, now, expires],
    )?;
    tx.execute(
        "DELETE FROM security_sessions WHERE token_id = $1 AND digest NOT IN \
         (SELECT digest FROM security_sessions WHERE token_id = $1 ORDER BY created_ms DESC, digest LIMIT $2)",
        params![token, keep],
    )?;
    Ok(())
}

/// The session of this digest, as the credential of its token's principal.
pub(crate) fn find(tx: &mut dyn Tx, digest: &Digest) -> Result<Option<Found>, StoreError> {
    let row = tx.query_opt(
        "SELECT t.id AS id, s.digest AS digest, t.principal_id AS principal_id, t.name AS name, t.role AS role, \
                s.expires_ms AS session_expires_ms, t.expires_ms AS token_expires_ms, \
                t.last_used_ms AS last_used_ms \
         FROM security_sessions s JOIN security_tokens t ON t.id = s.token_id \
         WHERE s.digest = $1 AND t.revoked_ms IS NULL",
        params![digest.hex()],
    )?;
    let Some(row) = row else { return Ok(None) };
    if !digest.matches(&row.text("digest")?) {
        return Ok(None);
    }
    let session = row.timestamp("session_expires_ms")?;
    let expires = row
        .opt_timestamp("token_expires_ms")?
        .map_or(session, |token| token.min(session));
    tokens::found(&row, Some(expires)).map(Some)
}

/// Ends one session.
pub(crate) fn close(tx: &mut dyn Tx, digest: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM security_sessions WHERE digest = $1", params![digest])?;
    Ok(())
}

/// Deletes sessions that have expired.
pub(crate) fn purge(tx: &mut dyn Tx, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM security_sessions WHERE expires_ms <= $1",
        params![now],
    )
}
