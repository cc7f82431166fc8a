//! Versions: read, describe, stage, tag, delete.

use std::collections::BTreeMap;

use super::approve::check_approved;
use super::{Registry, VERSIONS_SHOWN, check_description, check_tag, existing, existing_version};
use corliss_types::VersionId;
use serde_json::json;

use crate::events::{Action, shown};
use crate::store::{decisions, events, outbox};
use crate::types::{KeyValue, ModelVersion, Stage};
use crate::webhook::Happening;
use crate::{FileRead, RegistryError, store};

impl Registry {
    /// Every version of data that models refer to, for whoever collects what nothing refers to.
    ///
    /// # Errors
    /// The metadata store failed.
    pub async fn versions_in_use(&self) -> Result<Vec<VersionId>, RegistryError> {
        self.store
            .read(|tx| Ok::<_, RegistryError>(store::versions_in_use(tx)?))
            .await
    }

    /// A version.
    ///
    /// # Errors
    /// There is none of this number.
    pub async fn version(&self, name: String, number: i64) -> Result<ModelVersion, RegistryError> {
        self.store
            .read(move |tx| existing_version(tx, &name, number))
            .await
    }

    /// Opens a file of a version, by its path within the model's folder.
    ///
    /// # Errors
    /// There is no such version or file, or what holds the files failed.
    pub async fn version_file(
        &self,
        name: String,
        number: i64,
        path: String,
    ) -> Result<FileRead, RegistryError> {
        let version = self.version(name.clone(), number).await?;
        let found = match &version.source_version {
            Some(files) => self.ports.sources.open(files, &path).await?,
            None => None,
        };
        found.ok_or_else(|| RegistryError::FileNotFound {
            name,
            version: number,
            path: path.chars().take(300).collect(),
        })
    }

    /// The versions of a model, newest first, at most a thousand.
    ///
    /// # Errors
    /// There is no such model.
    pub async fn versions(&self, name: String) -> Result<Vec<ModelVersion>, RegistryError> {
        self.store
            .read(move |tx| {
                existing(tx, &name)?;
                Ok(store::versions_of(tx, &name, VERSIONS_SHOWN)?)
            })
            .await
    }

    /// The latest version of each of these stages, or of every stage.
    ///
    /// # Errors
    /// There is no such model.
    pub async fn latest_by_stage(
        &self,
        name: String,
        stages: Vec<Stage>,
    ) -> Result<Vec<ModelVersion>, RegistryError> {
        self.store
            .read(move |tx| {
                existing(tx, &name)?;
                let mut latest = store::latest_of(tx, std::slice::from_ref(&name))?
                    .remove(&name)
                    .unwrap_or_default();
                latest.retain(|version| stages.is_empty() || stages.contains(&version.stage));
                Ok(latest)
            })
            .await
    }

    /// The latest version of each stage of these models, by model.
    pub(crate) async fn latest_of(
        &self,
        names: Vec<String>,
    ) -> Result<BTreeMap<String, Vec<ModelVersion>>, RegistryError> {
        self.store.read(move |tx| Ok(store::latest_of(tx, &names)?)).await
    }

    /// Describes a version.
    ///
    /// # Errors
    /// There is none of this number.
    pub async fn describe_version(
        &self,
        name: String,
        number: i64,
        text: String,
    ) -> Result<ModelVersion, RegistryError> {
        check_description(&text)?;
        let by = self.by();
        self.store
            .write(move |tx| {
                existing_version(tx, &name, number)?;
                store::set_version_description(tx, &name, number, &text, by.now_ms)?;
                let details = json!({ "description": shown(&text) });
                events::add(tx, &by, (&name, Some(number)), Action::Described, &details)?;
                existing_version(tx, &name, number)
            })
            .await
    }

    /// Moves a version to a stage.
    ///
    /// # Errors
    /// There is none of this number, others cannot be archived from this stage, or it lacks approval.
    pub async fn set_stage(
        &self,
        name: String,
        number: i64,
        stage: Stage,
        archive_others: bool,
    ) -> Result<ModelVersion, RegistryError> {
        if archive_others && !matches!(stage, Stage::Staging | Stage::Production) {
            return Err(RegistryError::invalid(format!(
                "Model version transition cannot archive existing model versions because '{}' is not an Active \
                 stage. Valid stages are ['Staging', 'Production']",
                stage.as_str()
            )));
        }
        let by = self.by();
        self.store
            .write(move |tx| {
                let version = existing_version(tx, &name, number)?;
                if stage == Stage::Production
                    && let Some(protection) = decisions::protection(tx, &name)?
                {
                    check_approved(tx, &protection, &version)?;
                }
                store::set_version_stage(tx, &name, number, stage, archive_others, by.now_ms)?;
                store::touch_model(tx, &name, by.now_ms)?;
                let details = json!({
                    "from": version.stage.as_str(),
                    "to": stage.as_str(),
                    "archive_others": archive_others,
                });
                events::add(tx, &by, (&name, Some(number)), Action::Staged, &details)?;
                existing_version(tx, &name, number)
            })
            .await
    }

    /// Deletes a version with the aliases that point at it.
    ///
    /// # Errors
    /// There is none of this number.
    pub async fn delete_version(&self, name: String, number: i64) -> Result<(), RegistryError> {
        let by = self.by();
        self.store
            .write(move |tx| {
                let version = existing_version(tx, &name, number)?;
                store::delete_version(tx, &name, number)?;
                store::touch_model(tx, &name, by.now_ms)?;
                let details = json!({ "aliases": version.aliases });
                Ok(events::add(
                    tx,
                    &by,
                    (&name, Some(number)),
                    Action::VersionDeleted,
                    &details,
                )?)
            })
            .await
    }

    /// Sets a tag of a version.
    ///
    /// # Errors
    /// There is none of this number, or the tag is wrong.
    pub async fn set_version_tag(
        &self,
        name: String,
        number: i64,
        tag: KeyValue,
    ) -> Result<(), RegistryError> {
        check_tag(&tag)?;
        let by = self.by();
        self.change(move |tx| {
            existing_version(tx, &name, number)?;
            store::put_version_tag(tx, &name, number, &tag)?;
            let details = json!({ "key": tag.key, "value": shown(&tag.value) });
            events::add(tx, &by, (&name, Some(number)), Action::TagSet, &details)?;
            let is_prompt = existing(tx, &name)?.is_prompt();
            let told = Happening::version_tag_set(is_prompt, &name, number, &tag);
            Ok(outbox::tell(tx, &told, by.now_ms)?)
        })
        .await
    }

    /// Removes a tag of a version, if it has it.
    ///
    /// # Errors
    /// There is none of this number.
    pub async fn delete_version_tag(
        &self,
        name: String,
        number: i64,
        key: String,
    ) -> Result<(), RegistryError> {
        let by = self.by();
        self.change(move |tx| {
            existing_version(tx, &name, number)?;
            if store::delete_version_tag(tx, &name, number, &key)? {
                let is_prompt = existing(tx, &name)?.is_prompt();
                let told = Happening::version_tag_deleted(is_prompt, &name, number, &key);
                outbox::tell(tx, &told, by.now_ms)?;
                let details = json!({ "key": key });
                events::add(tx, &by, (&name, Some(number)), Action::TagDeleted, &details)?;
            }
            Ok(())
        })
        .await
    }
}
