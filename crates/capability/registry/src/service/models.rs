//! Registered models: create, read, describe, rename, tag, delete.

use super::{Registry, check_description, check_name, check_tag, existing};
use crate::types::{KeyValue, Model};
use crate::{RegistryError, store};

impl Registry {
    /// Creates a model without versions.
    ///
    /// # Errors
    /// The name is taken, or an argument is wrong.
    pub async fn create_model(
        &self,
        name: String,
        description: String,
        tags: Vec<KeyValue>,
    ) -> Result<Model, RegistryError> {
        check_name(&name)?;
        check_description(&description)?;
        tags.iter().try_for_each(check_tag)?;
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                if !store::insert_model(tx, &name, &description, now_ms)? {
                    return Err(RegistryError::ModelExists(name.clone()));
                }
                for tag in &tags {
                    store::put_model_tag(tx, &name, tag)?;
                }
                existing(tx, &name)
            })
            .await
    }

    /// A model.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn model(&self, name: String) -> Result<Model, RegistryError> {
        self.store.read(move |tx| existing(tx, &name)).await
    }

    /// Describes a model.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn describe_model(&self, name: String, text: String) -> Result<Model, RegistryError> {
        check_description(&text)?;
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                store::set_description(tx, &name, &text, now_ms)?;
                existing(tx, &name)
            })
            .await
    }

    /// Renames a model with its versions and aliases.
    ///
    /// # Errors
    /// There is none of this name, or the new one is wrong or taken.
    pub async fn rename_model(&self, name: String, new_name: String) -> Result<Model, RegistryError> {
        check_name(&new_name)?;
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                if name != new_name && store::model(tx, &new_name)?.is_some() {
                    return Err(RegistryError::ModelExists(new_name.clone()));
                }
                store::rename_model(tx, &name, &new_name, now_ms)?;
                existing(tx, &new_name)
            })
            .await
    }

    /// Deletes a model with its versions and aliases. Their files stay: they are versions of data.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn delete_model(&self, name: String) -> Result<(), RegistryError> {
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                Ok(store::delete_model(tx, &name)?)
            })
            .await
    }

    /// Sets a tag of a model.
    ///
    /// # Errors
    /// There is none of this name, or the tag is wrong.
    pub async fn set_model_tag(&self, name: String, tag: KeyValue) -> Result<(), RegistryError> {
        check_tag(&tag)?;
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                Ok(store::put_model_tag(tx, &name, &tag)?)
            })
            .await
    }

    /// Removes a tag of a model, if it has it.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn delete_model_tag(&self, name: String, key: String) -> Result<(), RegistryError> {
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                Ok(store::delete_model_tag(tx, &name, &key)?)
            })
            .await
    }
}
