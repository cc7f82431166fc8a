//! The things that are kept for judging applications: datasets of questions with what is expected of the answers, and
//! scorers, which judge them. Times are Unix milliseconds.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A set of records that an application is evaluated on.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationDataset {
    /// `d-` and 32 hex digits.
    pub id: String,
    /// What people call it; several may have one name.
    pub name: String,
    /// By key.
    pub tags: BTreeMap<String, String>,
    /// The experiments that it belongs to, ascending.
    pub experiment_ids: Vec<i64>,
    /// The names and types of what its records have ever held; absent before the first.
    pub schema: Option<Value>,
    /// How many records it has.
    pub records: i64,
    /// Eight hex digits of its name and of what its records hold now, in whatever order they came.
    pub digest: String,
    /// When it was made.
    pub created_ms: i64,
    /// When its records were changed last.
    pub updated_ms: i64,
    /// Who made it, as the client says.
    pub created_by: Option<String>,
    /// Who changed its records last, as the client says.
    pub updated_by: Option<String>,
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetRecord {
    /// `dr-` and 32 hex digits.
    pub id: String,
    /// What the application is given: a dataset has one record of the same inputs.
    pub inputs: Map<String, Value>,
    /// What it answered once; null if nothing is known.
    pub outputs: Value,
    /// What is expected of its answer, by name.
    pub expectations: Option<Map<String, Value>>,
    /// By key.
    pub tags: Map<String, Value>,
    /// Where the record comes from.
    pub source: Option<RecordSource>,
    /// When it was added.
    pub created_ms: i64,
    /// When it was changed last.
    pub updated_ms: i64,
    /// Who added it, as the client says.
    pub created_by: Option<String>,
    /// Who changed it last, as the client says.
    pub updated_by: Option<String>,
}

/// Where a record comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordSource {
    /// One of [`RecordSource::KINDS`].
    pub kind: String,
    /// What the client says about it.
    pub data: Map<String, Value>,
}

impl RecordSource {
    /// MLflow's kinds.
    pub const KINDS: [&'static str; 5] = ["UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE"];

    /// The trace that a record was made from.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        if self.kind == "TRACE" {
            self.data.get("trace_id")?.as_str()
        } else {
            None
        }
    }
}

/// A version of a scorer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scorer {
    /// The same for all its versions.
    pub id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// Unique in its experiment.
    pub name: String,
    /// From 1; a number is not given twice.
    pub version: i64,
    /// What the client made of it, a JSON text. Nothing here looks into it.
    pub serialized: String,
    /// When it was registered.
    pub created_ms: i64,
}
