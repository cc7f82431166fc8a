//! `experiments/*`.

use axum::extract::State;
use corliss_http::Json;
use corliss_mlflow_wire::Args;
use serde_json::{Value, json};

use super::{Answer, answer};
use crate::service::{SearchScope, Tracking};
use crate::types::{KeyValue, LifecycleStage};

fn id_of(args: &Args) -> Result<i64, crate::TrackingError> {
    crate::service::experiment_id(&args.required_text("experiment_id")?)
}

pub(super) async fn create(State(tracking): State<Tracking>, args: Args) -> Answer {
    let name = args.required_text("name")?;
    let tags = answer::read_pairs(&args, "tags")?;
    let id = tracking
        .create_experiment(name, args.text("artifact_location")?, tags)
        .await?;
    Ok(Json(json!({ "experiment_id": id.to_string() })))
}

pub(super) async fn get(State(tracking): State<Tracking>, args: Args) -> Answer {
    let experiment = tracking.experiment(id_of(&args)?).await?;
    Ok(Json(json!({ "experiment": answer::experiment(&experiment) })))
}

pub(super) async fn get_by_name(State(tracking): State<Tracking>, args: Args) -> Answer {
    let experiment = tracking
        .experiment_by_name(args.required_text("experiment_name")?)
        .await?;
    Ok(Json(json!({ "experiment": answer::experiment(&experiment) })))
}

pub(super) async fn search(State(tracking): State<Tracking>, args: Args) -> Answer {
    let scope = SearchScope {
        view: answer::read_view(&args, "view_type")?,
        filter: args.text("filter")?.unwrap_or_default(),
        order_by: args.texts("order_by")?,
        max_results: args.integer("max_results")?,
        page_token: args.text("page_token")?,
    };
    let page = tracking.search_experiments(scope).await?;
    let items: Value = page.items.iter().map(answer::experiment).collect();
    Ok(Json(answer::page("experiments", items, page.next_page_token)))
}

pub(super) async fn delete(State(tracking): State<Tracking>, args: Args) -> Answer {
    tracking
        .set_experiment_stage(id_of(&args)?, LifecycleStage::Deleted)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn restore(State(tracking): State<Tracking>, args: Args) -> Answer {
    tracking
        .set_experiment_stage(id_of(&args)?, LifecycleStage::Active)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn update(State(tracking): State<Tracking>, args: Args) -> Answer {
    tracking
        .rename_experiment(id_of(&args)?, args.required_text("new_name")?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn set_tag(State(tracking): State<Tracking>, args: Args) -> Answer {
    let id = id_of(&args)?;
    let tag = KeyValue::new(
        args.required_text("key")?,
        args.text("value")?.unwrap_or_default(),
    );
    tracking.set_experiment_tag(id, tag).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(State(tracking): State<Tracking>, args: Args) -> Answer {
    tracking
        .delete_experiment_tag(id_of(&args)?, args.required_text("key")?)
        .await?;
    Ok(Json(json!({})))
}
