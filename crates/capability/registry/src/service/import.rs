//! Moving in from another registry: models and versions keep their names, numbers, times, stages and aliases. The files of
//! a version must be here before it. Nobody's webhooks are told, since nothing new has happened.

use std::collections::BTreeMap;

use corliss_metastore::Tx;

use serde_json::json;

use super::aliases::check_alias;
use super::approve::check_approved;
use super::register::foreign_draft;
use super::{Registry, check_description, check_name, check_tag, existing, existing_version};
use crate::events::{Action, By};
use crate::store::{decisions, events};
use crate::types::{KeyValue, ModelVersion, Stage, is_prompt};
use crate::{ForeignSource, NewForeign, RegistryError, store};

/// Versions of one call: the files of each are looked through.
const VERSIONS: usize = 100;
const SOURCE_LEN: usize = 4096;

/// A registered model of a source, with some of its versions.
#[derive(Debug, Clone)]
pub struct ImportRegistered {
    /// Where it comes from, in one form for one source.
    pub source: String,
    /// Its name, there and here.
    pub name: String,
    /// For people.
    pub description: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub updated_ms: i64,
    /// Tags; one that is here already stays as it is.
    pub tags: Vec<KeyValue>,
    /// What each alias points at; one that is here already stays, and one whose version did not come, or is not approved
    /// where that is demanded, is left out.
    pub aliases: BTreeMap<String, i64>,
    /// Some of its versions.
    pub versions: Vec<ImportVersion>,
    /// Look, and change nothing.
    pub dry_run: bool,
}

/// A version of a source.
#[derive(Debug, Clone)]
pub struct ImportVersion {
    /// Its number, there and here.
    pub version: i64,
    /// For people.
    pub description: String,
    /// MLflow's stage.
    pub stage: Stage,
    /// Where its files lie here.
    pub source: ForeignSource,
    /// A link that its client gave.
    pub run_link: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub updated_ms: i64,
    /// Tags; those of a prompt hold its text.
    pub tags: Vec<KeyValue>,
}

/// What became of versions that were to be moved in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegisteredMoved {
    /// Whether the model is here.
    pub has_model: bool,
    /// Those that are here now, or were already.
    pub here: Vec<i64>,
    /// The stages that these have here.
    pub stages: BTreeMap<i64, Stage>,
    /// What each alias of the model points at here.
    pub aliases: BTreeMap<String, i64>,
    /// Those that were not taken, and why.
    pub refused: Vec<(i64, String)>,
}

impl Registry {
    /// Takes a model and some of its versions, each once.
    ///
    /// # Errors
    /// The model's name, description or a tag of it is wrong, or the call carries too much. A version that is wrong, or
    /// whose files are not here, is refused by itself.
    pub async fn import_registered(
        &self,
        import: ImportRegistered,
    ) -> Result<RegisteredMoved, RegistryError> {
        check_name(&import.name)?;
        check_description(&import.description)?;
        import.tags.iter().try_for_each(check_tag)?;
        import.aliases.keys().try_for_each(|alias| check_alias(alias))?;
        corliss_mlflow_wire::check_length("source", SOURCE_LEN, &import.source)?;
        if import.versions.len() > VERSIONS {
            return Err(RegistryError::invalid(format!(
                "A call can carry at most {VERSIONS} versions, got {}",
                import.versions.len()
            )));
        }
        if !import.dry_run {
            let (model, by) = (import.clone(), self.by());
            self.store.write(move |tx| put_model(tx, &by, &model)).await?;
        }
        let mut moved = RegisteredMoved::default();
        for version in &import.versions {
            match self.import_version(&import, version).await {
                Ok(true) => moved.here.push(version.version),
                Ok(false) => {}
                Err(error) if is_refusal(&error) => moved.refused.push((version.version, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        if !import.dry_run {
            let by = self.by();
            let import = import.clone();
            self.store.write(move |tx| put_aliases(tx, &by, &import)).await?;
        }
        self.store.read(move |tx| look(tx, &import, moved.clone())).await
    }

    /// Takes a version; answers whether it is here.
    async fn import_version(
        &self,
        import: &ImportRegistered,
        version: &ImportVersion,
    ) -> Result<bool, RegistryError> {
        let (key, name, number) = (
            key_of(import, version.version),
            import.name.clone(),
            version.version,
        );
        let known = self
            .store
            .read(move |tx| is_known(tx, &key, &name, number))
            .await?;
        if known || import.dry_run {
            return Ok(known);
        }
        check_description(&version.description)?;
        version.tags.iter().try_for_each(check_tag)?;
        if version.version < 1 {
            return Err(RegistryError::invalid(format!(
                "'{}' is no number of a version",
                version.version
            )));
        }
        let new = NewForeign {
            model: import.name.clone(),
            source: version.source.clone(),
            run_link: version.run_link.clone(),
            description: version.description.clone(),
            tags: version.tags.clone(),
        };
        let by = self.by();
        let made_by = By {
            now_ms: version.created_ms,
            ..by.clone()
        };
        let draft = match is_prompt(&new.tags) {
            true => foreign_draft(new, None, &made_by),
            false => self.draft_of_source(new, &made_by).await?,
        };
        let made = ModelVersion {
            version: version.version,
            stage: version.stage,
            updated_ms: version.updated_ms,
            ..draft
        };
        let (key, record) = (key_of(import, version.version), made.clone());
        let source = import.source.clone();
        self.store
            .write(move |tx| {
                // Looked at again: two imports may run at once.
                if is_known(tx, &key, &record.name, record.version)? {
                    return Ok(());
                }
                if record.stage == Stage::Production
                    && let Some(protection) = decisions::protection(tx, &record.name)?
                {
                    check_approved(tx, &protection, &record)?;
                }
                store::insert_version(tx, &record, Some(&key))?;
                store::reserve_version(tx, &record.name, record.version)?;
                let place = (record.name.as_str(), Some(record.version));
                let details = json!({ "from": source });
                Ok::<_, RegistryError>(events::add(tx, &by, place, Action::MovedIn, &details)?)
            })
            .await?;
        if !made.is_prompt() {
            self.ports.lineage.registered(&made).await?;
            self.look_after_registering(&made).await;
        }
        Ok(true)
    }
}

/// What a version is known by that was moved in, also after it was renamed here.
fn key_of(import: &ImportRegistered, version: i64) -> String {
    format!("import {} {}/{version}", import.source, import.name)
}

/// Whether a version was moved in already; an error if its number is another one's here.
fn is_known(tx: &mut dyn Tx, key: &str, name: &str, number: i64) -> Result<bool, RegistryError> {
    if store::by_registration(tx, key)?.is_some() {
        return Ok(true);
    }
    match store::version(tx, name, number)? {
        None => Ok(false),
        Some(_) => Err(RegistryError::VersionTaken {
            name: name.to_owned(),
            version: number,
        }),
    }
}

/// Adds what the model and its versions are here.
fn look(
    tx: &mut dyn Tx,
    import: &ImportRegistered,
    mut moved: RegisteredMoved,
) -> Result<RegisteredMoved, RegistryError> {
    let model = store::model(tx, &import.name)?;
    moved.has_model = model.is_some();
    moved.aliases = model.map(|model| model.aliases).unwrap_or_default();
    for number in &moved.here {
        if let Some(version) = store::by_registration(tx, &key_of(import, *number))? {
            moved.stages.insert(*number, version.stage);
        }
    }
    Ok(moved)
}

fn put_model(tx: &mut dyn Tx, by: &By, import: &ImportRegistered) -> Result<(), RegistryError> {
    if store::insert_model(tx, &import.name, &import.description, import.created_ms)? {
        store::touch_model(tx, &import.name, import.updated_ms)?;
        let details = json!({ "from": import.source });
        events::add(tx, by, (&import.name, None), Action::MovedIn, &details)?;
    }
    let model = existing(tx, &import.name)?;
    for tag in &import.tags {
        if model.tags.iter().all(|old| old.key != tag.key) {
            store::put_model_tag(tx, &import.name, tag)?;
        }
    }
    Ok(())
}

fn put_aliases(tx: &mut dyn Tx, by: &By, import: &ImportRegistered) -> Result<(), RegistryError> {
    let protection = decisions::protection(tx, &import.name)?;
    for (alias, version) in &import.aliases {
        let is_free = store::alias_of(tx, &import.name, alias)?.is_none();
        let moved_in = store::by_registration(tx, &key_of(import, *version))?;
        if !is_free || moved_in.is_none_or(|found| found.name != import.name) {
            continue;
        }
        if let Some(protection) = protection.as_ref().filter(|protection| protection.covers(alias)) {
            let to = existing_version(tx, &import.name, *version)?;
            if check_approved(tx, protection, &to).is_err() {
                continue;
            }
        }
        store::put_alias(tx, &import.name, alias, *version)?;
        let details = json!({ "alias": alias, "from": null, "to": version });
        events::add(tx, by, (&import.name, Some(*version)), Action::AliasSet, &details)?;
    }
    Ok(())
}

/// Whether an error is about the one version, not about the store or a port.
fn is_refusal(error: &RegistryError) -> bool {
    !matches!(error, RegistryError::Store(_) | RegistryError::Port(_))
}
