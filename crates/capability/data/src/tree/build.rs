//! Files in order, made into a tree from the leaves up; only the record in progress of each level is held.

use corliss_blobstore::{BlobId, Piece};
use corliss_types::VersionId;

use super::node::{Child, LEVEL_MAX, Open};
use super::{Entry, version_of};
use crate::{DataError, EntryPath};

/// A tree that was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// The record at the root.
    pub id: BlobId,
    /// Files of the tree.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
}

impl Root {
    /// The version that it is.
    #[must_use]
    pub fn version(&self) -> VersionId {
        version_of(self.id)
    }
}

/// Makes a tree.
#[derive(Debug, Default)]
pub struct Builder {
    /// From the leaves up.
    levels: Vec<Open>,
    /// Whether a record of this level was ended already.
    ended: Vec<bool>,
    last: Option<EntryPath>,
    done: Vec<Piece>,
}

impl Builder {
    /// Adds a file, whose path follows those that were added before.
    ///
    /// # Errors
    /// It does not, as when it was added twice.
    pub fn push(&mut self, entry: &Entry) -> Result<(), DataError> {
        self.follow(&entry.path)?;
        self.level(0).add_entry(entry);
        if self.level(0).ends(0) {
            self.close(0)?;
        }
        self.last = Some(entry.path.clone());
        Ok(())
    }

    /// Adds a whole record of a tree, of this level, if a record could begin here: `false` if it could not. The
    /// record must have ended by itself, not because it was the last of its level.
    ///
    /// # Errors
    /// Its first path does not follow those before.
    pub(crate) fn push_subtree(&mut self, level: u8, child: &Child) -> Result<bool, DataError> {
        let mut below = self.levels.iter().take(usize::from(level) + 1);
        if below.any(|open| !open.is_empty()) {
            return Ok(false);
        }
        self.follow(&child.first)?;
        self.level(level);
        self.ended[..=usize::from(level)].fill(true);
        self.add_child(level + 1, child)?;
        self.last = Some(child.first.clone());
        Ok(true)
    }

    /// The records that are ready, each after what it lists.
    pub fn take_pieces(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.done)
    }

    /// Ends the tree; the last records are to be taken.
    ///
    /// # Errors
    /// It would be higher than a tree can be.
    pub fn finish(&mut self) -> Result<Root, DataError> {
        let mut level = 0;
        loop {
            let is_only = !self.ended(level);
            if let Some(root) = self.level(level).only_child().filter(|_| level > 0 && is_only) {
                return Ok(root);
            }
            if is_only {
                return Ok(self.close_root(level));
            }
            if !self.level(level).is_empty() {
                self.close(level)?;
            }
            level += 1;
        }
    }

    fn close_root(&mut self, level: u8) -> Root {
        let (piece, child) = self.level(level).close(level);
        let id = piece.id;
        self.done.push(piece);
        let (files, size_bytes) = child.map_or((0, 0), |child| (child.files, child.size_bytes));
        Root {
            id,
            files,
            size_bytes,
        }
    }

    /// Whether a record of this level was ended already.
    fn ended(&self, level: u8) -> bool {
        self.ended.get(usize::from(level)).copied().unwrap_or_default()
    }

    fn follow(&self, path: &EntryPath) -> Result<(), DataError> {
        match &self.last {
            Some(last) if path <= last => Err(DataError::DuplicatePath {
                path: path.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn level(&mut self, level: u8) -> &mut Open {
        let at = usize::from(level);
        while self.levels.len() <= at {
            self.levels.push(Open::default());
            self.ended.push(false);
        }
        &mut self.levels[at]
    }

    fn close(&mut self, level: u8) -> Result<(), DataError> {
        let (piece, child) = self.level(level).close(level);
        self.done.push(piece);
        self.ended[usize::from(level)] = true;
        match child {
            Some(child) => self.add_child(level + 1, &child),
            None => Ok(()),
        }
    }

    fn add_child(&mut self, level: u8, child: &Child) -> Result<(), DataError> {
        if level > LEVEL_MAX {
            return Err(DataError::TooManyFiles { limit: usize::MAX });
        }
        self.level(level).add_child(child);
        if self.level(level).ends(level) {
            self.close(level)?;
        }
        Ok(())
    }
}
