//! What a store holds. Times are Unix milliseconds; ids and names are the source's.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

/// A key with a text: a parameter, a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs)]
pub struct Pair {
    pub key: String,
    pub value: String,
}

impl Pair {
    /// A pair.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

/// An experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    /// As the source numbers it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is deleted and restorable.
    pub is_deleted: bool,
    /// When it was made; older stores do not know.
    pub created_ms: Option<i64>,
    /// When it was last changed.
    pub updated_ms: Option<i64>,
    /// By key.
    pub tags: Vec<Pair>,
}

/// The states of a run, in the order of MLflow's numbers for them, from 1.
pub(crate) const STATUSES: [&str; 5] = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];

/// A run with everything that it logged but the points of its metrics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// 32 hex digits.
    pub run_id: String,
    /// Name for people.
    pub name: String,
    /// Who started it.
    pub user: String,
    /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
    pub status: String,
    /// When it started.
    pub start_ms: i64,
    /// When it ended; absent while it goes on.
    pub end_ms: Option<i64>,
    /// Whether it is deleted and restorable.
    pub is_deleted: bool,
    /// When it was deleted.
    pub deleted_ms: Option<i64>,
    /// Where the source says that its artifacts lie.
    pub artifact_uri: String,
    /// By key.
    pub params: Vec<Pair>,
    /// By key.
    pub tags: Vec<Pair>,
    /// Datasets that it read.
    pub datasets: Vec<Dataset>,
    /// Logged models that it read or made.
    pub models: Vec<ModelLink>,
}

/// A dataset that a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dataset {
    /// Name.
    pub name: String,
    /// The client's digest of it.
    pub digest: String,
    /// Kind of source.
    pub source_type: String,
    /// The source, as the client wrote it (JSON).
    pub source: String,
    /// Its schema (JSON).
    pub schema: Option<String>,
    /// Its statistics (JSON).
    pub profile: Option<String>,
    /// Tags of the link, such as `mlflow.data.context`.
    pub tags: Vec<Pair>,
}

/// A link between a run and a logged model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelLink {
    /// The model.
    pub model_id: String,
    /// True if the run made it, false if it read it.
    pub output: bool,
    /// The step it was made at.
    pub step: i64,
}

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Name of the metric.
    pub key: String,
    /// When it was logged.
    pub logged_ms: i64,
    /// The client's step.
    pub step: i64,
    /// Value, which may be no number or infinite.
    pub value: f64,
}

impl Point {
    /// The order in which the points of a metric come: by time, step and value, where not-a-number counts as 0, behind it.
    /// Two that are equal are the same point.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        let rank = |point: &Self| match point.value.is_nan() {
            true => (0.0, true),
            false => (point.value, false),
        };
        let (mine, theirs) = (rank(self), rank(other));
        (self.logged_ms, self.step)
            .cmp(&(other.logged_ms, other.step))
            // Of two zeros neither is less.
            .then_with(|| mine.0.partial_cmp(&theirs.0).unwrap_or(Ordering::Equal))
            .then_with(|| mine.1.cmp(&theirs.1))
    }
}

/// A model as it was logged.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedModel {
    /// `m-` and 32 hex digits.
    pub model_id: String,
    /// Name.
    pub name: String,
    /// What it is for.
    pub model_type: String,
    /// The run that made it, or empty.
    pub source_run_id: String,
    /// 1 pending, 2 ready, 3 upload failed.
    pub status: i64,
    /// Whether it is deleted.
    pub is_deleted: bool,
    /// When it was made.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
    /// Where the source says that its files lie.
    pub artifact_uri: String,
    /// By key.
    pub params: Vec<Pair>,
    /// By key.
    pub tags: Vec<Pair>,
    /// Metrics that speak of it.
    pub metrics: Vec<ModelMetric>,
}

/// A metric that speaks of a logged model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelMetric {
    /// The run that logged it.
    pub run_id: String,
    /// The value.
    pub point: Point,
    /// Name and digest of the dataset it was computed on.
    pub dataset: Option<(String, String)>,
}

/// A registered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredModel {
    /// Name.
    pub name: String,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
    /// By key.
    pub tags: Vec<Pair>,
    /// What each alias points at.
    pub aliases: BTreeMap<String, i64>,
}

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelVersion {
    /// Its number, from 1.
    pub version: i64,
    /// For people.
    pub description: String,
    /// MLflow's stage.
    pub stage: String,
    /// What it was made from: an address of artifacts, `models:/…` or `runs:/…`.
    pub source: String,
    /// Where its files lie, if the source says so.
    pub storage_location: Option<String>,
    /// The run that made it.
    pub run_id: Option<String>,
    /// A link that its client gave.
    pub run_link: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
    /// By key.
    pub tags: Vec<Pair>,
}
