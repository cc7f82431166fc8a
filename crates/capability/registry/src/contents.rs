//! What the files of a version are.

use std::path::Path;

use corliss_model_format::{Declared, Verdict};
use serde::{Deserialize, Serialize};

/// Extensions of the files that engines load.
const ENGINES: [&str; 2] = ["onnx", "gguf"];

/// What was found in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCheck {
    /// Its path within the version.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// What it is, in one word.
    pub verdict: Verdict,
    /// The format that it is judged by; empty if none is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub format: String,
    /// What is wrong with it, or what it holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Where it is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_byte: Option<u64>,
}

/// How many files there are of each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Files that are not what they should be.
    pub damaged: u64,
    /// Files that are or hold pickles.
    #[serde(rename = "unsafe")]
    pub unsafe_: u64,
    /// Files whose header is whole.
    pub verified: u64,
    /// Files of no known format.
    pub unknown: u64,
    /// Files that were not looked at, because there are too many.
    pub unread: u64,
}

impl Counts {
    /// Counts what was found; `unread` others were not looked at.
    pub(crate) fn of(files: &[FileCheck], unread: u64) -> Self {
        let count = |verdict| files.iter().filter(|file| file.verdict == verdict).count() as u64;
        Self {
            damaged: count(Verdict::Damaged),
            unsafe_: count(Verdict::Unsafe),
            verified: count(Verdict::Verified),
            unknown: count(Verdict::Unknown),
            unread,
        }
    }
}

/// What a model says of itself in the file `MLmodel`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Flavours by name, such as `sklearn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flavors: Vec<String>,
    /// What goes in: columns or tensors, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<String>,
    /// What comes out, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<String>,
    /// Parameters of a request, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<String>,
    /// The path of an example of an input, if the version has that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_example: Option<String>,
    /// Whether Python serves it, by its word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub python: bool,
    /// Why code of whoever made it runs when Python loads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_code: Option<String>,
}

impl From<Declared> for Described {
    fn from(declared: Declared) -> Self {
        Self {
            flavors: declared.flavors.into_iter().collect(),
            inputs: declared.inputs,
            outputs: declared.outputs,
            params: declared.params,
            input_example: declared.input_example,
            python: declared.python.is_some(),
            runs_code: declared.python.and_then(|python| python.runs_code),
        }
    }
}

/// What was found in the files of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// When they were looked at, in Unix milliseconds.
    pub checked_ms: i64,
    /// How many there are of each verdict.
    pub counts: Counts,
    /// Each file, in order of paths.
    pub files: Vec<FileCheck>,
    /// What the model says of itself.
    pub declared: Described,
}

impl Contents {
    /// The first file of this verdict.
    pub(crate) fn first(&self, verdict: Verdict) -> Option<&FileCheck> {
        self.files.iter().find(|file| file.verdict == verdict)
    }

    /// The first file that an engine could load, by its name, as engines look for theirs.
    pub(crate) fn for_an_engine(&self) -> Option<&FileCheck> {
        let is_one = |file: &&FileCheck| {
            let extension = Path::new(&file.path).extension().unwrap_or_default();
            ENGINES.iter().any(|one| extension.eq_ignore_ascii_case(one)) && file.verdict != Verdict::Unsafe
        };
        self.files.iter().find(is_one)
    }
}
