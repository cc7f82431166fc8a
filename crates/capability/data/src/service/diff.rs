//! What differs between two versions, file by file.

use corliss_types::VersionId;

use super::DataService;
use super::merge::root;
use crate::tree::{Change, Diff};
use crate::types::{ChangeKind, DiffSummary, FileChange};
use crate::{DataError, Entry};

impl DataService {
    /// The files that differ, in order of their paths, from after `after` on.
    ///
    /// # Errors
    /// There is no such version, its tree is damaged, or a store failed.
    pub async fn diff(
        &self,
        old: &VersionId,
        new: &VersionId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<FileChange>, DataError> {
        let mut cursors = Vec::with_capacity(2);
        for version in [old, new] {
            self.kept(version).await?;
            let mut cursor = self.reader.cursor(root(version)?).await?;
            if !after.is_empty() {
                // The smallest text after the path.
                cursor.seek(&format!("{after}\0")).await?;
            }
            cursors.push(cursor);
        }
        let (Some(new), Some(old)) = (cursors.pop(), cursors.pop()) else {
            return Ok(Vec::new());
        };
        let mut diff = Diff::new(old, new);
        let mut changes = Vec::new();
        while changes.len() < limit
            && let Some(change) = diff.next().await?
        {
            changes.push(told(change));
        }
        Ok(changes)
    }

    /// How much differs; costs what differs.
    ///
    /// # Errors
    /// As [`Self::diff`].
    pub async fn diff_summary(&self, old: &VersionId, new: &VersionId) -> Result<DiffSummary, DataError> {
        for version in [old, new] {
            self.kept(version).await?;
        }
        let mut diff = self.diff_of(root(old)?, root(new)?).await?;
        let mut sum = DiffSummary::default();
        while let Some(change) = diff.next().await? {
            match (&change.old, &change.new) {
                (None, _) => sum.added += 1,
                (_, None) => sum.removed += 1,
                _ => sum.changed += 1,
            }
            let bytes = |entry: Option<Entry>| entry.map_or(0, |entry| entry.size_bytes);
            sum.bytes_old = sum.bytes_old.saturating_add(bytes(change.old));
            sum.bytes_new = sum.bytes_new.saturating_add(bytes(change.new));
        }
        Ok(sum)
    }
}

fn told(change: Change) -> FileChange {
    let Change { path, old, new } = change;
    let kind = match (&old, &new) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        (Some(old), Some(new)) if old.has_bytes_of(new) => ChangeKind::Mode,
        _ => ChangeKind::Changed,
    };
    FileChange {
        path,
        change: kind,
        old,
        new,
    }
}
