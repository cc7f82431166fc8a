//! The history of metrics and the table of latest values.
//!
//! NaN is stored as 0 with a flag, because SQLite has no NaN and because that is how the reference server
//! orders it; infinities are stored as they are.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx, Value, params};

use crate::types::Metric;

fn stored(value: f64) -> (f64, bool) {
    if value.is_nan() {
        (0.0, true)
    } else {
        (value, false)
    }
}

fn rank(metric: &Metric) -> (i64, i64, f64) {
    (metric.step, metric.logged_ms, stored(metric.value).0)
}

pub(super) fn value_of(row: &Row) -> Result<f64, StoreError> {
    Ok(if row.boolean("is_nan")? {
        f64::NAN
    } else {
        row.real("value")?
    })
}

fn from_row(row: &Row) -> Result<Metric, StoreError> {
    Ok(Metric {
        key: row.text("key")?,
        value: value_of(row)?,
        logged_ms: row.integer("logged_ms")?,
        step: row.integer("step")?,
        model_id: None,
        dataset: None,
    })
}

/// Appends to the history and moves the latest values forward.
pub(crate) fn log_metrics(tx: &mut dyn Tx, run_id: &str, metrics: &[Metric]) -> Result<(), StoreError> {
    for chunk in metrics.chunks(super::ROWS) {
        let values: Vec<Value> = chunk.iter().flat_map(|metric| cells(run_id, metric)).collect();
        let sql = format!(
            "INSERT INTO tracking_metrics (run_id, key, step, logged_ms, value, is_nan) VALUES {}
             ON CONFLICT DO NOTHING",
            super::placeholders(chunk.len(), 6)
        );
        tx.execute(&sql, &values)?;
    }
    let mut latest: BTreeMap<&str, &Metric> = BTreeMap::new();
    for metric in metrics {
        let best = latest.entry(&metric.key).or_insert(metric);
        if rank(metric) > rank(best) {
            *best = metric;
        }
    }
    let latest: Vec<&Metric> = latest.into_values().collect();
    for chunk in latest.chunks(super::ROWS) {
        let values: Vec<Value> = chunk.iter().flat_map(|metric| cells(run_id, metric)).collect();
        let sql = format!(
            "INSERT INTO tracking_latest_metrics AS l (run_id, key, step, logged_ms, value, is_nan) VALUES {}
             ON CONFLICT (run_id, key) DO UPDATE SET step = excluded.step, logged_ms = excluded.logged_ms,
                 value = excluded.value, is_nan = excluded.is_nan
             WHERE (excluded.step, excluded.logged_ms, excluded.value) > (l.step, l.logged_ms, l.value)",
            super::placeholders(chunk.len(), 6)
        );
        tx.execute(&sql, &values)?;
    }
    Ok(())
}

fn cells(run_id: &str, metric: &Metric) -> [Value; 6] {
    let (value, is_nan) = stored(metric.value);
    [
        run_id.into(),
        (&metric.key).into(),
        metric.step.into(),
        metric.logged_ms.into(),
        value.into(),
        is_nan.into(),
    ]
}

/// The latest values of these runs, by run and key.
pub(crate) fn latest_of(
    tx: &mut dyn Tx,
    run_ids: &[String],
) -> Result<BTreeMap<String, Vec<Metric>>, StoreError> {
    let mut found: BTreeMap<String, Vec<Metric>> = BTreeMap::new();
    for ids in super::id_lists(run_ids) {
        let sql = format!(
            "SELECT run_id, key, step, logged_ms, value, is_nan FROM tracking_latest_metrics
             WHERE run_id IN ({}) ORDER BY run_id, key",
            super::list(ids.len())
        );
        for row in tx.query(&sql, &ids)? {
            found
                .entry(row.text("run_id")?)
                .or_default()
                .push(from_row(&row)?);
        }
    }
    Ok(found)
}

/// One run's values of a metric in order of time, step and value; `limit` of `None` is all.
pub(crate) fn history(
    tx: &mut dyn Tx,
    run_id: &str,
    key: &str,
    limit: Option<i64>,
    offset: i64,
) -> Result<Vec<Metric>, StoreError> {
    tx.query(
        "SELECT key, step, logged_ms, value, is_nan FROM tracking_metrics WHERE run_id = $1 AND key = $2
         ORDER BY logged_ms, step, value LIMIT $3 OFFSET $4",
        params![run_id, key, limit.unwrap_or(i64::MAX), offset],
    )?
    .iter()
    .map(from_row)
    .collect()
}

/// Several runs' values of a metric, at most `limit` rows, by run.
pub(crate) fn history_bulk(
    tx: &mut dyn Tx,
    run_ids: &[String],
    key: &str,
    limit: i64,
) -> Result<Vec<(String, Metric)>, StoreError> {
    let mut values: Vec<Value> = run_ids.iter().map(Value::from).collect();
    let sql = format!(
        "SELECT run_id, key, step, logged_ms, value, is_nan FROM tracking_metrics
         WHERE run_id IN ({}) AND key = ${} ORDER BY run_id, logged_ms, step, value LIMIT ${}",
        super::list(values.len()),
        values.len() + 1,
        values.len() + 2
    );
    values.push(key.into());
    values.push(limit.into());
    tx.query(&sql, &values)?
        .iter()
        .map(|row| Ok((row.text("run_id")?, from_row(row)?)))
        .collect()
}

/// Every step in a range at which any of the runs logged the metric, in order.
pub(crate) fn steps_of(
    tx: &mut dyn Tx,
    run_ids: &[String],
    key: &str,
    range: (i64, i64),
) -> Result<Vec<i64>, StoreError> {
    let mut values: Vec<Value> = run_ids.iter().map(Value::from).collect();
    let count = values.len();
    let sql = format!(
        "SELECT DISTINCT step FROM tracking_metrics WHERE run_id IN ({}) AND key = ${} AND step >= ${}
         AND step <= ${} ORDER BY step",
        super::list(count),
        count + 1,
        count + 2,
        count + 3
    );
    values.extend([key.into(), range.0.into(), range.1.into()]);
    tx.query(&sql, &values)?
        .iter()
        .map(|row| row.integer("step"))
        .collect()
}
