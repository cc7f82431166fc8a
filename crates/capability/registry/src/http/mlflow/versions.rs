//! `model-versions/*`.

use axum::extract::State;
use corliss_http::Json;
use corliss_mlflow_wire::Args;
use serde_json::{Value, json};

use super::{Answer, answer, models};
use crate::types::ModelVersion;
use crate::{ForeignSource, Registry};

fn shown(version: &ModelVersion) -> Json<Value> {
    Json(json!({ "model_version": answer::version(version) }))
}

pub(super) async fn create(State(registry): State<Registry>, args: Args) -> Answer {
    let name = args.required_text("name")?;
    let given = |name| args.text(name).map(|text| text.filter(|text| !text.is_empty()));
    let source = ForeignSource {
        source: args.required_text("source")?,
        run_id: given("run_id")?,
        model_id: given("model_id")?,
    };
    let run_link = given("run_link")?.unwrap_or_default();
    let description = given("description")?.unwrap_or_default();
    let tags = answer::read_tags(&args)?;
    Ok(shown(
        &registry
            .register_foreign(name, source, run_link, description, tags)
            .await?,
    ))
}

pub(super) async fn get(State(registry): State<Registry>, args: Args) -> Answer {
    let version = registry
        .version(args.required_text("name")?, answer::read_version(&args)?)
        .await?;
    Ok(shown(&version))
}

pub(super) async fn search(State(registry): State<Registry>, args: Args) -> Answer {
    let (versions, token) = registry.search_versions(answer::read_search(&args)?).await?;
    Ok(Json(answer::page(
        "model_versions",
        versions.iter().map(answer::version).collect(),
        token,
    )))
}

pub(super) async fn download_uri(State(registry): State<Registry>, args: Args) -> Answer {
    let version = registry
        .version(args.required_text("name")?, answer::read_version(&args)?)
        .await?;
    Ok(Json(json!({ "artifact_uri": version.source })))
}

pub(super) async fn update(State(registry): State<Registry>, args: Args) -> Answer {
    let number = answer::read_version(&args)?;
    let version = registry
        .describe_version(args.required_text("name")?, number, args.text("description")?)
        .await?;
    Ok(shown(&version))
}

pub(super) async fn delete(State(registry): State<Registry>, args: Args) -> Answer {
    registry
        .delete_version(args.required_text("name")?, answer::read_version(&args)?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn transition(State(registry): State<Registry>, args: Args) -> Answer {
    let stage = models::stage(&args.required_text("stage")?)?;
    let number = answer::read_version(&args)?;
    let archive = args.flag("archive_existing_versions")?;
    Ok(shown(
        &registry
            .set_stage(args.required_text("name")?, number, stage, archive)
            .await?,
    ))
}

pub(super) async fn set_tag(State(registry): State<Registry>, args: Args) -> Answer {
    let number = answer::read_version(&args)?;
    registry
        .set_version_tag(args.required_text("name")?, number, answer::read_tag(&args)?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(State(registry): State<Registry>, args: Args) -> Answer {
    let number = answer::read_version(&args)?;
    registry
        .delete_version_tag(args.required_text("name")?, number, args.required_text("key")?)
        .await?;
    Ok(Json(json!({})))
}
