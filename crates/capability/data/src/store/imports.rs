//! What objects of sources were when they were last imported, so that what did not change is not copied again.

use std::collections::HashMap;

use corliss_blobstore::BlobId;
use corliss_metastore::{StoreError, Tx, params};
use corliss_types::DatasetName;

use crate::source::Object;

/// Rows of one page.
const PAGE: u32 = 10_000;

/// An object as it was, and the blob that it became.
pub(crate) struct Taken {
    pub etag: String,
    pub size_bytes: u64,
    pub blob: BlobId,
}

impl Taken {
    /// Whether an object is still that.
    pub fn is(&self, object: &Object) -> bool {
        self.etag == object.etag && self.size_bytes == object.size_bytes
    }
}

/// All objects of a place that were imported into a dataset, by their names.
pub(crate) fn all(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    place: &str,
) -> Result<HashMap<String, Taken>, StoreError> {
    let (mut all, mut after) = (HashMap::new(), String::new());
    loop {
        let rows = tx.query(
            "SELECT object, etag, size_bytes, blob FROM data_import
             WHERE dataset = $1 AND place = $2 AND object > $3 ORDER BY object LIMIT $4",
            params![dataset, place, &after, PAGE],
        )?;
        let Some(last) = rows.last() else { return Ok(all) };
        after = last.text("object")?;
        for row in &rows {
            let taken = Taken {
                etag: row.text("etag")?,
                size_bytes: row.unsigned("size_bytes")?,
                blob: row.parse("blob")?,
            };
            all.insert(row.text("object")?, taken);
        }
    }
}

/// Notes what some objects became.
pub(crate) fn note(
    tx: &mut dyn Tx,
    dataset: &DatasetName,
    place: &str,
    objects: &[(Object, BlobId)],
) -> Result<(), StoreError> {
    for (object, blob) in objects {
        tx.execute(
            "INSERT INTO data_import (dataset, place, object, etag, size_bytes, blob) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (dataset, place, object) DO UPDATE SET etag = excluded.etag,
                size_bytes = excluded.size_bytes, blob = excluded.blob",
            params![dataset, place, &object.key, &object.etag, object.size_bytes, &blob.to_string()],
        )?;
    }
    Ok(())
}

/// Forgets what was imported into datasets that are not there. One that is being made copies some objects again.
pub(crate) fn forget_others(tx: &mut dyn Tx) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM data_import WHERE dataset NOT IN (SELECT name FROM data_dataset)",
        params![],
    )?;
    Ok(())
}
