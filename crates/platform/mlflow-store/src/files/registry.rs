//! Registered models and their versions in a folder.

use std::collections::BTreeMap;
use std::path::Path;

use super::folder::{files_under, pairs};
use super::meta::Meta;
use super::{META, line};
use crate::error::SourceError;
use crate::model::{ModelVersion, RegisteredModel};

/// What the folder of a version is called, before its number.
pub(super) const VERSION: &str = "version-";
/// The stage of a version that was deleted.
const DELETED_STAGE: &str = "Deleted_Internal";

pub(super) fn model(folder: &Path) -> Result<RegisteredModel, SourceError> {
    let meta = Meta::read(&folder.join(META))?;
    let created_ms = meta.opt_integer("creation_timestamp")?.unwrap_or_default();
    let mut model = RegisteredModel {
        name: meta.text("name")?,
        description: meta.opt_text("description").unwrap_or_default(),
        created_ms,
        updated_ms: meta.opt_integer("last_updated_timestamp")?.unwrap_or(created_ms),
        tags: pairs(&folder.join("tags"))?,
        aliases: BTreeMap::new(),
    };
    for (alias, path) in files_under(&folder.join("aliases"))? {
        let text = line(&path)?;
        let version = text
            .parse()
            .map_err(|_| SourceError::damaged(&path, format!("'{text}' is no version")))?;
        model.aliases.insert(alias, version);
    }
    Ok(model)
}

/// A version; none if it was deleted.
pub(super) fn version(folder: &Path) -> Result<Option<ModelVersion>, SourceError> {
    let file = folder.join(META);
    let meta = Meta::read(&file)?;
    let stage = meta.opt_text("current_stage").unwrap_or_default();
    if stage == DELETED_STAGE {
        return Ok(None);
    }
    let version = meta.opt_integer("version")?;
    let created_ms = meta.opt_integer("creation_timestamp")?.unwrap_or_default();
    Ok(Some(ModelVersion {
        version: version.ok_or_else(|| SourceError::damaged(&file, "it does not say 'version'"))?,
        description: meta.opt_text("description").unwrap_or_default(),
        stage,
        source: meta.opt_text("source").unwrap_or_default(),
        storage_location: meta.opt_text("storage_location"),
        run_id: meta.opt_text("run_id").filter(|id| !id.is_empty()),
        run_link: meta.opt_text("run_link").unwrap_or_default(),
        created_ms,
        updated_ms: meta.opt_integer("last_updated_timestamp")?.unwrap_or(created_ms),
        tags: pairs(&folder.join("tags"))?,
    }))
}
