//! Rows of tracking's tables as records.

use std::collections::BTreeMap;

use super::Row;
use super::cell::Cells;
use crate::error::SourceError;
use crate::metric::from_database;
use crate::model::{Dataset, Experiment, LoggedModel, ModelLink, ModelMetric, Pair, Point, Run};

const DELETED: &str = "deleted";

type ByOwner<T> = BTreeMap<String, Vec<T>>;

/// `owner, key, value`, in the order of the rows.
pub(super) fn pairs_by_owner(table: &'static str, rows: Vec<Row>) -> Result<ByOwner<Pair>, SourceError> {
    let mut found = ByOwner::new();
    for row in rows {
        let mut cells = Cells::of(table, row);
        let owner = cells.text("owner")?;
        let pair = Pair::new(cells.text("key")?, cells.opt_text("value")?.unwrap_or_default());
        found.entry(owner).or_default().push(pair);
    }
    Ok(found)
}

pub(super) fn experiment(row: Row) -> Result<Experiment, SourceError> {
    let mut cells = Cells::of("experiments", row);
    Ok(Experiment {
        id: cells.text("experiment_id")?,
        name: cells.text("name")?,
        is_deleted: cells.opt_text("lifecycle_stage")?.as_deref() == Some(DELETED),
        created_ms: cells.opt_integer("creation_time")?,
        updated_ms: cells.opt_integer("last_update_time")?,
        tags: Vec::new(),
    })
}

pub(super) fn run(row: Row) -> Result<Run, SourceError> {
    let mut cells = Cells::of("runs", row);
    Ok(Run {
        run_id: cells.text("run_uuid")?,
        name: cells.opt_text("name")?.unwrap_or_default(),
        user: cells.opt_text("user_id")?.unwrap_or_default(),
        status: cells.text("status")?,
        start_ms: cells.opt_integer("start_time")?.unwrap_or_default(),
        end_ms: cells.opt_integer("end_time")?,
        is_deleted: cells.opt_text("lifecycle_stage")?.as_deref() == Some(DELETED),
        deleted_ms: cells.opt_integer("deleted_time")?,
        artifact_uri: cells.opt_text("artifact_uri")?.unwrap_or_default(),
        params: Vec::new(),
        tags: Vec::new(),
        datasets: Vec::new(),
        models: Vec::new(),
        points: BTreeMap::new(),
    })
}

/// How many points each metric of each run has.
pub(super) fn counts(rows: Vec<Row>) -> Result<BTreeMap<String, BTreeMap<String, u64>>, SourceError> {
    let mut found: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for row in rows {
        let mut cells = Cells::of("metrics", row);
        let (run, key) = (cells.text("run_uuid")?, cells.text("key")?);
        let count = u64::try_from(cells.integer("count")?).unwrap_or(0);
        found.entry(run).or_default().insert(key, count);
    }
    Ok(found)
}

pub(super) fn point(row: Row) -> Result<Point, SourceError> {
    let mut cells = Cells::of("metrics", row);
    let key = cells.text("key")?;
    let (logged_ms, step) = (cells.integer("timestamp")?, cells.integer("step")?);
    let value = cells.real("value")?;
    let is_nan = cells.integer("is_nan")? != 0;
    Ok(Point {
        key,
        logged_ms,
        step,
        value: from_database(value, is_nan),
    })
}

/// Datasets of runs: a row for each tag of each, or one for a dataset without tags.
pub(super) fn datasets(rows: Vec<Row>) -> Result<ByOwner<Dataset>, SourceError> {
    let mut found: ByOwner<Dataset> = ByOwner::new();
    for row in rows {
        let mut cells = Cells::of("datasets", row);
        let run = cells.text("destination_id")?;
        let dataset = Dataset {
            name: cells.text("name")?,
            digest: cells.text("digest")?,
            source_type: cells.text("dataset_source_type")?,
            source: cells.text("dataset_source")?,
            schema: cells.opt_text("dataset_schema")?,
            profile: cells.opt_text("dataset_profile")?,
            tags: Vec::new(),
        };
        let tag = cells.opt_text("input_tags.name")?;
        let tag = match tag {
            Some(key) => Some(Pair::new(key, cells.text("input_tags.value")?)),
            None => None,
        };
        let of_run = found.entry(run).or_default();
        let known = of_run
            .iter_mut()
            .find(|known| known.name == dataset.name && known.digest == dataset.digest);
        match known {
            Some(known) => known.tags.extend(tag),
            None => of_run.push(Dataset {
                tags: tag.into_iter().collect(),
                ..dataset
            }),
        }
    }
    Ok(found)
}

/// Logged models that runs read or made.
pub(super) fn links(rows: Vec<Row>) -> Result<ByOwner<ModelLink>, SourceError> {
    let mut found = ByOwner::new();
    for row in rows {
        let mut cells = Cells::of("inputs", row);
        let (run, model_id) = (cells.text("source_id")?, cells.text("destination_id")?);
        let link = ModelLink {
            model_id,
            output: cells.text("source_type")? == "RUN_OUTPUT",
            step: cells.integer("step")?,
        };
        found.entry(run).or_default().push(link);
    }
    Ok(found)
}

pub(super) fn logged_model(row: Row) -> Result<LoggedModel, SourceError> {
    let mut cells = Cells::of("logged_models", row);
    Ok(LoggedModel {
        model_id: cells.text("model_id")?,
        name: cells.text("name")?,
        model_type: cells.opt_text("model_type")?.unwrap_or_default(),
        source_run_id: cells.opt_text("source_run_id")?.unwrap_or_default(),
        status: cells.integer("status")?,
        is_deleted: cells.opt_text("lifecycle_stage")?.as_deref() == Some(DELETED),
        created_ms: cells.integer("creation_timestamp_ms")?,
        updated_ms: cells.integer("last_updated_timestamp_ms")?,
        artifact_uri: cells.text("artifact_location")?,
        params: Vec::new(),
        tags: Vec::new(),
        metrics: Vec::new(),
    })
}

/// Metrics that speak of logged models, by model.
pub(super) fn model_metrics(rows: Vec<Row>) -> Result<ByOwner<ModelMetric>, SourceError> {
    let mut found = ByOwner::new();
    for row in rows {
        let mut cells = Cells::of("logged_model_metrics", row);
        let (model, run_id) = (cells.text("model_id")?, cells.text("run_id")?);
        let point = Point {
            key: cells.text("metric_name")?,
            logged_ms: cells.integer("metric_timestamp_ms")?,
            step: cells.integer("metric_step")?,
            value: from_database(cells.real("metric_value")?, false),
        };
        let (name, digest) = (cells.opt_text("dataset_name")?, cells.opt_text("dataset_digest")?);
        found.entry(model).or_default().push(ModelMetric {
            run_id,
            point,
            dataset: name.zip(digest),
        });
    }
    Ok(found)
}
