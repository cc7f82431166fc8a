//! Rows of `serving_endpoints`. `generation` rises whenever what an endpoint should be changes; whoever
//! acts on what it read names the generation, and a stale one changes nothing.

use corliss_metastore::{Row, StoreError, Tx, Value};
use corliss_policy_serving::Routing;
use corliss_policy_serving::release::ReleasePlan;
use corliss_types::{Flavor, ModelName, Resources, Timestamp, VersionId};

use crate::Batching;
use crate::types::EndpointPhase;

/// What an endpoint should be, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
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
    /// Engine processes.
    pub replicas: u32,
    /// What each of them holds.
    pub resources: Resources,
    /// Whether a pickle may lie beside it.
    pub allow_pickle: bool,
    /// How requests with tensors are joined.
    pub batching: Batching,
}

/// An endpoint as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// Name.
    pub name: String,
    /// What it should be.
    pub desired: Desired,
    /// Whether it is to go away.
    pub deleting: bool,
    /// Rises with every change of what it should be.
    pub generation: i64,
    /// Replicas of this generation that ended by themselves in a row.
    pub crashes: u32,
    /// When the last of them did.
    pub last_crash: Timestamp,
    /// How it was at the last pass.
    pub phase: EndpointPhase,
    /// Why.
    pub reason: Option<String>,
    /// When it was first deployed.
    pub created: Timestamp,
    /// When what it should be last changed.
    pub updated: Timestamp,
    /// Who said what it should be; none if it followed an alias.
    pub deployed_by: Option<String>,
    /// What of it the model's log was told, see [`EndpointRow::order`].
    pub logged: String,
    /// How its requests are routed.
    pub routing: Routing,
    /// How new versions get out.
    pub release_plan: ReleasePlan,
    /// Replicas that are older were started with other settings.
    pub settings_since: Timestamp,
}

impl EndpointRow {
    /// What a model's log is told of: a change of anything else, such as the number of replicas, is none.
    #[must_use]
    pub fn order(&self) -> String {
        let Desired {
            reference,
            model,
            version,
            allow_pickle,
            ..
        } = &self.desired;
        format!("{reference} {model}/{version} {}", u8::from(*allow_pickle))
    }
}

fn phase_name(phase: EndpointPhase) -> &'static str {
    match phase {
        EndpointPhase::Deploying => "deploying",
        EndpointPhase::Ready => "ready",
        EndpointPhase::Degraded => "degraded",
        EndpointPhase::Failed => "failed",
        EndpointPhase::Stopping => "stopping",
    }
}

fn phase_of(name: &str) -> EndpointPhase {
    let all = [
        EndpointPhase::Ready,
        EndpointPhase::Degraded,
        EndpointPhase::Failed,
        EndpointPhase::Stopping,
    ];
    // The next pass writes it anew, so a name that is not known is no reason to refuse the row.
    all.into_iter()
        .find(|phase| phase_name(*phase) == name)
        .unwrap_or(EndpointPhase::Deploying)
}

/// As stored. What cannot be read, which a newer version may have written, must not keep the endpoint from being
/// served: it is routed as one of which nothing is said.
pub fn routing(text: &str) -> Routing {
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!(%error, "the routing of an endpoint is not understood; the default is used");
        Routing::default()
    })
}

/// As stored. What cannot be read is as if nothing was said, for the same reason.
fn release_plan(text: &str) -> ReleasePlan {
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!(%error, "how an endpoint releases versions is not understood; they are rolled");
        ReleasePlan::default()
    })
}

fn count(row: &Row, column: &str) -> Result<u32, StoreError> {
    Ok(u32::try_from(row.unsigned(column)?).unwrap_or(u32::MAX))
}

fn endpoint(row: &Row) -> Result<EndpointRow, StoreError> {
    Ok(EndpointRow {
        name: row.text("name")?,
        desired: Desired {
            reference: row.text("reference")?,
            model: row.parse("model")?,
            version: count(row, "version")?,
            files: row.parse("files")?,
            flavor: Flavor::from_name(&row.text("flavor")?).unwrap_or(Flavor::Other),
            replicas: count(row, "replicas")?,
            resources: Resources {
                cpu_milli: row.unsigned("cpu_milli")?,
                memory_bytes: row.unsigned("memory_bytes")?,
                accelerators: count(row, "accelerators")?,
            },
            allow_pickle: row.boolean("allow_pickle")?,
            batching: serde_json::from_str(&row.text("batching")?).unwrap_or_default(),
        },
        settings_since: row.timestamp("settings_ms")?,
        deleting: row.boolean("deleting")?,
        generation: row.integer("generation")?,
        crashes: count(row, "crashes")?,
        last_crash: row.timestamp("last_crash_ms")?,
        phase: phase_of(&row.text("phase")?),
        reason: row.opt_text("reason")?,
        created: row.timestamp("created_ms")?,
        updated: row.timestamp("updated_ms")?,
        deployed_by: row.opt_text("deployed_by")?,
        logged: row.text("logged")?,
        routing: routing(&row.text("routing")?),
        release_plan: release_plan(&row.text("release_plan")?),
    })
}

/// Every endpoint, by name.
pub fn list_endpoints(tx: &mut dyn Tx) -> Result<Vec<EndpointRow>, StoreError> {
    tx.query("SELECT * FROM serving_endpoints ORDER BY name", &[])?
        .iter()
        .map(endpoint)
        .collect()
}

/// The endpoint of this name.
pub fn get_endpoint(tx: &mut dyn Tx, name: &str) -> Result<Option<EndpointRow>, StoreError> {
    tx.query_opt("SELECT * FROM serving_endpoints WHERE name = $1", &[name.into()])?
        .as_ref()
        .map(endpoint)
        .transpose()
}

/// Stores what an endpoint should be, as a new generation that has not crashed yet.
pub fn upsert_endpoint(
    tx: &mut dyn Tx,
    name: &str,
    desired: &Desired,
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let batching = serde_json::to_string(&desired.batching).unwrap_or_default();
    let params: [Value; 14] = [
        name.into(),
        (&desired.reference).into(),
        (&desired.model).into(),
        desired.version.into(),
        (&desired.files).into(),
        desired.flavor.as_str().into(),
        desired.replicas.into(),
        desired.resources.cpu_milli.into(),
        desired.resources.memory_bytes.into(),
        desired.resources.accelerators.into(),
        now.into(),
        desired.allow_pickle.into(),
        by.into(),
        batching.as_str().into(),
    ];
    tx.execute(
        "INSERT INTO serving_endpoints (name, reference, model, version, files, flavor, replicas, cpu_milli,
             memory_bytes, accelerators, deleting, generation, crashes, last_crash_ms, phase, reason,
             created_ms, updated_ms, allow_pickle, deployed_by, batching, settings_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 1, 0, 0, 'deploying', NULL, $11, $11, $12, $13, $14, $11)
         ON CONFLICT (name) DO UPDATE SET reference = $2, model = $3, version = $4, files = $5, flavor = $6,
             replicas = $7, cpu_milli = $8, memory_bytes = $9, accelerators = $10, deleting = 0,
             generation = serving_endpoints.generation + 1, crashes = 0, last_crash_ms = 0,
             phase = 'deploying', reason = NULL, updated_ms = $11, allow_pickle = $12, deployed_by = $13,
             batching = $14, settings_ms = CASE WHEN serving_endpoints.batching = $14
                 AND serving_endpoints.cpu_milli = $8 AND serving_endpoints.memory_bytes = $9
                 AND serving_endpoints.accelerators = $10
                 AND (serving_endpoints.files = $5 OR serving_endpoints.version <> $4)
                 THEN serving_endpoints.settings_ms ELSE $11 END,
             routing = CASE WHEN serving_endpoints.deleting = 1 THEN '{}' ELSE serving_endpoints.routing END",
        &params,
    )?;
    Ok(())
}

/// Follows an alias to another version, as a new generation; false if this one is stale.
pub fn redirect(
    tx: &mut dyn Tx,
    row: &EndpointRow,
    to: &Desired,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE serving_endpoints SET model = $3, version = $4, files = $5, flavor = $6, crashes = 0,
             last_crash_ms = 0, phase = 'deploying', reason = NULL, generation = generation + 1, updated_ms = $7,
             deployed_by = NULL
         WHERE name = $1 AND generation = $2 AND deleting = 0",
        &[
            (&row.name).into(),
            row.generation.into(),
            (&to.model).into(),
            to.version.into(),
            (&to.files).into(),
            to.flavor.as_str().into(),
            now.into(),
        ],
    )?;
    Ok(changed == 1)
}

/// Stores how an endpoint's requests are routed; false if there is no such endpoint.
pub fn set_routing(tx: &mut dyn Tx, name: &str, routing: &str, now: Timestamp) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE serving_endpoints SET routing = $2, updated_ms = $3 WHERE name = $1 AND deleting = 0",
        &[name.into(), routing.into(), now.into()],
    )?;
    Ok(changed == 1)
}

/// Stores how new versions of an endpoint get out. What runs stays as it is.
pub fn set_release_plan(tx: &mut dyn Tx, name: &str, plan: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE serving_endpoints SET release_plan = $2 WHERE name = $1",
        &[name.into(), plan.into()],
    )?;
    Ok(())
}

/// Stores how many replicas an endpoint has and what each of them holds, whatever it serves.
pub fn set_size(
    tx: &mut dyn Tx,
    name: &str,
    replicas: u32,
    resources: Resources,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE serving_endpoints SET replicas = $2, cpu_milli = $3, memory_bytes = $4, accelerators = $5,
             generation = generation + 1, updated_ms = $6
         WHERE name = $1",
        &[
            name.into(),
            replicas.into(),
            resources.cpu_milli.into(),
            resources.memory_bytes.into(),
            resources.accelerators.into(),
            now.into(),
        ],
    )?;
    Ok(())
}

/// Marks an endpoint as on the way out; false if there is none.
pub fn mark_deleting(tx: &mut dyn Tx, name: &str, now: Timestamp) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE serving_endpoints SET deleting = 1, phase = 'stopping', reason = NULL,
             generation = generation + 1, updated_ms = $2 WHERE name = $1",
        &[name.into(), now.into()],
    )?;
    Ok(changed == 1)
}

/// Stores what of an endpoint its model's log was told.
pub fn set_logged(tx: &mut dyn Tx, row: &EndpointRow, order: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE serving_endpoints SET logged = $3 WHERE name = $1 AND generation = $2",
        &[(&row.name).into(), row.generation.into(), order.into()],
    )?;
    Ok(())
}

/// Stores how an endpoint is.
pub fn set_phase(
    tx: &mut dyn Tx,
    row: &EndpointRow,
    phase: EndpointPhase,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE serving_endpoints SET phase = $3, reason = $4 WHERE name = $1 AND generation = $2",
        &[
            (&row.name).into(),
            row.generation.into(),
            phase_name(phase).into(),
            reason.into(),
        ],
    )?;
    Ok(())
}

/// Stores that a replica of this generation ended by itself.
pub fn record_crash(
    tx: &mut dyn Tx,
    row: &EndpointRow,
    crashes: u32,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE serving_endpoints SET crashes = $3, last_crash_ms = $4 WHERE name = $1 AND generation = $2",
        &[
            (&row.name).into(),
            row.generation.into(),
            crashes.into(),
            at.into(),
        ],
    )?;
    Ok(())
}

/// Removes an endpoint that was marked, with its ended replicas.
pub fn delete_endpoint(tx: &mut dyn Tx, row: &EndpointRow) -> Result<(), StoreError> {
    let params: [Value; 2] = [(&row.name).into(), row.generation.into()];
    let gone = tx.execute(
        "DELETE FROM serving_endpoints WHERE name = $1 AND generation = $2 AND deleting = 1",
        &params,
    )?;
    if gone == 1 {
        tx.execute(
            "DELETE FROM serving_replicas WHERE endpoint = $1",
            &[(&row.name).into()],
        )?;
        super::releases::delete_releases(tx, &row.name)?;
    }
    Ok(())
}
