//! Whole files and damaged ones, made here byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod build;
mod headers;
mod mlmodel;
mod pickles;

use std::io;
use std::ops::Range;

use bytes::Bytes;
use corliss_model_format::{Declared, Finding, Folder, Ranged, Verdict, find};

/// A file in memory, and how much of it was read.
pub(crate) struct InMemory {
    pub bytes: Bytes,
    pub read: u64,
}

impl Ranged for InMemory {
    fn read(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        self.read += range.end - range.start;
        let (from, to) = (
            usize::try_from(range.start).unwrap(),
            usize::try_from(range.end).unwrap(),
        );
        assert!(to <= self.bytes.len(), "a read beyond the file");
        Ok(self.bytes.slice(from..to))
    }
}

pub(crate) fn found_in(path: &str, bytes: &[u8], folder: &Folder, declared: &Declared) -> Finding {
    let mut file = InMemory {
        bytes: Bytes::copy_from_slice(bytes),
        read: 0,
    };
    find(path, bytes.len() as u64, folder, declared, &mut file).unwrap()
}

pub(crate) fn found(path: &str, bytes: &[u8]) -> Finding {
    found_in(path, bytes, &Folder::new(), &Declared::default())
}

pub(crate) fn verdict(path: &str, bytes: &[u8]) -> Verdict {
    found(path, bytes).verdict
}
