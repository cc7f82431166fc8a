//! Whether a tree that somebody sent is the tree of its files: in form, in order, and with the blobs it names. A
//! linked file must have a link that can be one; whether the object is there is asked when it is read.
//!
//! Only records that the version before does not have are looked at, so that it costs what a commit changes.

use std::collections::HashMap;

use corliss_blobstore::{BlobId, BlobStore};
use unicode_normalization::{UnicodeNormalization, is_nfc, is_nfd};

use super::node::Open;
use super::{Child, Entry, Linked, Node, Reader, Root};
use crate::link::{self, LINK_BYTES_MAX};
use crate::{DataError, EntryPath};

/// A record and where it stands in its tree.
#[derive(Debug, Clone)]
struct Placed {
    child: Child,
    level: u8,
    /// The first path after it; None if it is the last of its level.
    after: Option<EntryPath>,
}

impl Placed {
    /// A record that stood so in a tree that was checked may stand here unread: it ends early enough, and it ended
    /// by itself if something follows it here.
    fn may_stand_as(&self, known: Option<&EntryPath>) -> bool {
        match (known, &self.after) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(known), Some(after)) => known <= after,
        }
    }
}

struct Check<'a> {
    reader: &'a Reader,
    blobs: &'a BlobStore,
    root: BlobId,
}

/// Checks the tree below a record; `base` is one that was checked before. Answers what is linked in the leaves that
/// `base` does not have.
pub(crate) async fn check(
    reader: &Reader,
    blobs: &BlobStore,
    root: BlobId,
    base: Option<BlobId>,
) -> Result<(Root, Linked), DataError> {
    let check = Check { reader, blobs, root };
    let node = reader.sent(root).await?;
    let overflow = || DataError::bad_tree(root, "its sizes overflow");
    let (files, size_bytes) = node.totals().ok_or_else(overflow)?;
    let answer = Root {
        id: root,
        files,
        size_bytes,
    };
    if node.is_empty() && node.level() == 0 {
        check.form(root, &node, true)?;
        return Ok((answer, Linked::default()));
    }
    if node.is_empty() {
        return Err(DataError::bad_tree(root, "a branch lists nothing"));
    }
    if node.level() > 0 && node.len() == 1 {
        return Err(DataError::bad_tree(root, "a branch of one is not a root"));
    }
    let mut new = vec![placed(root, &node)?];
    let mut known: HashMap<BlobId, Placed> = HashMap::new();
    if let Some(base) = base {
        let node = reader.node(base).await?;
        if !node.is_empty() {
            known.insert(base, placed(base, &node)?);
        }
    }
    let mut leaves = Vec::new();
    let highest = |placed: &Placed| placed.level;
    for level in (0..=new.iter().chain(known.values()).map(highest).max().unwrap_or(0)).rev() {
        let (here, below): (Vec<_>, Vec<_>) = new.into_iter().partition(|placed| placed.level == level);
        new = below;
        for placed in here {
            let same = known.get(&placed.child.id);
            if same.is_some_and(|same| placed.may_stand_as(same.after.as_ref())) {
                known.remove(&placed.child.id);
                continue;
            }
            new.extend(check.record(&placed).await?);
            if level == 0 {
                leaves.push(placed);
            }
        }
        let expanded: Vec<Placed> = known
            .extract_if(|_, placed| placed.level == level && level > 0)
            .map(|(_, placed)| placed)
            .collect();
        for placed in expanded {
            let node = reader.node(placed.child.id).await?;
            known.extend(children(&placed, &node).map(|placed| (placed.child.id, placed)));
        }
    }
    let mut linked = Linked::default();
    for leaf in &leaves {
        linked = linked.with(check.leaf(leaf).await?);
    }
    Ok((answer, linked))
}

fn placed(id: BlobId, node: &Node) -> Result<Placed, DataError> {
    let totals = node.totals().zip(node.key(0));
    let ((files, size_bytes), first) = totals.ok_or_else(|| DataError::bad_tree(id, "its sizes overflow"))?;
    Ok(Placed {
        child: Child {
            first: first.clone(),
            id,
            files,
            size_bytes,
        },
        level: node.level(),
        after: None,
    })
}

fn children<'a>(placed: &'a Placed, node: &'a Node) -> impl Iterator<Item = Placed> + 'a {
    let listed = match node {
        Node::Leaf(_) => &[][..],
        Node::Branch { children, .. } => children.as_slice(),
    };
    listed.iter().enumerate().map(move |(at, child)| {
        let next = listed.get(at + 1).map(|next| next.first.clone());
        Placed {
            child: child.clone(),
            level: node.level().saturating_sub(1),
            after: next.or_else(|| placed.after.clone()),
        }
    })
}

impl Check<'_> {
    /// Checks a record against what lists it; answers what it lists.
    async fn record(&self, placed: &Placed) -> Result<Vec<Placed>, DataError> {
        let Placed { child, level, after } = placed;
        let node = self.reader.sent(child.id).await?;
        let is_as_listed = node.level() == *level
            && node.key(0) == Some(&child.first)
            && node.totals() == Some((child.files, child.size_bytes));
        if !is_as_listed {
            return Err(DataError::bad_tree(child.id, "it is not what lists it says"));
        }
        let last = node.key(node.len() - 1);
        if after.as_ref().is_some_and(|after| last >= Some(after)) {
            return Err(DataError::bad_tree(child.id, "its paths go beyond its place"));
        }
        self.form(child.id, &node, after.is_none())?;
        Ok(children(placed, &node).collect())
    }

    /// A record must be what a builder would have made at its place.
    fn form(&self, id: BlobId, node: &Node, is_last: bool) -> Result<(), DataError> {
        let wrong = |problem| Err(DataError::bad_tree(id, problem));
        let (level, len) = (node.level(), node.len());
        let mut open = Open::default();
        for at in 0..len {
            match node {
                Node::Leaf(entries) => open.add_entry(&entries[at]),
                Node::Branch { children, .. } => open.add_child(&children[at]),
            }
            let ends = open.ends(level);
            if ends && at + 1 < len {
                return wrong("it goes on where it had to end");
            }
            if !ends && at + 1 == len && !is_last {
                return wrong("it ends where it had to go on");
            }
        }
        let (piece, _) = open.close(level);
        if piece.id != id {
            return wrong("it is not in the canonical form");
        }
        Ok(())
    }

    async fn leaf(&self, placed: &Placed) -> Result<Linked, DataError> {
        let node = self.reader.node(placed.child.id).await?;
        let Node::Leaf(entries) = &*node else {
            return Ok(Linked::default());
        };
        self.sizes(entries).await?;
        self.links(entries).await?;
        let mut last: Option<&EntryPath> = None;
        for (at, entry) in entries.iter().enumerate() {
            let next = entries.get(at + 1).map(|next| &next.path);
            let next = next.or(placed.after.as_ref());
            self.folders(&entry.path, last).await?;
            self.is_no_folder(&entry.path, next).await?;
            self.has_no_twin(&entry.path).await?;
            last = Some(&entry.path);
        }
        let none = Linked::default();
        Ok(entries.iter().fold(none, |sum, entry| sum.and(Some(entry))))
    }

    async fn sizes(&self, entries: &[Entry]) -> Result<(), DataError> {
        let ids = entries.iter().map(|entry| entry.blob).collect();
        let found = self.blobs.stat_all(ids).await?;
        for (entry, blob) in entries.iter().zip(found) {
            let path = entry.path.to_string();
            let Some(blob) = blob else {
                let blob = entry.blob;
                return Err(DataError::BlobMissing { path, blob });
            };
            if entry.link {
                // More is not read.
                if blob.size_bytes > LINK_BYTES_MAX {
                    return Err(link::invalid(&path, "it is too long"));
                }
                continue;
            }
            if blob.size_bytes != entry.size_bytes {
                let (announced, stored) = (entry.size_bytes, blob.size_bytes);
                return Err(DataError::SizeMismatch {
                    path,
                    announced,
                    stored,
                });
            }
        }
        Ok(())
    }

    /// What is linked must be linked to something of that size.
    async fn links(&self, entries: &[Entry]) -> Result<(), DataError> {
        let linked: Vec<&Entry> = entries.iter().filter(|entry| entry.link).collect();
        let links = link::read(self.blobs, linked.iter().map(|entry| entry.blob).collect()).await?;
        for (entry, link) in linked.into_iter().zip(links) {
            let wrong = |problem| link::invalid(entry.path.as_str(), problem);
            if link.map_err(wrong)?.object.size_bytes != entry.size_bytes {
                return Err(wrong("it is of another size"));
            }
        }
        Ok(())
    }

    /// No folder of the path may be a file; those of the path before it were looked up.
    async fn folders(&self, path: &EntryPath, last: Option<&EntryPath>) -> Result<(), DataError> {
        for folder in path.folders() {
            let is_shared = last.is_some_and(|last| {
                let rest = last.as_str().strip_prefix(folder);
                rest.is_some_and(|rest| rest.starts_with('/'))
            });
            if is_shared {
                continue;
            }
            let folder: EntryPath = folder.parse()?;
            if self.reader.find(self.root, &folder).await?.is_some() {
                let (path, inside) = (folder.to_string(), path.to_string());
                return Err(DataError::PathConflict { path, inside });
            }
        }
        Ok(())
    }

    /// Nothing may lie below a file.
    async fn is_no_folder(&self, path: &EntryPath, next: Option<&EntryPath>) -> Result<(), DataError> {
        // Names like `a-b` may come between `a` and `a/b`; if what follows does not begin like it, nothing does.
        if !next.is_some_and(|next| next.as_str().starts_with(path.as_str())) {
            return Ok(());
        }
        let below = format!("{path}/");
        let mut cursor = self.reader.cursor(self.root).await?;
        cursor.seek(&below).await?;
        match cursor.next_entry().await? {
            Some(inside) if inside.path.as_str().starts_with(&below) => Err(DataError::PathConflict {
                path: path.to_string(),
                inside: inside.path.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Two names that look the same and differ only in how their accents are encoded are one name on some systems.
    async fn has_no_twin(&self, path: &EntryPath) -> Result<(), DataError> {
        let text = path.as_str();
        if text.is_ascii() {
            return Ok(());
        }
        let composed = (!is_nfc(text)).then(|| text.nfc().collect::<String>());
        let decomposed = (!is_nfd(text)).then(|| text.nfd().collect::<String>());
        for twin in [composed, decomposed].into_iter().flatten() {
            // A form that is too long to be a path cannot be in the tree.
            let Ok(twin) = twin.parse::<EntryPath>() else {
                continue;
            };
            if self.reader.find(self.root, &twin).await?.is_some() {
                let path = path.to_string();
                return Err(DataError::PathTwin { path });
            }
        }
        Ok(())
    }
}
