//! The tree of artifacts: one row per entry of a folder. A path is a key here, never a path on a disk.

use corliss_metastore::{StoreError, Tx, params};

use crate::types::{ArtifactEntry, ArtifactFile};

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// What stands at a path: the blob and size of a file, nothing for a folder.
pub(crate) fn file_at(tx: &mut dyn Tx, path: &str) -> Result<Option<Option<(String, u64)>>, StoreError> {
    let (folder, name) = split(path);
    let sql = "SELECT blob, size_bytes FROM tracking_artifacts WHERE folder = $1 AND name = $2";
    let Some(row) = tx.query_opt(sql, params![folder, name])? else {
        return Ok(None);
    };
    Ok(Some(match row.opt_text("blob")? {
        Some(blob) => Some((blob, row.unsigned("size_bytes")?)),
        None => None,
    }))
}

/// The blobs of all files, each once.
pub(crate) fn all_blobs(tx: &mut dyn Tx) -> Result<Vec<String>, StoreError> {
    let rows = tx.query(
        "SELECT DISTINCT blob FROM tracking_artifacts WHERE blob IS NOT NULL",
        params![],
    )?;
    rows.iter().map(|row| row.text("blob")).collect()
}

/// Puts a file at a path, replacing the one before; false if a folder is there or a file stands where the
/// path needs a folder.
pub(crate) fn put_artifact(
    tx: &mut dyn Tx,
    path: &str,
    blob: &str,
    size_bytes: u64,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let (folder, name) = split(path);
    let placed = tx.execute(
        "INSERT INTO tracking_artifacts AS a (folder, name, blob, size_bytes, created_ms)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (folder, name) DO UPDATE
             SET blob = excluded.blob, size_bytes = excluded.size_bytes, created_ms = excluded.created_ms
             WHERE a.blob IS NOT NULL",
        params![folder, name, blob, size_bytes, now_ms],
    )?;
    if placed == 0 {
        return Ok(false);
    }
    let mut path = folder;
    while !path.is_empty() {
        let (folder, name) = split(path);
        let made = tx.execute(
            "INSERT INTO tracking_artifacts (folder, name, created_ms) VALUES ($1, $2, $3)
             ON CONFLICT (folder, name) DO NOTHING",
            params![folder, name, now_ms],
        )?;
        if made == 0 {
            // It was there; if it is a folder, so are all above it.
            return Ok(file_at(tx, path)? == Some(None));
        }
        path = folder;
    }
    Ok(true)
}

/// The entries of a folder by name; none if there is no such folder.
pub(crate) fn list_folder(
    tx: &mut dyn Tx,
    folder: &str,
    limit: i64,
) -> Result<Vec<ArtifactEntry>, StoreError> {
    tx.query(
        "SELECT name, blob, size_bytes FROM tracking_artifacts WHERE folder = $1 ORDER BY name LIMIT $2",
        params![folder, limit],
    )?
    .iter()
    .map(|row| {
        Ok(ArtifactEntry {
            name: row.text("name")?,
            size_bytes: row.opt_unsigned("size_bytes")?,
            blob: row.opt_text("blob")?,
        })
    })
    .collect()
}

/// Every file under a folder, by path; stops after `limit`.
pub(crate) fn files_under(
    tx: &mut dyn Tx,
    root: &str,
    limit: usize,
) -> Result<Vec<ArtifactFile>, StoreError> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(relative) = folders.pop() {
        let folder = if relative.is_empty() {
            root.to_owned()
        } else {
            format!("{root}/{relative}")
        };
        let sql = "SELECT name, blob, size_bytes FROM tracking_artifacts WHERE folder = $1 ORDER BY name";
        for row in tx.query(sql, params![folder])? {
            let name = row.text("name")?;
            let path = if relative.is_empty() {
                name
            } else {
                format!("{relative}/{name}")
            };
            match row.opt_text("blob")? {
                None => folders.push(path),
                Some(blob) => files.push(ArtifactFile {
                    path,
                    blob,
                    size_bytes: row.unsigned("size_bytes")?,
                }),
            }
            if files.len() + folders.len() > limit {
                break;
            }
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

/// Removes what stands at a path and everything under it; answers whether there was anything.
pub(crate) fn delete_artifact(tx: &mut dyn Tx, path: &str) -> Result<bool, StoreError> {
    let (folder, name) = split(path);
    let sql = "DELETE FROM tracking_artifacts WHERE folder = $1 AND name = $2";
    let found = tx.execute(sql, params![folder, name])? == 1;
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let sql = "SELECT name FROM tracking_artifacts WHERE folder = $1 AND blob IS NULL";
        for row in tx.query(sql, params![&folder])? {
            folders.push(format!("{folder}/{}", row.text("name")?));
        }
        tx.execute(
            "DELETE FROM tracking_artifacts WHERE folder = $1",
            params![&folder],
        )?;
    }
    Ok(found)
}
