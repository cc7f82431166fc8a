//! What is remembered of a folder, so that files that look as they did are not read again.
//!
//! Form: `corliss-folder 2\n`; for each file in order of the paths the path (bytes shared with the one before,
//! bytes that follow, those), twice its mode and one more if it is linked, size, both times, inode and the blob; then
//! the BLAKE3 digest of all of it. Numbers are LEB128, times as differences from the time before. In form 1 the mode
//! stands by itself. It is a cache: what cannot be read is as if it had never been written.
//!
//! Of a linked file it is more than a cache: that what lies in the folder is what the link means is known since it was
//! laid out, and cannot be found out by reading it. Where that is forgotten, the file is one of the folder's own.

use std::collections::BTreeMap;
use std::path::Path;

use corliss_blobstore::BlobId;

use super::stamp::MARGIN;
use super::{Snapshot, Stamp};
use crate::leb128::{read_number, write_number};
use crate::{Entry, EntryPath};

const MAGIC: &[u8] = b"corliss-folder 2\n";
const MAGIC_BEFORE: &[u8] = b"corliss-folder 1\n";
const DIGEST_BYTES: usize = 32;

/// A file as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Remembered {
    path: EntryPath,
    stamp: Stamp,
    blob: BlobId,
    link: bool,
}

/// What a folder's files looked like when they were read.
#[derive(Debug, Default)]
pub struct Memory {
    files: Vec<Remembered>,
}

impl Memory {
    /// What is to be remembered of a snapshot, as a file holds it; what was written a moment ago is not.
    #[must_use]
    pub fn encode(snapshot: &Snapshot) -> Vec<u8> {
        encode(settled(snapshot))
    }

    /// The same with files that were just laid out for these entries; None if none of them is linked. A file that does
    /// not look like its entry is not noted. This takes a second, after which nobody can write to one of them and leave
    /// it looking the same.
    #[must_use]
    pub fn with_laid_out(self, folder: &Path, entries: &[Entry]) -> Option<Vec<u8>> {
        if !entries.iter().any(|entry| entry.link) {
            return None;
        }
        std::thread::sleep(MARGIN);
        let before = self.files.into_iter().map(|file| (file.path.clone(), file));
        let mut files: BTreeMap<EntryPath, Remembered> = before.collect();
        for entry in entries {
            files.remove(&entry.path);
            let found = folder.join(entry.path.as_str()).symlink_metadata();
            let Some(found) = found.ok().filter(|found| entry.link && found.is_file()) else {
                continue;
            };
            let stamp = Stamp::of(&found);
            if stamp.size_bytes == entry.size_bytes && stamp.executable() == entry.executable {
                let file = Remembered {
                    path: entry.path.clone(),
                    stamp,
                    blob: entry.blob,
                    link: true,
                };
                files.insert(file.path.clone(), file);
            }
        }
        Some(encode(files.values().map(Remembered::told)))
    }

    /// Whether a file is known to be linked.
    #[must_use]
    pub fn has_links(&self) -> bool {
        self.files.iter().any(|file| file.link)
    }

    /// What is remembered of the linked files, as a file holds it.
    #[must_use]
    pub fn links_alone(&self) -> Vec<u8> {
        let linked = self.files.iter().filter(|file| file.link);
        encode(linked.map(Remembered::told))
    }

    /// The same without the linked files, whose bytes then count.
    #[must_use]
    pub fn without_links(mut self) -> Self {
        self.files.retain(|file| !file.link);
        self
    }

    /// Reads it back; nothing is remembered if it cannot be read.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        Self::try_decode(bytes).unwrap_or_default()
    }

    fn try_decode(bytes: &[u8]) -> Option<Self> {
        let (whole, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST_BYTES)?)?;
        if BlobId::of(whole).digest() != digest {
            return None;
        }
        let (knows_links, mut rest) = match whole.strip_prefix(MAGIC) {
            Some(rest) => (true, rest),
            None => (false, whole.strip_prefix(MAGIC_BEFORE)?),
        };
        let mut files: Vec<Remembered> = Vec::new();
        let mut path = Vec::new();
        let mut time = 0;
        while !rest.is_empty() {
            let shared = usize::try_from(read_number(&mut rest)?).ok()?;
            let len = usize::try_from(read_number(&mut rest)?).ok()?;
            let (own, after) = rest.split_at_checked(len)?;
            rest = after;
            path.truncate(shared);
            path.extend_from_slice(own);
            let number = read_number(&mut rest)?;
            let (mode, link) = match knows_links {
                true => (number >> 1, number & 1 == 1),
                false => (number, false),
            };
            let mode = u32::try_from(mode).ok()?;
            let size_bytes = read_number(&mut rest)?;
            let modified_ns = unzigzag(read_number(&mut rest)?).wrapping_add(time);
            let changed_ns = unzigzag(read_number(&mut rest)?).wrapping_add(modified_ns);
            let inode = read_number(&mut rest)?;
            let (blob, after) = rest.split_first_chunk::<32>()?;
            rest = after;
            time = modified_ns;
            files.push(Remembered {
                path: std::str::from_utf8(&path).ok()?.parse().ok()?,
                stamp: Stamp {
                    size_bytes,
                    modified_ns,
                    changed_ns,
                    inode,
                    mode,
                },
                blob: BlobId::from_digest(*blob),
                link,
            });
        }
        Some(Self { files })
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Goes through what is remembered beside a list of files in order of their paths.
    pub(super) fn walk(&self) -> MemoryWalk<'_> {
        MemoryWalk { rest: &self.files }
    }

    /// Whether it is what a snapshot would leave now.
    #[must_use]
    pub fn is_of(&self, snapshot: &Snapshot) -> bool {
        let mut rest = self.files.iter();
        let all = settled(snapshot).all(|told| rest.next().is_some_and(|file| file.told() == told));
        all && rest.next().is_none()
    }
}

/// What is told of a file: its path, how it looks, its blob, and whether it is linked.
type Told<'a> = (&'a EntryPath, &'a Stamp, BlobId, bool);

impl Remembered {
    const fn told(&self) -> Told<'_> {
        (&self.path, &self.stamp, self.blob, self.link)
    }
}

/// Files of a snapshot that would be seen to change if they did. A linked one was waited for when it was noted, by the
/// clock of whoever keeps its times.
fn settled(snapshot: &Snapshot) -> impl Iterator<Item = Told<'_>> {
    let files = snapshot.entries.iter().zip(&snapshot.stamps);
    let files = files.filter(|(entry, stamp)| entry.link || stamp.is_settled(snapshot.taken));
    files.map(|(entry, stamp)| (&entry.path, stamp, entry.blob, entry.link))
}

fn encode<'a>(files: impl Iterator<Item = Told<'a>>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let mut last = "";
    let mut time = 0;
    for (path, stamp, blob, link) in files {
        let path = path.as_str();
        let both = last.bytes().zip(path.bytes());
        let shared = both.take_while(|(left, right)| left == right).count();
        let rest = &path.as_bytes()[shared..];
        for number in [shared as u64, rest.len() as u64] {
            write_number(number, &mut out);
        }
        out.extend_from_slice(rest);
        let numbers = [
            (u64::from(stamp.mode) << 1) | u64::from(link),
            stamp.size_bytes,
            zigzag(stamp.modified_ns.wrapping_sub(time)),
            zigzag(stamp.changed_ns.wrapping_sub(stamp.modified_ns)),
            stamp.inode,
        ];
        for number in numbers {
            write_number(number, &mut out);
        }
        out.extend_from_slice(&blob.digest());
        (last, time) = (path, stamp.modified_ns);
    }
    let digest = BlobId::of(&out).digest();
    out.extend_from_slice(&digest);
    out
}

pub(super) struct MemoryWalk<'a> {
    rest: &'a [Remembered],
}

impl MemoryWalk<'_> {
    /// The blob that a file had when it looked like this, and whether that is a link; paths are asked for in order.
    pub fn recall(&mut self, path: &EntryPath, stamp: &Stamp) -> Option<(BlobId, bool)> {
        while let [first, rest @ ..] = self.rest {
            if first.path > *path {
                return None;
            }
            self.rest = rest;
            if first.path == *path {
                return (first.stamp == *stamp).then_some((first.blob, first.link));
            }
        }
        None
    }
}

/// Small numbers of either sign are small without one.
const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn remembered(path: &str, numbers: (u64, i64, i64, u64, u32)) -> Remembered {
        let (size_bytes, modified_ns, changed_ns, inode, mode) = numbers;
        Remembered {
            path: path.parse().unwrap(),
            stamp: Stamp {
                size_bytes,
                modified_ns,
                changed_ns,
                inode,
                mode,
            },
            blob: BlobId::of(path.as_bytes()),
            link: size_bytes % 2 == 1,
        }
    }

    proptest! {
        #[test]
        fn it_reads_back_and_what_was_changed_is_forgotten(
            files in prop::collection::btree_map("[a-c]{1,3}/[a-z]{1,4}", any::<(u64, i64, i64, u64, u32)>(), 0..20),
            flip in any::<prop::sample::Index>(),
        ) {
            let files: Vec<Remembered> = files.iter().map(|(path, numbers)| remembered(path, *numbers)).collect();
            let mut bytes = encode(files.iter().map(Remembered::told));
            prop_assert_eq!(Memory::decode(&bytes).files, files);
            let at = flip.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert!(Memory::decode(&bytes).files.is_empty());
        }
    }

    /// As it was written before there were links.
    #[test]
    fn the_form_before_is_read() {
        let mut old = b"corliss-folder 1\n\x00\x01a\xa4\x83\x02\x01\x04\x02\x04".to_vec();
        old.extend_from_slice(&BlobId::of(b"a").digest());
        let digest = BlobId::of(&old).digest();
        old.extend_from_slice(&digest);
        let file = Remembered {
            link: false,
            ..remembered("a", (1, 2, 3, 4, 0o100_644))
        };
        assert_eq!(Memory::decode(&old).files, [file]);
    }

    #[test]
    fn only_what_looks_the_same_is_recalled() {
        let one = |path| remembered(path, (1, 2, 3, 4, 0o644));
        let memory = Memory {
            files: vec![one("a"), one("c"), one("d")],
        };
        let stamp = one("a").stamp;
        let mut walk = memory.walk();
        let mut recall = |path: &str, stamp: Stamp| walk.recall(&path.parse().unwrap(), &stamp);
        assert_eq!(recall("a", stamp), Some((BlobId::of(b"a"), true)));
        assert_eq!(recall("b", stamp), None);
        assert_eq!(recall("c", Stamp { inode: 5, ..stamp }), None);
        assert_eq!(recall("d", stamp), Some((BlobId::of(b"d"), true)));
        assert_eq!(recall("e", stamp), None);
    }
}
