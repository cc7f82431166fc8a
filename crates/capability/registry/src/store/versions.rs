//! Model versions and their tags.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, params};

use crate::types::{DataInput, KeyValue, ModelVersion, Stage};
use corliss_types::{Flavor, VersionId};

pub(super) const COLUMNS: &str = "v.name, v.version, v.description, v.source_version, v.source, v.download_uri, v.flavor, v.run_id, \
                                  v.step, v.tracking_run_id, v.logged_model_id, v.run_link, v.data_json, \
                                  v.code_version, v.metrics_json, v.stage, v.registered_by, v.created_ms, v.updated_ms";

/// Every version of data that a model's version was made from or of.
pub(crate) fn versions_in_use(tx: &mut dyn Tx) -> Result<Vec<VersionId>, StoreError> {
    let rows = tx.query(
        "SELECT source_version, code_version, data_json FROM registry_versions",
        params![],
    )?;
    let mut versions = Vec::new();
    for row in &rows {
        versions.extend(source_version(row)?);
        versions.extend(row.opt_parse("code_version")?);
        let data: Vec<DataInput> = json(row, "data_json")?;
        versions.extend(data.into_iter().map(|input| input.version));
    }
    Ok(versions)
}

/// A prompt has none, and the column cannot be NULL.
fn source_version(row: &Row) -> Result<Option<VersionId>, StoreError> {
    match row.text("source_version")?.as_str() {
        "" => Ok(None),
        _ => row.parse("source_version").map(Some),
    }
}

pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(&row.text(column)?).map_err(|error| StoreError::Malformed {
        column: column.to_owned(),
        message: error.to_string(),
    })
}

pub(super) fn from_row(row: &Row) -> Result<ModelVersion, StoreError> {
    let source = row.text("source")?;
    let download_uri = Some(row.text("download_uri")?).filter(|uri| !uri.is_empty());
    Ok(ModelVersion {
        name: row.text("name")?,
        version: row.integer("version")?,
        description: row.text("description")?,
        source_version: source_version(row)?,
        download_uri: download_uri.unwrap_or_else(|| source.clone()),
        source,
        flavor: Flavor::from_name(&row.text("flavor")?).unwrap_or(Flavor::Other),
        run_id: row.opt_text("run_id")?,
        step: row.opt_text("step")?,
        tracking_run_id: row.opt_text("tracking_run_id")?,
        logged_model_id: row.opt_text("logged_model_id")?,
        run_link: row.text("run_link")?,
        data: json(row, "data_json")?,
        code: row.opt_parse("code_version")?,
        metrics: json(row, "metrics_json")?,
        stage: Stage::parse(&row.text("stage")?).unwrap_or(Stage::None),
        aliases: Vec::new(),
        tags: Vec::new(),
        registered_by: row.text("registered_by")?,
        created_ms: row.integer("created_ms")?,
        updated_ms: row.integer("updated_ms")?,
    })
}

/// Takes the next number of a model.
pub(crate) fn next_version(tx: &mut dyn Tx, name: &str, now_ms: i64) -> Result<i64, StoreError> {
    tx.query_one(
        "UPDATE registry_models SET last_version = last_version + 1, updated_ms = $2 WHERE name = $1
         RETURNING last_version",
        params![name, now_ms],
    )?
    .integer("last_version")
}

/// Takes a number of a model, and all below it, from those that are given out.
pub(crate) fn reserve_version(tx: &mut dyn Tx, name: &str, number: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE registry_models SET last_version = $2 WHERE name = $1 AND last_version < $2",
        params![name, number],
    )?;
    Ok(())
}

/// The version that an earlier call registered under this key.
pub(crate) fn by_registration(tx: &mut dyn Tx, key: &str) -> Result<Option<ModelVersion>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM registry_versions v WHERE v.registration_key = $1");
    let row = tx.query_opt(&sql, params![key])?;
    with_children(tx, row)
}

pub(crate) fn insert_version(
    tx: &mut dyn Tx,
    version: &ModelVersion,
    registration_key: Option<&str>,
) -> Result<(), StoreError> {
    // Neither can fail: they hold names, ids and finite numbers.
    let data = serde_json::to_string(&version.data).unwrap_or_else(|_| "[]".to_owned());
    let metrics = serde_json::to_string(&version.metrics).unwrap_or_else(|_| "{}".to_owned());
    tx.execute(
        "INSERT INTO registry_versions (name, version, description, source_version, source, flavor, run_id, step,
             tracking_run_id, logged_model_id, run_link, data_json, code_version, metrics_json, stage,
             registration_key, created_ms, updated_ms, download_uri, registered_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        params![
            &version.name,
            version.version,
            &version.description,
            version.source_version.as_ref().map_or("", |id| id.as_str()),
            &version.source,
            version.flavor.as_str(),
            version.run_id.as_deref(),
            version.step.as_deref(),
            version.tracking_run_id.as_deref(),
            version.logged_model_id.as_deref(),
            &version.run_link,
            data,
            version.code.as_ref().map(|code| code.as_str()),
            metrics,
            version.stage.as_str(),
            registration_key,
            version.created_ms,
            version.updated_ms,
            &version.download_uri,
            &version.registered_by
        ],
    )?;
    version
        .tags
        .iter()
        .try_for_each(|tag| put_version_tag(tx, &version.name, version.version, tag))
}

pub(crate) fn version(tx: &mut dyn Tx, name: &str, number: i64) -> Result<Option<ModelVersion>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM registry_versions v WHERE v.name = $1 AND v.version = $2");
    let row = tx.query_opt(&sql, params![name, number])?;
    with_children(tx, row)
}

fn with_children(tx: &mut dyn Tx, row: Option<Row>) -> Result<Option<ModelVersion>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    let mut versions = vec![from_row(&row)?];
    add_children(tx, &mut versions)?;
    Ok(versions.pop())
}

/// The versions of a model, newest first.
pub(crate) fn versions_of(tx: &mut dyn Tx, name: &str, limit: i64) -> Result<Vec<ModelVersion>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM registry_versions v WHERE v.name = $1 ORDER BY v.version DESC LIMIT $2"
    );
    let rows = tx.query(&sql, params![name, limit])?;
    let mut versions = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
    add_children(tx, &mut versions)?;
    Ok(versions)
}

/// The latest version of each stage of these models, by model.
pub(crate) fn latest_of(
    tx: &mut dyn Tx,
    names: &[String],
) -> Result<BTreeMap<String, Vec<ModelVersion>>, StoreError> {
    let mut found: BTreeMap<String, Vec<ModelVersion>> = BTreeMap::new();
    for names in names.chunks(super::NAMES) {
        let (list, values) = super::padded(names);
        let sql = format!(
            "SELECT {COLUMNS} FROM registry_versions v WHERE v.name IN ({list}) AND v.version =
                 (SELECT MAX(w.version) FROM registry_versions w WHERE w.name = v.name AND w.stage = v.stage)
             ORDER BY v.name, v.version DESC"
        );
        let rows = tx.query(&sql, &values)?;
        let mut versions = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        add_children(tx, &mut versions)?;
        for version in versions {
            found.entry(version.name.clone()).or_default().push(version);
        }
    }
    Ok(found)
}

/// Aliases and tags of a page of versions, two statements per 256 models that they belong to.
pub(super) fn add_children(tx: &mut dyn Tx, versions: &mut [ModelVersion]) -> Result<(), StoreError> {
    let mut names: Vec<String> = versions.iter().map(|version| version.name.clone()).collect();
    names.sort();
    names.dedup();
    let mut aliases: BTreeMap<(String, i64), Vec<String>> = BTreeMap::new();
    let mut tags: BTreeMap<(String, i64), Vec<KeyValue>> = BTreeMap::new();
    for names in names.chunks(super::NAMES) {
        let (list, values) = super::padded(names);
        let sql = format!(
            "SELECT name, alias, version FROM registry_aliases WHERE name IN ({list}) ORDER BY alias"
        );
        for row in tx.query(&sql, &values)? {
            aliases
                .entry((row.text("name")?, row.integer("version")?))
                .or_default()
                .push(row.text("alias")?);
        }
        let sql = format!(
            "SELECT name, version, key, value FROM registry_version_tags WHERE name IN ({list}) ORDER BY key"
        );
        for row in tx.query(&sql, &values)? {
            let tag = KeyValue {
                key: row.text("key")?,
                value: row.text("value")?,
            };
            tags.entry((row.text("name")?, row.integer("version")?))
                .or_default()
                .push(tag);
        }
    }
    for version in versions {
        let id = (version.name.clone(), version.version);
        version.aliases = aliases.remove(&id).unwrap_or_default();
        version.tags = tags.remove(&id).unwrap_or_default();
    }
    Ok(())
}

pub(crate) fn set_version_description(
    tx: &mut dyn Tx,
    name: &str,
    number: i64,
    text: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE registry_versions SET description = $3, updated_ms = $4 WHERE name = $1 AND version = $2";
    tx.execute(sql, params![name, number, text, now_ms])?;
    Ok(())
}

/// Moves a version to a stage, and the others of that stage to the archive if asked.
pub(crate) fn set_version_stage(
    tx: &mut dyn Tx,
    name: &str,
    number: i64,
    stage: Stage,
    archive_others: bool,
    now_ms: i64,
) -> Result<(), StoreError> {
    if archive_others {
        tx.execute(
            "UPDATE registry_versions SET stage = $4, updated_ms = $5
             WHERE name = $1 AND version <> $2 AND stage = $3",
            params![name, number, stage.as_str(), Stage::Archived.as_str(), now_ms],
        )?;
    }
    let sql = "UPDATE registry_versions SET stage = $3, updated_ms = $4 WHERE name = $1 AND version = $2";
    tx.execute(sql, params![name, number, stage.as_str(), now_ms])?;
    Ok(())
}

/// Removes a version with its tags, decisions and the aliases that point at it.
pub(crate) fn delete_version(tx: &mut dyn Tx, name: &str, number: i64) -> Result<(), StoreError> {
    super::contents::forget_version(tx, name, number)?;
    for table in [
        "registry_versions",
        "registry_version_tags",
        "registry_aliases",
        "registry_decisions",
    ] {
        tx.execute(
            &format!("DELETE FROM {table} WHERE name = $1 AND version = $2"),
            params![name, number],
        )?;
    }
    Ok(())
}

pub(crate) fn put_version_tag(
    tx: &mut dyn Tx,
    name: &str,
    number: i64,
    tag: &KeyValue,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO registry_version_tags (name, version, key, value) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name, version, key) DO UPDATE SET value = excluded.value",
        params![name, number, &tag.key, &tag.value],
    )?;
    Ok(())
}

/// Removes a tag; answers whether it was there.
pub(crate) fn delete_version_tag(
    tx: &mut dyn Tx,
    name: &str,
    number: i64,
    key: &str,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM registry_version_tags WHERE name = $1 AND version = $2 AND key = $3";
    Ok(tx.execute(sql, params![name, number, key])? == 1)
}
