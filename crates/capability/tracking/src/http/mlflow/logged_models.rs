//! `logged-models/*`.

use axum::extract::State;
use corliss_http::{Json, Path};
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Value, json};

use super::{Answer, answer};
use crate::service::{NewLoggedModel, SearchScope, Tracking, experiment_id};

pub(super) async fn create(State(tracking): State<Tracking>, args: Args) -> Answer {
    let model = tracking
        .create_logged_model(NewLoggedModel {
            experiment_id: experiment_id(&args.required_text("experiment_id")?)?,
            name: args.text("name")?.filter(|name| !name.is_empty()),
            model_type: args.text("model_type")?.unwrap_or_default(),
            source_run_id: args.text("source_run_id")?.unwrap_or_default(),
            params: answer::read_pairs(&args, "params")?,
            tags: answer::read_pairs(&args, "tags")?,
        })
        .await?;
    Ok(Json(json!({ "model": answer::logged_model(&model) })))
}

pub(super) async fn get(State(tracking): State<Tracking>, Path(id): Path<String>, args: Args) -> Answer {
    let model = tracking.logged_model(id, args.flag("allow_deleted")?).await?;
    Ok(Json(json!({ "model": answer::logged_model(&model) })))
}

pub(super) async fn finish(State(tracking): State<Tracking>, Path(id): Path<String>, args: Args) -> Answer {
    let status = match args.text("status") {
        Ok(Some(name)) => match name.as_str() {
            "LOGGED_MODEL_PENDING" => 1,
            "LOGGED_MODEL_READY" => 2,
            "LOGGED_MODEL_UPLOAD_FAILED" => 3,
            other => return Err(WireError::invalid_value("status", other, "").into()),
        },
        Ok(None) => return Err(WireError::missing("status").into()),
        Err(_) => args.integer("status")?.unwrap_or(0),
    };
    let model = tracking.finish_logged_model(id, status).await?;
    Ok(Json(json!({ "model": answer::logged_model(&model) })))
}

pub(super) async fn delete(State(tracking): State<Tracking>, Path(id): Path<String>) -> Answer {
    tracking.delete_logged_model(id).await?;
    Ok(Json(json!({})))
}

pub(super) async fn log_params(
    State(tracking): State<Tracking>,
    Path(id): Path<String>,
    args: Args,
) -> Answer {
    tracking
        .describe_logged_model(id, answer::read_pairs(&args, "params")?, Vec::new())
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn set_tags(State(tracking): State<Tracking>, Path(id): Path<String>, args: Args) -> Answer {
    tracking
        .describe_logged_model(id, Vec::new(), answer::read_pairs(&args, "tags")?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(
    State(tracking): State<Tracking>,
    Path((id, key)): Path<(String, String)>,
) -> Answer {
    tracking.delete_logged_model_tag(id, key).await?;
    Ok(Json(json!({})))
}

pub(super) async fn search(State(tracking): State<Tracking>, args: Args) -> Answer {
    let ids = args.texts("experiment_ids")?;
    if ids.is_empty() {
        return Err(WireError::missing("experiment_ids").into());
    }
    if args.has("datasets") && !args.objects("datasets")?.is_empty() {
        return Err(WireError::new(
            "Searching logged models by the datasets of their metrics is not supported.",
        )
        .into());
    }
    let scope = SearchScope {
        filter: args.text("filter")?.unwrap_or_default(),
        order_by: args
            .objects("order_by")?
            .iter()
            .map(order)
            .collect::<Result<_, WireError>>()?,
        max_results: args.integer("max_results")?,
        page_token: args.text("page_token")?,
        ..SearchScope::default()
    };
    let ids = ids.iter().map(|id| experiment_id(id)).collect::<Result<_, _>>()?;
    let page = tracking.search_logged_models(ids, scope).await?;
    let items: Value = page.items.iter().map(answer::logged_model).collect();
    Ok(Json(answer::page("models", items, page.next_page_token)))
}

/// An order as an object, in the form of the other searches.
fn order(args: &Args) -> Result<String, WireError> {
    let ascending = !args.has("ascending") || args.flag("ascending")?;
    Ok(format!(
        "{} {}",
        args.required_text("field_name")?,
        if ascending { "ASC" } else { "DESC" }
    ))
}
