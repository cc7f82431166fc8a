//! Rows of `serving_releases`. `generation` rises with every change; whoever changes what it read names it, and a stale
//! one changes nothing.

use std::collections::BTreeMap;

use corliss_metastore::{Row, StoreError, Tx};
use corliss_policy_serving::release::ReleasePlan;
use corliss_types::{Flavor, ModelName, ReleaseId, Timestamp, VersionId};
use serde::{Deserialize, Serialize};

use super::endpoints::{Desired, EndpointRow};
use super::json;
use crate::DeployedModel;
use crate::types::{ReleaseState, StepView};

/// Releases that an endpoint keeps, the newest ones.
const KEPT: u32 = 50;

/// What a release is to bring, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `NAME@ALIAS` or `NAME/VERSION`.
    pub reference: String,
    /// Registered model.
    pub model: ModelName,
    /// Its version.
    pub version: u32,
    /// Its files.
    pub files: VersionId,
    /// Kind of engine.
    pub flavor: Flavor,
    /// Whether a pickle may lie beside it.
    pub allow_pickle: bool,
}

impl Target {
    /// What of an endpoint that should be so would be released.
    #[must_use]
    pub fn of(desired: &Desired) -> Self {
        Self {
            reference: desired.reference.clone(),
            model: desired.model.clone(),
            version: desired.version,
            files: desired.files.clone(),
            flavor: desired.flavor,
            allow_pickle: desired.allow_pickle,
        }
    }

    /// Whether it is this version, with these files.
    #[must_use]
    pub fn is(&self, model: &DeployedModel) -> bool {
        self.model == model.model && self.version == model.version && self.files == model.files
    }

    /// Whether it is this that the endpoint is to serve already.
    #[must_use]
    pub fn is_in(&self, desired: &Desired) -> bool {
        self.model == desired.model && self.version == desired.version && self.files == desired.files
    }
}

/// A release as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRow {
    /// Id.
    pub id: ReleaseId,
    /// Its endpoint.
    pub endpoint: String,
    /// The version that serves until it is complete.
    pub from: u32,
    /// The registered model that it is of, where that is known.
    pub from_model: Option<ModelName>,
    /// What it is to bring.
    pub target: Target,
    /// How.
    pub plan: ReleasePlan,
    /// How it is.
    pub state: ReleaseState,
    /// The step, counted from 0.
    pub step: u32,
    /// Since when the new version gets what the step gives it.
    pub begun: Option<Timestamp>,
    /// Replicas of the new version that ended by themselves in a row.
    pub crashes: u32,
    /// When the last of them did.
    pub last_crash: Timestamp,
    /// Why it is as it is.
    pub reason: Option<String>,
    /// Who started it; none where the endpoint followed an alias.
    pub by: Option<String>,
    /// What was seen in each step that has ended.
    pub steps: Vec<StepView>,
    /// Rises with every change.
    pub generation: i64,
    /// When it was started.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl ReleaseRow {
    /// One that begins now, beside what the endpoint should be.
    #[must_use]
    pub fn begin(
        id: ReleaseId,
        endpoint: &EndpointRow,
        target: Target,
        plan: ReleasePlan,
        by: Option<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            endpoint: endpoint.name.clone(),
            from: endpoint.desired.version,
            from_model: Some(endpoint.desired.model.clone()),
            target,
            plan,
            state: ReleaseState::Running,
            step: 0,
            begun: None,
            crashes: 0,
            last_crash: Timestamp::default(),
            reason: None,
            by,
            steps: Vec::new(),
            generation: 1,
            created: now,
            updated: now,
            ended: None,
        }
    }

    /// Whether it goes on.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.state.has_ended()
    }
}

fn count(row: &Row, column: &str) -> Result<u32, StoreError> {
    Ok(u32::try_from(row.unsigned(column)?).unwrap_or(u32::MAX))
}

fn release(row: &Row) -> Result<ReleaseRow, StoreError> {
    let state = row.text("state")?;
    Ok(ReleaseRow {
        id: row.parse("id")?,
        endpoint: row.text("endpoint")?,
        from: count(row, "from_version")?,
        from_model: row.opt_parse("from_model")?,
        target: json::read(row, "target")?,
        plan: json::read(row, "plan")?,
        state: ReleaseState::from_name(&state).ok_or_else(|| StoreError::Malformed {
            column: "state".to_owned(),
            message: format!("'{state}' is no state of a release"),
        })?,
        step: count(row, "step")?,
        begun: row.opt_timestamp("begun_ms")?,
        crashes: count(row, "crashes")?,
        last_crash: row.timestamp("last_crash_ms")?,
        reason: row.opt_text("reason")?,
        by: row.opt_text("started_by")?,
        steps: json::read(row, "steps")?,
        generation: row.integer("generation")?,
        created: row.timestamp("created_ms")?,
        updated: row.timestamp("updated_ms")?,
        ended: row.opt_timestamp("ended_ms")?,
    })
}

/// Stores a new release, and forgets the oldest of its endpoint.
pub fn insert_release(tx: &mut dyn Tx, row: &ReleaseRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO serving_releases (id, endpoint, from_version, target, plan, state, step, begun_ms, crashes,
             last_crash_ms, reason, started_by, steps, generation, created_ms, updated_ms, ended_ms, from_model)
         VALUES ($1, $2, $3, $4, $5, $6, 0, NULL, 0, 0, NULL, $7, '[]', 1, $8, $8, NULL, $9)",
        &[
            (&row.id).into(),
            (&row.endpoint).into(),
            row.from.into(),
            json::written("target", &row.target)?,
            json::written("plan", &row.plan)?,
            row.state.as_str().into(),
            row.by.clone().into(),
            row.created.into(),
            row.from_model.as_ref().map(ToString::to_string).into(),
        ],
    )?;
    tx.execute(
        "DELETE FROM serving_releases WHERE endpoint = $1 AND ended_ms IS NOT NULL AND id NOT IN (
             SELECT id FROM serving_releases WHERE endpoint = $1 ORDER BY id DESC LIMIT $2)",
        &[(&row.endpoint).into(), KEPT.into()],
    )?;
    Ok(())
}

/// The newest release of each endpoint.
pub fn newest_releases(tx: &mut dyn Tx) -> Result<BTreeMap<String, ReleaseRow>, StoreError> {
    let sql = "SELECT * FROM serving_releases WHERE id IN (
                   SELECT MAX(id) FROM serving_releases GROUP BY endpoint)";
    let rows = tx.query(sql, &[])?;
    rows.iter()
        .map(|row| {
            let row = release(row)?;
            Ok((row.endpoint.clone(), row))
        })
        .collect()
}

/// Releases of an endpoint, newest first.
pub fn list_releases(tx: &mut dyn Tx, endpoint: &str) -> Result<Vec<ReleaseRow>, StoreError> {
    let sql = "SELECT * FROM serving_releases WHERE endpoint = $1 ORDER BY id DESC";
    tx.query(sql, &[endpoint.into()])?.iter().map(release).collect()
}

/// The newest release of an endpoint.
pub fn newest_release(tx: &mut dyn Tx, endpoint: &str) -> Result<Option<ReleaseRow>, StoreError> {
    let sql = "SELECT * FROM serving_releases WHERE endpoint = $1 ORDER BY id DESC LIMIT 1";
    tx.query_opt(sql, &[endpoint.into()])?
        .as_ref()
        .map(release)
        .transpose()
}

/// Stores how a release is now; false if it changed since it was read.
pub fn update_release(tx: &mut dyn Tx, row: &ReleaseRow, now: Timestamp) -> Result<bool, StoreError> {
    let ended = row.state.has_ended().then_some(now);
    let changed = tx.execute(
        "UPDATE serving_releases SET state = $3, step = $4, begun_ms = $5, crashes = $6, last_crash_ms = $7,
             reason = $8, steps = $9, updated_ms = $10, ended_ms = $11, generation = generation + 1
         WHERE id = $1 AND generation = $2",
        &[
            (&row.id).into(),
            row.generation.into(),
            row.state.as_str().into(),
            row.step.into(),
            row.begun.into(),
            row.crashes.into(),
            row.last_crash.into(),
            row.reason.clone().into(),
            json::written("steps", &row.steps)?,
            now.into(),
            ended.into(),
        ],
    )?;
    Ok(changed == 1)
}

/// Ends the release that goes on at an endpoint, if one does, because something else took its place.
pub fn supersede_release(
    tx: &mut dyn Tx,
    endpoint: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(mut row) = newest_release(tx, endpoint)?.filter(ReleaseRow::is_active) {
        row.state = ReleaseState::Superseded;
        row.reason = Some(reason.to_owned());
        update_release(tx, &row, now)?;
    }
    Ok(())
}

/// Makes what a release brings what its endpoint should be, and the release complete, both or neither; false if one of
/// them changed since it was read.
pub fn complete_release(
    tx: &mut dyn Tx,
    endpoint: &EndpointRow,
    row: &ReleaseRow,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let known = newest_release(tx, &row.endpoint)?;
    if known.is_none_or(|known| known.id != row.id || known.generation != row.generation) {
        return Ok(false);
    }
    let target = &row.target;
    let changed = tx.execute(
        "UPDATE serving_endpoints SET reference = $3, model = $4, version = $5, files = $6, flavor = $7, crashes = 0,
             last_crash_ms = 0, phase = 'deploying', reason = NULL, generation = generation + 1, updated_ms = $8,
             allow_pickle = $9, deployed_by = $10
         WHERE name = $1 AND generation = $2 AND deleting = 0",
        &[
            (&endpoint.name).into(),
            endpoint.generation.into(),
            (&target.reference).into(),
            (&target.model).into(),
            target.version.into(),
            (&target.files).into(),
            target.flavor.as_str().into(),
            now.into(),
            target.allow_pickle.into(),
            row.by.clone().into(),
        ],
    )?;
    Ok(changed == 1 && update_release(tx, row, now)?)
}

/// Forgets the releases of an endpoint that is gone.
pub fn delete_releases(tx: &mut dyn Tx, endpoint: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM serving_releases WHERE endpoint = $1",
        &[endpoint.into()],
    )?;
    Ok(())
}
