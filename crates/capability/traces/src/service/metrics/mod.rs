//! Statistics over traces, their spans and their assessments, in groups: `traces/metrics`.
//!
//! What stands in rows is counted by the store. Spans lie packed, so their statistics look into all traces of a call, which
//! may therefore hold so much and no more.

mod filters;
mod groups;
mod spans;

use std::collections::BTreeMap;

use corliss_mlflow_wire::{WireError, offset_of, token_of};
use corliss_types::Timestamp;

use super::Traces;
use crate::store::{self, MetricGroup, MetricRows};
use crate::types::Page;
use crate::{TracesError, limits};
use filters::Filters;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MetricView {
    Traces,
    Spans,
    Assessments,
}

impl MetricView {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Spans => "SPANS",
            Self::Assessments => "ASSESSMENTS",
        }
    }
}

/// What is computed of the values of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Aggregation {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    /// From 0 to 100; between two values the line between them counts.
    Percentile(f64),
}

impl Aggregation {
    const fn kind(self) -> &'static str {
        match self {
            Self::Count => "COUNT",
            Self::Sum => "SUM",
            Self::Avg => "AVG",
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::Percentile(_) => "PERCENTILE",
        }
    }

    /// As an answer names it.
    fn label(self) -> String {
        match self {
            Self::Percentile(percent) => format!("P{percent:?}"),
            other => other.kind().to_owned(),
        }
    }
}

/// A question for statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricQuery {
    /// Experiments to look in.
    pub experiment_ids: Vec<i64>,
    /// What to count.
    pub view: MetricView,
    /// Which value of it.
    pub metric: String,
    /// What to compute.
    pub aggregations: Vec<Aggregation>,
    /// What to group by.
    pub dimensions: Vec<String>,
    /// One comparison each; all must hold.
    pub filters: Vec<String>,
    /// Also group by time, in intervals of so many seconds; 0 is not to.
    pub interval_s: i64,
    /// Traces that began then or later, in Unix milliseconds.
    pub start_ms: Option<i64>,
    /// Traces that began then or earlier, in Unix milliseconds.
    pub end_ms: Option<i64>,
    /// Groups of a page.
    pub max_results: Option<i64>,
    /// From the page before.
    pub page_token: Option<String>,
}

/// The statistics of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint {
    /// What the group has in common, by dimension.
    pub dimensions: BTreeMap<String, String>,
    /// What was computed, by aggregation.
    pub values: BTreeMap<String, f64>,
}

const TOKENS: [&str; 5] = ["AVG", "MAX", "MIN", "PERCENTILE", "SUM"];
const LATENCY: [&str; 4] = ["AVG", "MAX", "MIN", "PERCENTILE"];
const OF_SPANS: [&str; 5] = [
    "span_model_name",
    "span_model_provider",
    "span_name",
    "span_status",
    "span_type",
];

/// A metric: its name, the aggregations and the dimensions that it takes.
type Known = (&'static str, &'static [&'static str], &'static [&'static str]);

const TRACES: [Known; 8] = [
    ("trace_count", &["COUNT"], &["trace_name", "trace_status"]),
    ("session_count", &["COUNT"], &[]),
    ("latency", &LATENCY, &["trace_name", "trace_status"]),
    ("input_tokens", &TOKENS, &["trace_name"]),
    ("output_tokens", &TOKENS, &["trace_name"]),
    ("total_tokens", &TOKENS, &["trace_name"]),
    ("cache_read_input_tokens", &TOKENS, &["trace_name"]),
    ("cache_creation_input_tokens", &TOKENS, &["trace_name"]),
];
const SPANS: [Known; 5] = [
    ("span_count", &["COUNT"], &OF_SPANS),
    ("latency", &LATENCY, &OF_SPANS),
    ("input_cost", &TOKENS, &OF_SPANS),
    ("output_cost", &TOKENS, &OF_SPANS),
    ("total_cost", &TOKENS, &OF_SPANS),
];
const ASSESSMENTS: [Known; 2] = [
    (
        "assessment_count",
        &["COUNT"],
        &["assessment_name", "assessment_value"],
    ),
    ("assessment_value", &LATENCY, &["assessment_name"]),
];

impl Traces {
    /// A page of groups with their statistics, by time and then by what they have in common. What has nothing in the place
    /// of a dimension or value belongs to no group.
    ///
    /// # Errors
    /// The metric does not take what is asked, a filter is wrong, or spans of the call's traces are too many to look into.
    pub async fn metrics(&self, query: MetricQuery) -> Result<Page<MetricPoint>, TracesError> {
        check(&query)?;
        let limit = match query.max_results {
            None => limits::METRIC_POINTS,
            Some(limit) if limit < 1 => {
                return Err(TracesError::invalid(format!(
                    "Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer"
                )));
            }
            Some(limit) => limit.min(limits::METRIC_POINTS),
        };
        let offset = i64::try_from(offset_of(query.page_token.as_deref())?).unwrap_or(i64::MAX);
        let filters = Filters::read(query.view, &query.filters)?;
        let rows = MetricRows {
            metric: query.metric.clone(),
            of_assessments: query.view == MetricView::Assessments,
            dimensions: query.dimensions.clone(),
            experiments: query.experiment_ids.clone(),
            interval_ms: query.interval_s.saturating_mul(1000),
            start_ms: query.start_ms,
            end_ms: query.end_ms,
            filters: filters.traces,
            assessments: filters.assessments,
        };
        let percents: Vec<f64> = query
            .aggregations
            .iter()
            .filter_map(|aggregation| match aggregation {
                Aggregation::Percentile(percent) => Some(*percent),
                _ => None,
            })
            .collect();
        let (view, of_spans) = (query.view, filters.spans);
        let mut found = self
            .store
            .read(move |tx| match view {
                MetricView::Spans => spans::groups(tx, &rows, &of_spans, &percents, (limit + 1, offset)),
                _ => store::metric_groups(tx, &rows, &percents, (limit + 1, offset)),
            })
            .await?;
        let more = found.len() as i64 > limit;
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Page {
            items: found.iter().map(|group| point(&query, group)).collect(),
            next_page_token: more.then(|| token_of(offset.saturating_add(limit).unsigned_abs())),
        })
    }
}

fn point(query: &MetricQuery, group: &MetricGroup) -> MetricPoint {
    let names = query.dimensions.iter().cloned();
    let mut dimensions: BTreeMap<String, String> = names.zip(group.dimensions.iter().cloned()).collect();
    if query.interval_s > 0 {
        let text = Timestamp::from_millis(group.bucket_ms).rfc3339();
        let whole = text.strip_suffix(".000Z").unwrap_or(&text);
        dimensions.insert("time_bucket".to_owned(), format!("{whole}+00:00"));
    }
    let mut percentiles = group.percentiles.iter();
    let values = query.aggregations.iter().filter_map(|aggregation| {
        let value = match aggregation {
            Aggregation::Count => Some(group.count as f64),
            Aggregation::Sum => group.sum,
            Aggregation::Avg => group.sum.map(|sum| sum / group.count as f64),
            Aggregation::Min => group.min,
            Aggregation::Max => group.max,
            Aggregation::Percentile(_) => percentiles.next().copied(),
        };
        Some((aggregation.label(), value?))
    });
    MetricPoint {
        dimensions,
        values: values.collect(),
    }
}

fn check(query: &MetricQuery) -> Result<(), TracesError> {
    let metrics: &[Known] = match query.view {
        MetricView::Traces => &TRACES,
        MetricView::Spans => &SPANS,
        MetricView::Assessments => &ASSESSMENTS,
    };
    let Some((_, aggregations, dimensions)) = metrics.iter().find(|known| known.0 == query.metric) else {
        let names: Vec<&str> = metrics.iter().map(|known| known.0).collect();
        return Err(TracesError::invalid(format!(
            "metric_name must be one of {}, got '{}'",
            listed(&names),
            query.metric
        )));
    };
    if query.aggregations.is_empty() {
        return Err(WireError::missing("aggregations").into());
    }
    let kinds = query.aggregations.iter().map(|aggregation| aggregation.kind());
    known("aggregation_type", "aggregation types", kinds, aggregations)?;
    let names = query.dimensions.iter().map(String::as_str);
    known("dimension", "dimensions", names, dimensions)?;
    for (field, count) in [
        ("aggregations", query.aggregations.len()),
        ("dimensions", query.dimensions.len()),
        ("filters", query.filters.len()),
    ] {
        if count > limits::METRIC_PARTS {
            let hint = "ask in several calls";
            return Err(TracesError::too_many(field, "items", limits::METRIC_PARTS, hint));
        }
    }
    if query.experiment_ids.len() > limits::SEARCH_EXPERIMENTS {
        return Err(TracesError::too_many(
            "experiment_ids",
            "experiments",
            limits::SEARCH_EXPERIMENTS,
            "ask for them in several calls",
        ));
    }
    for aggregation in &query.aggregations {
        if let Aggregation::Percentile(percent) = aggregation
            && !(0.0..=100.0).contains(percent)
        {
            let reason = "it must be from 0 to 100";
            return Err(WireError::invalid_value("percentile_value", &percent.to_string(), reason).into());
        }
    }
    if query.interval_s < 0 {
        let interval = query.interval_s.to_string();
        let reason = "it must not be negative";
        return Err(WireError::invalid_value("time_interval_seconds", &interval, reason).into());
    }
    if query.interval_s > 0 && (query.start_ms.is_none() || query.end_ms.is_none()) {
        return Err(TracesError::invalid(
            "start_time_ms and end_time_ms are required if time_interval_seconds is set",
        ));
    }
    Ok(())
}

fn known<'n>(
    what: &str,
    all: &str,
    names: impl Iterator<Item = &'n str>,
    supported: &[&str],
) -> Result<(), TracesError> {
    let mut unknown: Vec<&str> = names.filter(|name| !supported.contains(name)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(TracesError::invalid(format!(
        "Found invalid {what}(s): {}. Supported {all}: {}",
        listed(&unknown),
        listed(supported)
    )))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "[]".to_owned();
    }
    format!("['{}']", names.join("', '"))
}
