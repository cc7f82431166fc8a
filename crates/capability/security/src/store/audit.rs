//! The record: appended to, read newest first, and shortened only by age.

use corliss_metastore::{StoreError, Tx, params};
use corliss_types::Timestamp;

use crate::types::AuditRecord;

/// Appends lines; one that is there already is the same line.
pub(crate) fn append(tx: &mut dyn Tx, records: &[AuditRecord]) -> Result<(), StoreError> {
    for record in records {
        tx.execute(
            "INSERT INTO security_audit \
             (id, at_ms, principal_id, principal, peer, method, route, target, status, request_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
            params![
                &record.id,
                record.at_ms,
                record.principal_id.as_ref(),
                record.principal.as_ref(),
                record.peer.as_ref(),
                &record.method,
                &record.route,
                &record.target,
                record.status,
                &record.request_id,
            ],
        )?;
    }
    Ok(())
}

/// Lines before `before` (exclusive), newest first.
pub(crate) fn list(tx: &mut dyn Tx, before: &str, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
    let rows = tx.query(
        "SELECT id, at_ms, principal_id, principal, peer, method, route, target, status, request_id \
         FROM security_audit WHERE id < $1 ORDER BY id DESC LIMIT $2",
        params![before, limit],
    )?;
    rows.iter()
        .map(|row| {
            Ok(AuditRecord {
                id: row.text("id")?,
                at_ms: row.timestamp("at_ms")?,
                principal_id: row.opt_parse("principal_id")?,
                principal: row.opt_text("principal")?,
                peer: row.opt_text("peer")?,
                method: row.text("method")?,
                route: row.text("route")?,
                target: row.text("target")?,
                status: u16::try_from(row.integer("status")?).unwrap_or_default(),
                request_id: row.text("request_id")?,
            })
        })
        .collect()
}

/// Deletes lines older than this.
pub(crate) fn purge(tx: &mut dyn Tx, before: Timestamp) -> Result<u64, StoreError> {
    // Ids begin with their time, so the primary key serves as the index on time.
    let first_kept = format!("aud_{:012x}", before.as_millis().max(0));
    tx.execute("DELETE FROM security_audit WHERE id < $1", params![first_kept])
}
