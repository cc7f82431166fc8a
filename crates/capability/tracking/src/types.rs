//! The things that tracking keeps. Times are Unix milliseconds, as clients give them.

/// Whether a thing is in use or deleted and restorable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LifecycleStage {
    Active,
    Deleted,
}

impl LifecycleStage {
    /// As stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
        }
    }

    pub(crate) fn of(text: &str) -> Self {
        if text == "deleted" {
            Self::Deleted
        } else {
            Self::Active
        }
    }
}

/// Which lifecycle stages a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum ViewType {
    #[default]
    ActiveOnly,
    DeletedOnly,
    All,
}

impl ViewType {
    pub(crate) fn stages(self) -> &'static [LifecycleStage] {
        match self {
            Self::ActiveOnly => &[LifecycleStage::Active],
            Self::DeletedOnly => &[LifecycleStage::Deleted],
            Self::All => &[LifecycleStage::Active, LifecycleStage::Deleted],
        }
    }
}

/// The state of a tracking run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RunStatus {
    Running,
    Scheduled,
    Finished,
    Failed,
    Killed,
}

impl RunStatus {
    const ALL: [Self; 5] = [
        Self::Running,
        Self::Scheduled,
        Self::Finished,
        Self::Failed,
        Self::Killed,
    ];

    /// As stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Scheduled => "SCHEDULED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }

    /// The status of this name, or of its number in MLflow's enumeration (1 to 5).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().enumerate().find_map(|(index, status)| {
            (status.as_str() == text || (index + 1).to_string() == text).then_some(status)
        })
    }
}

/// A key with a text: a parameter, a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

impl KeyValue {
    /// A pair.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

/// One logged value.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Name.
    pub key: String,
    /// Value; NaN and infinities are kept as they are.
    pub value: f64,
    /// When the client says it was logged.
    pub logged_ms: i64,
    /// The client's step; may be negative.
    pub step: i64,
    /// The logged model it speaks about.
    pub model_id: Option<String>,
    /// The dataset it was computed on.
    pub dataset: Option<(String, String)>,
}

/// An experiment: a named set of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    /// Number; 0 is `Default`.
    pub id: i64,
    /// Unique name, also among the deleted.
    pub name: String,
    /// URI under which its runs' artifacts lie.
    pub artifact_location: String,
    /// In use, or deleted.
    pub lifecycle: LifecycleStage,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub updated_ms: i64,
    /// By key.
    pub tags: Vec<KeyValue>,
}

/// What a run is, without what it logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// 32 hex digits.
    pub run_id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// Name for people.
    pub name: String,
    /// Who started it, as the client says.
    pub user: String,
    /// State.
    pub status: RunStatus,
    /// Unix milliseconds, as the client says.
    pub start_ms: i64,
    /// Unix milliseconds; absent while it goes on.
    pub end_ms: Option<i64>,
    /// In use, or deleted.
    pub lifecycle: LifecycleStage,
    /// Where its artifacts lie.
    pub artifact_uri: String,
}

/// A run with its latest metrics, parameters, tags and links.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What it is.
    pub info: RunInfo,
    /// The latest value of each metric, by key.
    pub metrics: Vec<Metric>,
    /// By key.
    pub params: Vec<KeyValue>,
    /// By key.
    pub tags: Vec<KeyValue>,
    /// Datasets it read.
    pub datasets: Vec<DatasetInput>,
    /// Logged models it read or made.
    pub models: Vec<ModelLink>,
}

/// A dataset that a run says it read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInput {
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
    pub tags: Vec<KeyValue>,
}

/// A link between a run and a logged model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLink {
    /// The model.
    pub model_id: String,
    /// True if the run made it, false if it read it.
    pub output: bool,
    /// The step it was made at.
    pub step: i64,
}

/// What names a dataset; without a digest, every state of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetKey {
    /// Its name.
    pub name: String,
    /// Of its content.
    pub digest: Option<String>,
}

/// What a search over logged models is ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelOrder {
    /// An attribute, or `metrics.` with a metric's name.
    pub field: String,
    /// The direction.
    pub ascending: bool,
    /// Of a metric, only values that were measured on this.
    pub dataset: Option<DatasetKey>,
}

/// A model as its maker logged it, before anyone registers it.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedModel {
    /// `m-` and 32 hex digits.
    pub model_id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// Name.
    pub name: String,
    /// Where its files lie.
    pub artifact_uri: String,
    /// What it is for, as the client says.
    pub model_type: String,
    /// The run that made it, or empty.
    pub source_run_id: String,
    /// 1 pending, 2 ready, 3 upload failed: MLflow's numbers.
    pub status: i64,
    /// In use, or deleted.
    pub lifecycle: LifecycleStage,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub updated_ms: i64,
    /// By key.
    pub params: Vec<KeyValue>,
    /// By key.
    pub tags: Vec<KeyValue>,
    /// Metrics that name it, with the run that logged each.
    pub metrics: Vec<(String, Metric)>,
}

/// An entry of an artifact folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactEntry {
    /// Name within its folder.
    pub name: String,
    /// Size of a file; none for a folder.
    pub size_bytes: Option<u64>,
    /// The id of a file's content; none for a folder.
    pub blob: Option<String>,
}

/// A file somewhere under an artifact folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Path relative to the folder asked about, with `/`.
    pub path: String,
    /// Its bytes.
    pub blob: String,
    /// How many.
    pub size_bytes: u64,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// This part.
    pub items: Vec<T>,
    /// Present if more follow.
    pub next_page_token: Option<String>,
}

/// A dataset that runs of an experiment read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSummary {
    /// The experiment.
    pub experiment_id: i64,
    /// Its name.
    pub name: String,
    /// What tells its contents apart.
    pub digest: String,
    /// What it was read for, if that was said.
    pub context: Option<String>,
}
