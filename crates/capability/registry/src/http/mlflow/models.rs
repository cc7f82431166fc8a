//! `registered-models/*`.

use axum::extract::State;
use corliss_http::Json;
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Value, json};

use super::{Answer, answer, refusal};
use crate::http::acting::Acting;
use crate::service::Expected;
use crate::types::{Model, Stage};
use crate::{Registry, RegistryError};

async fn shown(registry: &Registry, model: &Model) -> Result<Value, RegistryError> {
    let latest = registry.latest_by_stage(model.name.clone(), Vec::new()).await?;
    Ok(json!({ "registered_model": answer::model(model, &latest) }))
}

pub(super) async fn create(Acting(registry): Acting, args: Args) -> Answer {
    let name = args.required_text("name")?;
    let description = args.text("description")?.unwrap_or_default();
    let model = registry
        .create_model(name, description, answer::read_tags(&args)?)
        .await?;
    Ok(Json(json!({ "registered_model": answer::model(&model, &[]) })))
}

pub(super) async fn get(State(registry): State<Registry>, args: Args) -> Answer {
    let model = registry.model(args.required_text("name")?).await?;
    Ok(Json(shown(&registry, &model).await?))
}

pub(super) async fn update(Acting(registry): Acting, args: Args) -> Answer {
    let name = args.required_text("name")?;
    let model = registry
        .describe_model(name, args.text("description")?.unwrap_or_default())
        .await?;
    Ok(Json(shown(&registry, &model).await?))
}

pub(super) async fn rename(Acting(registry): Acting, args: Args) -> Answer {
    let new_name = args.required_text("new_name")?;
    let model = registry
        .rename_model(args.required_text("name")?, new_name)
        .await?;
    Ok(Json(shown(&registry, &model).await?))
}

pub(super) async fn delete(Acting(registry): Acting, args: Args) -> Answer {
    registry.delete_model(args.required_text("name")?).await?;
    Ok(Json(json!({})))
}

pub(super) async fn search(State(registry): State<Registry>, args: Args) -> Answer {
    let (models, token) = registry.search_models(answer::read_search(&args)?).await?;
    let names = models.iter().map(|model| model.name.clone()).collect();
    let mut latest = registry.latest_of(names).await?;
    let items: Value = models
        .iter()
        .map(|model| answer::model(model, &latest.remove(&model.name).unwrap_or_default()))
        .collect();
    Ok(Json(answer::page("registered_models", items, token)))
}

pub(super) async fn set_tag(Acting(registry): Acting, args: Args) -> Answer {
    registry
        .set_model_tag(args.required_text("name")?, answer::read_tag(&args)?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(Acting(registry): Acting, args: Args) -> Answer {
    registry
        .delete_model_tag(args.required_text("name")?, args.required_text("key")?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn latest(State(registry): State<Registry>, args: Args) -> Answer {
    let stages = args
        .texts("stages")?
        .iter()
        .map(|text| stage(text))
        .collect::<Result<_, _>>()?;
    let versions = registry
        .latest_by_stage(args.required_text("name")?, stages)
        .await?;
    Ok(Json(
        json!({ "model_versions": versions.iter().map(answer::version).collect::<Value>() }),
    ))
}

pub(super) fn stage(text: &str) -> Result<Stage, WireError> {
    Stage::parse(text).ok_or_else(|| {
        WireError::new(format!(
            "Invalid Model Version stage: {text}. Value must be one of None, Staging, Production, Archived."
        ))
    })
}

pub(super) async fn set_alias(Acting(registry): Acting, args: Args) -> Answer {
    let (name, alias) = (args.required_text("name")?, args.required_text("alias")?);
    registry
        .set_alias(name, alias, answer::read_version(&args)?, Expected::Any)
        .await?;
    Ok(Json(json!({})))
}

/// Deleting an alias that is not there succeeds, as in the reference server.
pub(super) async fn delete_alias(Acting(registry): Acting, args: Args) -> Answer {
    registry
        .delete_alias(args.required_text("name")?, args.required_text("alias")?)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn get_alias(State(registry): State<Registry>, args: Args) -> Answer {
    let (name, alias) = (args.required_text("name")?, args.required_text("alias")?);
    match registry.version_by_alias(name, alias).await {
        Ok(version) => Ok(Json(json!({ "model_version": answer::version(&version) }))),
        // The reference server calls this one a wrong parameter; its clients compare the code.
        Err(error @ RegistryError::AliasNotFound { .. }) => {
            Err(WireError::new(refusal::sentence(&error)).into())
        }
        Err(error) => Err(error.into()),
    }
}
