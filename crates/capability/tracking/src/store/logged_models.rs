//! Logged models: what `mlflow.<flavor>.log_model` makes.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, params};

use super::children::upsert_pairs;
use super::metrics::value_of;
use crate::types::{KeyValue, LifecycleStage, LoggedModel, Metric};

const COLUMNS: &str = "m.model_id, m.experiment_id, m.name, m.artifact_uri, m.model_type, m.source_run_id, m.status, \
                       m.lifecycle_stage, m.created_ms, m.updated_ms";

pub(super) fn from_row(row: &Row) -> Result<LoggedModel, StoreError> {
    Ok(LoggedModel {
        model_id: row.text("model_id")?,
        experiment_id: row.integer("experiment_id")?,
        name: row.text("name")?,
        artifact_uri: row.text("artifact_uri")?,
        model_type: row.text("model_type")?,
        source_run_id: row.text("source_run_id")?,
        status: row.integer("status")?,
        lifecycle: LifecycleStage::of(&row.text("lifecycle_stage")?),
        created_ms: row.integer("created_ms")?,
        updated_ms: row.integer("updated_ms")?,
        params: Vec::new(),
        tags: Vec::new(),
        metrics: Vec::new(),
    })
}

pub(crate) fn insert_logged_model(tx: &mut dyn Tx, model: &LoggedModel) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tracking_logged_models (model_id, experiment_id, name, artifact_uri, model_type,
             source_run_id, status, lifecycle_stage, created_ms, updated_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            &model.model_id,
            model.experiment_id,
            &model.name,
            &model.artifact_uri,
            &model.model_type,
            &model.source_run_id,
            model.status,
            model.lifecycle.as_str(),
            model.created_ms,
            model.updated_ms
        ],
    )?;
    put_model_params(tx, &model.model_id, &model.params)?;
    put_model_tags(tx, &model.model_id, &model.tags)
}

pub(crate) fn put_model_params(
    tx: &mut dyn Tx,
    model_id: &str,
    pairs: &[KeyValue],
) -> Result<(), StoreError> {
    let insert = "INSERT INTO tracking_model_params (model_id, key, value) VALUES ";
    upsert_pairs(
        tx,
        model_id,
        pairs,
        insert,
        " ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value",
    )
}

pub(crate) fn put_model_tags(tx: &mut dyn Tx, model_id: &str, pairs: &[KeyValue]) -> Result<(), StoreError> {
    let insert = "INSERT INTO tracking_model_tags (model_id, key, value) VALUES ";
    upsert_pairs(
        tx,
        model_id,
        pairs,
        insert,
        " ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value",
    )
}

pub(crate) fn delete_model_tag(tx: &mut dyn Tx, model_id: &str, key: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM tracking_model_tags WHERE model_id = $1 AND key = $2";
    Ok(tx.execute(sql, params![model_id, key])? == 1)
}

pub(crate) fn set_model_status(
    tx: &mut dyn Tx,
    model_id: &str,
    status: i64,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "UPDATE tracking_logged_models SET status = $2, updated_ms = $3 WHERE model_id = $1";
    Ok(tx.execute(sql, params![model_id, status, now_ms])? == 1)
}

pub(crate) fn set_model_stage(
    tx: &mut dyn Tx,
    model_id: &str,
    stage: LifecycleStage,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "UPDATE tracking_logged_models SET lifecycle_stage = $2, updated_ms = $3 WHERE model_id = $1";
    Ok(tx.execute(sql, params![model_id, stage.as_str(), now_ms])? == 1)
}

/// Records the metrics that name a logged model, where that model exists.
pub(crate) fn insert_model_metrics(
    tx: &mut dyn Tx,
    run_id: &str,
    metrics: &[Metric],
) -> Result<(), StoreError> {
    for metric in metrics {
        let Some(model_id) = &metric.model_id else {
            continue;
        };
        let (value, is_nan) = if metric.value.is_nan() {
            (0.0, true)
        } else {
            (metric.value, false)
        };
        let (name, digest) = metric.dataset.clone().unzip();
        tx.execute(
            "INSERT INTO tracking_model_metrics (model_id, run_id, key, logged_ms, step, value, is_nan,
                 dataset_name, dataset_digest)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
             FROM tracking_logged_models WHERE model_id = $1
             ON CONFLICT (model_id, run_id, key, logged_ms, step)
             DO UPDATE SET value = excluded.value, is_nan = excluded.is_nan",
            params![
                model_id,
                run_id,
                &metric.key,
                metric.logged_ms,
                metric.step,
                value,
                is_nan,
                name,
                digest
            ],
        )?;
    }
    Ok(())
}

pub(crate) fn logged_model(tx: &mut dyn Tx, model_id: &str) -> Result<Option<LoggedModel>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tracking_logged_models m WHERE m.model_id = $1");
    let Some(row) = tx.query_opt(&sql, params![model_id])? else {
        return Ok(None);
    };
    let mut models = vec![from_row(&row)?];
    add_children(tx, &mut models)?;
    Ok(models.pop())
}

pub(super) fn add_children(tx: &mut dyn Tx, models: &mut [LoggedModel]) -> Result<(), StoreError> {
    let ids: Vec<String> = models.iter().map(|model| model.model_id.clone()).collect();
    let mut params: BTreeMap<String, Vec<KeyValue>> = BTreeMap::new();
    let mut tags: BTreeMap<String, Vec<KeyValue>> = BTreeMap::new();
    let mut metrics: BTreeMap<String, Vec<(String, Metric)>> = BTreeMap::new();
    for ids in super::text_lists(&ids) {
        let list = super::list(ids.len());
        for (into, table) in [
            (&mut params, "tracking_model_params"),
            (&mut tags, "tracking_model_tags"),
        ] {
            let sql =
                format!("SELECT model_id, key, value FROM {table} WHERE model_id IN ({list}) ORDER BY key");
            for row in tx.query(&sql, &ids)? {
                let pair = KeyValue::new(row.text("key")?, row.text("value")?);
                into.entry(row.text("model_id")?).or_default().push(pair);
            }
        }
        let sql = format!(
            "SELECT model_id, run_id, key, logged_ms, step, value, is_nan, dataset_name, dataset_digest
             FROM tracking_model_metrics WHERE model_id IN ({list}) ORDER BY key, logged_ms, step, run_id"
        );
        for row in tx.query(&sql, &ids)? {
            let metric = Metric {
                key: row.text("key")?,
                value: value_of(&row)?,
                logged_ms: row.integer("logged_ms")?,
                step: row.integer("step")?,
                model_id: Some(row.text("model_id")?),
                dataset: row.opt_text("dataset_name")?.zip(row.opt_text("dataset_digest")?),
            };
            metrics
                .entry(row.text("model_id")?)
                .or_default()
                .push((row.text("run_id")?, metric));
        }
    }
    for model in models {
        model.params = params.remove(&model.model_id).unwrap_or_default();
        model.tags = tags.remove(&model.model_id).unwrap_or_default();
        model.metrics = metrics.remove(&model.model_id).unwrap_or_default();
    }
    Ok(())
}
