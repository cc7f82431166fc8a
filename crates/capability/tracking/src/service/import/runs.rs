//! Runs that are moved in, and the points of their metrics.

use corliss_metastore::Tx;

use super::super::experiments::existing;
use super::super::inputs::check_dataset;
use super::super::log::{check_metric, check_metric_name, check_param, write_params};
use super::super::runs::{artifact_uri, check_run_id, check_tag};
use super::super::{Tracking, location_of};
use super::{Outcome, Refusal, Taken, check_count, check_place, check_source, is_refusal};
use crate::store::{Numbered, NumberedText, Point, RunRef};
use crate::types::{
    DatasetInput, Experiment, KeyValue, LifecycleStage, Metric, ModelLink, RunInfo, RunStatus,
};
use crate::{TrackingError, limits, store};

/// A run of a source, without the points of its metrics.
#[derive(Debug, Clone)]
pub struct ImportRun {
    /// Its id, there and here.
    pub run_id: String,
    /// Name for people.
    pub name: String,
    /// Who started it.
    pub user: String,
    /// State.
    pub status: RunStatus,
    /// Unix milliseconds.
    pub start_ms: i64,
    /// Unix milliseconds; absent if it did not end.
    pub end_ms: Option<i64>,
    /// When it was deleted in its source, if it is deleted there: it is so here from the beginning.
    pub deleted_ms: Option<i64>,
    /// Parameters.
    pub params: Vec<KeyValue>,
    /// Tags.
    pub tags: Vec<KeyValue>,
    /// Datasets it read.
    pub datasets: Vec<DatasetInput>,
    /// Logged models it read or made.
    pub models: Vec<ModelLink>,
    /// Names of the metrics whose points will follow: a run that has one that is not allowed is refused as a whole.
    pub metrics: Vec<String>,
}

/// Points of a run.
#[derive(Debug, Clone)]
pub struct ImportPoints {
    /// The run, which is begun.
    pub run_id: String,
    /// What it logged.
    pub metrics: Vec<Metric>,
}

/// A run of which everything is here.
#[derive(Debug, Clone)]
pub struct FinishedRun {
    /// The run.
    pub run_id: String,
    /// What tells this state of it in its source from another.
    pub digest: String,
    /// When it was deleted in its source, if it is deleted there.
    pub deleted_ms: Option<i64>,
}

/// A run whose keys have numbers.
#[derive(Clone)]
struct Prepared {
    run: ImportRun,
    number: i64,
    params: Vec<NumberedText>,
    tags: Vec<NumberedText>,
}

impl Tracking {
    /// Begins runs, or opens them again: writes all of each but its points. A run that is here and was not moved in, or is
    /// in another experiment, is refused.
    ///
    /// # Errors
    /// There is no such experiment, or the call carries too much. A run that is wrong is refused by itself.
    pub async fn import_runs(
        &self,
        source: String,
        experiment_id: i64,
        runs: Vec<ImportRun>,
    ) -> Result<Outcome, TrackingError> {
        check_source(&source)?;
        check_count("runs", runs.len(), limits::IMPORT_RUNS)?;
        let mut refused = Vec::new();
        let mut prepared = Vec::new();
        for run in runs {
            if let Err(error) = check_run(&run) {
                refused.push(refusal(&run, &error));
                continue;
            }
            prepared.push(Prepared {
                number: self.next_run_no(),
                params: self.numbered(&run.params).await?,
                tags: self.numbered(&run.tags).await?,
                run,
            });
        }
        self.store
            .write(move |tx| {
                let experiment = existing(tx, experiment_id)?;
                let mut outcome = Outcome {
                    taken: Vec::new(),
                    refused: refused.clone(),
                };
                for one in &prepared {
                    match take_run(tx, &source, &experiment, one) {
                        Ok(artifact_uri) => outcome.taken.push(Taken {
                            id: one.run.run_id.clone(),
                            artifact_uri,
                        }),
                        Err(error) if is_refusal(&error) => outcome.refused.push(refusal(&one.run, &error)),
                        Err(error) => return Err(error),
                    }
                }
                Ok(outcome)
            })
            .await
    }

    /// Adds points to runs that are begun; those that are there already change nothing. One that another import of the
    /// same source finished meanwhile takes them as well.
    ///
    /// # Errors
    /// A run is not begun, a metric is wrong, or the call carries too much.
    pub async fn import_points(&self, runs: Vec<ImportPoints>) -> Result<(), TrackingError> {
        check_count("runs", runs.len(), limits::IMPORT_RUNS)?;
        let count = runs.iter().map(|run| run.metrics.len()).sum();
        check_count("points", count, limits::IMPORT_POINTS)?;
        let mut numbered: Vec<(String, Vec<Numbered>)> = Vec::new();
        for run in runs {
            run.metrics
                .iter()
                .try_for_each(|metric| check_metric("", metric))?;
            let names: Vec<&str> = run.metrics.iter().map(|metric| metric.key.as_str()).collect();
            let numbers = self.keys.numbers(&self.store, &names).await?;
            let points = run.metrics.iter().map(|metric| Point {
                logged_ms: metric.logged_ms,
                step: metric.step,
                value: metric.value,
            });
            numbered.push((run.run_id, numbers.into_iter().zip(points).collect()));
        }
        let batches = self.batches.clone();
        self.store
            .write(move |tx| {
                for (run_id, points) in &numbered {
                    let run = moved_in(tx, run_id)?;
                    store::log_metrics(tx, &batches, &run, points)?;
                }
                Ok(())
            })
            .await
    }

    /// Records that runs are here as their source had them, and gives them its lifecycle stage.
    ///
    /// # Errors
    /// A run is not begun, or the call carries too much.
    pub async fn finish_import(&self, runs: Vec<FinishedRun>) -> Result<(), TrackingError> {
        check_count("runs", runs.len(), limits::IMPORT_RUNS)?;
        for run in &runs {
            if run.digest.is_empty() || run.digest.len() > limits::IMPORT_DIGEST_LEN {
                return Err(TrackingError::invalid(format!(
                    "the digest of run {} must have 1 to {} characters",
                    run.run_id,
                    limits::IMPORT_DIGEST_LEN
                )));
            }
        }
        self.store
            .write(move |tx| {
                for run in &runs {
                    let found = moved_in(tx, &run.run_id)?;
                    store::finish_imported_run(tx, found.number, &run.digest, run.deleted_ms)?;
                }
                Ok(())
            })
            .await
    }
}

fn refusal(run: &ImportRun, error: &TrackingError) -> Refusal {
    Refusal {
        id: run.run_id.clone(),
        message: error.to_string(),
    }
}

fn check_run(run: &ImportRun) -> Result<(), TrackingError> {
    check_run_id(&run.run_id)?;
    corliss_mlflow_wire::check_length("name", limits::TAG_VALUE_LEN, &run.name)?;
    for param in &run.params {
        check_param("", param)?;
    }
    for tag in &run.tags {
        check_tag("", tag)?;
    }
    run.metrics.iter().try_for_each(|name| check_metric_name(name))?;
    check_count(
        "datasets of one run",
        run.datasets.len(),
        limits::DATASETS_PER_CALL,
    )?;
    check_count("models of one run", run.models.len(), limits::DATASETS_PER_CALL)?;
    run.datasets.iter().try_for_each(check_dataset)
}

/// Writes a run; answers where its artifacts lie.
fn take_run(
    tx: &mut dyn Tx,
    source: &str,
    experiment: &Experiment,
    one: &Prepared,
) -> Result<String, TrackingError> {
    let Prepared {
        run,
        number,
        params,
        tags,
    } = one;
    let mut info = RunInfo {
        run_id: run.run_id.clone(),
        experiment_id: experiment.id,
        name: run.name.clone(),
        user: run.user.clone(),
        status: run.status,
        start_ms: run.start_ms,
        end_ms: run.end_ms,
        lifecycle: match run.deleted_ms {
            Some(_) => LifecycleStage::Deleted,
            None => LifecycleStage::Active,
        },
        artifact_uri: artifact_uri(&location_of(experiment.id), &run.run_id),
    };
    let mut at = RunRef {
        number: *number,
        experiment_id: experiment.id,
        stage: LifecycleStage::Active,
    };
    match store::run_info(tx, &run.run_id)? {
        None => {
            store::insert_run(tx, at.number, &info)?;
            store::rewrite_run(tx, at.number, &info, run.deleted_ms)?;
            write_params(tx, &run.run_id, &at, &run.params, params)?;
        }
        Some((number, found)) => {
            if store::import_digests(tx, &[number])?.is_empty() {
                return Err(TrackingError::ImportTaken(run.run_id.clone()));
            }
            check_place(tx, &run.run_id, found.experiment_id, experiment)?;
            at.number = number;
            info.artifact_uri = found.artifact_uri;
            // Before anything is written, since it refuses a parameter that has another value here.
            write_params(tx, &run.run_id, &at, &run.params, params)?;
            store::rewrite_run(tx, number, &info, run.deleted_ms)?;
        }
    }
    store::put_import_digest(tx, at.number, source, "")?;
    store::put_tags(tx, &at, tags)?;
    store::put_datasets(tx, at.number, &run.datasets)?;
    store::put_model_links(tx, at.number, &run.models)?;
    Ok(info.artifact_uri)
}

/// A run that was begun, and perhaps finished.
fn moved_in(tx: &mut dyn Tx, run_id: &str) -> Result<RunRef, TrackingError> {
    let run = store::run_ref(tx, run_id)?.ok_or_else(|| TrackingError::run_not_found(run_id))?;
    match store::import_digests(tx, &[run.number])?.is_empty() {
        true => Err(TrackingError::ImportNotBegun(run_id.to_owned())),
        false => Ok(run),
    }
}
