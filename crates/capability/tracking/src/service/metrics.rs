//! Reading metrics: histories, several runs at once, thinned to what a chart can show.

use std::collections::{BTreeMap, BTreeSet};

use corliss_mlflow_wire::token_of;
use corliss_types::TrackingRunId;

use super::Tracking;
use crate::types::{Metric, Page};
use crate::{TrackingError, limits, store};

impl Tracking {
    /// One run's values of a metric, in order of time, step and value; all of them without `limit`.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn metric_history(
        &self,
        run_id: String,
        key: String,
        limit: Option<i64>,
        offset: u64,
    ) -> Result<Page<Metric>, TrackingError> {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let fetched = limit.map(|limit| limit.saturating_add(1));
        let keys = self.keys.clone();
        let mut items = self
            .store
            .read(move |tx| {
                let run =
                    store::run_ref(tx, &run_id)?.ok_or_else(|| TrackingError::run_not_found(&run_id))?;
                Ok::<_, TrackingError>(store::history(tx, &keys, run.number, &key, fetched, offset)?)
            })
            .await?;
        let next_page_token = cut(&mut items, limit, offset);
        Ok(Page {
            items,
            next_page_token,
        })
    }

    /// Several runs' values of a metric, by run, time, step and value, at most `limit` of them.
    ///
    /// # Errors
    /// No run, or too many, were named.
    pub async fn metric_history_bulk(
        &self,
        run_ids: Vec<String>,
        key: String,
        limit: i64,
    ) -> Result<Vec<(String, Metric)>, TrackingError> {
        check_runs(&run_ids, "GetMetricHistoryBulk request cannot specify more than")?;
        let limit = limit.clamp(0, limits::HISTORY_BULK_ROWS);
        let keys = self.keys.clone();
        self.store
            .read(move |tx| {
                let runs = store::run_numbers(tx, &run_ids)?;
                Ok(store::history_bulk(tx, &keys, &runs, &key, limit)?)
            })
            .await
    }

    /// Several runs' values of a metric at evenly chosen steps, and always at each run's last.
    ///
    /// # Errors
    /// No run, or too many, were named, or the range or the number of points is wrong.
    pub async fn metric_history_interval(
        &self,
        run_ids: Vec<String>,
        key: String,
        range: Option<(i64, i64)>,
        points: i64,
    ) -> Result<Vec<(String, Metric)>, TrackingError> {
        check_runs(
            &run_ids,
            "GetMetricHistoryBulkInterval request must specify at most",
        )?;
        if !(1..=limits::HISTORY_INTERVAL_POINTS).contains(&points) {
            let most = limits::HISTORY_INTERVAL_POINTS;
            return Err(TrackingError::invalid(format!(
                "max_results must be between 1 and {most}. See the API docs for more information about request \
                 parameters."
            )));
        }
        let range = range.unwrap_or((i64::MIN, i64::MAX));
        if range.0 > range.1 {
            return Err(TrackingError::invalid(format!(
                "end_step must be greater than start_step. Found start_step={} and end_step={}.",
                range.0, range.1
            )));
        }
        let keys = self.keys.clone();
        self.store
            .read(move |tx| {
                let runs = store::run_numbers(tx, &run_ids)?;
                let mut histories = Vec::with_capacity(run_ids.len());
                for run_id in &run_ids {
                    let history = match runs.get(run_id) {
                        Some(run_no) => store::history(tx, &keys, *run_no, &key, None, 0)?,
                        None => Vec::new(),
                    };
                    histories.push((run_id.clone(), history));
                }
                let steps = store::steps_of(&histories, range);
                let chosen = thinned(&steps, usize::try_from(points).unwrap_or(usize::MAX));
                let mut found = Vec::new();
                for (run_id, history) in histories {
                    let last = history
                        .iter()
                        .map(|metric| metric.step)
                        .filter(|step| within(*step, range))
                        .max();
                    let kept = history.into_iter().filter(|metric| {
                        within(metric.step, range)
                            && (chosen.contains(&metric.step) || Some(metric.step) == last)
                    });
                    let mut kept: Vec<_> = kept.map(|metric| (run_id.clone(), metric)).collect();
                    kept.sort_by_key(|(_, metric)| (metric.step, metric.logged_ms));
                    found.append(&mut kept);
                }
                Ok(found)
            })
            .await
    }

    /// The latest value of every metric of these runs: what a gate looks at.
    ///
    /// # Errors
    /// The store failed.
    pub async fn latest_metrics(
        &self,
        runs: &[TrackingRunId],
    ) -> Result<BTreeMap<TrackingRunId, BTreeMap<String, f64>>, TrackingError> {
        let ids: Vec<String> = runs.iter().map(|run| run.as_str().to_owned()).collect();
        let keys = self.keys.clone();
        let (numbers, mut latest) = self
            .store
            .read(move |tx| {
                let numbers = store::run_numbers(tx, &ids)?;
                let all: Vec<i64> = numbers.values().copied().collect();
                let latest = store::latest_of(tx, &keys, &all)?;
                Ok::<_, TrackingError>((numbers, latest))
            })
            .await?;
        Ok(runs
            .iter()
            .map(|run| {
                let number = numbers.get(run.as_str());
                let metrics = number
                    .and_then(|number| latest.remove(number))
                    .unwrap_or_default();
                (
                    run.clone(),
                    metrics
                        .into_iter()
                        .map(|metric| (metric.key, metric.value))
                        .collect(),
                )
            })
            .collect())
    }
}

fn within(step: i64, range: (i64, i64)) -> bool {
    range.0 <= step && step <= range.1
}

/// Refuses no runs, and too many in the words that the call has for it.
fn check_runs(run_ids: &[String], too_many: &str) -> Result<(), TrackingError> {
    if run_ids.is_empty() {
        return Err(TrackingError::invalid(
            "GetMetricHistoryBulk request must specify at least one run_id.",
        ));
    }
    if run_ids.len() > limits::HISTORY_BULK_RUNS {
        return Err(TrackingError::invalid(format!(
            "{too_many} {} run_ids. Received {} run_ids.",
            limits::HISTORY_BULK_RUNS,
            run_ids.len()
        )));
    }
    Ok(())
}

/// At most `count` of these steps, evenly chosen, with the first and the last.
fn thinned(steps: &[i64], count: usize) -> BTreeSet<i64> {
    if steps.len() <= count {
        return steps.iter().copied().collect();
    }
    let last = steps.len() - 1;
    (0..count)
        .map(|index| {
            steps[if count == 1 {
                last
            } else {
                index * last / (count - 1)
            }]
        })
        .collect()
}

/// Cuts a page that was fetched with one item too many, and says where the next begins.
pub(super) fn cut<T>(items: &mut Vec<T>, limit: Option<i64>, offset: i64) -> Option<String> {
    let limit = limit?;
    let keep = usize::try_from(limit).unwrap_or(usize::MAX);
    if items.len() <= keep {
        return None;
    }
    items.truncate(keep);
    Some(token_of(u64::try_from(offset.saturating_add(limit)).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_both_ends() {
        let steps: Vec<i64> = (0..1000).collect();
        let chosen = thinned(&steps, 10);
        assert_eq!(chosen.len(), 10);
        assert!(chosen.contains(&0) && chosen.contains(&999));
        assert_eq!(thinned(&steps, 1).into_iter().collect::<Vec<_>>(), [999]);
        assert_eq!(thinned(&steps[..3], 10).len(), 3);
    }
}
