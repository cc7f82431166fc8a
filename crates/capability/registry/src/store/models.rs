//! Registered models and their tags.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, params};

use crate::types::{KeyValue, Model};

pub(super) fn from_row(row: &Row) -> Result<Model, StoreError> {
    Ok(Model {
        name: row.text("name")?,
        description: row.text("description")?,
        latest_version: None,
        aliases: BTreeMap::new(),
        tags: Vec::new(),
        created_ms: row.integer("created_ms")?,
        updated_ms: row.integer("updated_ms")?,
    })
}

/// Inserts unless the name is taken; answers whether it did.
pub(crate) fn insert_model(
    tx: &mut dyn Tx,
    name: &str,
    description: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let inserted = tx.execute(
        "INSERT INTO registry_models (name, description, last_version, created_ms, updated_ms)
         VALUES ($1, $2, 0, $3, $3) ON CONFLICT (name) DO NOTHING",
        params![name, description, now_ms],
    )?;
    Ok(inserted == 1)
}

pub(crate) fn model(tx: &mut dyn Tx, name: &str) -> Result<Option<Model>, StoreError> {
    let sql = "SELECT name, description, created_ms, updated_ms FROM registry_models WHERE name = $1";
    let Some(row) = tx.query_opt(sql, params![name])? else {
        return Ok(None);
    };
    let mut models = vec![from_row(&row)?];
    add_children(tx, &mut models)?;
    Ok(models.pop())
}

/// Latest versions, aliases and tags of a page of models, three statements per 256 of them.
pub(super) fn add_children(tx: &mut dyn Tx, models: &mut [Model]) -> Result<(), StoreError> {
    for models in models.chunks_mut(super::NAMES) {
        let names: Vec<String> = models.iter().map(|model| model.name.clone()).collect();
        let (list, values) = super::padded(&names);
        let mut by_name: BTreeMap<String, &mut Model> = models
            .iter_mut()
            .map(|model| (model.name.clone(), model))
            .collect();
        let sql = format!(
            "SELECT name, MAX(version) AS latest FROM registry_versions WHERE name IN ({list}) GROUP BY name"
        );
        for row in tx.query(&sql, &values)? {
            if let Some(model) = by_name.get_mut(&row.text("name")?) {
                model.latest_version = row.opt_integer("latest")?;
            }
        }
        let sql = format!("SELECT name, alias, version FROM registry_aliases WHERE name IN ({list})");
        for row in tx.query(&sql, &values)? {
            if let Some(model) = by_name.get_mut(&row.text("name")?) {
                model.aliases.insert(row.text("alias")?, row.integer("version")?);
            }
        }
        let sql =
            format!("SELECT name, key, value FROM registry_model_tags WHERE name IN ({list}) ORDER BY key");
        for row in tx.query(&sql, &values)? {
            if let Some(model) = by_name.get_mut(&row.text("name")?) {
                model.tags.push(KeyValue {
                    key: row.text("key")?,
                    value: row.text("value")?,
                });
            }
        }
    }
    Ok(())
}

/// Every name, for the nearest one to a mistyped name; bounded, since it is only a courtesy.
pub(crate) fn model_names(tx: &mut dyn Tx) -> Result<Vec<String>, StoreError> {
    tx.query("SELECT name FROM registry_models ORDER BY name LIMIT 1000", &[])?
        .iter()
        .map(|row| row.text("name"))
        .collect()
}

pub(crate) fn set_description(
    tx: &mut dyn Tx,
    name: &str,
    text: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE registry_models SET description = $2, updated_ms = $3 WHERE name = $1";
    tx.execute(sql, params![name, text, now_ms])?;
    Ok(())
}

pub(crate) fn touch_model(tx: &mut dyn Tx, name: &str, now_ms: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE registry_models SET updated_ms = $2 WHERE name = $1",
        params![name, now_ms],
    )?;
    Ok(())
}

const TABLES: [&str; 7] = [
    "registry_models",
    "registry_model_tags",
    "registry_versions",
    "registry_version_tags",
    "registry_aliases",
    "registry_protections",
    "registry_decisions",
];

/// Renames a model in every table; the caller has seen that the new name is free.
pub(crate) fn rename_model(
    tx: &mut dyn Tx,
    name: &str,
    new_name: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    for table in TABLES {
        tx.execute(
            &format!("UPDATE {table} SET name = $2 WHERE name = $1"),
            params![name, new_name],
        )?;
    }
    super::events::rename(tx, name, new_name)?;
    tx.execute(
        "UPDATE registry_versions SET updated_ms = $2 WHERE name = $1",
        params![new_name, now_ms],
    )?;
    touch_model(tx, new_name, now_ms)
}

pub(crate) fn delete_model(tx: &mut dyn Tx, name: &str) -> Result<(), StoreError> {
    super::contents::forget_model(tx, name)?;
    for table in TABLES {
        tx.execute(&format!("DELETE FROM {table} WHERE name = $1"), params![name])?;
    }
    Ok(())
}

pub(crate) fn put_model_tag(tx: &mut dyn Tx, name: &str, tag: &KeyValue) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO registry_model_tags (name, key, value) VALUES ($1, $2, $3)
         ON CONFLICT (name, key) DO UPDATE SET value = excluded.value",
        params![name, &tag.key, &tag.value],
    )?;
    Ok(())
}

/// Removes a tag; answers whether it was there.
pub(crate) fn delete_model_tag(tx: &mut dyn Tx, name: &str, key: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM registry_model_tags WHERE name = $1 AND key = $2";
    Ok(tx.execute(sql, params![name, key])? == 1)
}
