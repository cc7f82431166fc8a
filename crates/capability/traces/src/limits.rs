//! Limits: MLflow's, which its clients know, and ours, where MLflow has none.

/// Characters of a trace's id.
pub(crate) const TRACE_ID_LEN: usize = 50;
/// Characters of a tag's or a metadata entry's key.
pub(crate) const KEY_LEN: usize = 250;
/// Characters of a tag's value; a longer one is cut.
pub(crate) const TAG_VALUE_LEN: usize = 8000;
/// Characters of a metadata entry's value as it is kept; a longer one is cut.
pub(crate) const METADATA_VALUE_LEN: usize = 8000;
/// Characters of a metadata entry's value as it is sent.
pub(crate) const METADATA_SENT_LEN: usize = 250;
/// Characters of a tag's value as it is sent with a trace.
pub(crate) const TAG_SENT_LEN: usize = 4096;
/// Characters of a trace's name.
pub(crate) const NAME_LEN: usize = 4096;
/// Characters of a session's id.
pub(crate) const SESSION_LEN: usize = 250;
/// Characters of a client's own id of a request.
pub(crate) const CLIENT_REQUEST_ID_LEN: usize = 250;
/// Characters of a preview that is made from a root span.
pub(crate) const PREVIEW_MADE_LEN: usize = 1000;
/// Characters of a preview that a client made; a longer one is cut.
pub(crate) const PREVIEW_SENT_LEN: usize = 10_000;
/// Tags, and metadata entries, of one call.
pub(crate) const PAIRS_PER_CALL: usize = 1000;
/// Tags, and metadata entries, of one trace.
pub(crate) const PAIRS_PER_TRACE: u64 = 2000;
/// Times that clients give, in Unix milliseconds: the years 0 to 9999.
pub(crate) const TIMES_MS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;
/// The longest that a trace takes, in milliseconds: what the clock of its spans can tell, 584 years.
pub(crate) const DURATION_MS: i64 = 18_446_744_073_709;
/// Traces of one page, at most.
pub(crate) const SEARCH_MAX: i64 = 500;
/// Traces of one page unless the call says otherwise.
pub(crate) const SEARCH_DEFAULT: i64 = 100;
/// Experiments of one search.
pub(crate) const SEARCH_EXPERIMENTS: usize = 1000;
/// Clauses of one order.
pub(crate) const ORDER_CLAUSES: usize = 10;
/// Traces that one call of a search looks into beyond what its indexes tell.
pub(crate) const SEARCH_EXAMINED: i64 = 20_000;
/// Bytes of spans, unpacked, that one call of a search looks into.
pub(crate) const SEARCH_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes of a compiled pattern.
pub(crate) const PATTERN_BYTES: usize = 1024 * 1024;
/// Traces of one call that names them.
pub(crate) const TRACES_PER_CALL: usize = 1000;
/// Bytes of spans, unpacked, of one answer with whole traces.
pub(crate) const ANSWER_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes of what is known about traces, of one answer without their spans. A page that would have more ends earlier.
pub(crate) const INFOS_BYTES: usize = 64 * 1024 * 1024;
/// Traces that one transaction deletes; a call of more takes several.
pub(crate) const DELETE_CHUNK: i64 = 500;
/// Traces of one call that links them to a run.
pub(crate) const LINKS_PER_CALL: usize = 100;
/// Prompt versions of one call that links them to a trace.
pub(crate) const PROMPTS_PER_CALL: usize = 100;
/// Assessments of one trace.
pub(crate) const ASSESSMENTS_PER_TRACE: usize = 1000;
/// Characters of the assessments of one trace together, as far as each may be long.
pub(crate) const ASSESSMENTS_CHARS: i64 = 32 * 1024 * 1024;
/// Characters of an assessment's name and of its source.
pub(crate) const ASSESSMENT_NAME_LEN: usize = 250;
/// Characters of an assessment's id, and of the span and run that it names.
pub(crate) const ASSESSMENT_ID_LEN: usize = 50;
/// Bytes of an assessment's value, rationale, metadata and error together.
pub(crate) const ASSESSMENT_BYTES: usize = 1024 * 1024;
/// Bytes of a call's body other than spans.
pub(crate) const BODY_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of a body of spans as it is sent.
pub(crate) const SPANS_BODY_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a body of spans, unpacked.
pub(crate) const SPANS_UNPACKED_BYTES: u64 = 96 * 1024 * 1024;
/// Values of one body of spans: attributes, items of lists, events, links and spans. Each takes memory, however few
/// bytes it has on the wire.
pub(crate) const VALUES_PER_CALL: usize = 4_000_000;
/// Values within values of one attribute.
pub(crate) const VALUE_DEPTH: usize = 64;
/// Spans of one call.
pub(crate) const SPANS_PER_CALL: usize = 20_000;
/// Spans of one trace, counting those that were sent again.
pub(crate) const SPANS_PER_TRACE: i64 = 200_000;
/// Bytes of one trace's spans, unpacked, counting those that were sent again.
pub(crate) const TRACE_BYTES: i64 = 256 * 1024 * 1024;
/// Bytes of one span as it is kept.
pub(crate) const SPAN_BYTES: usize = 16 * 1024 * 1024;
/// Attributes of one span.
pub(crate) const ATTRIBUTES_PER_SPAN: usize = 2000;
/// Events of one span: a streamed answer has one for each piece.
pub(crate) const EVENTS_PER_SPAN: usize = 20_000;
/// Links of one span.
pub(crate) const LINKS_PER_SPAN: usize = 1000;
/// Bytes of an attribute's key.
pub(crate) const ATTRIBUTE_KEY_BYTES: usize = 4096;
/// Bytes of a span's name.
pub(crate) const SPAN_NAME_BYTES: usize = 64 * 1024;
/// Different (name, type, status) of one trace's spans that its index holds; a trace with more is looked into.
pub(crate) const KINDS_PER_TRACE: usize = 256;
/// Characters of a span's name in that index; a trace with a longer one is looked into.
pub(crate) const KIND_NAME_LEN: usize = 200;
/// Parts of one size that a trace's spans may lie in before they are joined.
pub(crate) const PARTS_OF_A_LEVEL: usize = 8;
/// Characters of a value that an index holds.
pub(crate) const HEAD_LEN: usize = 64;
/// Characters of an evaluation dataset's name.
pub(crate) const DATASET_NAME_LEN: usize = 500;
/// Datasets of one page unless the call says otherwise, and at most.
pub(crate) const DATASETS_PER_PAGE: i64 = 1000;
/// Datasets that a client may ask for at once.
pub(crate) const DATASETS_ASKED: i64 = 50_000;
/// Records of one dataset: deleting it is one transaction.
pub(crate) const RECORDS_PER_DATASET: i64 = 100_000;
/// Records of one call that merges or deletes them.
pub(crate) const RECORDS_PER_CALL: usize = 20_000;
/// Bytes of the records that one call merges into.
pub(crate) const RECORDS_MERGED_BYTES: i64 = 256 * 1024 * 1024;
/// Bytes of a body of records.
pub(crate) const RECORDS_BODY_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of one record as it is kept.
pub(crate) const RECORD_BYTES: usize = 4 * 1024 * 1024;
/// Records of one page unless the call says otherwise.
pub(crate) const RECORDS_PER_PAGE: i64 = 1000;
/// Records of one page, at most.
pub(crate) const RECORDS_PER_PAGE_MOST: i64 = 10_000;
/// Bytes of records of one page.
pub(crate) const RECORDS_ANSWER_BYTES: i64 = 32 * 1024 * 1024;
/// Names that the schema of a dataset lists of inputs, outputs and expectations each.
pub(crate) const SCHEMA_NAMES: usize = 1000;
/// Bytes of one version of a scorer.
pub(crate) const SCORER_BYTES: usize = 512 * 1024;
/// Bytes of all scorers of one experiment, with all their versions: lists of them have no pages.
pub(crate) const SCORERS_BYTES: i64 = 32 * 1024 * 1024;
/// Groups of one page of statistics.
pub(crate) const METRIC_POINTS: i64 = 1000;
/// Aggregations, dimensions and filters, each, of one question for statistics.
pub(crate) const METRIC_PARTS: usize = 20;
/// Bytes of spans, unpacked, that one question for statistics looks into.
pub(crate) const METRIC_SPAN_BYTES: i64 = 512 * 1024 * 1024;
