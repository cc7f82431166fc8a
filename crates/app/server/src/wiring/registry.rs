//! The registry's sources are versions of data and artifacts of tracking; its lineage is the data room's.

use async_trait::async_trait;
use corliss_data::{DataError, DataService, Edge, Entry, NodeKind, NodeRef, Relation};
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_registry::{ForeignSource, Lineage, ModelSources, ModelVersion, Pinned, PortError};
use corliss_tracking::{ArtifactFile, Tracking};
use corliss_types::{Flavor, VersionId};

use super::tracking::NotABlob;

/// What `flavor_of` looks for: engines tell a model by the ending of its file, and check its bytes later.
const ENDINGS: [(&str, Flavor); 2] = [(".onnx", Flavor::Onnx), (".gguf", Flavor::Gguf)];
/// Files of a model that are looked at for what it is; models are few files.
const FILES_MAX: usize = 10_000;
/// The scheme of logged models.
const LOGGED_MODEL: &str = "models:/";

/// Versions of data and artifacts of tracking runs.
pub struct Sources {
    /// Versions.
    pub data: DataService,
    /// Artifacts.
    pub tracking: Tracking,
}

fn carried(error: impl Diagnose) -> PortError {
    PortError::of(&error)
}

#[async_trait]
impl ModelSources for Sources {
    async fn flavor_of(&self, version: &VersionId) -> Result<Option<Flavor>, PortError> {
        let files = match self.data.files(version, "", FILES_MAX).await {
            Ok(files) => files,
            Err(error) if error.meaning() == Meaning::NotFound => return Ok(None),
            Err(error) => return Err(carried(error)),
        };
        Ok(Some(flavor(files.iter().map(|entry| entry.path.as_str()))))
    }

    async fn pin(&self, source: &ForeignSource) -> Result<Option<Pinned>, PortError> {
        let Some(artifact_uri) = self.artifact_uri(source).await? else {
            return Ok(None);
        };
        let Some(files) = self.tracking.files_under(&artifact_uri).await.map_err(carried)? else {
            return Ok(None);
        };
        if files.is_empty() {
            return Ok(None);
        }
        let flavor = flavor(files.iter().map(|file| file.path.as_str()));
        let entries = files.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let committed = self.data.record_files(entries).await.map_err(carried)?;
        Ok(Some(Pinned {
            version: committed.version,
            flavor,
            artifact_uri,
            run_id: source.run_id.clone(),
        }))
    }
}

impl Sources {
    /// Where the artifacts of a source lie, if it is one of ours and belongs to whom it says it does.
    async fn artifact_uri(&self, source: &ForeignSource) -> Result<Option<String>, PortError> {
        if let Some(model) = source.source.strip_prefix(LOGGED_MODEL) {
            let model = self.tracking.logged_model(model.to_owned(), false).await;
            return match model {
                Ok(model) => Ok(Some(model.artifact_uri)),
                Err(error) if error.meaning() == Meaning::NotFound => Ok(None),
                Err(error) => Err(carried(error)),
            };
        }
        let Some(run_id) = &source.run_id else {
            return Ok(Some(source.source.clone()));
        };
        let run = match self.tracking.run(run_id.clone()).await {
            Ok(run) => run,
            Err(error) if error.meaning() == Meaning::NotFound => return Ok(None),
            Err(error) => return Err(carried(error)),
        };
        let own = &run.info.artifact_uri;
        let inside = source
            .source
            .strip_prefix(own.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Ok((inside || source.model_id.is_some()).then(|| source.source.clone()))
    }
}

fn flavor<'a>(paths: impl Iterator<Item = &'a str>) -> Flavor {
    let known = |path: &str| {
        ENDINGS
            .iter()
            .find(|(ending, _)| path.ends_with(ending))
            .map(|(_, flavor)| *flavor)
    };
    let mut found: Vec<Flavor> = paths.filter_map(known).collect();
    // More than one model in a folder is nobody's to choose from.
    if found.len() == 1 {
        found.remove(0)
    } else {
        Flavor::Other
    }
}

fn entry(file: &ArtifactFile) -> Result<Entry, PortError> {
    Ok(Entry {
        path: file.path.parse().map_err(|error: DataError| carried(error))?,
        blob: file
            .blob
            .parse()
            .map_err(|_| carried(NotABlob(file.blob.clone())))?,
        size_bytes: file.size_bytes,
        executable: false,
        link: false,
    })
}

/// Lineage of model versions.
pub struct Registrations(pub DataService);

#[async_trait]
impl Lineage for Registrations {
    async fn registered(&self, version: &ModelVersion) -> Result<(), PortError> {
        let node = |kind, id: String| NodeRef::new(kind, id).map_err(carried);
        let model = node(NodeKind::Model, format!("{}/{}", version.name, version.version))?;
        let mut edges = vec![Edge {
            from: node(NodeKind::Version, version.source_version.to_string())?,
            to: model.clone(),
            relation: Relation::Registered,
        }];
        if let Some(run) = &version.run_id {
            let run = node(NodeKind::Run, run.clone())?;
            for input in &version.data {
                let from = node(NodeKind::Version, input.version.to_string())?;
                edges.push(Edge {
                    from,
                    to: run.clone(),
                    relation: Relation::Input,
                });
            }
            if let Some(code) = &version.code {
                let from = node(NodeKind::Version, code.to_string())?;
                edges.push(Edge {
                    from,
                    to: run.clone(),
                    relation: Relation::Code,
                });
            }
            edges.push(Edge {
                from: run,
                to: model,
                relation: Relation::Registered,
            });
        }
        self.0.record_lineage(edges).await.map_err(carried)
    }
}
