//! Versions and lineage, through the data room.

use std::path::Path;

use async_trait::async_trait;
use corliss_data::{DataError, DataService, Edge, NodeKind, NodeRef, Reference, Relation};
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_pipelines::ports::{Datasets, LineageEdge, LineageNode, LineageRelation, PortError};
use corliss_types::{DatasetName, VersionId};

/// Versions.
pub struct Versions(pub DataService);

fn carried(error: DataError) -> PortError {
    PortError::of(&error)
}

#[async_trait]
impl Datasets for Versions {
    async fn latest(&self, name: &DatasetName) -> Result<Option<VersionId>, PortError> {
        match self.0.resolve(&Reference::latest(name.clone())).await {
            Ok(resolved) => Ok(Some(resolved.version)),
            Err(error) if error.meaning() == Meaning::NotFound => Ok(None),
            Err(error) => Err(carried(error)),
        }
    }

    async fn missing(&self, versions: &[VersionId]) -> Result<Vec<VersionId>, PortError> {
        let mut missing = Vec::new();
        for version in versions {
            match self.0.version(version).await {
                Ok(_) => {}
                Err(error) if error.meaning() == Meaning::NotFound => missing.push(version.clone()),
                Err(error) => return Err(carried(error)),
            }
        }
        Ok(missing)
    }

    async fn materialise(&self, version: &VersionId, folder: &Path) -> Result<(), PortError> {
        self.0.materialise(version, folder).await.map_err(carried)
    }

    async fn publish(&self, folder: &Path) -> Result<VersionId, PortError> {
        let committed = self.0.publish_directory(folder).await.map_err(carried)?;
        Ok(committed.version)
    }

    async fn record_lineage(&self, edges: &[LineageEdge]) -> Result<(), PortError> {
        let edges = edges
            .iter()
            .map(edge)
            .collect::<Result<Vec<_>, _>>()
            .map_err(carried)?;
        self.0.record_lineage(edges).await.map_err(carried)
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
