//! Versions and lineage, through the data room.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use corliss_data::{DataError, DataService, Edge, InputCache, NodeKind, NodeRef, Reference, Relation};
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_pipelines::ports::{Datasets, LineageEdge, LineageNode, LineageRelation, PortError};
use corliss_types::{DatasetName, RunId, VersionId};

/// Versions.
pub struct Versions {
    /// Where they are kept.
    pub data: DataService,
    /// Where they are laid out for steps.
    pub inputs: InputCache,
}

fn carried(error: DataError) -> PortError {
    PortError::of(&error)
}

#[async_trait]
impl Datasets for Versions {
    async fn latest(&self, name: &DatasetName) -> Result<Option<VersionId>, PortError> {
        match self.data.resolve(&Reference::latest(name.clone())).await {
            Ok(resolved) => Ok(Some(resolved.version)),
            Err(error) if error.meaning() == Meaning::NotFound => Ok(None),
            Err(error) => Err(carried(error)),
        }
    }

    async fn missing(&self, versions: &[VersionId]) -> Result<Vec<VersionId>, PortError> {
        let mut missing = Vec::new();
        for version in versions {
            match self.data.version(version).await {
                Ok(_) => {}
                Err(error) if error.meaning() == Meaning::NotFound => missing.push(version.clone()),
                Err(error) => return Err(carried(error)),
            }
        }
        Ok(missing)
    }

    async fn materialise(&self, version: &VersionId, folder: &Path) -> Result<(), PortError> {
        self.data.materialise(version, folder).await.map_err(carried)
    }

    async fn hold(&self, version: &VersionId, run: &RunId) -> Result<PathBuf, PortError> {
        self.inputs.hold(version, run).await.map_err(carried)
    }

    async fn release(&self, run: &RunId) -> Result<(), PortError> {
        self.inputs.release(run).await.map_err(carried)
    }

    async fn publish(&self, folder: &Path) -> Result<VersionId, PortError> {
        let committed = self.data.publish_directory(folder).await.map_err(carried)?;
        Ok(committed.version)
    }

    async fn record_lineage(&self, edges: &[LineageEdge]) -> Result<(), PortError> {
        let edges = edges
            .iter()
            .map(edge)
            .collect::<Result<Vec<_>, _>>()
            .map_err(carried)?;
        self.data.record_lineage(edges).await.map_err(carried)
    }
}

fn edge(edge: &LineageEdge) -> Result<Edge, DataError> {
    Ok(Edge {
        from: node(&edge.from)?,
        to: node(&edge.to)?,
        relation: match edge.relation {
            LineageRelation::Consumed => Relation::Input,
            LineageRelation::Produced => Relation::Output,
            LineageRelation::Registered => Relation::Registered,
        },
    })
}

fn node(node: &LineageNode) -> Result<NodeRef, DataError> {
    match node {
        LineageNode::Version(version) => NodeRef::new(NodeKind::Version, version.as_str()),
        LineageNode::Run(run) => NodeRef::new(NodeKind::Run, run.as_str()),
        LineageNode::Model { name, version } => NodeRef::new(NodeKind::Model, format!("{name}/{version}")),
    }
}
