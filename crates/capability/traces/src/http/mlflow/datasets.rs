//! `datasets/…`: evaluation datasets, their tags, experiments and records.

use axum::extract::State;
use corliss_http::{Json, Path};
use corliss_mlflow_wire::{Args, WireError};
use serde_json::{Map, Value, json};

use super::{Answer, answer};
use crate::evaluation::{DatasetRecord, EvaluationDataset};
use crate::json::{canonical, spaced};
use crate::service::{DatasetScope, Evaluation, NewDataset};

/// A dataset in MLflow's JSON, in which its tags, schema and profile are texts.
fn dataset(dataset: &EvaluationDataset) -> Value {
    let experiment_ids: Vec<String> = dataset.experiment_ids.iter().map(i64::to_string).collect();
    let mut fields = json!({
        "dataset_id": dataset.id,
        "name": dataset.name,
        "tags": spaced(&dataset.tags),
        "digest": dataset.digest,
        "created_time": dataset.created_ms,
        "last_update_time": dataset.updated_ms,
        "experiment_ids": experiment_ids,
    });
    let schema = dataset.schema.as_ref();
    for (name, text) in [
        // One text for one schema, also where it was kept by an older server.
        ("schema", schema.map(canonical)),
        (
            "profile",
            schema.map(|_| spaced(&json!({ "num_records": dataset.records }))),
        ),
        ("created_by", dataset.created_by.clone()),
        ("last_updated_by", dataset.updated_by.clone()),
    ] {
        if let Some(text) = text {
            fields[name] = json!(text);
        }
    }
    fields
}

fn record(dataset_id: &str, record: &DatasetRecord) -> Value {
    let mut fields = json!({
        "dataset_record_id": record.id,
        "dataset_id": dataset_id,
        "inputs": record.inputs,
        "tags": record.tags,
        "created_time": record.created_ms,
        "last_update_time": record.updated_ms,
    });
    let source = record.source.as_ref();
    let (kind, trace_id) = (
        source.map(|source| source.kind.as_str()),
        source.and_then(|source| source.trace_id()),
    );
    for (name, value) in [
        (
            "outputs",
            Some(&record.outputs)
                .filter(|outputs| !outputs.is_null())
                .map(|outputs| json!(outputs)),
        ),
        (
            "expectations",
            record
                .expectations
                .as_ref()
                .map(|expectations| json!(expectations)),
        ),
        (
            "source",
            source.map(|source| json!({ "source_type": source.kind, "source_data": source.data })),
        ),
        ("source_type", kind.map(|kind| json!(kind))),
        ("source_id", trace_id.map(|id| json!(id))),
        ("created_by", record.created_by.as_ref().map(|user| json!(user))),
        (
            "last_updated_by",
            record.updated_by.as_ref().map(|user| json!(user)),
        ),
    ] {
        if let Some(value) = value {
            fields[name] = value;
        }
    }
    fields
}

/// Tags, which clients send as the JSON text of an object.
fn read_tags(args: &Args) -> Result<Option<Map<String, Value>>, WireError> {
    let Some(text) = args.text("tags")? else {
        return Ok(None);
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        WireError::invalid_value("tags", &text, &format!("it must be a JSON object ({error})"))
    })
}

fn of_dataset(found: &EvaluationDataset) -> Answer {
    Ok(Json(json!({ "dataset": dataset(found) })))
}

pub(super) async fn create(State(evaluation): State<Evaluation>, args: Args) -> Answer {
    let made = evaluation
        .create_dataset(NewDataset {
            name: args.required_text("name")?,
            experiment_ids: args.texts("experiment_ids")?,
            tags: read_tags(&args)?.unwrap_or_default(),
        })
        .await?;
    of_dataset(&made)
}

pub(super) async fn get(State(evaluation): State<Evaluation>, Path(id): Path<String>) -> Answer {
    of_dataset(&evaluation.dataset(id).await?)
}

pub(super) async fn delete(State(evaluation): State<Evaluation>, Path(id): Path<String>) -> Answer {
    evaluation.delete_dataset(id).await?;
    Ok(Json(json!({})))
}

pub(super) async fn search(State(evaluation): State<Evaluation>, args: Args) -> Answer {
    let page = evaluation
        .search_datasets(DatasetScope {
            experiment_ids: args.texts("experiment_ids")?,
            filter: args.text("filter_string")?.unwrap_or_default(),
            order_by: args.texts("order_by")?,
            max_results: args.integer("max_results")?,
            page_token: args.text("page_token")?,
        })
        .await?;
    let items: Value = page.items.iter().map(dataset).collect();
    Ok(Json(answer::page("datasets", items, page.next_page_token)))
}

pub(super) async fn set_tags(
    State(evaluation): State<Evaluation>,
    Path(id): Path<String>,
    args: Args,
) -> Answer {
    let tags = read_tags(&args)?.ok_or_else(|| WireError::missing("tags"))?;
    evaluation.set_dataset_tags(id, tags).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(
    State(evaluation): State<Evaluation>,
    Path((id, key)): Path<(String, String)>,
) -> Answer {
    evaluation.delete_dataset_tag(id, key).await?;
    Ok(Json(json!({})))
}

pub(super) async fn experiment_ids(State(evaluation): State<Evaluation>, Path(id): Path<String>) -> Answer {
    let found = evaluation.dataset(id).await?;
    let ids: Vec<String> = found.experiment_ids.iter().map(i64::to_string).collect();
    Ok(Json(json!({ "experiment_ids": ids })))
}

pub(super) async fn add_experiments(
    State(evaluation): State<Evaluation>,
    Path(id): Path<String>,
    args: Args,
) -> Answer {
    let experiments = args.texts("experiment_ids")?;
    of_dataset(&evaluation.add_to_experiments(id, experiments).await?)
}

pub(super) async fn remove_experiments(
    State(evaluation): State<Evaluation>,
    Path(id): Path<String>,
    args: Args,
) -> Answer {
    let experiments = args.texts("experiment_ids")?;
    of_dataset(&evaluation.remove_from_experiments(id, experiments).await?)
}

pub(super) async fn merge_records(
    State(evaluation): State<Evaluation>,
    Path(id): Path<String>,
    args: Args,
) -> Answer {
    let merged = evaluation
        .merge_records(id, args.required_text("records")?)
        .await?;
    Ok(Json(json!({
        "inserted_count": merged.inserted,
        "updated_count": merged.updated,
    })))
}

pub(super) async fn records(
    State(evaluation): State<Evaluation>,
    Path(id): Path<String>,
    args: Args,
) -> Answer {
    let page = evaluation
        .records(id.clone(), args.integer("max_results")?, args.text("page_token")?)
        .await?;
    let records: Vec<Value> = page.records.iter().map(|found| record(&id, found)).collect();
    Ok(Json(answer::page(
        "records",
        json!(spaced(&records)),
        page.next_page_token,
    )))
}

pub(super) async fn delete_records(
    State(evaluation): State<Evaluation>,
    Path(id): Path<String>,
    args: Args,
) -> Answer {
    let deleted = evaluation
        .delete_records(id, args.texts("dataset_record_ids")?)
        .await?;
    Ok(Json(json!({ "deleted_count": deleted })))
}
