//! The latest value of each metric beside its history.
//!
//! NaN is stored as 0 with a flag, because SQLite has no NaN and because that is how the reference server orders it;
//! infinities are stored as they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use corliss_metastore::{Row, StoreError, Tx, Value};

use super::batches::Batches;
use super::history::Point;
use super::keys::{Keys, name_of};
use super::points::{ByKey, add_points, points};
use super::runs::RunRef;
use crate::types::Metric;

/// A metric with its name's number.
pub(crate) type Numbered = (i64, Point);

fn stored(value: f64) -> (f64, bool) {
    if value.is_nan() {
        (0.0, true)
    } else {
        (value, false)
    }
}

pub(super) fn value_of(row: &Row) -> Result<f64, StoreError> {
    Ok(if row.boolean("is_nan")? {
        f64::NAN
    } else {
        row.real("value")?
    })
}

pub(super) fn point_of(row: &Row) -> Result<Point, StoreError> {
    Ok(Point {
        logged_ms: row.integer("logged_ms")?,
        step: row.integer("step")?,
        value: value_of(row)?,
    })
}

fn metric(key: &str, point: Point) -> Metric {
    Metric {
        key: key.to_owned(),
        value: point.value,
        logged_ms: point.logged_ms,
        step: point.step,
        model_id: None,
        dataset: None,
    }
}

/// Adds to histories and moves the latest values forward.
pub(crate) fn log_metrics(
    tx: &mut dyn Tx,
    batches: &Batches,
    run: &RunRef,
    metrics: &[Numbered],
) -> Result<(), StoreError> {
    let mut new = ByKey::new();
    for (key_no, point) in metrics {
        new.entry(*key_no).or_default().push(*point);
    }
    if new.is_empty() {
        return Ok(());
    }
    let latest = new.iter().filter_map(|(key_no, points)| {
        let latest = points.iter().copied();
        let latest = latest.reduce(|best, one| if one.is_later_than(&best) { one } else { best });
        latest.map(|latest| (*key_no, latest))
    });
    put_latest(tx, run, &latest.collect::<Vec<_>>())?;
    add_points(tx, batches, run.number, new)
}

/// Where they are later than what is there.
fn put_latest(tx: &mut dyn Tx, run: &RunRef, latest: &[Numbered]) -> Result<(), StoreError> {
    for some in super::row_groups(latest) {
        let cells = some.iter().flat_map(|(key_no, point)| -> [Value; 7] {
            let (value, is_nan) = stored(point.value);
            [
                run.number.into(),
                (*key_no).into(),
                run.experiment_id.into(),
                point.step.into(),
                point.logged_ms.into(),
                value.into(),
                is_nan.into(),
            ]
        });
        let sql = format!(
            "INSERT INTO tracking_latest AS l (run_no, key_no, experiment_id, step, logged_ms, value, is_nan)
             VALUES {}
             ON CONFLICT (run_no, key_no) DO UPDATE SET step = excluded.step, logged_ms = excluded.logged_ms,
                 value = excluded.value, is_nan = excluded.is_nan
             WHERE (excluded.step, excluded.logged_ms, excluded.value) > (l.step, l.logged_ms, l.value)",
            super::placeholders(some.len(), 7)
        );
        tx.execute(&sql, &cells.collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The latest values of these runs, by run, each sorted by name.
pub(crate) fn latest_of(
    tx: &mut dyn Tx,
    keys: &Keys,
    runs: &[i64],
) -> Result<HashMap<i64, Vec<Metric>>, StoreError> {
    let mut rows = Vec::new();
    for list in super::number_lists(runs) {
        let sql = format!(
            "SELECT run_no, key_no, step, logged_ms, value, is_nan FROM tracking_latest WHERE run_no IN ({})",
            super::list(list.len())
        );
        rows.extend(tx.query(&sql, &list)?);
    }
    let numbered: Vec<(i64, i64, Point)> = rows
        .iter()
        .map(|row| Ok((row.integer("run_no")?, row.integer("key_no")?, point_of(row)?)))
        .collect::<Result<_, StoreError>>()?;
    let names = keys.names(tx, numbered.iter().map(|(_, key_no, _)| *key_no))?;
    let mut found: HashMap<i64, Vec<Metric>> = HashMap::new();
    for (run_no, key_no, point) in numbered {
        let metric = metric(&name_of(&names, key_no)?, point);
        found.entry(run_no).or_default().push(metric);
    }
    for metrics in found.values_mut() {
        metrics.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    }
    Ok(found)
}

/// A part of a history; `limit` of `None` is all of it.
pub(crate) fn history(
    tx: &mut dyn Tx,
    keys: &Keys,
    run_no: i64,
    key: &str,
    limit: Option<i64>,
    offset: i64,
) -> Result<Vec<Metric>, StoreError> {
    let key_no = keys.number(tx, key)?;
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let points = points(tx, run_no, key_no)?;
    let some = points.into_iter().skip(offset).take(limit);
    Ok(some.map(|point| metric(key, point)).collect())
}

/// Several runs' values of a metric, at most `limit` of them, by the ids of the runs.
pub(crate) fn history_bulk(
    tx: &mut dyn Tx,
    keys: &Keys,
    runs: &BTreeMap<String, i64>,
    key: &str,
    limit: i64,
) -> Result<Vec<(String, Metric)>, StoreError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let key_no = keys.number(tx, key)?;
    let mut found = Vec::new();
    for (run_id, run_no) in runs {
        if found.len() >= limit {
            break;
        }
        let some = points(tx, *run_no, key_no)?.into_iter().take(limit - found.len());
        found.extend(some.map(|point| (run_id.clone(), metric(key, point))));
    }
    Ok(found)
}

/// Every step in a range at which any of the runs logged the metric.
pub(crate) fn steps_of(histories: &[(String, Vec<Metric>)], range: (i64, i64)) -> Vec<i64> {
    let all = histories.iter().flat_map(|(_, history)| history);
    let steps: BTreeSet<i64> = all
        .map(|metric| metric.step)
        .filter(|step| range.0 <= *step && *step <= range.1)
        .collect();
    steps.into_iter().collect()
}
