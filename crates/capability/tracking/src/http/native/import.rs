//! `/api/v1/tracking/import`: moving in from another tracker, as `corliss experiments import` does.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::handler::Handler;
use axum::routing::post;
use corliss_http::{ApiError, Dialect, Json, Routes};
use corliss_types::{Access, Permission};
use http::Method;
use serde::{Deserialize, Serialize};

use crate::service::{
    FinishedRun, ImportExperiment, ImportModel, ImportPoints, ImportRun, ModelState, MovedIn, Outcome,
    PointsState, RunState,
};
use crate::types::{DatasetInput, KeyValue, LifecycleStage, Metric, ModelLink, RunStatus};
use crate::{Tracking, TrackingError, limits};

pub(super) fn routes(tracking: Tracking) -> Routes {
    let write = Access::Requires(Permission::TrackingWrite);
    let read = Access::Requires(Permission::TrackingRead);
    let routes = Routes::new();
    let routes = add(routes, &tracking, "experiments", write, experiment);
    let routes = add(routes, &tracking, "runs", write, runs);
    let routes = add(routes, &tracking, "points", write, points);
    let routes = add(routes, &tracking, "finish", write, finish);
    let routes = add(routes, &tracking, "logged-models", write, logged_models);
    let routes = add(routes, &tracking, "artifacts", read, artifacts);
    add(routes, &tracking, "state", read, state)
}

fn add<T: 'static>(
    routes: Routes,
    tracking: &Tracking,
    name: &str,
    access: Access,
    handler: impl Handler<T, Tracking>,
) -> Routes {
    let path = format!("/api/v1/tracking/import/{name}");
    let handler = post(handler).with_state(tracking.clone());
    routes
        .route(Method::POST, &path, access, Dialect::Native, handler)
        .body_limit(limits::IMPORT_BODY_BYTES)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    key: String,
    value: String,
}

fn pairs(pairs: Vec<Pair>) -> Vec<KeyValue> {
    let pairs = pairs.into_iter();
    pairs.map(|pair| KeyValue::new(pair.key, pair.value)).collect()
}

const fn stage(is_deleted: bool) -> LifecycleStage {
    match is_deleted {
        true => LifecycleStage::Deleted,
        false => LifecycleStage::Active,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Experiment {
    source: String,
    source_id: String,
    name: String,
    #[serde(default)]
    merge: bool,
    #[serde(default)]
    is_deleted: bool,
    created_ms: Option<i64>,
    updated_ms: Option<i64>,
    #[serde(default)]
    tags: Vec<Pair>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Moved {
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment_id: Option<i64>,
    name: String,
    created: bool,
    /// Whether it is deleted here, and restorable.
    is_deleted: bool,
}

async fn experiment(
    State(tracking): State<Tracking>,
    Json(sent): Json<Experiment>,
) -> Result<Json<Moved>, ApiError> {
    let moved = tracking
        .import_experiment(ImportExperiment {
            source: sent.source,
            source_id: sent.source_id,
            name: sent.name,
            merge: sent.merge,
            lifecycle: stage(sent.is_deleted),
            created_ms: sent.created_ms,
            updated_ms: sent.updated_ms,
            tags: pairs(sent.tags),
            dry_run: sent.dry_run,
        })
        .await?;
    Ok(Json(Moved {
        experiment_id: moved.id,
        name: moved.name,
        created: moved.created,
        is_deleted: moved.lifecycle == LifecycleStage::Deleted,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    source: String,
    experiment_id: i64,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    run_id: String,
    name: String,
    user: String,
    status: String,
    start_ms: i64,
    end_ms: Option<i64>,
    deleted_ms: Option<i64>,
    params: Vec<Pair>,
    tags: Vec<Pair>,
    datasets: Vec<Dataset>,
    models: Vec<Link>,
    metrics: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dataset {
    name: String,
    digest: String,
    source_type: String,
    source: String,
    schema: Option<String>,
    profile: Option<String>,
    tags: Vec<Pair>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    model_id: String,
    output: bool,
    step: i64,
}

/// What became of the things of a call.
#[derive(Serialize)]
struct Answer {
    taken: Vec<Taken>,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Taken {
    id: String,
    artifact_uri: String,
}

#[derive(Serialize)]
struct Refused {
    id: String,
    message: String,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        let taken = outcome.taken.into_iter().map(|one| Taken {
            id: one.id,
            artifact_uri: one.artifact_uri,
        });
        let refused = outcome.refused.into_iter().map(|one| Refused {
            id: one.id,
            message: one.message,
        });
        Self {
            taken: taken.collect(),
            refused: refused.collect(),
        }
    }
}

impl TryFrom<Run> for ImportRun {
    type Error = TrackingError;

    fn try_from(run: Run) -> Result<Self, TrackingError> {
        let status = RunStatus::parse(&run.status)
            .ok_or_else(|| TrackingError::invalid(format!("'{}' is no status of a run", run.status)))?;
        let datasets = run.datasets.into_iter().map(|dataset| DatasetInput {
            name: dataset.name,
            digest: dataset.digest,
            source_type: dataset.source_type,
            source: dataset.source,
            schema: dataset.schema,
            profile: dataset.profile,
            tags: pairs(dataset.tags),
        });
        let models = run.models.into_iter().map(|link| ModelLink {
            model_id: link.model_id,
            output: link.output,
            step: link.step,
        });
        Ok(Self {
            run_id: run.run_id,
            name: run.name,
            user: run.user,
            status,
            start_ms: run.start_ms,
            end_ms: run.end_ms,
            deleted_ms: run.deleted_ms,
            params: pairs(run.params),
            tags: pairs(run.tags),
            datasets: datasets.collect(),
            models: models.collect(),
            metrics: run.metrics,
        })
    }
}

async fn runs(State(tracking): State<Tracking>, Json(sent): Json<Runs>) -> Result<Json<Answer>, ApiError> {
    let runs = sent.runs.into_iter().map(ImportRun::try_from);
    let runs = runs.collect::<Result<Vec<_>, _>>()?;
    let outcome = tracking
        .import_runs(sent.source, sent.experiment_id, runs)
        .await?;
    Ok(Json(outcome.into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Points {
    runs: Vec<PointsOfRun>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PointsOfRun {
    run_id: String,
    metrics: Vec<History>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct History {
    key: String,
    /// Time, step, and the value as text: JSON has no not-a-number, and readers of JSON round.
    points: Vec<(i64, i64, String)>,
}

fn value(key: &str, text: &str) -> Result<f64, TrackingError> {
    text.parse()
        .map_err(|_| TrackingError::invalid(format!("'{text}' is no value of the metric '{key}'")))
}

#[derive(Serialize)]
struct Nothing {}

async fn points(
    State(tracking): State<Tracking>,
    Json(sent): Json<Points>,
) -> Result<Json<Nothing>, ApiError> {
    let mut runs = Vec::new();
    for run in sent.runs {
        let mut metrics = Vec::new();
        for history in run.metrics {
            for (logged_ms, step, text) in history.points {
                metrics.push(Metric {
                    value: value(&history.key, &text)?,
                    key: history.key.clone(),
                    logged_ms,
                    step,
                    model_id: None,
                    dataset: None,
                });
            }
        }
        runs.push(ImportPoints {
            run_id: run.run_id,
            metrics,
        });
    }
    tracking.import_points(runs).await?;
    Ok(Json(Nothing {}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    runs: Vec<Finished>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finished {
    run_id: String,
    digest: String,
    deleted_ms: Option<i64>,
}

async fn finish(
    State(tracking): State<Tracking>,
    Json(sent): Json<Finish>,
) -> Result<Json<Nothing>, ApiError> {
    let runs = sent.runs.into_iter().map(|run| FinishedRun {
        run_id: run.run_id,
        digest: run.digest,
        deleted_ms: run.deleted_ms,
    });
    tracking.finish_import(runs.collect()).await?;
    Ok(Json(Nothing {}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Models {
    experiment_id: i64,
    models: Vec<Model>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    model_id: String,
    name: String,
    model_type: String,
    source_run_id: String,
    status: i64,
    is_deleted: bool,
    created_ms: i64,
    updated_ms: i64,
    params: Vec<Pair>,
    tags: Vec<Pair>,
    metrics: Vec<ModelMetric>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelMetric {
    run_id: String,
    key: String,
    logged_ms: i64,
    step: i64,
    value: String,
    /// Name and digest.
    dataset: Option<(String, String)>,
}

async fn logged_models(
    State(tracking): State<Tracking>,
    Json(sent): Json<Models>,
) -> Result<Json<Answer>, ApiError> {
    let mut models = Vec::new();
    for model in sent.models {
        let mut metrics = Vec::new();
        for metric in model.metrics {
            let found = Metric {
                value: value(&metric.key, &metric.value)?,
                key: metric.key,
                logged_ms: metric.logged_ms,
                step: metric.step,
                model_id: Some(model.model_id.clone()),
                dataset: metric.dataset,
            };
            metrics.push((metric.run_id, found));
        }
        models.push(ImportModel {
            model_id: model.model_id,
            name: model.name,
            model_type: model.model_type,
            source_run_id: model.source_run_id,
            status: model.status,
            lifecycle: stage(model.is_deleted),
            created_ms: model.created_ms,
            updated_ms: model.updated_ms,
            params: pairs(model.params),
            tags: pairs(model.tags),
            metrics,
        });
    }
    let outcome = tracking.import_models(sent.experiment_id, models).await?;
    Ok(Json(outcome.into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    run_ids: Vec<String>,
    #[serde(default)]
    model_ids: Vec<String>,
}

#[derive(Serialize)]
struct Here {
    runs: Vec<RunHere>,
    models: Vec<ModelHere>,
}

#[derive(Serialize)]
struct RunHere {
    run_id: String,
    experiment_id: i64,
    experiment_name: String,
    /// Empty if it was begun only; absent if it was not moved in.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    lifecycle_stage: &'static str,
    name: String,
    user: String,
    status: &'static str,
    start_ms: i64,
    end_ms: Option<i64>,
    artifact_uri: String,
    params: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    datasets: Vec<String>,
    models: Vec<String>,
    points: BTreeMap<String, PointsHere>,
    artifacts: u64,
    artifact_bytes: u64,
}

#[derive(Serialize)]
struct PointsHere {
    count: u64,
    digest: String,
}

impl From<RunState> for RunHere {
    fn from(run: RunState) -> Self {
        Self {
            run_id: run.run_id,
            experiment_id: run.experiment_id,
            experiment_name: run.experiment_name,
            digest: run.digest,
            lifecycle_stage: run.lifecycle.as_str(),
            name: run.name,
            user: run.user,
            status: run.status.as_str(),
            start_ms: run.start_ms,
            end_ms: run.end_ms,
            artifact_uri: run.artifact_uri,
            params: run.params,
            tags: run.tags,
            datasets: run.datasets,
            models: run.models,
            points: run
                .points
                .into_iter()
                .map(|(key, PointsState { count, digest })| (key, PointsHere { count, digest }))
                .collect(),
            artifacts: run.artifacts,
            artifact_bytes: run.artifact_bytes,
        }
    }
}

#[derive(Serialize)]
struct ModelHere {
    model_id: String,
    experiment_id: i64,
    artifact_uri: String,
    artifacts: u64,
    artifact_bytes: u64,
}

impl From<ModelState> for ModelHere {
    fn from(model: ModelState) -> Self {
        Self {
            model_id: model.model_id,
            experiment_id: model.experiment_id,
            artifact_uri: model.artifact_uri,
            artifacts: model.artifacts,
            artifact_bytes: model.artifact_bytes,
        }
    }
}

async fn state(State(tracking): State<Tracking>, Json(asked): Json<Asked>) -> Result<Json<Here>, ApiError> {
    let MovedIn { runs, models } = tracking.import_state(asked.run_ids, asked.model_ids).await?;
    Ok(Json(Here {
        runs: runs.into_iter().map(RunHere::from).collect(),
        models: models.into_iter().map(ModelHere::from).collect(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Folder {
    /// Of artifacts, such as `3/0a1b…/artifacts/model`.
    folder: String,
}

#[derive(Serialize)]
struct Listed {
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    /// Of a file; absent for a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Content>,
}

#[derive(Serialize)]
struct Content {
    size_bytes: u64,
    /// The id that the same bytes have wherever they are.
    id: String,
}

async fn artifacts(
    State(tracking): State<Tracking>,
    Json(asked): Json<Folder>,
) -> Result<Json<Listed>, ApiError> {
    let entries = tracking.list_artifacts(asked.folder).await?.into_iter();
    Ok(Json(Listed {
        entries: entries
            .map(|entry| Entry {
                name: entry.name,
                file: entry
                    .size_bytes
                    .zip(entry.blob)
                    .map(|(size_bytes, id)| Content { size_bytes, id }),
            })
            .collect(),
    }))
}
