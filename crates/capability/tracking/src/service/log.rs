//! Logging: metrics, parameters and tags, one by one or in a batch. Each call is one transaction.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use corliss_metastore::{StoreError, Tx};
use corliss_mlflow_wire::{WireError, check_key, check_length, check_text};

use super::runs::{active_run, check_tag, cut};
use super::{RUN_NAME_TAG, Tracking};
use crate::store::{Batches, Numbered, NumberedText, Point, RunRef};
use crate::types::{KeyValue, Metric};
use crate::{TrackingError, limits, store};

/// What one call logs.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Metrics.
    pub metrics: Vec<Metric>,
    /// Parameters.
    pub params: Vec<KeyValue>,
    /// Tags.
    pub tags: Vec<KeyValue>,
}

impl Tracking {
    /// Logs one metric.
    ///
    /// # Errors
    /// The run is deleted or absent, or the metric is wrong.
    pub async fn log_metric(&self, run_id: String, metric: Metric) -> Result<(), TrackingError> {
        check_metric("", &metric)?;
        let (logged, batches) = (self.points(vec![metric]).await?, Arc::clone(&self.batches));
        self.store
            .write(move |tx| {
                let run = active_run(tx, &run_id)?;
                write_metrics(tx, &batches, &run_id, &run, &logged)
            })
            .await
    }

    /// Logs one parameter; the same value again changes nothing.
    ///
    /// # Errors
    /// The run is deleted or absent, the parameter is wrong, or has another value already.
    pub async fn log_param(&self, run_id: String, param: KeyValue) -> Result<(), TrackingError> {
        check_param("", &param)?;
        let param = cut(limits::PARAM_VALUE_LEN, param);
        let numbered = self.numbered(std::slice::from_ref(&param)).await?;
        self.store
            .write(move |tx| {
                let run = active_run(tx, &run_id)?;
                let existing = insert_or_existing(tx, &run, &numbered)?;
                match existing.values().next() {
                    Some(old) if *old != param.value => Err(TrackingError::invalid(format!(
                        "Changing param values is not allowed. Param with key='{}' was already logged with \
                         value='{old}' for run ID='{run_id}'. Attempted logging new value '{}'.",
                        param.key, param.value
                    ))),
                    _ => Ok(()),
                }
            })
            .await
    }

    /// Sets one tag.
    ///
    /// # Errors
    /// The run is deleted or absent, or the tag is wrong.
    pub async fn set_tag(&self, run_id: String, tag: KeyValue) -> Result<(), TrackingError> {
        check_tag("", &tag)?;
        let tags = Tags::of(self, vec![tag]).await?;
        self.store
            .write(move |tx| {
                let run = active_run(tx, &run_id)?;
                tags.write(tx, &run)
            })
            .await
    }

    /// Logs a batch: all of it, or after an error nothing.
    ///
    /// # Errors
    /// As for the single calls; also if the batch is larger than allowed or names a parameter twice.
    pub async fn log_batch(&self, run_id: String, batch: Batch) -> Result<(), TrackingError> {
        super::runs::check_run_id(&run_id)?;
        check_batch(&batch)?;
        let params = batch.params.into_iter();
        let params: Vec<_> = params.map(|param| cut(limits::PARAM_VALUE_LEN, param)).collect();
        let numbered = self.numbered(&params).await?;
        let (logged, batches) = (self.points(batch.metrics).await?, Arc::clone(&self.batches));
        let tags = Tags::of(self, batch.tags).await?;
        self.store
            .write(move |tx| {
                let run = active_run(tx, &run_id)?;
                write_params(tx, &run_id, &run, &params, &numbered)?;
                write_metrics(tx, &batches, &run_id, &run, &logged)?;
                tags.write(tx, &run)
            })
            .await
    }

    async fn points(&self, metrics: Vec<Metric>) -> Result<Logged, TrackingError> {
        let names: Vec<&str> = metrics.iter().map(|metric| metric.key.as_str()).collect();
        let numbers = self.keys.numbers(&self.store, &names).await?;
        let points = metrics.iter().map(|metric| Point {
            logged_ms: metric.logged_ms,
            step: metric.step,
            value: metric.value,
        });
        Ok(Logged {
            points: numbers.into_iter().zip(points).collect(),
            metrics,
        })
    }
}

/// Metrics, and the same as points under the numbers of their names.
struct Logged {
    metrics: Vec<Metric>,
    points: Vec<Numbered>,
}

/// Tags under the numbers of their keys, and the name that they give to the run.
struct Tags {
    texts: Vec<NumberedText>,
    run_name: Option<String>,
}

impl Tags {
    async fn of(tracking: &Tracking, tags: Vec<KeyValue>) -> Result<Self, TrackingError> {
        let tags = tags.into_iter();
        let tags: Vec<_> = tags.map(|tag| cut(limits::TAG_VALUE_LEN, tag)).collect();
        let texts = tracking.numbered(&tags).await?;
        let run_name = tags.into_iter().rev().find(|tag| tag.key == RUN_NAME_TAG);
        Ok(Self {
            texts,
            run_name: run_name.map(|tag| tag.value),
        })
    }

    fn write(&self, tx: &mut dyn Tx, run: &RunRef) -> Result<(), TrackingError> {
        store::put_tags(tx, run, &self.texts)?;
        if let Some(name) = &self.run_name {
            store::update_run(tx, run.number, None, None, Some(name))?;
        }
        Ok(())
    }
}

fn write_metrics(
    tx: &mut dyn Tx,
    batches: &Batches,
    run_id: &str,
    run: &RunRef,
    logged: &Logged,
) -> Result<(), TrackingError> {
    store::log_metrics(tx, batches, run, &logged.points)?;
    Ok(store::insert_model_metrics(tx, run_id, &logged.metrics)?)
}

pub(super) fn write_params(
    tx: &mut dyn Tx,
    run_id: &str,
    run: &RunRef,
    params: &[KeyValue],
    numbered: &[NumberedText],
) -> Result<(), TrackingError> {
    let existing = insert_or_existing(tx, run, numbered)?;
    let changed: Vec<String> = params
        .iter()
        .zip(numbered)
        .filter_map(|(param, (number, _))| {
            existing
                .get(number)
                .filter(|old| **old != param.value)
                .map(|old| (param, old))
        })
        .map(|(param, old)| {
            format!(
                "{{'key': '{}', 'old_value': '{old}', 'new_value': '{}'}}",
                param.key, param.value
            )
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(TrackingError::invalid(format!(
        "Changing param values is not allowed. Params were already logged='[{}]' for run ID='{run_id}'.",
        changed.join(", ")
    )))
}

/// Adds parameters; if some of their keys were there before, answers the values of all. They are seldom, so the usual
/// case is one statement.
fn insert_or_existing(
    tx: &mut dyn Tx,
    run: &RunRef,
    numbered: &[NumberedText],
) -> Result<HashMap<i64, String>, StoreError> {
    let keys: Vec<i64> = numbered.iter().map(|(number, _)| *number).collect();
    if store::insert_params(tx, run, numbered)? == keys.len() as u64 {
        return Ok(HashMap::new());
    }
    store::existing_params(tx, run.number, &keys)
}

pub(super) fn check_metric(path: &str, metric: &Metric) -> Result<(), TrackingError> {
    check_key(&format!("{path}name"), &metric.key)?;
    if metric.logged_ms < 0 {
        return Err(WireError::new(format!(
            "Invalid value {} for parameter '{path}timestamp' supplied: metric '{}' (value={:?}). Timestamp must be a \
             nonnegative long (64-bit integer) ",
            metric.logged_ms, metric.key, metric.value
        ))
        .into());
    }
    Ok(check_length("Metric name", limits::KEY_LEN, &metric.key)?)
}

pub(super) fn check_metric_name(name: &str) -> Result<(), TrackingError> {
    check_key("name", name)?;
    Ok(check_length("Metric name", limits::KEY_LEN, name)?)
}

pub(super) fn check_param(path: &str, param: &KeyValue) -> Result<(), TrackingError> {
    check_key(&format!("{path}key"), &param.key)?;
    check_text(&format!("{path}value"), &param.value)?;
    Ok(check_length("Param key", limits::KEY_LEN, &param.key)?)
}

fn check_batch(batch: &Batch) -> Result<(), TrackingError> {
    let total = batch.metrics.len() + batch.params.len() + batch.tags.len();
    for (what, limit, count) in [
        ("metrics", limits::METRICS_PER_BATCH, batch.metrics.len()),
        ("params", limits::PARAMS_TAGS_PER_BATCH, batch.params.len()),
        ("tags", limits::PARAMS_TAGS_PER_BATCH, batch.tags.len()),
        ("metrics, params, and tags", limits::ENTITIES_PER_BATCH, total),
    ] {
        if count > limit {
            return Err(TrackingError::invalid(format!(
                "A batch logging request can contain at most {limit} {what}. Got {count} {what}. Please split up \
                 {what} across multiple requests and try again."
            )));
        }
    }
    for (index, metric) in batch.metrics.iter().enumerate() {
        check_metric(&format!("metrics[{index}]."), metric)?;
    }
    for (index, param) in batch.params.iter().enumerate() {
        check_param(&format!("params[{index}]."), param)?;
    }
    for (index, tag) in batch.tags.iter().enumerate() {
        check_tag(&format!("tags[{index}]."), tag)?;
    }
    let mut seen = BTreeSet::new();
    let twice: Vec<String> = batch
        .params
        .iter()
        .filter(|param| !seen.insert(&param.key))
        .map(|param| format!("'{}'", param.key))
        .collect();
    if twice.is_empty() {
        return Ok(());
    }
    Err(TrackingError::invalid(format!(
        "Duplicate parameter keys have been submitted: [{}]. Please ensure the request contains only one param value \
         per param key.",
        twice.join(", ")
    )))
}
