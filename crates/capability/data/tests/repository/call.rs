//! What can be done to a repository, and what comes of it.

use corliss_data::{Committed, ConflictPolicy, DataError, Merged, RefInfo, RefKind};
use corliss_diagnostics::Diagnose;
use corliss_types::CommitId;
use serde::{Deserialize, Serialize};

use super::content::Files;
use super::spot::Spot;

/// Which branch, and where it is believed to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct On {
    pub dataset: String,
    pub branch: Option<String>,
    pub expected: Option<CommitId>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Call {
    Commit {
        on: On,
        files: Files,
    },
    Edits {
        on: On,
        edits: Vec<(String, Option<u16>, bool)>,
    },
    CreateRef {
        dataset: String,
        kind: RefKind,
        name: String,
        at: Spot,
    },
    MoveBranch {
        on: On,
        to: Spot,
    },
    DeleteRef {
        on: On,
        kind: RefKind,
    },
    Protect {
        dataset: String,
        branch: String,
        protected: bool,
    },
    Merge {
        on: On,
        from: Spot,
        policy: ConflictPolicy,
        always_commit: bool,
    },
    Revert {
        on: On,
        of: Spot,
        policy: ConflictPolicy,
    },
    CherryPick {
        on: On,
        of: Spot,
        policy: ConflictPolicy,
    },
    DeleteDataset {
        dataset: String,
    },
    /// Of the blobs that no commit of a dataset needs.
    Collect,
}

/// A call, when and with what message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    pub now_ms: i64,
    pub message: String,
    pub call: Call,
}

/// What a call answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Committed(Committed),
    Merged(Merged),
    Ref(RefInfo),
    Done,
}

/// What a call may be refused with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Exactly(DataError),
    /// The code; the rest says which of several things it was noticed by.
    Kind(&'static str),
}

impl Refusal {
    pub fn is(&self, error: &DataError) -> bool {
        match self {
            Self::Exactly(expected) => expected == error,
            Self::Kind(code) => *code == error.code(),
        }
    }
}

/// The outcome, or all that is wrong with a call: which of it is noticed first is the service's choice.
pub type Answer = Result<Outcome, Vec<Refusal>>;

/// Whether the service answered what the model did.
pub fn agree(expected: &Answer, answer: &Result<Outcome, DataError>) -> bool {
    match (expected, answer) {
        (Ok(expected), Ok(answer)) => expected == answer,
        (Err(refusals), Err(error)) => refusals.iter().any(|refusal| refusal.is(error)),
        _ => false,
    }
}
