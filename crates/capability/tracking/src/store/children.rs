//! What hangs on runs: parameters, tags, datasets, logged models. Reads take many runs at once.

use std::collections::{BTreeMap, HashMap};

use corliss_metastore::{StoreError, Tx, Value, params};

use super::keys::{Keys, name_of};
use super::runs::RunRef;
use crate::types::{DatasetInput, KeyValue, ModelLink};

type ByRun<T> = HashMap<i64, Vec<T>>;

/// A text under the number of its key.
pub(crate) type NumberedText = (i64, String);

/// Characters of a value that its index holds: enough to tell values apart, few enough for any database.
pub(super) const INDEXED_CHARS: usize = 64;

pub(crate) fn params_of(tx: &mut dyn Tx, keys: &Keys, runs: &[i64]) -> Result<ByRun<KeyValue>, StoreError> {
    pairs(
        tx,
        keys,
        runs,
        "SELECT run_no, key_no, value FROM tracking_params WHERE run_no IN ",
    )
}

pub(crate) fn tags_of(tx: &mut dyn Tx, keys: &Keys, runs: &[i64]) -> Result<ByRun<KeyValue>, StoreError> {
    pairs(
        tx,
        keys,
        runs,
        "SELECT run_no, key_no, value FROM tracking_run_tags WHERE run_no IN ",
    )
}

/// By run, each sorted by key.
fn pairs(tx: &mut dyn Tx, keys: &Keys, runs: &[i64], select: &str) -> Result<ByRun<KeyValue>, StoreError> {
    let mut rows = Vec::new();
    for list in super::number_lists(runs) {
        rows.extend(tx.query(&format!("{select}({})", super::list(list.len())), &list)?);
    }
    let numbers: Vec<i64> = rows
        .iter()
        .map(|row| row.integer("key_no"))
        .collect::<Result<_, _>>()?;
    let names = keys.names(tx, numbers.iter().copied())?;
    let mut found = ByRun::new();
    for (row, key_no) in rows.iter().zip(numbers) {
        let pair = KeyValue::new(name_of(&names, key_no)?, row.text("value")?);
        found.entry(row.integer("run_no")?).or_default().push(pair);
    }
    for pairs in found.values_mut() {
        pairs.sort_unstable_by(|one: &KeyValue, other: &KeyValue| one.key.cmp(&other.key));
    }
    Ok(found)
}

/// Sets tags; a key that occurs twice takes its last value.
pub(crate) fn put_tags(tx: &mut dyn Tx, run: &RunRef, tags: &[NumberedText]) -> Result<(), StoreError> {
    let insert = "INSERT INTO tracking_run_tags (run_no, key_no, experiment_id, value) VALUES ";
    let conflict = " ON CONFLICT (run_no, key_no) DO UPDATE SET value = excluded.value";
    put_texts(tx, run, tags, insert, conflict).map(|_| ())
}

pub(crate) fn delete_tag(tx: &mut dyn Tx, run_no: i64, key_no: i64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM tracking_run_tags WHERE run_no = $1 AND key_no = $2";
    Ok(tx.execute(sql, params![run_no, key_no])? == 1)
}

/// Answers how many rows it added or changed.
fn put_texts(
    tx: &mut dyn Tx,
    run: &RunRef,
    texts: &[NumberedText],
    insert: &str,
    conflict: &str,
) -> Result<u64, StoreError> {
    // PostgreSQL refuses to touch a row twice in one statement.
    let last: BTreeMap<i64, &str> = texts.iter().map(|(key, text)| (*key, text.as_str())).collect();
    let last: Vec<(i64, &str)> = last.into_iter().collect();
    let mut put = 0;
    for chunk in super::row_groups(&last) {
        let cells = chunk.iter().flat_map(|(key, text)| -> [Value; 4] {
            [
                run.number.into(),
                (*key).into(),
                run.experiment_id.into(),
                (*text).into(),
            ]
        });
        put += tx.execute(
            &format!("{insert}{}{conflict}", super::placeholders(chunk.len(), 4)),
            &cells.collect::<Vec<_>>(),
        )?;
    }
    Ok(put)
}

/// Inserts pairs of an owner in a few statements, the last of a key winning.
pub(super) fn upsert_pairs(
    tx: &mut dyn Tx,
    owner: &str,
    pairs: &[KeyValue],
    insert: &str,
    conflict: &str,
) -> Result<(), StoreError> {
    let last: BTreeMap<&str, &str> = pairs
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_str()))
        .collect();
    let last: Vec<(&str, &str)> = last.into_iter().collect();
    for chunk in super::row_groups(&last) {
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
    run_no: i64,
    datasets: &[DatasetInput],
) -> Result<(), StoreError> {
    for dataset in datasets {
        let inserted = tx.execute(
            "INSERT INTO tracking_datasets (run_no, name, digest, source_type, source, schema_json, profile_json)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (run_no, name, digest) DO NOTHING",
            params![
                run_no,
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
                "INSERT INTO tracking_dataset_tags (run_no, name, digest, key, value) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (run_no, name, digest, key) DO UPDATE SET value = excluded.value",
                params![run_no, &dataset.name, &dataset.digest, &tag.key, &tag.value],
            )?;
        }
    }
    Ok(())
}

pub(crate) fn datasets_of(tx: &mut dyn Tx, runs: &[i64]) -> Result<ByRun<DatasetInput>, StoreError> {
    let mut found = ByRun::new();
    for ids in super::number_lists(runs) {
        let list = super::list(ids.len());
        let mut tags: BTreeMap<(i64, String, String), Vec<KeyValue>> = BTreeMap::new();
        let sql = format!(
            "SELECT run_no, name, digest, key, value FROM tracking_dataset_tags WHERE run_no IN ({list}) ORDER BY key"
        );
        for row in tx.query(&sql, &ids)? {
            let dataset = (row.integer("run_no")?, row.text("name")?, row.text("digest")?);
            tags.entry(dataset)
                .or_default()
                .push(KeyValue::new(row.text("key")?, row.text("value")?));
        }
        let sql = format!(
            "SELECT run_no, name, digest, source_type, source, schema_json, profile_json FROM tracking_datasets
             WHERE run_no IN ({list}) ORDER BY run_no, name, digest"
        );
        for row in tx.query(&sql, &ids)? {
            let (run_no, name, digest) = (row.integer("run_no")?, row.text("name")?, row.text("digest")?);
            let tags = tags
                .remove(&(run_no, name.clone(), digest.clone()))
                .unwrap_or_default();
            found.entry(run_no).or_default().push(DatasetInput {
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

pub(crate) fn put_model_links(tx: &mut dyn Tx, run_no: i64, links: &[ModelLink]) -> Result<(), StoreError> {
    for link in links {
        tx.execute(
            "INSERT INTO tracking_run_models (run_no, model_id, is_output, step) VALUES ($1, $2, $3, $4)
             ON CONFLICT (run_no, model_id, is_output) DO UPDATE SET step = excluded.step",
            params![run_no, &link.model_id, link.output, link.step],
        )?;
    }
    Ok(())
}

pub(crate) fn models_of(tx: &mut dyn Tx, runs: &[i64]) -> Result<ByRun<ModelLink>, StoreError> {
    let mut found = ByRun::new();
    for ids in super::number_lists(runs) {
        let sql = format!(
            "SELECT run_no, model_id, is_output, step FROM tracking_run_models WHERE run_no IN ({})
             ORDER BY run_no, is_output, step, model_id",
            super::list(ids.len())
        );
        for row in tx.query(&sql, &ids)? {
            found.entry(row.integer("run_no")?).or_default().push(ModelLink {
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
    run_no: i64,
    keys: &[i64],
) -> Result<HashMap<i64, String>, StoreError> {
    let mut found = HashMap::new();
    for mut list in super::number_lists(keys) {
        let sql = format!(
            "SELECT key_no, value FROM tracking_params WHERE key_no IN ({}) AND run_no = ${}",
            super::list(list.len()),
            list.len() + 1
        );
        list.push(run_no.into());
        for row in tx.query(&sql, &list)? {
            found.insert(row.integer("key_no")?, row.text("value")?);
        }
    }
    Ok(found)
}

/// Adds the parameters whose keys are new, and answers how many those are.
pub(crate) fn insert_params(
    tx: &mut dyn Tx,
    run: &RunRef,
    params: &[NumberedText],
) -> Result<u64, StoreError> {
    let insert = "INSERT INTO tracking_params (run_no, key_no, experiment_id, value) VALUES ";
    put_texts(
        tx,
        run,
        params,
        insert,
        " ON CONFLICT (run_no, key_no) DO NOTHING",
    )
}
