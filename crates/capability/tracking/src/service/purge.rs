//! Removing for good what was deleted, a part at a time: the bytes of artifacts go with the next collection of what
//! nothing refers to.

use corliss_metastore::Tx;

use super::Tracking;
use super::artifacts::{TRACES, path_of};
use crate::TrackingError;
use crate::store::{
    Deleted, Remains, experiment_by_id, purge_artifacts, purge_experiment, purge_model, purge_run,
};

/// Runs or logged models of one transaction: others who write wait that long.
const STEP: i64 = 50;
/// Transactions of one call.
const STEPS: usize = 20;

/// Which of what was deleted goes.
#[derive(Debug, Clone, Default)]
pub struct Purge {
    /// Deleted at least so long ago, in milliseconds.
    pub older_than_ms: u64,
    /// Of these experiments; of all, if there are none.
    pub experiment_ids: Vec<i64>,
    /// Count, and change nothing.
    pub dry_run: bool,
}

/// What was removed for good, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Runs.
    pub runs: u64,
    /// Logged models.
    pub logged_models: u64,
    /// Experiments.
    pub experiments: u64,
    /// Traces of these, counted when their experiments went; they are deleted right after.
    pub traces: u64,
    /// Files of artifacts; not counted by a dry run.
    pub artifacts: u64,
    /// Bytes of these; not counted by a dry run.
    pub artifact_bytes: u64,
    /// Whether there is more to remove, by the same call.
    pub more: bool,
}

impl Tracking {
    /// Removes deleted runs, logged models and experiments with all that hangs on them, up to a thousand in a call.
    ///
    /// # Errors
    /// The store failed; what was removed stays removed.
    pub async fn purge(&self, purge: Purge) -> Result<Purged, TrackingError> {
        let until_ms = self
            .now_ms()
            .saturating_sub(i64::try_from(purge.older_than_ms).unwrap_or(i64::MAX));
        if purge.dry_run {
            return self.count_deleted(purge.experiment_ids, until_ms).await;
        }
        let mut purged = Purged::default();
        for _ in 0..STEPS {
            let ids = purge.experiment_ids.clone();
            let (step, gone) = self.store.write(move |tx| purge_some(tx, until_ms, &ids)).await?;
            purged.runs += step.runs;
            purged.logged_models += step.logged_models;
            if !gone.is_empty() {
                purged.experiments += gone.len() as u64;
                purged.traces += self.traces.count(gone).await?;
            }
            purged.artifacts += step.artifacts;
            purged.artifact_bytes += step.artifact_bytes;
            purged.more = step.more;
            if !step.more {
                break;
            }
        }
        if purged.experiments > 0 {
            self.purged.signal();
        }
        Ok(purged)
    }

    async fn count_deleted(&self, ids: Vec<i64>, until_ms: i64) -> Result<Purged, TrackingError> {
        let ((runs, logged_models), experiments) = self
            .store
            .read(move |tx| {
                let deleted = Deleted {
                    until_ms,
                    experiment_ids: &ids,
                };
                Ok::<_, TrackingError>((deleted.count(tx)?, deleted.experiments(tx)?))
            })
            .await?;
        Ok(Purged {
            runs,
            logged_models,
            experiments: experiments.len() as u64,
            traces: self.traces.count(experiments).await?,
            ..Purged::default()
        })
    }
}

impl Purged {
    /// Removes the artifacts of what goes, and counts them.
    fn remove_files(&mut self, tx: &mut dyn Tx, remains: &Remains) -> Result<(), TrackingError> {
        if let Some(path) = path_of(&remains.artifact_uri) {
            let (files, bytes) = purge_artifacts(tx, &path)?;
            self.artifacts += files;
            self.artifact_bytes += bytes;
        }
        Ok(())
    }
}

/// Answers also which experiments went.
fn purge_some(
    tx: &mut dyn Tx,
    until_ms: i64,
    experiment_ids: &[i64],
) -> Result<(Purged, Vec<i64>), TrackingError> {
    let deleted = Deleted {
        until_ms,
        experiment_ids,
    };
    let mut purged = Purged::default();
    let runs = deleted.runs(tx, STEP)?;
    let models = deleted.models(tx, STEP)?;
    purged.runs = runs.len() as u64;
    purged.logged_models = models.len() as u64;
    for run in &runs {
        purged.remove_files(tx, run)?;
        purge_run(tx, &run.id)?;
    }
    for model in &models {
        purged.remove_files(tx, model)?;
        purge_model(tx, &model.id)?;
    }
    let mut gone = Vec::new();
    purged.more = purged.runs + purged.logged_models > 0;
    if !purged.more {
        // Once nothing that goes is left in any of them.
        for id in deleted.experiments(tx)? {
            if let Some(path) = experiment_by_id(tx, id)?.and_then(|found| path_of(&found.artifact_location))
            {
                let (files, bytes) = purge_artifacts(tx, &format!("{path}/{TRACES}"))?;
                purged.artifacts += files;
                purged.artifact_bytes += bytes;
            }
            purge_experiment(tx, id)?;
            gone.push(id);
        }
    }
    Ok((purged, gone))
}
