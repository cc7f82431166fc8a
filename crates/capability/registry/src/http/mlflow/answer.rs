//! Our things in MLflow's JSON.

use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Map, Value, json};

use crate::ForeignSource;
use crate::service::Search;
use crate::types::{KeyValue, Model, ModelVersion};

fn pairs(pairs: &[KeyValue]) -> Value {
    pairs
        .iter()
        .map(|pair| json!({ "key": pair.key, "value": pair.value }))
        .collect()
}

pub(super) fn version(version: &ModelVersion) -> Value {
    let mut fields = json!({
        "name": version.name,
        "version": version.version.to_string(),
        "creation_timestamp": version.created_ms,
        "last_updated_timestamp": version.updated_ms,
        "current_stage": version.stage.as_str(),
        "description": version.description,
        "source": version.source,
        "run_id": version.tracking_run_id.as_deref().unwrap_or_default(),
        "run_link": version.run_link,
        "status": "READY",
        "tags": pairs(&version.tags),
        "aliases": version.aliases,
    });
    if let (Some(model_id), Value::Object(fields)) = (&version.logged_model_id, &mut fields) {
        fields.insert("model_id".to_owned(), json!(model_id));
    }
    fields
}

/// A model; clients show the latest version of each stage with it.
pub(super) fn model(model: &Model, latest: &[ModelVersion]) -> Value {
    let aliases: Value = model
        .aliases
        .iter()
        .map(|(alias, version)| json!({ "alias": alias, "version": version.to_string() }))
        .collect();
    json!({
        "name": model.name,
        "creation_timestamp": model.created_ms,
        "last_updated_timestamp": model.updated_ms,
        "description": model.description,
        "latest_versions": latest.iter().map(version).collect::<Value>(),
        "tags": pairs(&model.tags),
        "aliases": aliases,
    })
}

pub(super) fn page(name: &str, items: Value, next_page_token: Option<String>) -> Value {
    let mut fields = Map::new();
    fields.insert(name.to_owned(), items);
    if let Some(token) = next_page_token {
        fields.insert("next_page_token".to_owned(), json!(token));
    }
    Value::Object(fields)
}

pub(super) fn read_tags(args: &Args) -> Result<Vec<KeyValue>, WireError> {
    args.objects("tags")?
        .iter()
        .map(|tag| {
            Ok(KeyValue {
                key: tag.text("key")?.unwrap_or_default(),
                value: tag.text("value")?.unwrap_or_default(),
            })
        })
        .collect()
}

pub(super) fn read_tag(args: &Args) -> Result<KeyValue, WireError> {
    Ok(KeyValue {
        key: args.required_text("key")?,
        value: args.text("value")?.unwrap_or_default(),
    })
}

/// The source of a version and who it is said to come from.
pub(super) fn read_source(args: &Args) -> Result<ForeignSource, WireError> {
    let given = |name| args.text(name).map(|text| text.filter(|text| !text.is_empty()));
    Ok(ForeignSource {
        source: args.required_text("source")?,
        run_id: given("run_id")?,
        model_id: given("model_id")?,
    })
}

/// A version number, which this dialect writes as a text.
pub(super) fn read_version(args: &Args) -> Result<i64, WireError> {
    match args.text("version") {
        Ok(Some(text)) if !text.is_empty() => text
            .parse()
            .map_err(|_| WireError::new(format!("Parameter 'version' must be an integer, got '{text}'."))),
        Ok(_) => Err(WireError::missing("version")),
        Err(_) => args
            .integer("version")?
            .ok_or_else(|| WireError::missing("version")),
    }
}

pub(super) fn read_search(args: &Args) -> Result<Search, WireError> {
    Ok(Search {
        filter: args.text("filter")?.unwrap_or_default(),
        order_by: args.texts("order_by")?,
        max_results: args.integer("max_results")?,
        page_token: args.text("page_token")?,
    })
}
