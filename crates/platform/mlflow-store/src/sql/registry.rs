//! Registered models and their versions in a database.

use super::cell::Cells;
use super::rows::{ByOwner, pairs};
use super::{Database, SqlStore};
use crate::error::SourceError;
use crate::model::{ModelVersion, RegisteredModel};

pub(super) fn models<D: Database>(store: &mut SqlStore<D>) -> Result<Vec<RegisteredModel>, SourceError> {
    if !store.has.registry {
        return Ok(Vec::new());
    }
    let found = store.scoped_rows(
        "SELECT name, description, creation_time, last_updated_time FROM registered_models
         WHERE 1 = 1{workspace} ORDER BY name",
        &[],
    )?;
    let tags = store.scoped_rows(
        "SELECT name, key, value FROM registered_model_tags WHERE 1 = 1{workspace} ORDER BY key",
        &[],
    )?;
    let mut tags = pairs("registered_model_tags", ["name", "key", "value"], tags)?;
    let mut aliases = ByOwner::none();
    if store.has.aliases {
        let found_aliases = store.scoped_rows(
            "SELECT name, alias, version FROM registered_model_aliases WHERE 1 = 1{workspace}",
            &[],
        )?;
        aliases = ByOwner::read(
            "registered_model_aliases",
            "name",
            found_aliases,
            |cells, found| {
                found.push((cells.text("alias")?, cells.integer("version")?));
                Ok(())
            },
        )?;
    }
    store.readable("registered model", found, |row| {
        let mut cells = Cells::of("registered_models", row);
        let name = cells.text("name")?;
        let description = cells.opt_text("description")?.unwrap_or_default();
        let created_ms = cells.opt_integer("creation_time")?.unwrap_or_default();
        Ok(RegisteredModel {
            description,
            created_ms,
            updated_ms: cells.opt_integer("last_updated_time")?.unwrap_or(created_ms),
            tags: tags.take(&name)?,
            aliases: aliases.take(&name)?.into_iter().collect(),
            name,
        })
    })
}

pub(super) fn versions<D: Database>(
    store: &mut SqlStore<D>,
    model: &str,
) -> Result<Vec<ModelVersion>, SourceError> {
    let found = store.scoped_rows(
        "SELECT version, description, current_stage, source, storage_location, run_id, run_link, creation_time,
             last_updated_time
         FROM model_versions WHERE name = $1{workspace} ORDER BY version",
        &[model],
    )?;
    let tags = store.scoped_rows(
        "SELECT CAST(version AS VARCHAR(32)), key, value FROM model_version_tags
         WHERE name = $1{workspace} ORDER BY key",
        &[model],
    )?;
    let mut tags = pairs("model_version_tags", ["version", "key", "value"], tags)?;
    let versions = store.readable(&format!("of model '{model}' version"), found, |row| {
        let mut cells = Cells::of("model_versions", row);
        let version = cells.integer("version")?;
        let description = cells.opt_text("description")?.unwrap_or_default();
        let stage = cells.opt_text("current_stage")?.unwrap_or_default();
        // What is left of a deleted version: its number stays taken.
        if stage == DELETED_STAGE {
            return Ok(None);
        }
        let source = cells.opt_text("source")?.unwrap_or_default();
        let storage_location = cells.opt_text("storage_location")?;
        let run_id = cells.opt_text("run_id")?.filter(|id| !id.is_empty());
        let run_link = cells.opt_text("run_link")?.unwrap_or_default();
        let created_ms = cells.opt_integer("creation_time")?.unwrap_or_default();
        Ok(Some(ModelVersion {
            version,
            description,
            stage,
            source,
            storage_location,
            run_id,
            run_link,
            created_ms,
            updated_ms: cells.opt_integer("last_updated_time")?.unwrap_or(created_ms),
            tags: tags.take(&version.to_string())?,
        }))
    })?;
    Ok(versions.into_iter().flatten().collect())
}

/// The stage that MLflow gives to a version that it deleted.
const DELETED_STAGE: &str = "Deleted_Internal";
