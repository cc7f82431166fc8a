//! Which models demand approval, and who approved or rejected what.

use corliss_metastore::{Row, StoreError, Tx, params};

use super::versions::json;
use crate::approval::{Decision, Protection};

pub(crate) fn protection(tx: &mut dyn Tx, name: &str) -> Result<Option<Protection>, StoreError> {
    let found = tx.query_opt(
        "SELECT * FROM registry_protections WHERE name = $1",
        params![name],
    )?;
    let read = |row: Row| {
        Ok(Protection {
            approvals: u32::try_from(row.unsigned("approvals")?).unwrap_or(u32::MAX),
            aliases: json(&row, "aliases_json")?,
            self_approval: row.boolean("self_approval")?,
            set_by: row.text("set_by")?,
            set_ms: row.integer("set_ms")?,
        })
    };
    found.map(read).transpose()
}

pub(crate) fn put_protection(tx: &mut dyn Tx, name: &str, protection: &Protection) -> Result<(), StoreError> {
    // Cannot fail: it holds texts.
    let aliases = serde_json::to_string(&protection.aliases).unwrap_or_else(|_| "[]".to_owned());
    tx.execute(
        "INSERT INTO registry_protections (name, approvals, aliases_json, self_approval, set_by, set_ms)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name) DO UPDATE SET approvals = $2, aliases_json = $3, self_approval = $4, set_by = $5,
             set_ms = $6",
        params![
            name,
            protection.approvals,
            aliases,
            protection.self_approval,
            &protection.set_by,
            protection.set_ms
        ],
    )?;
    Ok(())
}

/// Removes a protection; answers whether there was one.
pub(crate) fn delete_protection(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM registry_protections WHERE name = $1";
    Ok(tx.execute(sql, params![name])? == 1)
}

/// The decisions about a version, oldest first; each person's last one.
pub(crate) fn of_version(tx: &mut dyn Tx, name: &str, number: i64) -> Result<Vec<Decision>, StoreError> {
    let rows = tx.query(
        "SELECT actor, approved, reason, decided_ms FROM registry_decisions
         WHERE name = $1 AND version = $2 ORDER BY decided_ms, actor",
        params![name, number],
    )?;
    let read = |row: &Row| {
        Ok(Decision {
            actor: row.text("actor")?,
            approved: row.boolean("approved")?,
            reason: row.text("reason")?,
            decided_ms: row.integer("decided_ms")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Stores what somebody decided, in place of what they decided before.
pub(crate) fn put(tx: &mut dyn Tx, name: &str, number: i64, decision: &Decision) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO registry_decisions (name, version, actor, approved, reason, decided_ms)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name, version, actor) DO UPDATE SET approved = $4, reason = $5, decided_ms = $6",
        params![
            name,
            number,
            &decision.actor,
            decision.approved,
            &decision.reason,
            decision.decided_ms
        ],
    )?;
    Ok(())
}
