//! The things that are kept about traces. Times are Unix milliseconds, as clients give them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::json::spaced;
use crate::span::Span;

/// How a trace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TraceState {
    Unspecified,
    Ok,
    Error,
    InProgress,
}

impl TraceState {
    const ALL: [Self; 4] = [Self::Unspecified, Self::Ok, Self::Error, Self::InProgress];

    /// As stored, sent and searched for.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "STATE_UNSPECIFIED",
            Self::Ok => "OK",
            Self::Error => "ERROR",
            Self::InProgress => "IN_PROGRESS",
        }
    }

    /// As the second version of the protocol sends it.
    #[must_use]
    pub const fn as_status(self) -> &'static str {
        match self {
            Self::Unspecified => "TRACE_STATUS_UNSPECIFIED",
            other => other.as_str(),
        }
    }

    /// The state of this name, in either version of the protocol, or of its number in both (0 to 3).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().enumerate().find_map(|(number, state)| {
            (state.as_str() == text || state.as_status() == text || number.to_string() == text)
                .then_some(state)
        })
    }
}

/// Tokens, counted by kind, in the order of [`TokenUsage::KEYS`]; absent where nobody counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenUsage(pub [Option<i64>; 6]);

impl TokenUsage {
    /// MLflow's names of the kinds.
    pub const KEYS: [&'static str; 6] = [
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation_input_tokens_above_1hr",
    ];

    /// Whether nobody counted anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// As a JSON text; none if nobody counted anything.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let counted = Self::KEYS.iter().zip(self.0);
        let pairs = counted.filter_map(|(key, count)| Some((*key, json!(count?))));
        (!self.is_empty()).then(|| object_text(pairs))
    }
}

/// What was spent, in US dollars, by kind, in the order of [`Cost::KEYS`]; absent where nobody counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost(pub [Option<f64>; 3]);

impl Cost {
    /// MLflow's names of the kinds.
    pub const KEYS: [&'static str; 3] = ["input_cost", "output_cost", "total_cost"];

    /// Whether nobody counted anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// As a JSON text; none if nobody counted anything.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let counted = Self::KEYS.iter().zip(self.0);
        let pairs = counted.filter_map(|(key, cost)| Some((*key, json!(cost?))));
        (!self.is_empty()).then(|| object_text(pairs))
    }
}

/// An object in this order, which a map of JSON values would lose.
fn object_text<'k>(pairs: impl Iterator<Item = (&'k str, Value)>) -> String {
    let members: Vec<String> = pairs
        .map(|(key, value)| format!("{}: {}", spaced(&key), spaced(&value)))
        .collect();
    format!("{{{}}}", members.join(", "))
}

/// What is known about a trace, without its spans.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceInfo {
    /// `tr-` and 32 hex digits, or what an older client chose.
    pub trace_id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// When it began.
    pub request_ms: i64,
    /// How long it took, in milliseconds; absent while it goes on.
    pub duration_ms: Option<i64>,
    /// How it stands.
    pub state: TraceState,
    /// The client's own id of the request.
    pub client_request_id: Option<String>,
    /// What was asked, cut.
    pub request_preview: Option<String>,
    /// What was answered, cut.
    pub response_preview: Option<String>,
    /// What does not change, by key.
    pub metadata: BTreeMap<String, String>,
    /// What may change, by key.
    pub tags: BTreeMap<String, String>,
    /// Judgements, oldest first.
    pub assessments: Vec<Assessment>,
}

impl TraceInfo {
    /// What it takes, nearly: its texts.
    pub(crate) fn size_bytes(&self) -> usize {
        let pairs = |pairs: &BTreeMap<String, String>| -> usize {
            pairs.iter().map(|(key, value)| key.len() + value.len()).sum()
        };
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let said = self.assessments.iter().map(Assessment::size_bytes);
        text(&self.request_preview)
            + text(&self.response_preview)
            + pairs(&self.metadata)
            + pairs(&self.tags)
            + said.sum::<usize>()
    }
}

/// A trace with its spans: the root first, then by start.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// What is known about it.
    pub info: TraceInfo,
    /// What it did.
    pub spans: Vec<Span>,
}

/// Who judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `HUMAN`, `CODE`, `LLM_JUDGE`.
    pub kind: String,
    /// Who exactly.
    pub id: Option<String>,
}

/// What was said.
#[derive(Debug, Clone, PartialEq)]
pub enum AssessmentValue {
    /// How good it is, with an error (MLflow's object) where judging failed.
    Feedback {
        /// Any JSON value.
        value: Value,
        /// `error_code`, `error_message`, `stack_trace`.
        error: Option<Value>,
    },
    /// What it should have been: any JSON value.
    Expectation(Value),
    /// The name of a known problem; the assessment's own name is the problem's id.
    Issue(String),
}

impl AssessmentValue {
    /// As stored and searched for.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Feedback { .. } => "feedback",
            Self::Expectation(_) => "expectation",
            Self::Issue(_) => "issue",
        }
    }
}

/// A judgement about a trace or one of its spans.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// `a-` and 32 hex digits.
    pub id: String,
    /// What about; several may have one name.
    pub name: String,
    /// Who judged.
    pub source: Source,
    /// When it was made.
    pub created_ms: i64,
    /// When it was changed last.
    pub updated_ms: i64,
    /// What was said.
    pub value: AssessmentValue,
    /// Why.
    pub rationale: Option<String>,
    /// By key.
    pub metadata: BTreeMap<String, String>,
    /// The span it is about.
    pub span_id: Option<String>,
    /// The run it was made in.
    pub run_id: Option<String>,
    /// The assessment that it stands for now.
    pub overrides: Option<String>,
    /// No other stands for it.
    pub valid: bool,
}

impl Assessment {
    /// What it takes, nearly: its texts and values.
    fn size_bytes(&self) -> usize {
        let value = match &self.value {
            AssessmentValue::Feedback { value, error } => {
                spaced(value).len() + error.as_ref().map_or(0, |error| spaced(error).len())
            }
            AssessmentValue::Expectation(value) => spaced(value).len(),
            AssessmentValue::Issue(name) => name.len(),
        };
        let metadata = self.metadata.iter().map(|(key, value)| key.len() + value.len());
        value + self.rationale.as_ref().map_or(0, String::len) + metadata.sum::<usize>()
    }
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// This part.
    pub items: Vec<T>,
    /// Present if more may follow.
    pub next_page_token: Option<String>,
}
