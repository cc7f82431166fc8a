//! Registered models: create, read, describe, rename, tag, delete.

use corliss_mlflow_wire::WireError;

use serde_json::json;

use super::approve::check_unprotected;
use super::{Registry, check_description, check_name, check_tag, existing};
use crate::events::{Action, shown};
use crate::store::{events, outbox};
use crate::types::{KeyValue, Model, is_prompt};
use crate::webhook::Happening;
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
        let by = self.by();
        self.change(move |tx| {
            if !store::insert_model(tx, &name, &description, by.now_ms)? {
                return Err(taken(&existing(tx, &name)?, is_prompt(&tags)));
            }
            for tag in &tags {
                store::put_model_tag(tx, &name, tag)?;
            }
            let model = existing(tx, &name)?;
            outbox::tell(tx, &Happening::model_created(&model), by.now_ms)?;
            events::add(tx, &by, (&name, None), Action::Created, &json!({}))?;
            Ok(model)
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
        let by = self.by();
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                store::set_description(tx, &name, &text, by.now_ms)?;
                let details = json!({ "description": shown(&text) });
                events::add(tx, &by, (&name, None), Action::Described, &details)?;
                existing(tx, &name)
            })
            .await
    }

    /// Renames a model with its versions and aliases.
    ///
    /// # Errors
    /// There is none of this name, it is protected, or the new one is wrong or taken.
    pub async fn rename_model(&self, name: String, new_name: String) -> Result<Model, RegistryError> {
        if new_name.trim().is_empty() {
            return Err(WireError::new("Missing value for required parameter 'new_name'.").into());
        }
        check_name(&new_name)?;
        let by = self.by();
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                check_unprotected(tx, &name)?;
                if name != new_name && store::model(tx, &new_name)?.is_some() {
                    return Err(RegistryError::ModelExists(new_name.clone()));
                }
                store::rename_model(tx, &name, &new_name, by.now_ms)?;
                let details = json!({ "from": name, "to": new_name });
                events::add(tx, &by, (&new_name, None), Action::Renamed, &details)?;
                existing(tx, &new_name)
            })
            .await
    }

    /// Deletes a model with its versions and aliases. Their files stay: they are versions of data; so does the log.
    ///
    /// # Errors
    /// There is none of this name, or it is protected.
    pub async fn delete_model(&self, name: String) -> Result<(), RegistryError> {
        let by = self.by();
        self.store
            .write(move |tx| {
                existing(tx, &name)?;
                check_unprotected(tx, &name)?;
                store::delete_model(tx, &name)?;
                Ok(events::add(tx, &by, (&name, None), Action::Deleted, &json!({}))?)
            })
            .await
    }

    /// Sets a tag of a model.
    ///
    /// # Errors
    /// There is none of this name, or the tag is wrong.
    pub async fn set_model_tag(&self, name: String, tag: KeyValue) -> Result<(), RegistryError> {
        check_tag(&tag)?;
        let by = self.by();
        self.change(move |tx| {
            existing(tx, &name)?;
            store::put_model_tag(tx, &name, &tag)?;
            let details = json!({ "key": tag.key, "value": shown(&tag.value) });
            events::add(tx, &by, (&name, None), Action::TagSet, &details)?;
            // Asked afterwards: the tag may be the one that makes it a prompt.
            if existing(tx, &name)?.is_prompt() {
                outbox::tell(tx, &Happening::prompt_tag_set(&name, &tag), by.now_ms)?;
            }
            Ok(())
        })
        .await
    }

    /// Removes a tag of a model, if it has it.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn delete_model_tag(&self, name: String, key: String) -> Result<(), RegistryError> {
        let by = self.by();
        self.change(move |tx| {
            existing(tx, &name)?;
            let deleted = store::delete_model_tag(tx, &name, &key)?;
            if deleted {
                events::add(tx, &by, (&name, None), Action::TagDeleted, &json!({ "key": key }))?;
            }
            if deleted && existing(tx, &name)?.is_prompt() {
                outbox::tell(tx, &Happening::prompt_tag_deleted(&name, &key), by.now_ms)?;
            }
            Ok(())
        })
        .await
    }
}

/// The refusal of a name that this model has.
fn taken(model: &Model, wants_prompt: bool) -> RegistryError {
    let name = &model.name;
    let both = |wanted: &str, found: &str| {
        RegistryError::NameTaken(format!(
            "Tried to create a {wanted} with name '{name}', but the name is already taken by a {found}. MLflow does not \
             allow creating a model and a prompt with the same name."
        ))
    };
    match (wants_prompt, model.is_prompt()) {
        (false, false) => RegistryError::ModelExists(name.clone()),
        (true, true) => RegistryError::NameTaken(format!("Prompt (name={name}) already exists.")),
        (true, false) => both("prompt", "registered model"),
        (false, true) => both("registered model", "prompt"),
    }
}
