//! One record of a tree: what it holds, and its form.
//!
//! The body of the record: `corliss-tree 2\n`, one byte of level (0 is a leaf), then what is listed, in byte order
//! of the paths; the links of the record are the ids, in the same order. Of a leaf: the path, one byte of mode
//! (1 is executable, 2 is linked: the id is that of a link as of `link.rs`, and 3 is both) and the size. Of a branch: the first path below the child, the files below it and their
//! bytes. A path is the number of bytes that it shares with the one before, the number of those that follow, and
//! those. Numbers are LEB128.

use bytes::Bytes;
use corliss_blobstore::{BlobId, Piece, Record};

use super::{Entry, Root};
use crate::EntryPath;
use crate::leb128::{read_number, write_number};

const MAGIC: &[u8] = b"corliss-tree 2\n";
/// Enough for any tree: a branch has at least two children, all but the last of its level.
pub(super) const LEVEL_MAX: u8 = 30;
/// Bits of a mode.
const EXECUTABLE: u8 = 1;
const LINKED: u8 = 2;
/// The most that one record lists.
const LISTED_MAX: usize = 1024;
/// A record of this many bytes is ended.
const BYTES_MAX: usize = 64 << 10;

/// A record that a branch lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The first path below it.
    pub first: EntryPath,
    /// The record.
    pub id: BlobId,
    /// Files below it.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
}

/// A record of a tree, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Files in byte order of their paths.
    Leaf(Vec<Entry>),
    /// Records of the level below, in the same order.
    Branch {
        /// From 1 on.
        level: u8,
        /// The records.
        children: Vec<Child>,
    },
}

impl Node {
    /// 0 is a leaf.
    #[must_use]
    pub const fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Branch { level, .. } => *level,
        }
    }

    /// How much it lists.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch { children, .. } => children.len(),
        }
    }

    /// Whether it lists nothing, as only the root of an empty version does.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The path by which the thing at this place is found.
    pub(crate) fn key(&self, at: usize) -> Option<&EntryPath> {
        match self {
            Self::Leaf(entries) => entries.get(at).map(|entry| &entry.path),
            Self::Branch { children, .. } => children.get(at).map(|child| &child.first),
        }
    }

    /// Files below it, and their bytes; None if the bytes overflow.
    #[must_use]
    pub fn totals(&self) -> Option<(u64, u64)> {
        let add = |(files, bytes): (u64, u64), (more, size): (u64, u64)| {
            Some((files.checked_add(more)?, bytes.checked_add(size)?))
        };
        match self {
            Self::Leaf(entries) => {
                let mut each = entries.iter().map(|entry| (1, entry.size_bytes));
                each.try_fold((0, 0), add)
            }
            Self::Branch { children, .. } => {
                let mut each = children.iter().map(|child| (child.files, child.size_bytes));
                each.try_fold((0, 0), add)
            }
        }
    }

    /// Reads a record; what is wrong with it is for people.
    ///
    /// # Errors
    /// It is not a record of a tree.
    pub fn decode(record: &Record) -> Result<Self, &'static str> {
        let rest = record.body.strip_prefix(MAGIC);
        let (level, mut body) = rest
            .and_then(<[u8]>::split_first)
            .ok_or("a record has another form")?;
        if *level > LEVEL_MAX || record.links.len() > LISTED_MAX {
            return Err("a record is larger than one can be");
        }
        let mut last = String::new();
        let mut entries = Vec::new();
        let mut children = Vec::new();
        for link in &record.links {
            let first = last.is_empty();
            let path = read_path(&mut body, &last).ok_or("a path cannot be read")?;
            if !first && path <= last {
                return Err("paths are out of order");
            }
            let checked: EntryPath = path.parse().map_err(|_| "a path is not allowed")?;
            last = path;
            let cut = "a record is cut short";
            if *level == 0 {
                let (mode, rest) = body.split_first().ok_or(cut)?;
                body = rest;
                entries.push(Entry {
                    path: checked,
                    blob: *link,
                    size_bytes: read_number(&mut body).ok_or(cut)?,
                    executable: mode & EXECUTABLE != 0,
                    link: match mode & !(EXECUTABLE | LINKED) {
                        0 => mode & LINKED != 0,
                        _ => return Err("a mode is not known"),
                    },
                });
            } else {
                children.push(Child {
                    first: checked,
                    id: *link,
                    files: read_number(&mut body).ok_or(cut)?,
                    size_bytes: read_number(&mut body).ok_or(cut)?,
                });
            }
        }
        if !body.is_empty() {
            return Err("a record is too long");
        }
        Ok(match *level {
            0 => Self::Leaf(entries),
            level => Self::Branch { level, children },
        })
    }
}

/// A record that is being filled.
#[derive(Debug, Default)]
pub(super) struct Open {
    links: Vec<BlobId>,
    body: Vec<u8>,
    first: Option<EntryPath>,
    last: String,
    files: u64,
    size_bytes: u64,
}

impl Open {
    pub const fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    pub const fn len(&self) -> usize {
        self.links.len()
    }

    /// What is listed, if it is one thing.
    pub fn only_child(&self) -> Option<Root> {
        let [id] = self.links[..] else { return None };
        let (files, size_bytes) = (self.files, self.size_bytes);
        Some(Root {
            id,
            files,
            size_bytes,
        })
    }

    pub fn add_entry(&mut self, entry: &Entry) {
        self.add_path(&entry.path);
        self.links.push(entry.blob);
        self.body
            .push((u8::from(entry.executable) * EXECUTABLE) | (u8::from(entry.link) * LINKED));
        write_number(entry.size_bytes, &mut self.body);
        self.files += 1;
        self.size_bytes = self.size_bytes.saturating_add(entry.size_bytes);
    }

    pub fn add_child(&mut self, child: &Child) {
        self.add_path(&child.first);
        self.links.push(child.id);
        write_number(child.files, &mut self.body);
        write_number(child.size_bytes, &mut self.body);
        self.files = self.files.saturating_add(child.files);
        self.size_bytes = self.size_bytes.saturating_add(child.size_bytes);
    }

    fn add_path(&mut self, path: &EntryPath) {
        if self.first.is_none() {
            self.first = Some(path.clone());
        }
        let path = path.as_str();
        let both = self.last.bytes().zip(path.bytes());
        let shared = both.take_while(|(left, right)| left == right).count();
        let rest = &path.as_bytes()[shared..];
        write_number(shared as u64, &mut self.body);
        write_number(rest.len() as u64, &mut self.body);
        self.body.extend_from_slice(rest);
        path.clone_into(&mut self.last);
    }

    /// Whether the record ends here: after one in 256 paths, by a digest of the path alone, or when it is full.
    pub fn ends(&self, level: u8) -> bool {
        if self.len() < usize::from(level > 0) + 1 {
            return false;
        }
        let bytes = self.body.len() + self.links.len() * 32;
        if self.len() >= LISTED_MAX || bytes >= BYTES_MAX {
            return true;
        }
        let digest = BlobId::of(self.last.as_bytes()).digest();
        digest.get(usize::from(level)) == Some(&0)
    }

    /// The record, and how a branch lists it; None for the first if it is empty, which only a root can be.
    pub fn close(&mut self, level: u8) -> (Piece, Option<Child>) {
        let done = std::mem::take(self);
        let mut body = Vec::with_capacity(MAGIC.len() + 1 + done.body.len());
        body.extend_from_slice(MAGIC);
        body.push(level);
        body.extend_from_slice(&done.body);
        let record = Record {
            links: done.links,
            body: Bytes::from(body),
        };
        let piece = record.to_piece();
        let child = done.first.map(|first| Child {
            first,
            id: piece.id,
            files: done.files,
            size_bytes: done.size_bytes,
        });
        (piece, child)
    }
}

fn read_path(bytes: &mut &[u8], last: &str) -> Option<String> {
    let shared = usize::try_from(read_number(bytes)?).ok()?;
    let len = usize::try_from(read_number(bytes)?).ok()?;
    let rest = bytes.get(..len)?;
    *bytes = &bytes[len..];
    let mut path = last.as_bytes().get(..shared)?.to_vec();
    path.extend_from_slice(rest);
    String::from_utf8(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frozen: a change here would give every stored version a second name.
    #[test]
    fn the_form_is_what_it_was() {
        let entry = |path: &str, executable| Entry {
            path: path.parse().unwrap(),
            blob: BlobId::of(path.as_bytes()),
            size_bytes: 300,
            executable,
            link: false,
        };
        let mut open = Open::default();
        open.add_entry(&entry("a/b", false));
        open.add_entry(&entry("a/c", true));
        let (piece, child) = open.close(0);
        let record = Record::decode(&piece.bytes).unwrap();
        assert_eq!(
            &record.body[..],
            b"corliss-tree 2\n\0\x00\x03a/b\0\xac\x02\x02\x01c\x01\xac\x02"
        );
        assert_eq!(
            Node::decode(&record),
            Ok(Node::Leaf(vec![entry("a/b", false), entry("a/c", true)]))
        );
        let child = child.unwrap();
        assert_eq!((child.files, child.size_bytes), (2, 600));
        open.add_child(&child);
        let (piece, _) = open.close(1);
        let record = Record::decode(&piece.bytes).unwrap();
        assert_eq!(&record.body[..], b"corliss-tree 2\n\x01\x00\x03a/b\x02\xd8\x04");
        let children = vec![child];
        assert_eq!(Node::decode(&record), Ok(Node::Branch { level: 1, children }));
    }

    /// Frozen too: a linked file has mode 2, or 3 if it may be executed.
    #[test]
    fn the_form_of_linked_files_is_what_it_was() {
        let entry = |path: &str, executable| Entry {
            path: path.parse().unwrap(),
            blob: BlobId::of(path.as_bytes()),
            size_bytes: 5 << 40,
            executable,
            link: true,
        };
        let mut open = Open::default();
        open.add_entry(&entry("a", false));
        open.add_entry(&entry("b", true));
        let (piece, child) = open.close(0);
        let record = Record::decode(&piece.bytes).unwrap();
        assert_eq!(
            &record.body[..],
            b"corliss-tree 2\n\0\x00\x01a\x02\x80\x80\x80\x80\x80\xa0\x01\x00\x01b\x03\x80\x80\x80\x80\x80\xa0\x01"
        );
        assert_eq!(
            Node::decode(&record),
            Ok(Node::Leaf(vec![entry("a", false), entry("b", true)]))
        );
        assert_eq!(child.unwrap().size_bytes, 10 << 40, "the bytes of the objects");
    }

    #[test]
    fn what_is_not_a_tree_is_told() {
        let id = BlobId::of(b"");
        for (links, body, why) in [
            (0, &b"corliss-tree 1\n\0"[..], "a record has another form"),
            (0, b"corliss-tree 2\n", "a record has another form"),
            (0, b"corliss-tree 2\n\x40", "a record is larger than one can be"),
            (1, b"corliss-tree 2\n\0", "a path cannot be read"),
            (1, b"corliss-tree 2\n\0\x00\x02..\0\0", "a path is not allowed"),
            (1, b"corliss-tree 2\n\0\x01\x01a\0\0", "a path cannot be read"),
            (1, b"corliss-tree 2\n\0\x00\x01a\x04\0", "a mode is not known"),
            (1, b"corliss-tree 2\n\0\x00\x01a\0", "a record is cut short"),
            (1, b"corliss-tree 2\n\0\x00\x01a\0\0\0", "a record is too long"),
            (
                2,
                b"corliss-tree 2\n\0\x00\x01b\0\0\x00\x01a\0\0",
                "paths are out of order",
            ),
            (
                2,
                b"corliss-tree 2\n\0\x00\x01a\0\0\x01\x00\0\0",
                "paths are out of order",
            ),
        ] {
            let record = Record {
                links: vec![id; links],
                body: Bytes::from_static(body),
            };
            assert_eq!(Node::decode(&record), Err(why));
        }
    }
}
