//! A place in a tree, from which it is walked in order, skipping what need not be looked at.

use std::sync::Arc;

use corliss_blobstore::BlobId;

use super::node::LEVEL_MAX;
use super::{Child, Entry, Node, Reader};
use crate::{DataError, EntryPath};

/// What lies next in a tree.
#[derive(Debug)]
pub(crate) enum Next<'a> {
    /// A record that was not entered.
    Subtree {
        /// Of the record itself.
        level: u8,
        child: &'a Child,
    },
    /// A file.
    Entry(&'a Entry),
}

impl Next<'_> {
    /// The first path of it.
    pub fn first(&self) -> &EntryPath {
        match self {
            Self::Subtree { child, .. } => &child.first,
            Self::Entry(entry) => &entry.path,
        }
    }
}

struct Frame {
    node: Arc<Node>,
    at: usize,
}

/// Walks a tree. Between two calls it stands before something that is next, or at the end.
pub(crate) struct Cursor {
    reader: Reader,
    /// From the root down; the place in each but the last is that of the record below it.
    frames: Vec<Frame>,
    root: BlobId,
}

impl Cursor {
    pub(super) async fn new(reader: Reader, root: BlobId) -> Result<Self, DataError> {
        let node = reader.node(root).await?;
        let totals = node.totals().ok_or_else(|| DataError::TreeDamaged {
            record: root,
            message: "its sizes overflow".to_owned(),
        })?;
        // A branch above the root, so that the root itself can be skipped too.
        let mut frames = Vec::new();
        if let Some(first) = node.key(0) {
            let child = Child {
                first: first.clone(),
                id: root,
                files: totals.0,
                size_bytes: totals.1,
            };
            let above = Node::Branch {
                level: node.level() + 1,
                children: vec![child],
            };
            frames.push(Frame {
                node: Arc::new(above),
                at: 0,
            });
        }
        Ok(Self { reader, frames, root })
    }

    /// What is next; None at the end.
    pub fn peek(&self) -> Option<Next<'_>> {
        let Frame { node, at } = self.frames.last()?;
        match &**node {
            Node::Leaf(entries) => entries.get(*at).map(Next::Entry),
            Node::Branch { level, children } => children.get(*at).map(|child| Next::Subtree {
                level: level - 1,
                child,
            }),
        }
    }

    /// Goes past what is next.
    pub fn skip(&mut self) {
        while let Some(frame) = self.frames.last_mut() {
            frame.at += 1;
            if frame.at < frame.node.len() {
                return;
            }
            self.frames.pop();
        }
    }

    /// Goes into the record that is next; does nothing before a file.
    pub async fn enter(&mut self) -> Result<(), DataError> {
        let Some(Next::Subtree { level, child }) = self.peek() else {
            return Ok(());
        };
        let (level, id) = (level, child.id);
        let node = self.reader.node(id).await?;
        if node.level() != level || node.is_empty() || level > LEVEL_MAX {
            return Err(DataError::TreeDamaged {
                record: id,
                message: "it is not what lists it says".to_owned(),
            });
        }
        self.frames.push(Frame { node, at: 0 });
        Ok(())
    }

    /// The first path of what comes after that which is next; None if nothing does.
    pub fn after_next(&self) -> Option<&EntryPath> {
        let mut frames = self.frames.iter().rev();
        frames.find_map(|frame| frame.node.key(frame.at + 1))
    }

    /// The next file, and goes past it.
    pub async fn next_entry(&mut self) -> Result<Option<Entry>, DataError> {
        loop {
            match self.peek() {
                None => return Ok(None),
                Some(Next::Subtree { .. }) => self.enter().await?,
                Some(Next::Entry(entry)) => {
                    let entry = entry.clone();
                    self.skip();
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// Goes to the first file whose path is not before this text, from wherever it stands. Answers the files before
    /// that place in the whole tree, and their bytes.
    pub async fn seek(&mut self, path: &str) -> Result<(u64, u64), DataError> {
        if self.frames.is_empty() || self.frames.len() > 1 || self.frames[0].at > 0 {
            *self = Self::new(self.reader.clone(), self.root).await?;
        }
        let mut before = (0_u64, 0_u64);
        loop {
            let Some(Frame { node, .. }) = self.frames.last() else {
                return Ok(before);
            };
            let is_before = |at: &usize| node.key(*at).is_some_and(|key| key.as_str() < path);
            // The last child that begins before the path may hold it.
            let smaller = partition(node.len(), is_before);
            let passed = match &**node {
                Node::Leaf(_) => smaller,
                Node::Branch { .. } => smaller.saturating_sub(1),
            };
            before = add(before, node, passed);
            let (is_leaf, is_at_end) = (node.level() == 0, passed >= node.len());
            if let Some(frame) = self.frames.last_mut() {
                frame.at = passed;
            }
            if is_leaf && is_at_end {
                // Everything in the leaf is before the path: what follows the leaf is next.
                self.frames.pop();
                self.skip();
                return Ok(before);
            }
            if is_leaf {
                return Ok(before);
            }
            self.enter().await?;
        }
    }
}

fn partition(len: usize, is_before: impl Fn(&usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(&middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn add(before: (u64, u64), node: &Node, passed: usize) -> (u64, u64) {
    let sum = |(files, bytes): (u64, u64), (more, size): (u64, u64)| {
        (files.saturating_add(more), bytes.saturating_add(size))
    };
    match node {
        Node::Leaf(entries) => {
            let each = entries.iter().take(passed).map(|entry| (1, entry.size_bytes));
            each.fold(before, sum)
        }
        Node::Branch { children, .. } => {
            let each = children
                .iter()
                .take(passed)
                .map(|child| (child.files, child.size_bytes));
            each.fold(before, sum)
        }
    }
}
