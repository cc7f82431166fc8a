//! Everything of one run, in a fixed number of queries whatever its size.

use std::collections::BTreeMap;

use corliss_metastore::{StoreError, Tx, params};
use corliss_policy_pipeline::{FailureClass, StepState};
use corliss_types::{AttemptNumber, JobId, ModelName, RunId, Timestamp, TrackingRunId, VersionId};

use super::runs::{RunRow, find};
use super::unknown;
use crate::types::{EndpointState, ModelState};

/// A run as stored.
#[derive(Debug, Clone)]
pub(crate) struct LoadedRun {
    pub(crate) run: RunRow,
    pub(crate) data: BTreeMap<String, VersionId>,
    /// In the order of the file.
    pub(crate) steps: Vec<StepRow>,
    pub(crate) models: Vec<ModelRow>,
    pub(crate) endpoints: Vec<EndpointRow>,
}

#[derive(Debug, Clone)]
pub(crate) struct StepRow {
    pub(crate) name: String,
    pub(crate) state: StepState,
    pub(crate) reason: Option<String>,
    pub(crate) attempt: AttemptNumber,
    pub(crate) infrastructure_failures: u32,
    pub(crate) user_failures: u32,
    pub(crate) tracking_run: TrackingRunId,
    pub(crate) cached_from: Option<RunId>,
    pub(crate) use_cache: bool,
    pub(crate) closed: bool,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) outputs: BTreeMap<String, VersionId>,
    /// Oldest first.
    pub(crate) attempts: Vec<AttemptRow>,
}

#[derive(Debug, Clone)]
pub(crate) struct AttemptRow {
    pub(crate) attempt: AttemptNumber,
    /// `preparing`, `submitted`, `succeeded`, `failed`, `cancelled`.
    pub(crate) state: String,
    pub(crate) job: Option<JobId>,
    pub(crate) class: Option<FailureClass>,
    pub(crate) reason: Option<String>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(crate) struct ModelRow {
    pub(crate) name: ModelName,
    pub(crate) version: Option<u32>,
    pub(crate) state: ModelState,
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct EndpointRow {
    pub(crate) name: String,
    pub(crate) state: EndpointState,
    pub(crate) reason: Option<String>,
}

pub(crate) fn load(tx: &mut dyn Tx, id: &RunId) -> Result<Option<LoadedRun>, StoreError> {
    let Some(run) = find(tx, id)? else { return Ok(None) };
    let data = tx
        .query(
            "SELECT name, version FROM pipelines_data WHERE run_id = $1",
            params![id],
        )?
        .iter()
        .map(|row| Ok((row.text("name")?, row.parse("version")?)))
        .collect::<Result<_, StoreError>>()?;
    let mut steps = steps(tx, id)?;
    outputs(tx, id, &mut steps)?;
    attempts(tx, id, &mut steps)?;
    Ok(Some(LoadedRun {
        run,
        data,
        steps,
        models: models(tx, id)?,
        endpoints: endpoints(tx, id)?,
    }))
}

fn steps(tx: &mut dyn Tx, id: &RunId) -> Result<Vec<StepRow>, StoreError> {
    let rows = tx.query(
        "SELECT name, state, reason, attempt, infrastructure_failures, user_failures, tracking_run, cached_from,
             use_cache, closed, started_ms, ended_ms
         FROM pipelines_steps WHERE run_id = $1 ORDER BY step",
        params![id],
    )?;
    rows.iter()
        .map(|row| {
            let state = row.text("state")?;
            Ok(StepRow {
                name: row.text("name")?,
                state: StepState::from_name(&state).ok_or_else(|| unknown("state", &state))?,
                reason: row.opt_text("reason")?,
                attempt: count(row.unsigned("attempt")?),
                infrastructure_failures: count(row.unsigned("infrastructure_failures")?),
                user_failures: count(row.unsigned("user_failures")?),
                tracking_run: row.parse("tracking_run")?,
                cached_from: row.opt_parse("cached_from")?,
                use_cache: row.boolean("use_cache")?,
                closed: row.boolean("closed")?,
                started: row.opt_timestamp("started_ms")?,
                ended: row.opt_timestamp("ended_ms")?,
                outputs: BTreeMap::new(),
                attempts: Vec::new(),
            })
        })
        .collect()
}

fn outputs(tx: &mut dyn Tx, id: &RunId, steps: &mut [StepRow]) -> Result<(), StoreError> {
    for row in tx.query(
        "SELECT step, name, version FROM pipelines_outputs WHERE run_id = $1",
        params![id],
    )? {
        if let Some(step) = steps.get_mut(index(row.unsigned("step")?)) {
            step.outputs.insert(row.text("name")?, row.parse("version")?);
        }
    }
    Ok(())
}

fn attempts(tx: &mut dyn Tx, id: &RunId, steps: &mut [StepRow]) -> Result<(), StoreError> {
    let rows = tx.query(
        "SELECT step, attempt, state, job_id, class, reason, started_ms, ended_ms
         FROM pipelines_attempts WHERE run_id = $1 ORDER BY step, attempt",
        params![id],
    )?;
    for row in rows {
        let class = row.opt_text("class")?;
        let class = class
            .map(|name| FailureClass::from_name(&name).ok_or_else(|| unknown("class", &name)))
            .transpose()?;
        let attempt = AttemptRow {
            attempt: count(row.unsigned("attempt")?),
            state: row.text("state")?,
            job: row.opt_parse("job_id")?,
            class,
            reason: row.opt_text("reason")?,
            started: row.opt_timestamp("started_ms")?,
            ended: row.opt_timestamp("ended_ms")?,
        };
        if let Some(step) = steps.get_mut(index(row.unsigned("step")?)) {
            step.attempts.push(attempt);
        }
    }
    Ok(())
}

fn models(tx: &mut dyn Tx, id: &RunId) -> Result<Vec<ModelRow>, StoreError> {
    let rows = tx.query(
        "SELECT name, version, state, reason FROM pipelines_models WHERE run_id = $1 ORDER BY name",
        params![id],
    )?;
    rows.iter()
        .map(|row| {
            let state = row.text("state")?;
            Ok(ModelRow {
                name: row.parse("name")?,
                version: row.opt_unsigned("version")?.map(count),
                state: ModelState::from_name(&state).ok_or_else(|| unknown("state", &state))?,
                reason: row.opt_text("reason")?,
            })
        })
        .collect()
}

fn endpoints(tx: &mut dyn Tx, id: &RunId) -> Result<Vec<EndpointRow>, StoreError> {
    let rows = tx.query(
        "SELECT name, state, reason FROM pipelines_endpoints WHERE run_id = $1 ORDER BY name",
        params![id],
    )?;
    rows.iter()
        .map(|row| {
            let state = row.text("state")?;
            Ok(EndpointRow {
                name: row.text("name")?,
                state: EndpointState::from_name(&state).ok_or_else(|| unknown("state", &state))?,
                reason: row.opt_text("reason")?,
            })
        })
        .collect()
}

fn count(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
