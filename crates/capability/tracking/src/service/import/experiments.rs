//! Experiments that are moved in: made once for each of the source, under its name.

use super::super::experiments::{check_name, check_tag};
use super::super::{Tracking, location_of};
use super::check_source;
use crate::types::{Experiment, KeyValue, LifecycleStage};
use crate::{TrackingError, store};

/// An experiment of a source.
#[derive(Debug, Clone)]
pub struct ImportExperiment {
    /// Where it comes from, in one form for one source.
    pub source: String,
    /// What the source calls it.
    pub source_id: String,
    /// Its name here.
    pub name: String,
    /// Whether it may go into an experiment of this name that holds something else, or is filled from another source.
    pub merge: bool,
    /// In use, or deleted.
    pub lifecycle: LifecycleStage,
    /// Unix milliseconds; now if absent.
    pub created_ms: Option<i64>,
    /// Unix milliseconds; as made if absent.
    pub updated_ms: Option<i64>,
    /// Tags; one that is here already stays as it is.
    pub tags: Vec<KeyValue>,
    /// Look, and change nothing.
    pub dry_run: bool,
}

/// Where an experiment went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentMoved {
    /// Its number here; none if a dry run would make it.
    pub id: Option<i64>,
    /// Its name here: another one than was asked for, if it came before and was renamed or went elsewhere.
    pub name: String,
    /// Whether this call made it, or would.
    pub created: bool,
    /// In use here, or deleted.
    pub lifecycle: LifecycleStage,
}

impl Tracking {
    /// Finds the experiment that one of a source became, or makes it.
    ///
    /// # Errors
    /// Another one of this name holds something else or is filled from another source, or an argument is wrong.
    pub async fn import_experiment(
        &self,
        import: ImportExperiment,
    ) -> Result<ExperimentMoved, TrackingError> {
        check_source(&import.source)?;
        check_name(&import.name)?;
        import.tags.iter().try_for_each(check_tag)?;
        let now_ms = self.now_ms();
        self.store
            .write(move |tx| {
                let known = store::imported_experiment(tx, &import.source, &import.source_id)?;
                if let Some(id) = known
                    && let Some(found) = store::experiment_by_id(tx, id)?
                {
                    return Ok(ExperimentMoved {
                        id: Some(id),
                        name: found.name,
                        created: false,
                        lifecycle: found.lifecycle,
                    });
                }
                let named = store::experiment_by_name(tx, &import.name)?;
                let created = named.is_none();
                let lifecycle = named.as_ref().map_or(import.lifecycle, |named| named.lifecycle);
                let id = match named {
                    Some(named) if import.merge || store::is_free_experiment(tx, named.id)? => {
                        let new = import.tags.iter();
                        let new = new.filter(|tag| named.tags.iter().all(|old| old.key != tag.key));
                        for tag in new.filter(|_| !import.dry_run) {
                            store::put_experiment_tag(tx, named.id, tag)?;
                        }
                        named.id
                    }
                    Some(_) => return Err(TrackingError::ImportExperimentTaken(import.name.clone())),
                    None if import.dry_run => {
                        return Ok(ExperimentMoved {
                            id: None,
                            name: import.name.clone(),
                            created,
                            lifecycle,
                        });
                    }
                    None => {
                        let id = store::next_experiment_id(tx)?;
                        let created_ms = import.created_ms.unwrap_or(now_ms);
                        let experiment = Experiment {
                            id,
                            name: import.name.clone(),
                            artifact_location: location_of(id),
                            lifecycle: import.lifecycle,
                            created_ms,
                            updated_ms: import.updated_ms.unwrap_or(created_ms),
                            tags: import.tags.clone(),
                        };
                        store::insert_experiment(tx, &experiment)?;
                        id
                    }
                };
                if !import.dry_run {
                    store::put_imported_experiment(tx, &import.source, &import.source_id, id)?;
                }
                Ok(ExperimentMoved {
                    id: Some(id),
                    name: import.name.clone(),
                    created,
                    lifecycle,
                })
            })
            .await
    }
}
