//! `runs/{create,get,update,delete,restore,search}`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use corliss_http::{ApiError, Json};
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Value, json};

use super::run_answer::{RunAnswer, RunInfoAnswer, RunPage};
use super::{Answer, answer};
use crate::TrackingError;
use crate::service::{NewRun, RunSearch, SearchScope, Tracking, check_run_id, experiment_id};
use crate::types::{LifecycleStage, RunStatus};

pub(super) async fn create(State(tracking): State<Tracking>, args: Args) -> Answer {
    // No experiment means the default one, as in the reference server.
    let experiment = args
        .text("experiment_id")?
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| "0".to_owned());
    let run = tracking
        .create_run(NewRun {
            experiment_id: experiment_id(&experiment)?,
            user: args.text("user_id")?.unwrap_or_default(),
            start_ms: args.integer("start_time")?,
            name: args.text("run_name")?,
            tags: answer::read_pairs(&args, "tags")?,
        })
        .await?;
    Ok(Json(json!({ "run": RunAnswer::from(&run) })))
}

pub(super) async fn get(State(tracking): State<Tracking>, args: Args) -> Answer {
    let run_id = args.run_id()?;
    // No run has such an id, and not every database takes it.
    check_run_id(&run_id).map_err(|_| TrackingError::run_not_found(&run_id))?;
    let run = tracking.run(run_id).await?;
    Ok(Json(json!({ "run": RunAnswer::from(&run) })))
}

pub(super) async fn update(State(tracking): State<Tracking>, args: Args) -> Answer {
    let run_id = args.run_id()?;
    let status = match status_text(&args)? {
        None => None,
        Some(text) => match RunStatus::parse(&text) {
            Some(status) => Some(status),
            None => return Err(unknown_status(&args, &text).into()),
        },
    };
    let info = tracking
        .update_run(run_id, status, args.integer("end_time")?, args.text("run_name")?)
        .await?;
    Ok(Json(json!({ "run_info": RunInfoAnswer::from(&info) })))
}

fn unknown_status(args: &Args, text: &str) -> WireError {
    match args.value("status") {
        Some(number @ Value::Number(_)) => WireError::wrong_type("status", number),
        _ => WireError::invalid_value("status", text, ""),
    }
}

/// An enumeration comes as its name, or as its number.
fn status_text(args: &Args) -> Result<Option<String>, WireError> {
    match args.text("status") {
        Ok(text) => Ok(text),
        Err(error) => match args.integer("status") {
            Ok(number) => Ok(number.map(|number| number.to_string())),
            Err(_) => Err(error),
        },
    }
}

pub(super) async fn delete(State(tracking): State<Tracking>, args: Args) -> Answer {
    tracking
        .set_run_stage(args.run_id()?, LifecycleStage::Deleted)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn restore(State(tracking): State<Tracking>, args: Args) -> Answer {
    tracking
        .set_run_stage(args.run_id()?, LifecycleStage::Active)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn search(State(tracking): State<Tracking>, args: Args) -> Result<Response, ApiError> {
    let ids = args.texts("experiment_ids")?;
    let search = RunSearch {
        experiment_ids: ids.iter().map(|id| experiment_id(id)).collect::<Result<_, _>>()?,
        scope: SearchScope {
            view: answer::read_view(&args, "run_view_type")?,
            filter: args.text("filter")?.unwrap_or_default(),
            order_by: args.texts("order_by")?,
            max_results: args.integer("max_results")?,
            page_token: args.text("page_token")?,
        },
    };
    let page = tracking.search_runs(search).await?;
    let runs = page.items.iter().map(RunAnswer::from).collect();
    let next_page_token = page.next_page_token;
    Ok(Json(RunPage {
        runs,
        next_page_token,
    })
    .into_response())
}
