//! The canonical form of a folder, whose digest is its version.
//!
//! A header line, then one line per file in byte order of the paths: `x` or `-`, the blob, the size, the
//! path. Empty folders, owners, times and other modes are not part of it: they differ between machines
//! without the data being different.

use std::collections::BTreeSet;
use std::fmt::Write;

use corliss_blobstore::BlobId;
use corliss_types::VersionId;
use serde::{Deserialize, Serialize};

use crate::{DataError, EntryPath};

/// Raise when the form changes; it is part of every version's digest.
const HEADER: &str = "corliss-tree 1\n";

/// One file of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where it lies.
    pub path: EntryPath,
    /// Its bytes.
    pub blob: BlobId,
    /// How many they are.
    pub size_bytes: u64,
    /// Whether it may be executed.
    #[serde(default)]
    pub executable: bool,
}

/// The files of a version, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<Entry>,
}

impl Tree {
    /// Orders and checks entries that may come in any order. No entries at all is a folder without files.
    ///
    /// # Errors
    /// A path occurs twice, or is both a file and a folder.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, DataError> {
        entries.sort_by(|left, right| left.path.cmp(&right.path));
        for pair in entries.windows(2) {
            if pair[0].path == pair[1].path {
                return Err(DataError::DuplicatePath {
                    path: pair[0].path.to_string(),
                });
            }
        }
        let files: BTreeSet<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        for entry in &entries {
            if let Some(file) = entry.path.folders().find(|folder| files.contains(folder)) {
                let (path, inside) = (file.to_owned(), entry.path.to_string());
                return Err(DataError::PathConflict { path, inside });
            }
        }
        Ok(Self { entries })
    }

    /// The files, in byte order of their paths.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file of this path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Entry> {
        let index = self
            .entries
            .binary_search_by(|entry| entry.path.as_str().cmp(path))
            .ok()?;
        self.entries.get(index)
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.entries
            .iter()
            .fold(0, |sum, entry| sum.saturating_add(entry.size_bytes))
    }

    /// The canonical form.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut text = String::with_capacity(HEADER.len() + self.entries.len() * 120);
        text.push_str(HEADER);
        for Entry {
            path,
            blob,
            size_bytes,
            executable,
        } in &self.entries
        {
            let mode = if *executable { 'x' } else { '-' };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{mode} {blob} {size_bytes} {path}");
        }
        text.into_bytes()
    }

    /// The version that these files are.
    #[must_use]
    pub fn version(&self) -> VersionId {
        VersionId::from_digest(BlobId::of_blob(&self.canonical()).digest())
    }

    /// Reads a canonical form back; what went wrong is for [`DataError::Damaged`].
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let lines = text.strip_prefix(HEADER).ok_or("the tree has another format")?;
        let entries: Option<Vec<Entry>> = lines.lines().map(parse_line).collect();
        Self::new(entries.ok_or("a line of the tree is malformed")?).map_err(|error| error.to_string())
    }
}

fn parse_line(line: &str) -> Option<Entry> {
    let mut parts = line.splitn(4, ' ');
    let executable = match parts.next()? {
        "x" => true,
        "-" => false,
        _ => return None,
    };
    let blob = parts.next()?.parse().ok()?;
    let size_bytes = parts.next()?.parse().ok()?;
    Some(Entry {
        path: parts.next()?.parse().ok()?,
        blob,
        size_bytes,
        executable,
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn entry(path: &str, bytes: &[u8], executable: bool) -> Entry {
        let (blob, size_bytes) = (BlobId::of_blob(bytes), bytes.len() as u64);
        Entry {
            path: path.parse().unwrap(),
            blob,
            size_bytes,
            executable,
        }
    }

    /// Frozen: a change here would give every stored version a second name.
    #[test]
    fn the_form_is_what_it_was() {
        let tree = Tree::new(vec![
            entry("b/run.sh", b"echo\n", true),
            entry("a b.txt", b"", false),
        ])
        .unwrap();
        let expected = "corliss-tree 1\n\
            - af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262 0 a b.txt\n\
            x BLOB 5 b/run.sh\n"
            .replace("BLOB", &BlobId::of(b"echo\n").to_string());
        assert_eq!(String::from_utf8(tree.canonical()).unwrap(), expected);
        let empty = Tree::new(Vec::new()).unwrap();
        assert_eq!(empty.canonical(), b"corliss-tree 1\n");
        assert_eq!(
            empty.version().as_str(),
            format!("v_{}", BlobId::of(b"corliss-tree 1\n"))
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let twice = Tree::new(vec![entry("a", b"1", false), entry("a", b"2", false)]);
        assert_eq!(twice, Err(DataError::DuplicatePath { path: "a".into() }));
        let both = Tree::new(vec![
            entry("a/b", b"", false),
            entry("a-b", b"", false),
            entry("a", b"", false),
        ]);
        assert_eq!(
            both,
            Err(DataError::PathConflict {
                path: "a".into(),
                inside: "a/b".into()
            })
        );
        assert!(Tree::new(vec![entry("A", b"", false), entry("a", b"", false)]).is_ok());
        for bad in [
            "",
            "corliss-tree 2\n",
            "corliss-tree 1\n- 00 0 a\n",
            "corliss-tree 1\nx\n",
        ] {
            assert!(Tree::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_the_form_reads_back(
            files in btree_map("[a-d]{1,2}/[ -.0-~]{1,6}", (any::<u8>(), any::<bool>()), 0..20),
            rotation in any::<prop::sample::Index>(),
        ) {
            let mut entries: Vec<Entry> = files
                .iter()
                .filter(|(path, _)| path.parse::<EntryPath>().is_ok())
                .map(|(path, (byte, executable))| entry(path, &[*byte], *executable))
                .collect();
            let tree = Tree::new(entries.clone()).unwrap();
            if !entries.is_empty() {
                let by = rotation.index(entries.len());
                entries.rotate_left(by);
                entries.reverse();
            }
            let shuffled = Tree::new(entries.clone()).unwrap();
            prop_assert_eq!(shuffled.version(), tree.version());
            prop_assert_eq!(&Tree::parse(&tree.canonical()).unwrap(), &tree);
            if let Some(first) = entries.first_mut() {
                first.executable = !first.executable;
                prop_assert_ne!(Tree::new(entries).unwrap().version(), tree.version());
            }
        }
    }
}
