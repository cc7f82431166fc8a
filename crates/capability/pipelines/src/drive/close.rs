//! After a step has ended: its tokens stop working, its tracking run ends, its lineage is remembered.

use std::collections::BTreeMap;

use corliss_policy_pipeline::StepState;
use corliss_types::{TrackingRunId, VersionId};

use super::Context;
use super::active::Fixed;
use crate::error::PipelinesError;
use crate::ports::{LineageEdge, LineageNode, LineageRelation, TrackingEnd};

/// A step to close.
pub(super) struct Closing {
    pub(super) step: usize,
    pub(super) state: StepState,
    pub(super) tracking_run: TrackingRunId,
    pub(super) inputs: BTreeMap<String, VersionId>,
    pub(super) outputs: BTreeMap<String, VersionId>,
}

pub(super) async fn close(context: &Context, run: &Fixed, closing: &Closing) -> Result<(), PipelinesError> {
    let Some(step) = run.spec.steps.get(closing.step) else {
        return Ok(());
    };
    let _permit = context
        .preparing
        .acquire()
        .await
        .map_err(|error| PipelinesError::Task(error.to_string()))?;
    let end = match closing.state {
        StepState::Succeeded | StepState::Reused => TrackingEnd::Finished,
        StepState::Failed => TrackingEnd::Failed,
        _ => TrackingEnd::Killed,
    };
    let edges = edges(run, &step.name, closing);
    let lineage = async {
        if edges.is_empty() {
            Ok(())
        } else {
            context.ports.datasets.record_lineage(&edges).await
        }
    };
    let (tokens, tracking, lineage) = tokio::join!(
        context.ports.tokens.revoke(&run.id, &step.name),
        context.ports.tracking.close(&closing.tracking_run, end),
        lineage,
    );
    tokens?;
    tracking?;
    lineage?;
    Ok(())
}

fn edges(run: &Fixed, step: &str, closing: &Closing) -> Vec<LineageEdge> {
    if closing.state != StepState::Succeeded {
        return Vec::new();
    }
    let this = || LineageNode::Run(run.id.clone());
    let edge = |from, to, relation| LineageEdge {
        from,
        to,
        relation,
        step: Some(step.to_owned()),
    };
    // What another step of the run wrote is on no way into it: recorded, it would be its own cause.
    let from_outside = closing
        .inputs
        .iter()
        .filter(|(name, _)| run.data.contains_key(*name));
    let read = from_outside.map(|(_, version)| {
        edge(
            LineageNode::Version(version.clone()),
            this(),
            LineageRelation::Consumed,
        )
    });
    let written = closing.outputs.values().map(|version| {
        edge(
            this(),
            LineageNode::Version(version.clone()),
            LineageRelation::Produced,
        )
    });
    read.chain(written).collect()
}
