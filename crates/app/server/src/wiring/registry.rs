//! The registry's sources are versions of data and artifacts of tracking; its lineage, and what seals its secrets, are the
//! data room's.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use corliss_data::{DataError, DataService, Edge, Entry, NodeKind, NodeRef, Relation};
use corliss_diagnostics::{Diagnose, Meaning};
use corliss_registry::{
    FileRead, ForeignSource, Lineage, ModelSources, ModelVersion, Pinned, PortError, SealedSecret, Sealer,
    SourceFile,
};
use corliss_serving::{OpenKey, SealedKey};
use corliss_tracking::{ArtifactFile, Tracking};
use corliss_types::{Flavor, VersionId};
use corliss_webhook::Secret;
use tokio_util::io::ReaderStream;
use zeroize::Zeroizing;

use super::tracking::NotABlob;

/// What `flavor_of` looks for: engines tell a model by the ending of its file, and check its bytes later.
const ENDINGS: [(&str, Flavor); 2] = [(".onnx", Flavor::Onnx), (".gguf", Flavor::Gguf)];
/// The file in which MLflow says how Python serves a model.
const MLMODEL: &str = "MLmodel";
/// Files of a model that are looked at for what it is; models are few files.
const FILES_MAX: usize = 10_000;
/// The scheme of logged models.
const LOGGED_MODEL: &str = "models:/";
/// The scheme of what runs logged.
const OF_RUN: &str = "runs:/";
/// Bytes of a file that are handed on at once.
const READ_BYTES: usize = 256 * 1024;

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
        let Some(Place { uri, run_id }) = self.place(source).await? else {
            return Ok(None);
        };
        let found = match self.tracking.files_under(&uri).await {
            Ok(found) => found,
            // Such as a path that climbs: it names nothing.
            Err(error) if error.meaning() == Meaning::InvalidInput => return Ok(None),
            Err(error) => return Err(carried(error)),
        };
        let Some(files) = found.filter(|files| !files.is_empty()) else {
            return Ok(None);
        };
        let flavor = flavor(files.iter().map(|file| file.path.as_str()));
        let entries = files.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let committed = self.data.record_files(entries).await.map_err(carried)?;
        // Clients know how to download what a run logged by the name they gave it.
        let is_of_run = source.source.starts_with(OF_RUN);
        Ok(Some(Pinned {
            version: committed.version,
            flavor,
            artifact_uri: if is_of_run { source.source.clone() } else { uri },
            run_id,
        }))
    }

    async fn files(&self, version: &VersionId, limit: usize) -> Result<Option<Vec<SourceFile>>, PortError> {
        let files = match self.data.files(version, "", limit).await {
            Ok(files) => files,
            Err(error) if error.meaning() == Meaning::NotFound => return Ok(None),
            Err(error) => return Err(carried(error)),
        };
        let file = |entry: Entry| SourceFile {
            path: entry.path.as_str().to_owned(),
            size_bytes: entry.size_bytes,
        };
        Ok(Some(files.into_iter().map(file).collect()))
    }

    async fn read(
        &self,
        version: &VersionId,
        path: &str,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, PortError> {
        match self.data.read_range(version, path, range).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.meaning() == Meaning::NotFound => Ok(None),
            Err(error) => Err(carried(error)),
        }
    }

    async fn open(&self, version: &VersionId, path: &str) -> Result<Option<FileRead>, PortError> {
        match self.data.open_file(version, path).await {
            Ok((_, reader)) => Ok(Some(FileRead {
                size_bytes: reader.len,
                bytes: Box::pin(ReaderStream::with_capacity(reader.bytes, READ_BYTES)),
            })),
            Err(error) if error.meaning() == Meaning::NotFound => Ok(None),
            Err(error) => Err(carried(error)),
        }
    }
}

/// Where the artifacts of a source lie, and which run made them.
struct Place {
    uri: String,
    run_id: Option<String>,
}

impl Sources {
    /// Where a source lies, if it is one of ours and belongs to whom it says it does.
    async fn place(&self, source: &ForeignSource) -> Result<Option<Place>, PortError> {
        let text = &source.source;
        let model = text.strip_prefix(LOGGED_MODEL).or(source.model_id.as_deref());
        if let Some(model) = model {
            return self.place_in_model(model, source).await;
        }
        let Some(run_id) = &source.run_id else {
            return Ok(Some(Place {
                uri: text.clone(),
                run_id: None,
            }));
        };
        let run = match self.tracking.run(run_id.clone()).await {
            Ok(run) => run,
            Err(error) if error.meaning() == Meaning::NotFound => return Ok(None),
            Err(error) => return Err(carried(error)),
        };
        let own = run.info.artifact_uri;
        let uri = match text.strip_prefix(OF_RUN) {
            Some(rest) => rest
                .strip_prefix(run_id.as_str())
                .map(|path| format!("{own}{}", path.trim_end_matches('/'))),
            None => is_inside(text, &own).then(|| text.clone()),
        };
        Ok(uri.map(|uri| Place {
            uri,
            run_id: source.run_id.clone(),
        }))
    }

    /// Where a source lies that is a logged model, or a part of it.
    async fn place_in_model(&self, id: &str, source: &ForeignSource) -> Result<Option<Place>, PortError> {
        let model = match self.tracking.logged_model(id.to_owned(), false).await {
            Ok(model) => model,
            Err(error) if error.meaning() == Meaning::NotFound => return Ok(None),
            Err(error) => return Err(carried(error)),
        };
        let uri = match source.source.starts_with(LOGGED_MODEL) {
            true => Some(model.artifact_uri),
            false => is_inside(&source.source, &model.artifact_uri).then(|| source.source.clone()),
        };
        let made_by = Some(model.source_run_id).filter(|run| !run.is_empty());
        Ok(uri.map(|uri| Place {
            uri,
            run_id: source.run_id.clone().or(made_by),
        }))
    }
}

/// Whether a URI is another one or lies below it.
fn is_inside(uri: &str, root: &str) -> bool {
    let rest = uri.strip_prefix(root);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A model that no engine loads by itself is Python's if MLflow logged it.
fn flavor<'a>(paths: impl Iterator<Item = &'a str>) -> Flavor {
    let mut is_logged = false;
    let paths = paths.inspect(|path| is_logged |= *path == MLMODEL);
    let flavor = by_ending(paths);
    match flavor {
        Flavor::Other if is_logged => Flavor::Pyfunc,
        flavor => flavor,
    }
}

fn by_ending<'a>(paths: impl Iterator<Item = &'a str>) -> Flavor {
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
        let mut edges = Vec::new();
        if let Some(files) = &version.source_version {
            edges.push(Edge {
                from: node(NodeKind::Version, files.to_string())?,
                to: model.clone(),
                relation: Relation::Registered,
            });
        }
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

/// Seals secrets of webhooks, and keys of services, as the secrets of datasets' hooks are sealed.
pub struct Secrets(pub DataService);

/// A secret does not open for whom it is kept.
#[derive(Debug, thiserror::Error)]
#[error("the secret was sealed for something else, or is damaged")]
struct Unopened;

impl Diagnose for Unopened {
    fn code(&self) -> &'static str {
        "secret_damaged"
    }
    fn meaning(&self) -> Meaning {
        Meaning::Internal
    }
}

#[async_trait]
impl Sealer for Secrets {
    async fn seal(&self, context: &str, secret: &Secret) -> Result<SealedSecret, PortError> {
        let sealed = self.0.seal(context.as_bytes(), secret).await;
        let (key, bytes) = sealed.map_err(carried)?;
        Ok(SealedSecret { key, bytes })
    }

    fn open(&self, context: &str, sealed: &SealedSecret) -> Result<Secret, PortError> {
        let opened = self.0.unseal(context.as_bytes(), sealed.key, &sealed.bytes);
        opened.map_err(carried)?.ok_or_else(|| carried(Unopened))
    }
}

#[async_trait]
impl corliss_serving::Sealer for Secrets {
    async fn seal(&self, context: &str, key: &[u8]) -> Result<SealedKey, PortError> {
        let sealed = self.0.seal(context.as_bytes(), &Secret::from_key(key)).await;
        let (key, bytes) = sealed.map_err(carried)?;
        Ok(SealedKey { key, bytes })
    }

    fn open(&self, context: &str, sealed: &SealedKey) -> Result<OpenKey, PortError> {
        let opened = self.0.unseal(context.as_bytes(), sealed.key, &sealed.bytes);
        let opened = opened.map_err(carried)?.ok_or_else(|| carried(Unopened))?;
        Ok(OpenKey(Zeroizing::new(opened.key().to_vec())))
    }
}
