//! Objects as linked files: only the list of the source is read, and a link stored for each.
//!
//! A link is made of what the list says, so doing it again makes nothing new, and one that is broken off has left
//! links that the next one finds.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{ImportWish, Planned};
use crate::counters::Counters;
use crate::link::Link;
use crate::service::DataService;
use crate::service::commit::Head;
use crate::source::Object;
use crate::types::{Imported, Signature};
use crate::{DataError, Entry};

/// Links that are stored together, by one sync: a few megabytes.
const BATCH: usize = 8192;

/// Why an object cannot be linked to, if it cannot.
pub(super) fn problem(wish: &ImportWish, object: &Object) -> Option<&'static str> {
    link(wish, object).to_piece().err().filter(|_| wish.link)
}

fn link(wish: &ImportWish, object: &Object) -> Link {
    Link {
        source: wish.source.clone(),
        object: object.clone(),
    }
}

impl DataService {
    /// Commits objects that were looked over as linked files. The caller holds the store.
    pub(super) async fn import_links(
        &self,
        wish: &ImportWish,
        head: &Head,
        planned: Vec<Planned>,
        by: Signature,
        counters: &Arc<Counters>,
    ) -> Result<Imported, DataError> {
        counters.enter("linking");
        let total = planned.len() as u64;
        counters.files_total.store(total, Ordering::Relaxed);
        let mut changes = Vec::with_capacity(planned.len());
        let (mut linked, mut linked_bytes) = (0, 0_u64);
        for some in planned.chunks(BATCH) {
            let mut pieces = Vec::with_capacity(some.len());
            for one in some {
                let size_bytes = one.object.size_bytes;
                let piece = link(wish, &one.object).to_piece();
                let piece = piece.map_err(|problem| crate::link::invalid(one.path.as_str(), problem))?;
                let entry = Entry {
                    path: one.path.clone(),
                    blob: piece.id,
                    size_bytes,
                    executable: false,
                    link: true,
                };
                pieces.push(piece);
                let before = match head.root {
                    Some(root) => self.reader.find(root, &one.path).await?,
                    None => None,
                };
                if before.as_ref() != Some(&entry) {
                    linked += 1;
                    linked_bytes = linked_bytes.saturating_add(size_bytes);
                }
                changes.push((one.path.clone(), Some(entry)));
            }
            self.blobs.put_pieces(pieces).await?;
            counters.files.fetch_add(some.len() as u64, Ordering::Relaxed);
        }
        counters.enter("committing");
        let committed = self.commit_changes(&wish.target, &changes, by, "import").await?;
        Ok(Imported {
            source: wish.what(),
            committed,
            copied: 0,
            copied_bytes: 0,
            linked,
            linked_bytes,
            unchanged: total - linked,
        })
    }
}
