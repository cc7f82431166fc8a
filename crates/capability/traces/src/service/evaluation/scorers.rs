//! Scorers: register, list, read, delete. What a client serialised is kept and given back; it is never run here.

use super::datasets::short;
use super::{Evaluation, experiment_id};
use crate::evaluation::Scorer;
use crate::{TracesError, limits, store};

impl Evaluation {
    /// Registers a scorer, or the next version of it.
    ///
    /// # Errors
    /// There is no such experiment or it is deleted, or an argument is wrong.
    pub async fn register_scorer(
        &self,
        experiment: &str,
        name: String,
        serialized: String,
    ) -> Result<Scorer, TracesError> {
        let (experiment_id, state) = self.experiment(experiment).await?;
        if !state.active {
            return Err(TracesError::invalid(format!(
                "The experiment {experiment} must be in the 'active' state. Current state is deleted."
            )));
        }
        short("name", limits::KEY_LEN, &name)?;
        if serialized.len() > limits::SCORER_BYTES {
            return Err(TracesError::too_many(
                "serialized_scorer",
                "bytes",
                limits::SCORER_BYTES,
                "keep long examples and code elsewhere, and name them in the scorer",
            ));
        }
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&serialized).is_ok();
        // A JSON text may hold neither; asked because the store could not keep it.
        if !is_json || serialized.contains('\0') {
            return Err(TracesError::invalid("serialized_scorer must be valid JSON"));
        }
        let (id, now_ms) = (self.new_id(""), self.now_ms());
        self.store
            .write(move |tx| {
                let (id, version) = store::next_scorer_version(tx, experiment_id, &name, &id)?;
                let scorer = Scorer {
                    id,
                    experiment_id,
                    name: name.clone(),
                    version,
                    serialized: serialized.clone(),
                    created_ms: now_ms,
                };
                store::insert_scorer_version(tx, &scorer)?;
                let bytes = store::scorer_bytes(tx, &[experiment_id])?;
                if bytes > limits::SCORERS_BYTES {
                    return Err(TracesError::Limit {
                        field: "serialized_scorer",
                        message: format!(
                            "the scorers of experiment {experiment_id} would have {bytes} bytes, and {} are taken",
                            limits::SCORERS_BYTES
                        ),
                        hint: "delete versions that are not needed",
                    });
                }
                Ok(scorer)
            })
            .await
    }

    /// The latest version of each scorer of an experiment, by name.
    ///
    /// # Errors
    /// There is no such experiment.
    pub async fn scorers(&self, experiment: &str) -> Result<Vec<Scorer>, TracesError> {
        let (id, _) = self.experiment(experiment).await?;
        self.store
            .read(move |tx| Ok(store::latest_scorers(tx, &[id])?))
            .await
    }

    /// The same of several experiments; one that is not there has none.
    ///
    /// # Errors
    /// There are too many, or they hold too much for one answer.
    pub async fn scorers_of(&self, experiments: &[String]) -> Result<Vec<Scorer>, TracesError> {
        if experiments.len() > limits::SEARCH_EXPERIMENTS {
            return Err(TracesError::too_many(
                "experiment_ids",
                "experiments",
                limits::SEARCH_EXPERIMENTS,
                "ask for them in several calls",
            ));
        }
        let ids: Vec<i64> = experiments
            .iter()
            .map(|id| experiment_id(id))
            .collect::<Result<_, _>>()?;
        self.store
            .read(move |tx| {
                if store::scorer_bytes(tx, &ids)? > limits::SCORERS_BYTES {
                    return Err(TracesError::Limit {
                        field: "experiment_ids",
                        message: format!(
                            "the scorers of these experiments have more than {} bytes",
                            limits::SCORERS_BYTES
                        ),
                        hint: "ask for fewer experiments at once",
                    });
                }
                Ok(store::latest_scorers(tx, &ids)?)
            })
            .await
    }

    /// All versions of a scorer, the oldest first.
    ///
    /// # Errors
    /// There is no such experiment or scorer.
    pub async fn scorer_versions(&self, experiment: &str, name: String) -> Result<Vec<Scorer>, TracesError> {
        let (id, _) = self.experiment(experiment).await?;
        self.store
            .read(move |tx| {
                let found = store::scorer_versions(tx, id, &name)?;
                if found.is_empty() {
                    return Err(not_found(id, &name, None));
                }
                Ok(found)
            })
            .await
    }

    /// A version of a scorer; its latest if none is named.
    ///
    /// # Errors
    /// There is no such experiment, scorer or version.
    pub async fn scorer(
        &self,
        experiment: &str,
        name: String,
        version: Option<i64>,
    ) -> Result<Scorer, TracesError> {
        let (id, _) = self.experiment(experiment).await?;
        self.store
            .read(move |tx| {
                store::scorer(tx, id, &name, version)?.ok_or_else(|| not_found(id, &name, version))
            })
            .await
    }

    /// Removes a version of a scorer, or all of it if none is named. The last version takes the scorer with it.
    ///
    /// # Errors
    /// There is no such experiment, scorer or version.
    pub async fn delete_scorer(
        &self,
        experiment: &str,
        name: String,
        version: Option<i64>,
    ) -> Result<(), TracesError> {
        let (id, _) = self.experiment(experiment).await?;
        self.store
            .write(move |tx| {
                if store::delete_scorer(tx, id, &name, version)? {
                    return Ok(());
                }
                Err(not_found(id, &name, version))
            })
            .await
    }
}

fn not_found(experiment_id: i64, name: &str, version: Option<i64>) -> TracesError {
    let version = version.map_or(String::new(), |version| format!(" and version {version}"));
    TracesError::NotFound(format!(
        "Scorer with name '{name}'{version} not found for experiment {experiment_id}."
    ))
}
