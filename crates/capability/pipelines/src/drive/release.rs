//! After the last step: models are registered behind their gates, endpoints get their desired state.
//! Everything is done again after a crash, under keys that make the second time find the first.

use std::collections::BTreeMap;

use corliss_policy_pipeline::Release;
use corliss_types::{ModelName, TrackingRunId, VersionId};

use super::Context;
use super::active::Fixed;
use crate::error::PipelinesError;
use crate::ports::{Deployment, LineageEdge, LineageNode, LineageRelation, Registration};
use crate::project_file::{Endpoint, Model};
use crate::store::Record;
use crate::types::{EndpointState, ModelState};

/// What a release needs of the steps, by index.
pub(super) struct Results {
    pub(super) tracking_runs: Vec<TrackingRunId>,
    pub(super) outputs: Vec<BTreeMap<String, VersionId>>,
}

/// What came of it.
pub(super) struct Released {
    pub(super) release: Release,
    pub(super) records: Vec<Record>,
}

pub(super) async fn release(
    context: &Context,
    run: &Fixed,
    results: &Results,
) -> Result<Released, PipelinesError> {
    let mut records = Vec::new();
    let mut failed = Vec::new();
    let mut registered: BTreeMap<ModelName, Option<String>> = BTreeMap::new();
    let metrics = if run.spec.models.is_empty() {
        BTreeMap::new()
    } else {
        metrics(context, run, results).await?
    };
    for model in &run.spec.models {
        let name = model.name.to_string();
        let (state, version, reason) = match register(context, run, results, model, &metrics).await? {
            Registered::Version { version, withheld } => {
                registered.insert(model.name.clone(), withheld.clone());
                (ModelState::Registered, Some(version), withheld)
            }
            Registered::Gated(reason) => (ModelState::Gated, None, Some(reason)),
            Registered::Refused(reason) => {
                failed.push(format!("model '{name}' could not be registered: {reason}"));
                (ModelState::Failed, None, Some(reason))
            }
        };
        records.push(Record::Model {
            name,
            state,
            version,
            reason,
        });
    }
    for endpoint in &run.spec.endpoints {
        let (state, reason) = deploy(context, run, endpoint, registered.get(&endpoint.model)).await?;
        if let (EndpointState::Failed, Some(reason)) = (state, &reason) {
            failed.push(format!(
                "endpoint '{}' could not be deployed: {reason}",
                endpoint.name
            ));
        }
        records.push(Record::Endpoint {
            name: endpoint.name.clone(),
            state,
            reason,
        });
    }
    let release = if failed.is_empty() {
        Release::Done
    } else {
        Release::Failed
    };
    let reason = (!failed.is_empty()).then(|| failed.join("; "));
    records.push(Record::Released { release, reason });
    Ok(Released { release, records })
}

/// The run's metrics: what its steps logged last, a later step's value before an earlier one's.
async fn metrics(
    context: &Context,
    run: &Fixed,
    results: &Results,
) -> Result<BTreeMap<String, f64>, PipelinesError> {
    let ordered: Vec<TrackingRunId> = run
        .spec
        .order
        .iter()
        .filter_map(|step| results.tracking_runs.get(*step).cloned())
        .collect();
    let found = context.ports.tracking.metrics(&ordered).await?;
    Ok(found.into_iter().flatten().collect())
}

enum Registered {
    Version {
        version: u32,
        /// Why its alias was not moved.
        withheld: Option<String>,
    },
    Gated(String),
    Refused(String),
}

async fn register(
    context: &Context,
    run: &Fixed,
    results: &Results,
    model: &Model,
    metrics: &BTreeMap<String, f64>,
) -> Result<Registered, PipelinesError> {
    if let Some(Err(reason)) = model.when.as_ref().map(|gate| gate.check(metrics)) {
        return Ok(Registered::Gated(reason));
    }
    let source = results
        .outputs
        .get(model.step)
        .and_then(|outputs| outputs.get(&model.output));
    let (Some(source), Some(tracking_run)) = (source, results.tracking_runs.get(model.step)) else {
        return Ok(Registered::Refused(format!(
            "its step recorded no output '{}'",
            model.output
        )));
    };
    let registration = Registration {
        name: model.name.clone(),
        run: run.id.clone(),
        step: run
            .spec
            .steps
            .get(model.step)
            .map(|step| step.name.clone())
            .unwrap_or_default(),
        source: source.clone(),
        tracking_run: tracking_run.clone(),
        data: run
            .data
            .iter()
            .map(|(name, version)| (name.clone(), version.clone()))
            .collect(),
        code: run.source.clone(),
        metrics: metrics.clone(),
        submitted_by: run.submitted_by.clone(),
    };
    let version = match context.ports.models.register(&registration).await {
        Ok(version) => version,
        Err(error) if error.is_refusal() => return Ok(Registered::Refused(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let edge = LineageEdge {
        from: LineageNode::Version(source.clone()),
        to: LineageNode::Model {
            name: model.name.clone(),
            version,
        },
        relation: LineageRelation::Registered,
        step: Some(registration.step.clone()),
    };
    context.ports.datasets.record_lineage(&[edge]).await?;
    let mut withheld = None;
    if let Some(alias) = &model.alias {
        let models = &context.ports.models;
        match models
            .set_alias(&model.name, alias, version, &run.submitted_by)
            .await
        {
            Ok(()) => {}
            // Such as a version that a person has to approve first: it is registered, and that is what was asked of
            // the run.
            Err(error) if error.is_refusal() => {
                withheld = Some(format!("alias '{alias}' was not moved: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Registered::Version { version, withheld })
}

async fn deploy(
    context: &Context,
    run: &Fixed,
    endpoint: &Endpoint,
    registered: Option<&Option<String>>,
) -> Result<(EndpointState, Option<String>), PipelinesError> {
    let unchanged = match registered {
        None => Some(format!("model '{}' got no new version", endpoint.model)),
        Some(withheld) => withheld.clone(),
    };
    if unchanged.is_some() {
        return Ok((EndpointState::Unchanged, unchanged));
    }
    let deployment = Deployment {
        name: endpoint.name.clone(),
        model: endpoint.model.clone(),
        alias: endpoint.alias.clone(),
        replicas: endpoint.replicas,
        resources: endpoint.resources,
        submitted_by: run.submitted_by.clone(),
    };
    match context.ports.endpoints.deploy(&deployment).await {
        Ok(()) => Ok((EndpointState::Deployed, None)),
        Err(error) if error.is_refusal() => Ok((EndpointState::Failed, Some(error.to_string()))),
        Err(error) => Err(error.into()),
    }
}
