//! What a model's file is, told from its bytes: a whole safetensors, ONNX or GGUF file, a damaged one, or a pickle.
//!
//! Invariants:
//! - Nothing that a file holds is executed or unpickled; a pickle's operations are only recognised.
//! - A file is read in ranges, its headers only, and at most [`READ_MAX_BYTES`] of it.
//! - Whatever the bytes are, the answer is a [`Finding`]: no input makes this panic, recurse without bound or hold
//!   more than a header in memory.
//! - A name says what a file should be; its content decides what it is.

mod archive;
mod cursor;
mod find;
pub mod ggml;
mod gguf;
mod mlmodel;
mod onnx;
mod pickle;
mod safetensors;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use bytes::Bytes;

pub use cursor::READ_MAX_BYTES;
pub use find::find;
pub use mlmodel::{Declared, FILE_NAME as MLMODEL, Python, declared};

/// Rises when the same bytes may be judged differently than before, so that what was found by older rules is found again.
pub const RULES: i64 = 2;

/// A file that is read in ranges.
pub trait Ranged {
    /// Exactly these bytes, which lie within the file.
    ///
    /// # Errors
    /// They cannot be read; this says nothing about the file.
    fn read(&mut self, range: Range<u64>) -> io::Result<Bytes>;
}

/// The files of a version with their sizes in bytes, by path.
pub type Folder = BTreeMap<String, u64>;

/// What can be said of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is not what it should be: a reader would fail, or read out of bounds.
    Damaged,
    /// It is, or holds, a pickle: whoever loads it runs code of whoever made it.
    Unsafe,
    /// Its header is whole and consistent with its size.
    Verified,
    /// It is nothing that is known here.
    Unknown,
}

impl Verdict {
    /// All of them, worst first.
    pub const ALL: [Self; 4] = [Self::Damaged, Self::Unsafe, Self::Verified, Self::Unknown];

    /// As stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Unsafe => "unsafe",
            Self::Verified => "verified",
            Self::Unknown => "unknown",
        }
    }

    /// The verdict of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == name)
    }
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In one word.
    pub verdict: Verdict,
    /// The format it is judged by, such as `safetensors`; empty if none is known.
    pub format: &'static str,
    /// What is wrong or what it holds, for people.
    pub detail: String,
    /// Where it is damaged.
    pub at_byte: Option<u64>,
}
