//! A tree with some files changed: whole records are taken over wherever nothing in them changes.

use corliss_blobstore::BlobStore;

use super::cursor::Next;
use super::{Builder, Cursor, Entry, RecordWriter, Root};
use crate::{DataError, EntryPath};

/// Makes a tree from another. What comes out is the tree that a [`Builder`] makes of the same files.
pub(crate) struct Editor {
    base: Cursor,
    builder: Builder,
    writer: RecordWriter,
}

impl Editor {
    /// Over a cursor that stands at the beginning.
    pub fn new(base: Cursor, blobs: BlobStore) -> Self {
        Self {
            base,
            builder: Builder::default(),
            writer: RecordWriter::new(blobs),
        }
    }

    /// Puts a file in the place of what has this path, or removes that. Paths come in order.
    pub async fn apply(&mut self, path: &EntryPath, new: Option<&Entry>) -> Result<(), DataError> {
        self.copy_until(Some(path)).await?;
        if matches!(self.base.peek(), Some(Next::Entry(entry)) if entry.path == *path) {
            self.base.skip();
        }
        match new {
            Some(entry) => self.builder.push(entry),
            None => Ok(()),
        }
    }

    /// Everything is durable when this returns.
    pub async fn finish(mut self) -> Result<Root, DataError> {
        self.copy_until(None).await?;
        let root = self.builder.finish()?;
        self.writer.add(self.builder.take_pieces()).await?;
        self.writer.flush().await?;
        Ok(root)
    }

    /// Takes over what lies before the path; all of it without one.
    async fn copy_until(&mut self, path: Option<&EntryPath>) -> Result<(), DataError> {
        loop {
            let is_due = |first: &EntryPath| path.is_none_or(|path| first < path);
            match self.base.peek() {
                Some(next) if !is_due(next.first()) => {
                    // The path may still lie within what begins with it.
                    let is_within = matches!(next, Next::Subtree { .. }) && path == Some(next.first());
                    if !is_within {
                        return Ok(());
                    }
                    self.base.enter().await?;
                }
                None => return Ok(()),
                Some(Next::Entry(entry)) => {
                    self.builder.push(entry)?;
                    self.base.skip();
                    self.writer.add(self.builder.take_pieces()).await?;
                }
                Some(Next::Subtree { level, child }) => {
                    // What is last on its level may have ended because nothing followed.
                    let ends_before = self
                        .base
                        .after_next()
                        .is_some_and(|after| path.is_none_or(|path| after <= path));
                    if ends_before && self.builder.push_subtree(level, child)? {
                        self.base.skip();
                    } else {
                        self.base.enter().await?;
                    }
                }
            }
        }
    }
}
