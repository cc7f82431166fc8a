//! `logged-models/*`.

use axum::extract::State;
use corliss_http::{Json, Path};
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Value, json};

use super::{Answer, answer};
use crate::service::{LoggedModelSearch, NewLoggedModel, SearchScope, Tracking, experiment_id};
use crate::types::{DatasetKey, ModelOrder};

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
    if !args.has("experiment_ids") {
        return Err(WireError::missing("experiment_ids").into());
    }
    let ids = args.texts("experiment_ids")?;
    let datasets = args.objects("datasets")?;
    let search = LoggedModelSearch {
        experiment_ids: ids.iter().map(|id| experiment_id(id)).collect::<Result<_, _>>()?,
        scope: SearchScope {
            filter: args.text("filter")?.unwrap_or_default(),
            max_results: args.integer("max_results")?,
            page_token: args.text("page_token")?,
            ..SearchScope::default()
        },
        order_by: args
            .objects("order_by")?
            .iter()
            .map(order)
            .collect::<Result<_, _>>()?,
        datasets: datasets
            .iter()
            .map(|named| {
                let message = "`dataset_name` in the `datasets` clause must be specified.";
                dataset(named)?.ok_or_else(|| WireError::new(message))
            })
            .collect::<Result<_, _>>()?,
    };
    let page = tracking.search_logged_models(search).await?;
    let items: Value = page.items.iter().map(answer::logged_model).collect();
    Ok(Json(answer::page("models", items, page.next_page_token)))
}

fn order(args: &Args) -> Result<ModelOrder, WireError> {
    Ok(ModelOrder {
        field: args.text("field_name")?.unwrap_or_default(),
        ascending: !args.has("ascending") || args.flag("ascending")?,
        dataset: dataset(args)?,
    })
}

/// The dataset that is named here, if one is.
fn dataset(args: &Args) -> Result<Option<DatasetKey>, WireError> {
    let given = |name| args.text(name).map(|text| text.filter(|text| !text.is_empty()));
    let digest = given("dataset_digest")?;
    Ok(given("dataset_name")?.map(|name| DatasetKey { name, digest }))
}
