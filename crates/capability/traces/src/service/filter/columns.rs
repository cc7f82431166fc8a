//! Where what a filter names is kept: columns of a trace's row, and keys that have a column of their own.

pub(super) const NAME_TAG: &str = "mlflow.traceName";
pub(super) const PROMPTS_TAG: &str = "mlflow.linkedPrompts";
pub(super) const RUN_KEY: &str = "mlflow.sourceRun";
pub(super) const SESSION_KEY: &str = "mlflow.trace.session";
pub(super) const USAGE_KEY: &str = "mlflow.trace.tokenUsage";
pub(super) const COST_KEY: &str = "mlflow.trace.cost";
pub(super) const USAGE_COLUMNS: &str = "t.input_tokens, t.output_tokens, t.total_tokens, t.cache_read_input_tokens, \
                             t.cache_creation_input_tokens, t.cache_creation_input_tokens_above_1hr";
pub(super) const COST_COLUMNS: &str = "t.input_cost, t.output_cost, t.total_cost";
/// When a trace ended; one that goes on ended when it began.
pub(super) const END: &str = "t.request_ms + COALESCE(t.duration_ms, 0)";
