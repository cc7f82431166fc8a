//! Statistics over spans, which lie packed: all traces of a call are looked into.

use corliss_metastore::Tx;
use serde_json::Value;

use super::filters::SpanFilter;
use super::groups::Groups;
use crate::service::parts;
use crate::service::totals::COST_ATTRIBUTE;
use crate::span::Span;
use crate::store::{self, Candidates, MetricGroup, MetricRows, Ordering};
use crate::{TracesError, limits};

const MODEL_ATTRIBUTE: &str = "mlflow.llm.model";
const PROVIDER_ATTRIBUTE: &str = "mlflow.llm.provider";
/// The type of a span that has none.
const UNTYPED: &str = "UNKNOWN";
/// Traces to unpack at a time.
const PIECE: i64 = 200;

pub(super) fn groups(
    tx: &mut dyn Tx,
    rows: &MetricRows,
    filters: &[SpanFilter],
    percents: &[f64],
    page: (i64, i64),
) -> Result<Vec<MetricGroup>, TracesError> {
    let bytes = store::span_bytes_of(tx, rows)?;
    if bytes > limits::METRIC_SPAN_BYTES {
        return Err(TracesError::Limit {
            field: "start_time_ms",
            message: format!(
                "the spans of these traces have {bytes} bytes, and statistics look into {} at most",
                limits::METRIC_SPAN_BYTES
            ),
            hint: "ask for a shorter time, fewer experiments, or traces with a tag",
        });
    }
    let wanted = Candidates {
        experiments: rows.experiments.clone(),
        filters: rows.trace_filters(),
        order: vec![(Ordering::Column("t.number", false), true)],
    };
    let mut groups = Groups::new(!percents.is_empty());
    let mut offset = 0;
    loop {
        let heads = store::candidates(tx, &wanted, PIECE, offset)?;
        for head in &heads {
            let mut found = store::contents_of(tx, &[head.number])?;
            let spans = parts::unpack(&head.trace_id, &found.remove(&head.number).unwrap_or_default())?;
            for span in &spans {
                add(&mut groups, rows, filters, span);
            }
        }
        if (heads.len() as i64) < PIECE {
            break;
        }
        offset += PIECE;
    }
    let mut found = groups.page(percents, page);
    // A count of nothing is none; of anything else there is no group.
    if found.is_empty() && rows.is_plain_count() && page.1 == 0 {
        found.push(MetricGroup::empty());
    }
    Ok(found)
}

fn add(groups: &mut Groups, rows: &MetricRows, filters: &[SpanFilter], span: &Span) {
    let span_type = span.span_type().unwrap_or_else(|| UNTYPED.to_owned());
    if !filters.iter().all(|filter| filter.passes(span, &span_type)) {
        return;
    }
    let Some(value) = value_of(span, &rows.metric) else {
        return;
    };
    let dimensions: Option<Vec<String>> = rows
        .dimensions
        .iter()
        .map(|name| match name.as_str() {
            "span_name" => Some(span.name.clone()),
            "span_status" => Some(span.status.short().to_owned()),
            "span_type" => Some(span_type.clone()),
            "span_model_name" => span.text_attribute(MODEL_ATTRIBUTE),
            _ => span.text_attribute(PROVIDER_ATTRIBUTE),
        })
        .collect();
    let Some(dimensions) = dimensions else { return };
    let start_ms = i64::try_from(span.start_ns / 1_000_000).unwrap_or(i64::MAX);
    let bucket_ms = if rows.interval_ms > 0 {
        start_ms - start_ms.rem_euclid(rows.interval_ms)
    } else {
        0
    };
    groups.add(bucket_ms, dimensions, value);
}

fn value_of(span: &Span, metric: &str) -> Option<f64> {
    match metric {
        "span_count" => Some(1.0),
        "latency" => Some((span.end_ns?.saturating_sub(span.start_ns) / 1_000_000) as f64),
        cost => {
            let costs: Value = serde_json::from_str(span.attribute(COST_ATTRIBUTE)?).ok()?;
            costs.get(cost)?.as_f64().filter(|amount| amount.is_finite())
        }
    }
}
