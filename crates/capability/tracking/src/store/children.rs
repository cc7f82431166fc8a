//! What hangs on runs: parameters, tags, datasets, logged models. Reads take many runs at once.

use std::collections::BTreeMap;

use corliss_metastore::{StoreError, Tx, Value, params};

use crate::types::{DatasetInput, KeyValue, ModelLink};

type ByRun<T> = BTreeMap<String, Vec<T>>;

pub(crate) fn params_of(tx: &mut dyn Tx, run_ids: &[String]) -> Result<ByRun<KeyValue>, StoreError> {
    pairs(tx, run_ids, |list| {
        format!(
            "SELECT run_id, key, value FROM tracking_params WHERE run_id IN ({list}) ORDER BY run_id, key"
        )
    })
}

pub(crate) fn tags_of(tx: &mut dyn Tx, run_ids: &[String]) -> Result<ByRun<KeyValue>, StoreError> {
    pairs(tx, run_ids, |list| {
        format!(
            "SELECT run_id, key, value FROM tracking_run_tags WHERE run_id IN ({list}) ORDER BY run_id, key"
        )
    })
}

fn pairs(
    tx: &mut dyn Tx,
    run_ids: &[String],
    sql: impl Fn(&str) -> String,
) -> Result<ByRun<KeyValue>, StoreError> {
    let mut found = ByRun::new();
    for ids in super::id_lists(run_ids) {
        for row in tx.query(&sql(&super::list(ids.len())), &ids)? {
            let pair = KeyValue::new(row.text("key")?, row.text("value")?);
            found.entry(row.text("run_id")?).or_default().push(pair);
        }
    }
    Ok(found)
}

/// Sets tags; a key that occurs twice takes its last value.
pub(crate) fn put_tags(tx: &mut dyn Tx, run_id: &str, tags: &[KeyValue]) -> Result<(), StoreError> {
    upsert_pairs(
        tx,
        run_id,
        tags,
        "INSERT INTO tracking_run_tags (run_id, key, value) VALUES ",
        " ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value",
    )
}

/// Inserts pairs of an owner in a few statements, the last of a key winning.
pub(super) fn upsert_pairs(
    tx: &mut dyn Tx,
    owner: &str,
    pairs: &[KeyValue],
    insert: &str,
    conflict: &str,
) -> Result<(), StoreError> {
    // PostgreSQL refuses to touch a row twice in one statement.
    let last: BTreeMap<&str, &str> = pairs
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_str()))
        .collect();
    let last: Vec<(&str, &str)> = last.into_iter().collect();
    for chunk in last.chunks(super::ROWS) {
        let values: Vec<Value> = chunk
            .iter()
            .flat_map(|(key, value)| [owner.into(), (*key).into(), (*value).into()])
            .collect();
        tx.execute(
            &format!("{insert}{}{conflict}", super::placeholders(chunk.len(), 3)),
            &values,
        )?;
    }
    Ok(())
}

/// Adds datasets that the run does not have yet, each with its tags.
pub(crate) fn put_datasets(
    tx: &mut dyn Tx,
    run_id: &str,
    datasets: &[DatasetInput],
) -> Result<(), StoreError> {
    for dataset in datasets {
        let inserted = tx.execute(
            "INSERT INTO tracking_datasets (run_id, name, digest, source_type, source, schema_json, profile_json)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (run_id, name, digest) DO NOTHING",
            params![
                run_id,
                &dataset.name,
                &dataset.digest,
                &dataset.source_type,
                &dataset.source,
                dataset.schema.as_deref(),
                dataset.profile.as_deref()
            ],
        )?;
        for tag in dataset
            .tags
            .iter()
            .take(if inserted == 1 { usize::MAX } else { 0 })
        {
            tx.execute(
                "INSERT INTO tracking_dataset_tags (run_id, name, digest, key, value) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (run_id, name, digest, key) DO UPDATE SET value = excluded.value",
                params![run_id, &dataset.name, &dataset.digest, &tag.key, &tag.value],
            )?;
        }
    }
    Ok(())
}

pub(crate) fn datasets_of(tx: &mut dyn Tx, run_ids: &[String]) -> Result<ByRun<DatasetInput>, StoreError> {
    let mut found = ByRun::new();
    for ids in super::id_lists(run_ids) {
        let list = super::list(ids.len());
        let mut tags: BTreeMap<(String, String, String), Vec<KeyValue>> = BTreeMap::new();
        let sql = format!(
            "SELECT run_id, name, digest, key, value FROM tracking_dataset_tags WHERE run_id IN ({list}) ORDER BY key"
        );
        for row in tx.query(&sql, &ids)? {
            let dataset = (row.text("run_id")?, row.text("name")?, row.text("digest")?);
            tags.entry(dataset)
                .or_default()
                .push(KeyValue::new(row.text("key")?, row.text("value")?));
        }
        let sql = format!(
            "SELECT run_id, name, digest, source_type, source, schema_json, profile_json FROM tracking_datasets
             WHERE run_id IN ({list}) ORDER BY run_id, name, digest"
        );
        for row in tx.query(&sql, &ids)? {
            let (run_id, name, digest) = (row.text("run_id")?, row.text("name")?, row.text("digest")?);
            let tags = tags
                .remove(&(run_id.clone(), name.clone(), digest.clone()))
                .unwrap_or_default();
            found.entry(run_id).or_default().push(DatasetInput {
                name,
                digest,
                source_type: row.text("source_type")?,
                source: row.text("source")?,
                schema: row.opt_text("schema_json")?,
                profile: row.opt_text("profile_json")?,
                tags,
            });
        }
    }
    Ok(found)
}

pub(crate) fn put_model_links(tx: &mut dyn Tx, run_id: &str, links: &[ModelLink]) -> Result<(), StoreError> {
    for link in links {
        tx.execute(
            "INSERT INTO tracking_run_models (run_id, model_id, is_output, step) VALUES ($1, $2, $3, $4)
             ON CONFLICT (run_id, model_id, is_output) DO UPDATE SET step = excluded.step",
            params![run_id, &link.model_id, link.output, link.step],
        )?;
    }
    Ok(())
}

pub(crate) fn models_of(tx: &mut dyn Tx, run_ids: &[String]) -> Result<ByRun<ModelLink>, StoreError> {
    let mut found = ByRun::new();
    for ids in super::id_lists(run_ids) {
        let sql = format!(
            "SELECT run_id, model_id, is_output, step FROM tracking_run_models WHERE run_id IN ({})
             ORDER BY run_id, is_output, step, model_id",
            super::list(ids.len())
        );
        for row in tx.query(&sql, &ids)? {
            found.entry(row.text("run_id")?).or_default().push(ModelLink {
                model_id: row.text("model_id")?,
                output: row.boolean("is_output")?,
                step: row.integer("step")?,
            });
        }
    }
    Ok(found)
}

/// The values that these keys have already.
pub(crate) fn existing_params(
    tx: &mut dyn Tx,
    run_id: &str,
    keys: &[String],
) -> Result<BTreeMap<String, String>, StoreError> {
    let mut found = BTreeMap::new();
    for mut ids in super::id_lists(keys) {
        let sql = format!(
            "SELECT key, value FROM tracking_params WHERE key IN ({}) AND run_id = ${}",
            super::list(ids.len()),
            ids.len() + 1
        );
        ids.push(run_id.into());
        for row in tx.query(&sql, &ids)? {
            found.insert(row.text("key")?, row.text("value")?);
        }
    }
    Ok(found)
}

/// Adds parameters whose keys are new.
pub(crate) fn insert_params(tx: &mut dyn Tx, run_id: &str, pairs: &[KeyValue]) -> Result<(), StoreError> {
    let insert = "INSERT INTO tracking_params (run_id, key, value) VALUES ";
    upsert_pairs(tx, run_id, pairs, insert, "")
}
