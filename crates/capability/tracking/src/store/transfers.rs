//! Uploads in parts that are under way, and what came of them until they are forgotten.

use corliss_metastore::{StoreError, Tx, params};

/// Its tables. The parts of an upload are blobs, which its rows keep from being collected.
pub(super) const TABLES: &str = "
CREATE TABLE tracking_uploads (
    upload_id TEXT NOT NULL PRIMARY KEY,
    path TEXT NOT NULL,
    parts BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    is_complete BIGINT NOT NULL
);
CREATE INDEX tracking_uploads_by_age ON tracking_uploads (created_ms);
CREATE TABLE tracking_upload_parts (
    upload_id TEXT NOT NULL REFERENCES tracking_uploads (upload_id),
    number BIGINT NOT NULL,
    blob TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    PRIMARY KEY (upload_id, number)
);
";

/// An upload.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub path: String,
    /// How many parts it may have.
    pub parts: i64,
    /// Whether the file is there; then its parts are forgotten.
    pub is_complete: bool,
}

/// A part that has arrived.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub number: i64,
    pub blob: String,
    pub size_bytes: u64,
}

/// Uploads that are not complete.
pub(crate) fn open_uploads(tx: &mut dyn Tx) -> Result<u64, StoreError> {
    tx.query_one(
        "SELECT COUNT(*) AS total FROM tracking_uploads WHERE is_complete = 0",
        params![],
    )?
    .unsigned("total")
}

pub(crate) fn insert_upload(
    tx: &mut dyn Tx,
    id: &str,
    path: &str,
    parts: i64,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tracking_uploads (upload_id, path, parts, created_ms, is_complete)
         VALUES ($1, $2, $3, $4, 0)",
        params![id, path, parts, now_ms],
    )?;
    Ok(())
}

pub(crate) fn upload(tx: &mut dyn Tx, id: &str) -> Result<Option<Upload>, StoreError> {
    tx.query_opt(
        "SELECT path, parts, is_complete FROM tracking_uploads WHERE upload_id = $1",
        params![id],
    )?
    .map(|row| {
        Ok(Upload {
            path: row.text("path")?,
            parts: row.integer("parts")?,
            is_complete: row.boolean("is_complete")?,
        })
    })
    .transpose()
}

/// Puts a part, in place of an earlier one of its number.
pub(crate) fn put_part(tx: &mut dyn Tx, id: &str, part: &Part) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tracking_upload_parts (upload_id, number, blob, size_bytes) VALUES ($1, $2, $3, $4)
         ON CONFLICT (upload_id, number) DO UPDATE
             SET blob = excluded.blob, size_bytes = excluded.size_bytes",
        params![id, part.number, &part.blob, part.size_bytes],
    )?;
    Ok(())
}

/// The parts that have arrived, in order.
pub(crate) fn parts_of(tx: &mut dyn Tx, id: &str) -> Result<Vec<Part>, StoreError> {
    tx.query(
        "SELECT number, blob, size_bytes FROM tracking_upload_parts WHERE upload_id = $1 ORDER BY number",
        params![id],
    )?
    .iter()
    .map(|row| {
        Ok(Part {
            number: row.integer("number")?,
            blob: row.text("blob")?,
            size_bytes: row.unsigned("size_bytes")?,
        })
    })
    .collect()
}

/// Remembers that an upload is complete and forgets its parts.
pub(crate) fn complete_upload(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM tracking_upload_parts WHERE upload_id = $1";
    tx.execute(sql, params![id])?;
    let sql = "UPDATE tracking_uploads SET is_complete = 1 WHERE upload_id = $1";
    tx.execute(sql, params![id])?;
    Ok(())
}

/// Forgets an upload and its parts.
pub(crate) fn delete_upload(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    for table in ["tracking_upload_parts", "tracking_uploads"] {
        tx.execute(&format!("DELETE FROM {table} WHERE upload_id = $1"), params![id])?;
    }
    Ok(())
}

/// Forgets uploads that began before; answers how many.
pub(crate) fn delete_uploads_before(tx: &mut dyn Tx, before_ms: i64) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM tracking_upload_parts WHERE upload_id IN
             (SELECT upload_id FROM tracking_uploads WHERE created_ms < $1)",
        params![before_ms],
    )?;
    tx.execute(
        "DELETE FROM tracking_uploads WHERE created_ms < $1",
        params![before_ms],
    )
}

/// The blobs of all parts.
pub(crate) fn blobs_of_parts(tx: &mut dyn Tx) -> Result<Vec<String>, StoreError> {
    tx.query("SELECT DISTINCT blob FROM tracking_upload_parts", params![])?
        .iter()
        .map(|row| row.text("blob"))
        .collect()
}
