//! Deleting traces, in pieces, so that many do not stop everybody else.

use corliss_metastore::Metastore;

use super::{Traces, folder_of};
use crate::{TracesError, limits, store};

/// Which traces of an experiment to delete: those named, or those that began no later than a time.
#[derive(Debug, Clone, Default)]
pub struct DeleteScope {
    /// Their experiment.
    pub experiment_id: i64,
    /// Unix milliseconds.
    pub until_ms: Option<i64>,
    /// At most so many, the oldest first.
    pub most: Option<i64>,
    /// Their ids.
    pub trace_ids: Vec<String>,
}

/// How many traces these experiments have, on a store that has [`crate::MIGRATIONS`]: for whoever is about to remove
/// experiments, whom [`Traces`] ask what experiments there are.
///
/// # Errors
/// The store failed.
pub async fn count_traces(store: &Metastore, experiment_ids: Vec<i64>) -> Result<u64, TracesError> {
    store
        .read(move |tx| Ok(store::count_of(tx, &experiment_ids)?))
        .await
}

/// What one piece of the work came to.
struct Deleted {
    /// Traces that were there when it looked.
    found: i64,
    /// Those of them that were still there when it deleted.
    deleted: i64,
}

impl Traces {
    /// Deletes traces with all that hangs on them; answers how many this call deleted, and not somebody else meanwhile.
    ///
    /// # Errors
    /// The scope is neither a time nor a list, or both.
    pub async fn delete_traces(&self, scope: DeleteScope) -> Result<i64, TracesError> {
        check(&scope)?;
        let mut deleted = 0;
        let mut left = scope.most.unwrap_or(i64::MAX);
        if scope.until_ms.is_none() {
            for ids in scope.trace_ids.chunks(limits::DELETE_CHUNK as usize) {
                let part = DeleteScope {
                    experiment_id: scope.experiment_id,
                    trace_ids: ids.to_vec(),
                    ..DeleteScope::default()
                };
                deleted += self.delete_some(part, limits::DELETE_CHUNK).await?.deleted;
            }
            return Ok(deleted);
        }
        while left > 0 {
            let limit = left.min(limits::DELETE_CHUNK);
            let some = self.delete_some(scope.clone(), limit).await?;
            deleted += some.deleted;
            left -= some.deleted;
            if some.found < limit {
                break;
            }
        }
        Ok(deleted)
    }

    /// Deletes the traces of experiments that are no more, and their scorers; answers how many traces there were.
    ///
    /// # Errors
    /// The store failed, or it cannot be known which experiments there are.
    pub async fn delete_orphans(&self) -> Result<i64, TracesError> {
        let mut deleted = 0;
        for experiment_id in self.store.read(store::experiments_here).await? {
            if self.experiments.experiment(experiment_id).await?.is_none() {
                let all = DeleteScope {
                    experiment_id,
                    until_ms: Some(i64::MAX),
                    ..DeleteScope::default()
                };
                deleted += self.delete_traces(all).await?;
                self.store
                    .write(move |tx| Ok::<_, TracesError>(store::forget_experiment(tx, experiment_id)?))
                    .await?;
            }
        }
        Ok(deleted)
    }

    async fn delete_some(&self, scope: DeleteScope, limit: i64) -> Result<Deleted, TracesError> {
        let experiment_id = scope.experiment_id;
        let doomed = self
            .store
            .read(move |tx| {
                let doomed = store::doomed(tx, experiment_id, &scope.trace_ids, scope.until_ms, limit)?;
                Ok::<_, TracesError>(doomed)
            })
            .await?;
        // Files first: whoever is told that a trace is gone is told that of its files, and where that ends half-way the
        // trace is still there to be deleted again.
        if !doomed.is_empty()
            && let Some(experiment) = self.experiments.experiment(experiment_id).await?
        {
            let folders = doomed.iter().map(|(_, id)| folder_of(&experiment, id)).collect();
            self.files.remove(folders).await?;
        }
        self.store
            .write(move |tx| {
                let deleted = store::delete_traces(tx, &doomed)?;
                Ok(Deleted {
                    found: i64::try_from(doomed.len()).unwrap_or(i64::MAX),
                    deleted: i64::try_from(deleted).unwrap_or(i64::MAX),
                })
            })
            .await
    }
}

fn check(scope: &DeleteScope) -> Result<(), TracesError> {
    let named = !scope.trace_ids.is_empty();
    Err(TracesError::invalid(match (scope.until_ms, scope.most) {
        (None, _) if !named => "Either `max_timestamp_millis` or `trace_ids` must be specified.".to_owned(),
        (Some(_), _) if named => {
            "Only one of `max_timestamp_millis` and `trace_ids` can be specified.".to_owned()
        }
        (_, Some(_)) if named => "`max_traces` can't be specified if `trace_ids` is specified.".to_owned(),
        (_, Some(most)) if most <= 0 => format!("`max_traces` must be a positive integer, received {most}."),
        _ if scope.trace_ids.len() > limits::TRACES_PER_CALL => {
            return Err(TracesError::too_many(
                "request_ids",
                "traces",
                limits::TRACES_PER_CALL,
                "delete them in several calls",
            ));
        }
        _ => return Ok(()),
    }))
}
