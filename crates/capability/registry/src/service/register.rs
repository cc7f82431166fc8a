//! Registering a version: from a pipeline run, or from what a client of MLflow logged.

use std::collections::BTreeMap;

use corliss_metastore::Tx;
use corliss_types::{Flavor, ModelName, RunId, TrackingRunId, VersionId};

use serde_json::json;

use super::source::{self, Source, Which};
use super::{Registry, check_description, check_tag, existing, existing_version};
use crate::events::{Action, By, shown};
use crate::store::{events, outbox};
use crate::types::{DataInput, KeyValue, ModelVersion, Stage, is_prompt};
use crate::webhook::Happening;
use crate::{ForeignSource, Pinned, RegistryError, store};

/// A version that a pipeline run made.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The model; made if it is new.
    pub model: ModelName,
    /// Its files.
    pub source_version: VersionId,
    /// The pipeline run.
    pub run_id: RunId,
    /// The step whose output it is.
    pub step: String,
    /// The step's tracking run.
    pub tracking_run_id: Option<TrackingRunId>,
    /// What it was made from.
    pub data: Vec<DataInput>,
    /// The code that made it.
    pub code: Option<VersionId>,
    /// The run's metrics now. Those that are not finite numbers are not kept.
    pub metrics: BTreeMap<String, f64>,
}

/// A version that a client of MLflow sends.
#[derive(Debug, Clone)]
pub struct NewForeign {
    /// The model, which exists.
    pub model: String,
    /// What it is made from.
    pub source: ForeignSource,
    /// A link to the run, shown.
    pub run_link: String,
    /// For people.
    pub description: String,
    /// By key; those of a prompt hold its text.
    pub tags: Vec<KeyValue>,
}

/// What registering answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// The version.
    pub version: ModelVersion,
    /// Whether this call made it.
    pub created: bool,
}

impl Registry {
    /// Registers a version, once per run and model. A run that made again what the newest version holds,
    /// from the same code and data and with the same metrics, has nothing new: it is answered that version.
    ///
    /// # Errors
    /// There is no such version of data.
    pub async fn register(&self, new: NewVersion) -> Result<Registered, RegistryError> {
        let flavor = self.ports.sources.flavor_of(&new.source_version).await?;
        let flavor = flavor.ok_or_else(|| RegistryError::Source(new.source_version.to_string()))?;
        let key = format!("{}/{}", new.run_id, new.model);
        let by = self.by();
        let draft = draft_of(new, flavor, &by);
        let registered = self
            .change(move |tx| {
                let known = match store::by_registration(tx, &key)? {
                    Some(version) => Some(version),
                    None => store::versions_of(tx, &draft.name, 1)?
                        .pop()
                        .filter(|newest| is_same(newest, &draft)),
                };
                if let Some(version) = known {
                    return Ok::<_, RegistryError>(Registered {
                        version,
                        created: false,
                    });
                }
                if store::insert_model(tx, &draft.name, "", draft.created_ms)? {
                    let model = existing(tx, &draft.name)?;
                    outbox::tell(tx, &Happening::model_created(&model), draft.created_ms)?;
                    events::add(tx, &by, (&draft.name, None), Action::Created, &json!({}))?;
                }
                let version = insert(tx, &by, draft.clone(), Some(&key))?;
                Ok(Registered {
                    version,
                    created: true,
                })
            })
            .await?;
        // Also when it existed: the call that made it may have died before it recorded this.
        self.ports.lineage.registered(&registered.version).await?;
        self.look_after_registering(&registered.version).await;
        Ok(registered)
    }

    /// Registers what a client of MLflow sends, under a model that exists: what it names as source, or a prompt.
    ///
    /// # Errors
    /// There is no such model, or the source is nothing that is kept here.
    pub async fn register_foreign(&self, new: NewForeign) -> Result<ModelVersion, RegistryError> {
        check_description(&new.description)?;
        new.tags.iter().try_for_each(check_tag)?;
        let (name, by) = (new.model.clone(), self.by());
        let draft = match is_prompt(&new.tags) {
            true => {
                source::check_prompt(&new.source.source)?;
                foreign_draft(new, None, &by)
            }
            false => self.draft_of_source(new, &by).await?,
        };
        let version = self
            .change(move |tx| {
                existing(tx, &name)?;
                insert(tx, &by, draft.clone(), None)
            })
            .await?;
        if !version.is_prompt() {
            self.ports.lineage.registered(&version).await?;
            self.look_after_registering(&version).await;
        }
        Ok(version)
    }

    /// What a version would be that is made from a source which is no prompt's.
    pub(super) async fn draft_of_source(
        &self,
        new: NewForeign,
        by: &By,
    ) -> Result<ModelVersion, RegistryError> {
        let ForeignSource {
            source,
            run_id,
            model_id,
            ..
        } = &new.source;
        let named = source::Named {
            run_id: run_id.as_deref(),
            model_id: model_id.as_deref(),
        };
        let read = source::read(source, named)?;
        // Before anything is made of the source, and again when it is registered.
        let looked_up = new.model.clone();
        self.store.read(move |tx| existing(tx, &looked_up)).await?;
        let read = match read {
            Source::Version(name, which) => return self.draft_of_copy(new, name, which, by).await,
            read => read,
        };
        let field = if model_id.is_some() { "model_id" } else { "run_id" };
        match self.ports.sources.pin(&new.source).await? {
            Some(pinned) => Ok(foreign_draft(new, Some(pinned), by)),
            None => Err(match read {
                Source::Elsewhere => RegistryError::Source(new.source.source),
                // Whose they are was compared already.
                Source::Run(_) | Source::LoggedModel(_) => source::empty(&new.source.source),
                _ => source::outside(&new.source.source, field),
            }),
        }
    }

    /// What a version would be that is made from one of a registered model: the same files, under a number of its own.
    async fn draft_of_copy(
        &self,
        new: NewForeign,
        name: String,
        which: Which,
        by: &By,
    ) -> Result<ModelVersion, RegistryError> {
        let text = new.source.source.clone();
        let original = self
            .store
            .read(move |tx| {
                if existing(tx, &name)?.is_prompt() {
                    return Err(source::prompt(&text));
                }
                original(tx, &name, &which)
            })
            .await?;
        let ForeignSource { run_id, model_id, .. } = &new.source;
        let differs = |given: &Option<String>, found: &Option<String>| given.is_some() && given != found;
        if differs(run_id, &original.tracking_run_id) || differs(model_id, &original.logged_model_id) {
            return Err(source::other_lineage(&new.source.source));
        }
        Ok(ModelVersion {
            name: new.model,
            version: 0,
            description: new.description,
            source: format!("models:/{}/{}", original.name, original.version),
            run_link: new.run_link,
            tags: new.tags,
            aliases: Vec::new(),
            stage: Stage::None,
            registered_by: by.actor.to_string(),
            created_ms: by.now_ms,
            updated_ms: by.now_ms,
            ..original
        })
    }
}

/// The version that a copy is made of.
fn original(tx: &mut dyn Tx, name: &str, which: &Which) -> Result<ModelVersion, RegistryError> {
    let missing = |version: &str| RegistryError::VersionNotFound {
        name: name.to_owned(),
        version: version.to_owned(),
        latest: None,
    };
    match which {
        Which::Number(number) => existing_version(tx, name, *number),
        Which::Latest => store::versions_of(tx, name, 1)?
            .pop()
            .ok_or_else(|| missing("latest")),
        Which::Alias(alias) => match store::alias_of(tx, name, alias)? {
            Some(number) => existing_version(tx, name, number),
            None => Err(RegistryError::invalid(format!(
                "Registered model alias {alias} not found."
            ))),
        },
        Which::Stage(stage) => {
            let wanted = Stage::parse(stage).ok_or_else(|| missing(stage))?;
            let latest = store::latest_of(tx, &[name.to_owned()])?.remove(name);
            let mut latest = latest.unwrap_or_default().into_iter();
            latest
                .find(|version| version.stage == wanted)
                .ok_or_else(|| missing(stage))
        }
    }
}

/// A version that a client of MLflow sends.
pub(super) fn foreign_draft(new: NewForeign, pinned: Option<Pinned>, by: &By) -> ModelVersion {
    let (run_of_pin, source) = (
        pinned.as_ref().and_then(|pinned| pinned.run_id.clone()),
        new.source,
    );
    ModelVersion {
        name: new.model,
        version: 0,
        description: new.description,
        flavor: pinned.as_ref().map_or(Flavor::Other, |pinned| pinned.flavor),
        download_uri: pinned
            .as_ref()
            .map_or_else(|| source.source.clone(), |pinned| pinned.artifact_uri.clone()),
        source_version: pinned.map(|pinned| pinned.version),
        source: source.source,
        run_id: None,
        step: None,
        tracking_run_id: source.run_id.or(run_of_pin),
        logged_model_id: source.model_id,
        run_link: new.run_link,
        data: Vec::new(),
        code: None,
        metrics: BTreeMap::new(),
        stage: Stage::None,
        aliases: Vec::new(),
        tags: new.tags,
        registered_by: by.actor.to_string(),
        created_ms: by.now_ms,
        updated_ms: by.now_ms,
    }
}

/// Whether a pipeline made both, of the same things and with the same result.
fn is_same(newest: &ModelVersion, draft: &ModelVersion) -> bool {
    newest.run_id.is_some()
        && newest.step == draft.step
        && newest.source_version == draft.source_version
        && newest.code == draft.code
        && newest.data == draft.data
        && newest.metrics == draft.metrics
}

fn insert(
    tx: &mut dyn Tx,
    by: &By,
    draft: ModelVersion,
    key: Option<&str>,
) -> Result<ModelVersion, RegistryError> {
    let version = store::next_version(tx, &draft.name, draft.created_ms)?;
    let made = ModelVersion { version, ..draft };
    store::insert_version(tx, &made, key)?;
    outbox::tell(tx, &Happening::version_created(&made), made.created_ms)?;
    let details = json!({
        "source": shown(&made.source),
        "run": made.run_id.as_ref().or(made.tracking_run_id.as_ref()),
    });
    events::add(tx, by, (&made.name, Some(version)), Action::Registered, &details)?;
    Ok(made)
}

fn draft_of(new: NewVersion, flavor: Flavor, by: &By) -> ModelVersion {
    ModelVersion {
        name: new.model.to_string(),
        version: 0,
        description: String::new(),
        source: new.source_version.to_string(),
        download_uri: new.source_version.to_string(),
        source_version: Some(new.source_version),
        flavor,
        run_id: Some(new.run_id.to_string()),
        step: Some(new.step),
        tracking_run_id: new.tracking_run_id.map(|id| id.to_string()),
        logged_model_id: None,
        run_link: String::new(),
        data: new.data,
        code: new.code,
        metrics: new
            .metrics
            .into_iter()
            .filter(|(_, value)| value.is_finite())
            .collect(),
        stage: Stage::None,
        aliases: Vec::new(),
        tags: Vec::new(),
        registered_by: by.actor.to_string(),
        created_ms: by.now_ms,
        updated_ms: by.now_ms,
    }
}
