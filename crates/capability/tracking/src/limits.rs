//! MLflow's limits, which its clients know and split their calls by.

/// Metrics of one batch.
pub(crate) const METRICS_PER_BATCH: usize = 1000;
/// Parameters of one batch, and tags of one batch.
pub(crate) const PARAMS_TAGS_PER_BATCH: usize = 100;
/// Metrics, parameters and tags of one batch together.
pub(crate) const ENTITIES_PER_BATCH: usize = 1000;
/// Bytes of a batch call's body.
pub(crate) const BATCH_BODY_BYTES: u64 = 1_000_000;
/// Characters of a metric's, parameter's or tag's name.
pub(crate) const KEY_LEN: usize = 250;
/// Characters of a parameter's value.
pub(crate) const PARAM_VALUE_LEN: usize = 6000;
/// Characters of a run tag's value.
pub(crate) const TAG_VALUE_LEN: usize = 8000;
/// Characters of an experiment tag's value.
pub(crate) const EXPERIMENT_TAG_VALUE_LEN: usize = 20_000;
/// Characters of an experiment's name.
pub(crate) const EXPERIMENT_NAME_LEN: usize = 500;
/// Characters of an experiment's artifact location.
pub(crate) const ARTIFACT_LOCATION_LEN: usize = 2048;
/// Runs or experiments of one page.
pub(crate) const SEARCH_MAX: i64 = 50_000;
/// Runs of one page unless the call says otherwise.
pub(crate) const SEARCH_DEFAULT: i64 = 1000;
/// Logged models of one page, at most and unless the call says otherwise.
pub(crate) const LOGGED_MODELS_PAGE: i64 = 100;
/// Experiments that one search may name: each is a value of a statement, and databases take some ten thousands of them.
pub(crate) const SEARCH_EXPERIMENTS: usize = 10_000;
/// Orders of one search, and datasets of one over logged models.
pub(crate) const SEARCH_CLAUSES: usize = 50;
/// Rows of one bulk history answer.
pub(crate) const HISTORY_BULK_ROWS: i64 = 25_000;
/// Runs of one bulk history call.
pub(crate) const HISTORY_BULK_RUNS: usize = 100;
/// Points per run of one interval history answer.
pub(crate) const HISTORY_INTERVAL_POINTS: i64 = 2500;
/// Datasets of one call.
pub(crate) const DATASETS_PER_CALL: usize = 1000;
/// Entries of one artifact folder in one answer.
pub(crate) const ARTIFACTS_LISTED: i64 = 50_000;
/// Bytes of one artifact.
pub(crate) const ARTIFACT_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// Bytes of the history of a run's models.
pub(crate) const MODEL_HISTORY_BYTES: usize = 1_000_000;
/// Experiments whose datasets are asked for at once.
pub(crate) const DATASET_EXPERIMENTS: usize = 20;
/// Datasets of one answer.
pub(crate) const DATASET_SUMMARIES: i64 = 1000;
/// Parts of one upload.
pub(crate) const UPLOAD_PARTS: i64 = 10_000;
/// Bytes of a call that names all parts of one.
pub(crate) const COMPLETE_BODY_BYTES: u64 = 32 * 1024 * 1024;
/// Uploads in parts that may be under way.
pub(crate) const OPEN_UPLOADS: u64 = 1_000;
/// After so many milliseconds an upload that is not complete is forgotten: a day.
pub(crate) const UPLOAD_MS: i64 = 24 * 60 * 60 * 1000;
/// Bytes of a file that a page adds.
pub(crate) const PAGE_UPLOAD_BYTES: u64 = 10 * 1024 * 1024;
/// Seconds for which a ticket may be valid: seven days, as with buckets.
pub(crate) const TICKET_SECONDS: i64 = 604_800;
/// Runs, or logged models, of one call that moves them in.
pub(crate) const IMPORT_RUNS: usize = 200;
/// Points of metrics of one call that moves them in.
pub(crate) const IMPORT_POINTS: usize = 20_000;
/// Bytes of a call that moves something in.
pub(crate) const IMPORT_BODY_BYTES: u64 = 64 * 1024 * 1024;
/// Characters of what says where something was moved in from.
pub(crate) const IMPORT_SOURCE_LEN: usize = 4096;
/// Bytes of what tells one state of a run in its source from another.
pub(crate) const IMPORT_DIGEST_LEN: usize = 128;
/// Characters of an artifact's path, and parts of it.
pub(crate) const ARTIFACT_PATH_LEN: usize = 4096;
/// Folders that an artifact may lie in.
pub(crate) const ARTIFACT_PATH_PARTS: usize = 64;
