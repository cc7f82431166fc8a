//! `traces/metrics` and `traces/calculate-filter-correlation`.

use axum::extract::State;
use corliss_http::Json;
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Value, json};

use super::{Answer, answer, v3};
use crate::TracesError;
use crate::service::{Aggregation, CorrelationScope, MetricPoint, MetricQuery, MetricView, Traces};

/// One of these names, or its number in the protobuf, where they are numbered from one.
fn named(args: &Args, field: &str, names: &[&'static str]) -> Result<&'static str, WireError> {
    if !args.has(field) {
        return Err(WireError::missing(field));
    }
    if let Ok(Some(text)) = args.text(field)
        && let Some(name) = names.iter().find(|name| **name == text)
    {
        return Ok(name);
    }
    let number = args.integer(field).ok().flatten();
    let index = number.and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
    index.and_then(|index| names.get(index).copied()).ok_or_else(|| {
        let sent = args.value(field).map(Value::to_string).unwrap_or_default();
        WireError::invalid_value(field, &sent, &format!("it must be one of {}", names.join(", ")))
    })
}

fn view(args: &Args) -> Result<MetricView, WireError> {
    match named(args, "view_type", &["TRACES", "SPANS", "ASSESSMENTS"])? {
        "SPANS" => Ok(MetricView::Spans),
        "ASSESSMENTS" => Ok(MetricView::Assessments),
        _ => Ok(MetricView::Traces),
    }
}

fn aggregation(args: &Args) -> Result<Aggregation, WireError> {
    let kinds = ["COUNT", "SUM", "AVG", "PERCENTILE", "MIN", "MAX"];
    Ok(match named(args, "aggregation_type", &kinds)? {
        "SUM" => Aggregation::Sum,
        "AVG" => Aggregation::Avg,
        "MIN" => Aggregation::Min,
        "MAX" => Aggregation::Max,
        "PERCENTILE" => Aggregation::Percentile(args.required_real("percentile_value")?),
        _ => Aggregation::Count,
    })
}

fn experiments(args: &Args) -> Result<Vec<i64>, TracesError> {
    if !args.has("experiment_ids") {
        return Err(WireError::missing("experiment_ids").into());
    }
    v3::experiments(args)
}

fn point(metric: &str, point: &MetricPoint) -> Value {
    let mut fields = json!({ "metric_name": metric, "values": point.values });
    if !point.dimensions.is_empty() {
        fields["dimensions"] = json!(point.dimensions);
    }
    fields
}

pub(super) async fn query(State(traces): State<Traces>, args: Args) -> Answer {
    let experiment_ids = experiments(&args)?;
    let metric = args.required_text("metric_name")?;
    let query = MetricQuery {
        experiment_ids,
        view: view(&args)?,
        metric: metric.clone(),
        aggregations: args
            .objects("aggregations")?
            .iter()
            .map(aggregation)
            .collect::<Result<_, _>>()?,
        dimensions: args.texts("dimensions")?,
        filters: args.texts("filters")?,
        interval_s: args.integer("time_interval_seconds")?.unwrap_or(0),
        start_ms: args.integer("start_time_ms")?,
        end_ms: args.integer("end_time_ms")?,
        max_results: args.integer("max_results")?,
        page_token: args.text("page_token")?,
    };
    let page = traces.metrics(query).await?;
    let points: Value = page.items.iter().map(|found| point(&metric, found)).collect();
    Ok(Json(answer::page("data_points", points, page.next_page_token)))
}

pub(super) async fn correlation(State(traces): State<Traces>, args: Args) -> Answer {
    let found = traces
        .correlation(CorrelationScope {
            experiment_ids: experiments(&args)?,
            base: args.text("base_filter")?.unwrap_or_default(),
            first: args.required_text("filter_string1")?,
            second: args.required_text("filter_string2")?,
        })
        .await?;
    let mut fields = json!({
        "filter1_count": found.first,
        "filter2_count": found.second,
        "joint_count": found.both,
        "total_count": found.total,
    });
    for (name, figure) in [("npmi", found.npmi), ("npmi_smoothed", found.smoothed)] {
        if let Some(figure) = figure {
            fields[name] = json!(figure);
        }
    }
    Ok(Json(fields))
}
