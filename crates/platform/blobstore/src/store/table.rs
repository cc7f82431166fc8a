//! Reading what a pack says it holds.

use std::ops::Range;

use corliss_keyring::Keyring;

use crate::BlobError;
use crate::backend::Backend;
use crate::pack::{PackId, Row, TRAILER_BYTES, Trailer};

/// The table of a pack of so many bytes; None if it is damaged, cut short or gone.
pub(super) async fn read(
    backend: &dyn Backend,
    keyring: &Keyring,
    id: PackId,
    bytes: u64,
) -> Result<Option<Vec<Row>>, BlobError> {
    let name = id.object();
    let read = async |range: Range<u64>| {
        let read = backend.peek(&name, vec![range]).await?;
        Ok::<_, BlobError>(read.and_then(|mut parts| parts.pop()))
    };
    let Some(start) = bytes.checked_sub(TRAILER_BYTES) else {
        return Ok(None);
    };
    let end = read(start..bytes).await?;
    let Some(trailer) = end.and_then(|end| Trailer::decode(id, &end)) else {
        return Ok(None);
    };
    let Some(table) = read(trailer.table.clone()).await? else {
        return Ok(None);
    };
    let seal = keyring.get(trailer.key)?;
    Ok(trailer.rows(id, &seal, &table))
}
