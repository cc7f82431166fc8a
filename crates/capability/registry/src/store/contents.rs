//! What was found in the files of versions, by the version of data that they are.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, params};
use corliss_model_format::RULES;
use corliss_types::VersionId;

use super::versions::json;
use crate::contents::{Contents, Counts};

fn counts(row: &Row) -> Result<Counts, StoreError> {
    Ok(Counts {
        damaged: row.unsigned("damaged")?,
        unsafe_: row.unsigned("unsafe")?,
        verified: row.unsigned("verified")?,
        unknown: row.unsigned("unknown")?,
        unread: row.unsigned("unread")?,
    })
}

/// What was found by the rules of now.
pub(crate) fn get(tx: &mut dyn Tx, files: &VersionId) -> Result<Option<Contents>, StoreError> {
    let sql = "SELECT * FROM registry_contents WHERE source_version = $1 AND rules = $2";
    let found = tx.query_opt(sql, params![files, RULES])?;
    let read = |row: Row| {
        Ok(Contents {
            checked_ms: row.integer("checked_ms")?,
            counts: counts(&row)?,
            files: json(&row, "files_json")?,
            declared: json(&row, "declared_json")?,
        })
    };
    found.map(read).transpose()
}

pub(crate) fn put(tx: &mut dyn Tx, files: &VersionId, contents: &Contents) -> Result<(), StoreError> {
    // Neither can fail: they hold texts and numbers.
    let found = serde_json::to_string(&contents.files).unwrap_or_else(|_| "[]".to_owned());
    let declared = serde_json::to_string(&contents.declared).unwrap_or_else(|_| "{}".to_owned());
    let counts = &contents.counts;
    tx.execute(
        "INSERT INTO registry_contents (source_version, rules, checked_ms, damaged, unsafe, verified, unknown,
             unread, files_json, declared_json)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (source_version) DO UPDATE SET rules = $2, checked_ms = $3, damaged = $4, unsafe = $5,
             verified = $6, unknown = $7, unread = $8, files_json = $9, declared_json = $10",
        params![
            files,
            RULES,
            contents.checked_ms,
            counts.damaged,
            counts.unsafe_,
            counts.verified,
            counts.unknown,
            counts.unread,
            found,
            declared
        ],
    )?;
    Ok(())
}

/// How many files of each verdict the versions of a model have, by number; those that nobody has looked at are absent.
pub(crate) fn counts_of(tx: &mut dyn Tx, name: &str) -> Result<BTreeMap<i64, Counts>, StoreError> {
    let rows = tx.query(
        "SELECT v.version, c.damaged, c.unsafe, c.verified, c.unknown, c.unread FROM registry_versions v
         JOIN registry_contents c ON c.source_version = v.source_version
         WHERE v.name = $1 AND c.rules = $2",
        params![name, RULES],
    )?;
    rows.iter()
        .map(|row| Ok((row.integer("version")?, counts(row)?)))
        .collect()
}

/// Forgets what was found in the files of a version, unless another one has the same; for before it is deleted.
pub(crate) fn forget_version(tx: &mut dyn Tx, name: &str, number: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM registry_contents WHERE source_version =
             (SELECT v.source_version FROM registry_versions v WHERE v.name = $1 AND v.version = $2)
         AND NOT EXISTS (SELECT 1 FROM registry_versions w
             WHERE w.source_version = registry_contents.source_version AND NOT (w.name = $1 AND w.version = $2))",
        params![name, number],
    )?;
    Ok(())
}

/// As [`forget_version`], for all versions of a model.
pub(crate) fn forget_model(tx: &mut dyn Tx, name: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM registry_contents WHERE source_version IN
             (SELECT v.source_version FROM registry_versions v WHERE v.name = $1)
         AND NOT EXISTS (SELECT 1 FROM registry_versions w
             WHERE w.source_version = registry_contents.source_version AND w.name <> $1)",
        params![name],
    )?;
    Ok(())
}
