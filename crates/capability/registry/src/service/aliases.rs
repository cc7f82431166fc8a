//! Aliases: set (by compare-and-set where the caller says from what), delete.

use corliss_metastore::Tx;
use corliss_mlflow_wire::check_length;

use serde_json::json;

use super::approve::check_approved;
use super::{Registry, existing, existing_version};
use crate::events::{Action, By};
use crate::store::{decisions, events, outbox};
use crate::types::{Model, ModelVersion};
use crate::webhook::Happening;
use crate::{RegistryError, store};

const ALIAS_LEN: usize = 255;

/// What an alias must point at for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anything or nothing.
    Any,
    /// Nothing: the alias must be new.
    Absent,
    /// This version.
    Version(i64),
}

impl Registry {
    /// Points an alias at a version; answers what it pointed at before.
    ///
    /// # Errors
    /// There is no such model or version, the alias is wrong, or it does not point where it was expected to.
    pub async fn set_alias(
        &self,
        name: String,
        alias: String,
        version: i64,
        expected: Expected,
    ) -> Result<Option<i64>, RegistryError> {
        check_alias(&alias)?;
        let by = self.by();
        self.change(move |tx| {
            let to = existing_version(tx, &name, version)?;
            let model = existing(tx, &name)?;
            let before = store::alias_of(tx, &name, &alias)?;
            let met = match expected {
                Expected::Any => true,
                Expected::Absent => before.is_none(),
                Expected::Version(version) => before == Some(version),
            };
            if !met {
                let now = match before {
                    Some(version) => format!("points at version {version} now"),
                    None => "is gone".to_owned(),
                };
                return Err(RegistryError::AliasMoved {
                    name: name.clone(),
                    alias: alias.clone(),
                    now,
                });
            }
            point(tx, &by, &model, &alias, (before, &to))?;
            Ok(before)
        })
        .await
    }

    /// Points an alias at a version unless it points at a newer one already; answers whether it points at this
    /// one now. A pipeline that ends late must not take an alias back from its successor.
    ///
    /// # Errors
    /// There is no such model or version, or the alias is wrong.
    pub async fn advance_alias(
        &self,
        name: String,
        alias: String,
        version: i64,
    ) -> Result<bool, RegistryError> {
        check_alias(&alias)?;
        let by = self.by();
        self.change(move |tx| {
            let model = existing(tx, &name)?;
            let to = existing_version(tx, &name, version)?;
            match store::alias_of(tx, &name, &alias)? {
                Some(before) if before > version => return Ok(false),
                Some(before) if before == version => {}
                before => point(tx, &by, &model, &alias, (before, &to))?,
            }
            Ok(true)
        })
        .await
    }

    /// Removes an alias; answers whether there was one.
    ///
    /// # Errors
    /// There is no such model.
    pub async fn delete_alias(&self, name: String, alias: String) -> Result<bool, RegistryError> {
        let by = self.by();
        self.change(move |tx| {
            let model = existing(tx, &name)?;
            let from = store::alias_of(tx, &name, &alias)?;
            let deleted = store::delete_alias(tx, &name, &alias)?;
            if deleted {
                let told = Happening::alias_deleted(model.is_prompt(), &name, &alias);
                outbox::tell(tx, &told, by.now_ms)?;
                let details = json!({ "alias": alias });
                events::add(tx, &by, (&name, from), Action::AliasDeleted, &details)?;
            }
            Ok(deleted)
        })
        .await
    }
}

/// Points an alias at a version, if that is approved as far as it must be; webhooks and the log are told.
fn point(
    tx: &mut dyn Tx,
    by: &By,
    model: &Model,
    alias: &str,
    (before, to): (Option<i64>, &ModelVersion),
) -> Result<(), RegistryError> {
    if let Some(protection) = decisions::protection(tx, &model.name)?
        && protection.covers(alias)
    {
        check_approved(tx, &protection, to)?;
    }
    store::put_alias(tx, &model.name, alias, to.version)?;
    let told = Happening::alias_created(model.is_prompt(), &model.name, alias, to.version);
    outbox::tell(tx, &told, by.now_ms)?;
    let details = json!({ "alias": alias, "from": before, "to": to.version });
    let place = (model.name.as_str(), Some(to.version));
    Ok(events::add(tx, by, place, Action::AliasSet, &details)?)
}

/// An alias is a plain word, and none that could be taken for a version.
pub(super) fn check_alias(alias: &str) -> Result<(), RegistryError> {
    if alias.is_empty() {
        return Err(RegistryError::invalid(
            "Registered model alias name cannot be empty.",
        ));
    }
    if !alias
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    {
        return Err(RegistryError::invalid(format!(
            "Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )));
    }
    check_length("Registered model alias name", ALIAS_LEN, alias)?;
    if alias.eq_ignore_ascii_case("latest") {
        return Err(RegistryError::invalid(
            "'latest' alias name (case insensitive) is reserved.",
        ));
    }
    let digits = alias.strip_prefix(['v', 'V']).unwrap_or_default();
    // Digits of any script.
    if !digits.is_empty() && digits.chars().all(char::is_numeric) {
        return Err(RegistryError::invalid(format!(
            "Version alias name '{alias}' is reserved."
        )));
    }
    Ok(())
}
