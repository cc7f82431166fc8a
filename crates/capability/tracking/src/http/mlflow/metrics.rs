//! `metrics/*`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_http::{ApiError, Json};
use corliss_mlflow_wire::{Args, WireError, offset_of};

use super::run_answer::{MetricAnswer, MetricOfRun, MetricPage, MetricsOfRuns};
use crate::limits;
use crate::service::Tracking;
use crate::types::Metric;

type Answered = Result<Response, ApiError>;

fn of_runs(metrics: &[(String, Metric)]) -> Response {
    let metrics = metrics.iter();
    let metrics = metrics.map(|(run_id, metric)| MetricOfRun::new(run_id, metric));
    Json(MetricsOfRuns {
        metrics: metrics.collect(),
    })
    .into_response()
}

pub(super) async fn history(State(tracking): State<Tracking>, args: Args) -> Answered {
    let run_id = args.run_id()?;
    let key = args.required_text("metric_key")?;
    let limit = args.integer("max_results")?;
    if let Some(limit) = limit.filter(|limit| *limit <= 0) {
        return Err(WireError::new(format!(
            "Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer."
        ))
        .into());
    }
    let offset = offset_of(args.text("page_token")?.as_deref())?;
    let page = tracking.metric_history(run_id, key, limit, offset).await?;
    let metrics = page.items.iter().map(MetricAnswer::from).collect();
    let next_page_token = page.next_page_token;
    Ok(Json(MetricPage {
        metrics,
        next_page_token,
    })
    .into_response())
}

pub(super) async fn history_bulk(State(tracking): State<Tracking>, args: Args) -> Answered {
    let run_ids = args.texts("run_id")?;
    let key = args.text("metric_key")?;
    let key = key.ok_or_else(|| WireError::new("GetMetricHistoryBulk request must specify a metric_key."))?;
    let limit = args.integer("max_results")?.unwrap_or(limits::HISTORY_BULK_ROWS);
    let metrics = tracking.metric_history_bulk(run_ids, key, limit).await?;
    Ok(of_runs(&metrics))
}

pub(super) async fn history_interval(State(tracking): State<Tracking>, args: Args) -> Answered {
    let run_ids = args.texts("run_ids")?;
    if run_ids.is_empty() {
        return Err(WireError::missing("run_ids").into());
    }
    let key = args.required_text("metric_key")?;
    let range = match (args.integer("start_step")?, args.integer("end_step")?) {
        (None, None) => None,
        (Some(start), Some(end)) => Some((start, end)),
        _ => {
            let message = "If either start step or end step are specified, both must be specified.";
            return Err(WireError::new(message).into());
        }
    };
    let points = args
        .integer("max_results")?
        .unwrap_or(limits::HISTORY_INTERVAL_POINTS);
    let metrics = tracking
        .metric_history_interval(run_ids, key, range, points)
        .await?;
    Ok(of_runs(&metrics))
}
