//! Logging: metrics, parameters and tags, one by one or in a batch. Each call is one transaction.

use std::collections::BTreeSet;

use corliss_metastore::Tx;
use corliss_mlflow_wire::{WireError, check_key, check_length};

use super::runs::{check_run_active, check_tag};
use super::{RUN_NAME_TAG, Tracking};
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
        self.store
            .write(move |tx| {
                check_run_active(tx, &run_id)?;
                write_metrics(tx, &run_id, std::slice::from_ref(&metric))
            })
            .await
    }

    /// Logs one parameter; the same value again changes nothing.
    ///
    /// # Errors
    /// The run is deleted or absent, the parameter is wrong, or has another value already.
    pub async fn log_param(&self, run_id: String, param: KeyValue) -> Result<(), TrackingError> {
        check_param("", &param)?;
        self.store
            .write(move |tx| {
                check_run_active(tx, &run_id)?;
                let existing = store::existing_params(tx, &run_id, std::slice::from_ref(&param.key))?;
                match existing.get(&param.key) {
                    None => Ok(store::insert_params(tx, &run_id, std::slice::from_ref(&param))?),
                    Some(old) if *old == param.value => Ok(()),
                    Some(old) => Err(TrackingError::invalid(format!(
                        "Changing param values is not allowed. Param with key='{}' was already logged with \
                         value='{old}' for run ID='{run_id}'. Attempted logging new value '{}'.",
                        param.key, param.value
                    ))),
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
        self.store
            .write(move |tx| {
                check_run_active(tx, &run_id)?;
                write_tags(tx, &run_id, std::slice::from_ref(&tag))
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
        self.store
            .write(move |tx| {
                check_run_active(tx, &run_id)?;
                write_params(tx, &run_id, &batch.params)?;
                write_metrics(tx, &run_id, &batch.metrics)?;
                write_tags(tx, &run_id, &batch.tags)
            })
            .await
    }
}

fn write_metrics(tx: &mut dyn Tx, run_id: &str, metrics: &[Metric]) -> Result<(), TrackingError> {
    store::log_metrics(tx, run_id, metrics)?;
    Ok(store::insert_model_metrics(tx, run_id, metrics)?)
}

fn write_tags(tx: &mut dyn Tx, run_id: &str, tags: &[KeyValue]) -> Result<(), TrackingError> {
    store::put_tags(tx, run_id, tags)?;
    if let Some(name) = tags.iter().rev().find(|tag| tag.key == RUN_NAME_TAG) {
        store::update_run(tx, run_id, None, None, Some(&name.value))?;
    }
    Ok(())
}

fn write_params(tx: &mut dyn Tx, run_id: &str, params: &[KeyValue]) -> Result<(), TrackingError> {
    let keys: Vec<String> = params.iter().map(|param| param.key.clone()).collect();
    let existing = store::existing_params(tx, run_id, &keys)?;
    let changed: Vec<String> = params
        .iter()
        .filter_map(|param| {
            existing
                .get(&param.key)
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
    if !changed.is_empty() {
        return Err(TrackingError::invalid(format!(
            "Changing param values is not allowed. Params were already logged='[{}]' for run ID='{run_id}'.",
            changed.join(", ")
        )));
    }
    let new: Vec<KeyValue> = params
        .iter()
        .filter(|param| !existing.contains_key(&param.key))
        .cloned()
        .collect();
    Ok(store::insert_params(tx, run_id, &new)?)
}

fn check_metric(path: &str, metric: &Metric) -> Result<(), TrackingError> {
    check_key(&format!("{path}name"), &metric.key)?;
    if metric.logged_ms < 0 {
        return Err(WireError::new(format!(
            "Invalid value {} for parameter '{path}timestamp' supplied: metric '{}' (value={}). Timestamp must be a \
             nonnegative long (64-bit integer) ",
            metric.logged_ms, metric.key, metric.value
        ))
        .into());
    }
    Ok(check_length("Metric name", limits::KEY_LEN, &metric.key)?)
}

fn check_param(path: &str, param: &KeyValue) -> Result<(), TrackingError> {
    check_key(&format!("{path}key"), &param.key)?;
    check_length("Param key", limits::KEY_LEN, &param.key)?;
    Ok(check_length(
        "Param value",
        limits::PARAM_VALUE_LEN,
        &param.value,
    )?)
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
