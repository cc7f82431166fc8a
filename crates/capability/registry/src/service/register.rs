//! Registering a version: from a pipeline run, or from what a client of MLflow logged.

use std::collections::BTreeMap;

use corliss_metastore::Tx;
use corliss_types::{Flavor, ModelName, RunId, TrackingRunId, VersionId};

use super::{Registry, check_description, check_tag, existing};
use crate::types::{DataInput, KeyValue, ModelVersion, Stage};
use crate::{ForeignSource, RegistryError, store};

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
        let flavor = self.model_sources.flavor_of(&new.source_version).await?;
        let flavor = flavor.ok_or_else(|| RegistryError::Source(new.source_version.to_string()))?;
        let key = format!("{}/{}", new.run_id, new.model);
        let draft = draft_of(new, flavor, self.now_ms());
        let registered = self
            .store
            .write(move |tx| {
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
                store::insert_model(tx, &draft.name, "", draft.created_ms)?;
                let version = insert(tx, draft.clone(), Some(&key))?;
                Ok(Registered {
                    version,
                    created: true,
                })
            })
            .await?;
        // Also when it existed: the call that made it may have died before it recorded this.
        self.lineage.registered(&registered.version).await?;
        Ok(registered)
    }

    /// Registers what a client of MLflow names as source, under a model that exists.
    ///
    /// # Errors
    /// There is no such model, or the source is nothing that is kept here.
    pub async fn register_foreign(
        &self,
        name: String,
        source: ForeignSource,
        run_link: String,
        description: String,
        tags: Vec<KeyValue>,
    ) -> Result<ModelVersion, RegistryError> {
        check_description(&description)?;
        tags.iter().try_for_each(check_tag)?;
        let looked_up = name.clone();
        self.store.read(move |tx| existing(tx, &looked_up)).await?;
        let pinned = self.model_sources.pin(&source).await?;
        let pinned = pinned.ok_or_else(|| RegistryError::Source(source.source.clone()))?;
        let now_ms = self.now_ms();
        let draft = ModelVersion {
            name,
            version: 0,
            description,
            source_version: pinned.version,
            source: pinned.artifact_uri,
            flavor: pinned.flavor,
            run_id: None,
            step: None,
            tracking_run_id: pinned.run_id.or(source.run_id),
            logged_model_id: source.model_id,
            run_link,
            data: Vec::new(),
            code: None,
            metrics: BTreeMap::new(),
            stage: Stage::None,
            aliases: Vec::new(),
            tags,
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        let version = self
            .store
            .write(move |tx| {
                existing(tx, &draft.name)?;
                insert(tx, draft.clone(), None)
            })
            .await?;
        self.lineage.registered(&version).await?;
        Ok(version)
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

fn insert(tx: &mut dyn Tx, draft: ModelVersion, key: Option<&str>) -> Result<ModelVersion, RegistryError> {
    let version = store::next_version(tx, &draft.name, draft.created_ms)?;
    let made = ModelVersion { version, ..draft };
    store::insert_version(tx, &made, key)?;
    Ok(made)
}

fn draft_of(new: NewVersion, flavor: Flavor, now_ms: i64) -> ModelVersion {
    ModelVersion {
        name: new.model.to_string(),
        version: 0,
        description: String::new(),
        source: new.source_version.to_string(),
        source_version: new.source_version,
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
        created_ms: now_ms,
        updated_ms: now_ms,
    }
}
