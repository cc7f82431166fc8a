//! Versions: read, describe, stage, tag, delete.

use std::collections::BTreeMap;

use super::{Registry, VERSIONS_SHOWN, check_description, check_tag, existing, existing_version};
use corliss_types::VersionId;

use crate::types::{KeyValue, ModelVersion, Stage};
use crate::{RegistryError, store};

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
        text: Option<String>,
    ) -> Result<ModelVersion, RegistryError> {
        check_description(text.as_deref().unwrap_or_default())?;
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                existing_version(tx, &name, number)?;
                if let Some(text) = &text {
                    store::set_version_description(tx, &name, number, text, now_ms)?;
                }
                existing_version(tx, &name, number)
            })
            .await
    }

    /// Moves a version to a stage.
    ///
    /// # Errors
    /// There is none of this number, or others cannot be archived from this stage.
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
                 stage. Valid stages are ('Staging', 'Production')",
                stage.as_str()
            )));
        }
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                existing_version(tx, &name, number)?;
                store::set_version_stage(tx, &name, number, stage, archive_others, now_ms)?;
                store::touch_model(tx, &name, now_ms)?;
                existing_version(tx, &name, number)
            })
            .await
    }

    /// Deletes a version with the aliases that point at it.
    ///
    /// # Errors
    /// There is none of this number.
    pub async fn delete_version(&self, name: String, number: i64) -> Result<(), RegistryError> {
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                existing_version(tx, &name, number)?;
                store::delete_version(tx, &name, number)?;
                Ok(store::touch_model(tx, &name, now_ms)?)
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
        self.store
            .write(move |tx| {
                existing_version(tx, &name, number)?;
                Ok(store::put_version_tag(tx, &name, number, &tag)?)
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
        self.store
            .write(move |tx| {
                existing_version(tx, &name, number)?;
                Ok(store::delete_version_tag(tx, &name, number, &key)?)
            })
            .await
    }
}
