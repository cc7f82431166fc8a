//! Rows of tracking's tables as records.

use std::collections::BTreeMap;

use super::Row;
use super::cell::Cells;
use crate::error::SourceError;
use crate::metric::from_database;
use crate::model::{Dataset, Experiment, LoggedModel, ModelLink, ModelMetric, Pair, Point, Run, STATUSES};

const DELETED: &str = "deleted";

/// What hangs on others, by its owner: what could be read, and the first thing of each owner that could not.
pub(super) struct ByOwner<T> {
    found: BTreeMap<String, Vec<T>>,
    damaged: BTreeMap<String, SourceError>,
}

impl<T> ByOwner<T> {
    pub fn none() -> Self {
        Self {
            found: BTreeMap::new(),
            damaged: BTreeMap::new(),
        }
    }

    /// Of rows whose first column names the owner, in their order.
    pub fn read(
        table: &'static str,
        owner: &'static str,
        rows: Vec<Row>,
        mut add: impl FnMut(&mut Cells, &mut Vec<T>) -> Result<(), SourceError>,
    ) -> Result<Self, SourceError> {
        let mut all = Self::none();
        for row in rows {
            let mut cells = Cells::of(table, row);
            let owner = cells.text(owner)?;
            if let Err(error) = add(&mut cells, all.found.entry(owner.clone()).or_default()) {
                all.damaged.entry(owner).or_insert(error);
            }
        }
        Ok(all)
    }

    /// Hands over what one owner has; an error if some of it cannot be read.
    pub fn take(&mut self, owner: &str) -> Result<Vec<T>, SourceError> {
        match self.damaged.remove(owner) {
            Some(error) => Err(error),
            None => Ok(self.found.remove(owner).unwrap_or_default()),
        }
    }
}

/// Keys with texts, of tables with the columns `owner`, `key` and `value`.
pub(super) fn pairs(
    table: &'static str,
    [owner, key, value]: [&'static str; 3],
    rows: Vec<Row>,
) -> Result<ByOwner<Pair>, SourceError> {
    ByOwner::read(table, owner, rows, |cells, found| {
        found.push(Pair::new(
            cells.text(key)?,
            cells.opt_text(value)?.unwrap_or_default(),
        ));
        Ok(())
    })
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
    let run_id = cells.text("run_uuid")?;
    let name = cells.opt_text("name")?.unwrap_or_default();
    let user = cells.opt_text("user_id")?.unwrap_or_default();
    let status = cells.text("status")?;
    if !STATUSES.contains(&status.as_str()) {
        return Err(cells.wrong("status", &format!("'{status}', which is none of a run")));
    }
    Ok(Run {
        run_id,
        name,
        user,
        status,
        start_ms: cells.opt_integer("start_time")?.unwrap_or_default(),
        end_ms: cells.opt_integer("end_time")?,
        is_deleted: cells.opt_text("lifecycle_stage")?.as_deref() == Some(DELETED),
        deleted_ms: cells.opt_integer("deleted_time")?,
        artifact_uri: cells.opt_text("artifact_uri")?.unwrap_or_default(),
        params: Vec::new(),
        tags: Vec::new(),
        datasets: Vec::new(),
        models: Vec::new(),
    })
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
    ByOwner::read(
        "datasets",
        "destination_id",
        rows,
        |cells, of_run: &mut Vec<Dataset>| {
            let dataset = Dataset {
                name: cells.text("name")?,
                digest: cells.text("digest")?,
                source_type: cells.text("dataset_source_type")?,
                source: cells.text("dataset_source")?,
                schema: cells.opt_text("dataset_schema")?,
                profile: cells.opt_text("dataset_profile")?,
                tags: Vec::new(),
            };
            let tag = match cells.opt_text("input_tags.name")? {
                Some(key) => Some(Pair::new(key, cells.text("input_tags.value")?)),
                None => None,
            };
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
            Ok(())
        },
    )
}

/// Logged models that runs read or made.
pub(super) fn links(rows: Vec<Row>) -> Result<ByOwner<ModelLink>, SourceError> {
    ByOwner::read("inputs", "source_id", rows, |cells, found| {
        found.push(ModelLink {
            model_id: cells.text("destination_id")?,
            output: cells.text("source_type")? == "RUN_OUTPUT",
            step: cells.integer("step")?,
        });
        Ok(())
    })
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
    ByOwner::read("logged_model_metrics", "model_id", rows, |cells, found| {
        let run_id = cells.text("run_id")?;
        let point = Point {
            key: cells.text("metric_name")?,
            logged_ms: cells.integer("metric_timestamp_ms")?,
            step: cells.integer("metric_step")?,
            value: from_database(cells.real("metric_value")?, false),
        };
        let (name, digest) = (cells.opt_text("dataset_name")?, cells.opt_text("dataset_digest")?);
        found.push(ModelMetric {
            run_id,
            point,
            dataset: name.zip(digest),
        });
        Ok(())
    })
}
