//! Experiments and their tags.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, params};

use crate::types::{Experiment, KeyValue, LifecycleStage};

pub(super) const COLUMNS: &str =
    "e.experiment_id, e.name, e.artifact_location, e.lifecycle_stage, e.created_ms, e.updated_ms";

pub(super) fn from_row(row: &Row) -> Result<Experiment, StoreError> {
    Ok(Experiment {
        id: row.integer("experiment_id")?,
        name: row.text("name")?,
        artifact_location: row.text("artifact_location")?,
        lifecycle: LifecycleStage::of(&row.text("lifecycle_stage")?),
        created_ms: row.integer("created_ms")?,
        updated_ms: row.integer("updated_ms")?,
        tags: Vec::new(),
    })
}

pub(crate) fn next_experiment_id(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    // Beyond what is there, and what was and is removed.
    let next = tx.query_one(
        "SELECT COALESCE(MAX(experiment_id), 0) + 1 AS id,
             (SELECT n.next FROM tracking_numbers n WHERE n.what = 'experiment') AS beyond
         FROM tracking_experiments",
        &[],
    )?;
    Ok(next.integer("id")?.max(next.opt_integer("beyond")?.unwrap_or(0)))
}

/// Inserts unless the name or the id is taken; answers whether it did.
pub(crate) fn insert_experiment(tx: &mut dyn Tx, experiment: &Experiment) -> Result<bool, StoreError> {
    let inserted = tx.execute(
        "INSERT INTO tracking_experiments
             (experiment_id, name, artifact_location, lifecycle_stage, created_ms, updated_ms)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        params![
            experiment.id,
            &experiment.name,
            &experiment.artifact_location,
            experiment.lifecycle.as_str(),
            experiment.created_ms,
            experiment.updated_ms
        ],
    )?;
    if inserted == 1 {
        for tag in &experiment.tags {
            put_experiment_tag(tx, experiment.id, tag)?;
        }
    }
    Ok(inserted == 1)
}

pub(crate) fn experiment_by_id(tx: &mut dyn Tx, id: i64) -> Result<Option<Experiment>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tracking_experiments e WHERE e.experiment_id = $1");
    let row = tx.query_opt(&sql, params![id])?;
    with_tags(tx, row)
}

/// The experiment whose artifacts lie at this URI. Most lie under their own number, and are not looked for.
pub(crate) fn experiment_at(tx: &mut dyn Tx, uri: &str) -> Result<Option<Experiment>, StoreError> {
    let at = |found: &Experiment| found.artifact_location.trim_end_matches('/') == uri;
    let number = uri.rsplit('/').next().and_then(|name| name.parse().ok());
    if let Some(id) = number
        && let Some(found) = experiment_by_id(tx, id)?.filter(at)
    {
        return Ok(Some(found));
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM tracking_experiments e WHERE e.artifact_location IN ($1, $2) ORDER BY e.experiment_id
         LIMIT 1"
    );
    let row = tx.query_opt(&sql, params![uri, format!("{uri}/")])?;
    with_tags(tx, row)
}

pub(crate) fn experiment_by_name(tx: &mut dyn Tx, name: &str) -> Result<Option<Experiment>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tracking_experiments e WHERE e.name = $1");
    let row = tx.query_opt(&sql, params![name])?;
    with_tags(tx, row)
}

fn with_tags(tx: &mut dyn Tx, row: Option<Row>) -> Result<Option<Experiment>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    let mut experiments = vec![from_row(&row)?];
    add_tags(tx, &mut experiments)?;
    Ok(experiments.pop())
}

/// Reads the tags of a page of experiments, a constant number of statements per 512 of them.
pub(super) fn add_tags(tx: &mut dyn Tx, experiments: &mut [Experiment]) -> Result<(), StoreError> {
    let mut tags: BTreeMap<i64, Vec<KeyValue>> = BTreeMap::new();
    let ids: Vec<i64> = experiments.iter().map(|experiment| experiment.id).collect();
    for values in super::number_lists(&ids) {
        let sql = format!(
            "SELECT experiment_id, key, value FROM tracking_experiment_tags
             WHERE experiment_id IN ({}) ORDER BY experiment_id, key",
            super::list(values.len())
        );
        for row in tx.query(&sql, &values)? {
            let tag = KeyValue::new(row.text("key")?, row.text("value")?);
            tags.entry(row.integer("experiment_id")?).or_default().push(tag);
        }
    }
    for experiment in experiments {
        experiment.tags = tags.remove(&experiment.id).unwrap_or_default();
    }
    Ok(())
}

pub(crate) fn rename_experiment(tx: &mut dyn Tx, id: i64, name: &str, now_ms: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE tracking_experiments SET name = $2, updated_ms = $3 WHERE experiment_id = $1",
        params![id, name, now_ms],
    )?;
    Ok(())
}

/// Deletes or restores an experiment with all its runs.
pub(crate) fn set_experiment_stage(
    tx: &mut dyn Tx,
    id: i64,
    stage: LifecycleStage,
    now_ms: i64,
) -> Result<(), StoreError> {
    set_only_experiment_stage(tx, id, stage, now_ms)?;
    let deleted_ms = (stage == LifecycleStage::Deleted).then_some(now_ms);
    tx.execute(
        "UPDATE tracking_runs SET lifecycle_stage = $2, deleted_ms = $3 WHERE experiment_id = $1",
        params![id, stage.as_str(), deleted_ms],
    )?;
    Ok(())
}

/// Deletes or restores an experiment and leaves its runs as they are.
pub(crate) fn set_only_experiment_stage(
    tx: &mut dyn Tx,
    id: i64,
    stage: LifecycleStage,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE tracking_experiments SET lifecycle_stage = $2, updated_ms = $3 WHERE experiment_id = $1",
        params![id, stage.as_str(), now_ms],
    )?;
    Ok(())
}

pub(crate) fn put_experiment_tag(tx: &mut dyn Tx, id: i64, tag: &KeyValue) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tracking_experiment_tags (experiment_id, key, value) VALUES ($1, $2, $3)
         ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value",
        params![id, &tag.key, &tag.value],
    )?;
    Ok(())
}

pub(crate) fn delete_experiment_tag(tx: &mut dyn Tx, id: i64, key: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM tracking_experiment_tags WHERE experiment_id = $1 AND key = $2";
    Ok(tx.execute(sql, params![id, key])? == 1)
}
