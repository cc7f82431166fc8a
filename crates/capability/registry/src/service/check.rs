//! What the files of a version are: looked at when it is registered, and when somebody wants to know.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corliss_model_format::{Declared, Folder, MLMODEL, Ranged, declared, find};
use corliss_types::VersionId;
use serde_json::json;
use tokio::runtime::Handle;

use super::Registry;
use crate::contents::{Contents, Counts, FileCheck};
use crate::events::Action;
use crate::ports::ModelSources;
use crate::store::{contents, events};
use crate::types::ModelVersion;
use crate::{PortError, RegistryError};

/// Files of a version that are looked at; models are few files.
const FILES_MAX: usize = 10_000;
/// How long a registration waits for it: usually the answer shows what was found.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is read of `MLmodel`.
const MLMODEL_MAX_BYTES: u64 = 1 << 20;

impl Registry {
    /// Looks at the files of a version anew.
    ///
    /// # Errors
    /// There is no such version, it is a prompt, or its files cannot be read.
    pub async fn check_version(&self, name: String, number: i64) -> Result<Contents, RegistryError> {
        let version = self.version(name.clone(), number).await?;
        let Some(files) = version.source_version else {
            return Err(RegistryError::invalid(format!(
                "version {number} of '{name}' is a prompt, which has no files"
            )));
        };
        let found = self.look_at(&files).await?;
        let (by, counts) = (self.by(), found.counts);
        self.store
            .write(move |tx| {
                let details = json!(counts);
                Ok::<_, RegistryError>(events::add(
                    tx,
                    &by,
                    (&name, Some(number)),
                    Action::Checked,
                    &details,
                )?)
            })
            .await?;
        Ok(found)
    }

    /// What the files of a version are, if somebody has looked.
    ///
    /// # Errors
    /// The metadata store failed.
    pub(crate) async fn contents(&self, version: &ModelVersion) -> Result<Option<Contents>, RegistryError> {
        let Some(files) = version.source_version.clone() else {
            return Ok(None);
        };
        self.store
            .read(move |tx| Ok::<_, RegistryError>(contents::get(tx, &files)?))
            .await
    }

    /// How many files of each verdict the versions of a model have, by number.
    ///
    /// # Errors
    /// The metadata store failed.
    pub(crate) async fn counts(&self, name: String) -> Result<BTreeMap<i64, Counts>, RegistryError> {
        self.store
            .read(move |tx| Ok::<_, RegistryError>(contents::counts_of(tx, &name)?))
            .await
    }

    /// What the files are; looks if nobody has yet.
    pub(super) async fn known_contents(&self, files: &VersionId) -> Result<Contents, RegistryError> {
        let asked = files.clone();
        let known = self
            .store
            .read(move |tx| Ok::<_, RegistryError>(contents::get(tx, &asked)?))
            .await?;
        match known {
            Some(contents) => Ok(contents),
            None => self.look_at(files).await,
        }
    }

    /// Looks at what was just registered. Whoever registered it is not held up by what is found, nor by a file that
    /// cannot be read now: whoever deploys it looks again.
    pub(super) async fn look_after_registering(&self, version: &ModelVersion) {
        let Some(files) = version.source_version.clone() else {
            return;
        };
        let (registry, name, number) = (self.clone(), version.name.clone(), version.version);
        let looking = tokio::spawn(async move {
            if let Err(error) = registry.known_contents(&files).await {
                tracing::warn!(%name, number, %error, "the files of a version were not looked at");
            }
        });
        // What takes longer goes on by itself.
        let _ = tokio::time::timeout(PATIENCE, looking).await;
    }

    async fn look_at(&self, files: &VersionId) -> Result<Contents, RegistryError> {
        // Never closed, so there is always a permit in the end.
        let _permit = self.looks.acquire().await;
        let gone = || RegistryError::Source(files.to_string());
        let mut listed = self
            .ports
            .sources
            .files(files, FILES_MAX + 1)
            .await?
            .ok_or_else(gone)?;
        let unread = u64::from(listed.len() > FILES_MAX);
        listed.truncate(FILES_MAX);
        let folder: Folder = listed
            .into_iter()
            .map(|file| (file.path, file.size_bytes))
            .collect();
        let mut reading = Reading {
            sources: self.ports.sources.clone(),
            version: files.clone(),
            path: String::new(),
            runtime: Handle::current(),
        };
        // Headers are parsed where waiting for bytes holds nobody up.
        let looked = tokio::task::spawn_blocking(move || look(&folder, &mut reading)).await;
        let (found, declared) = looked.map_err(|error| carried(io::Error::other(error)))??;
        let mut described = crate::contents::Described::from(declared);
        described.input_example = described
            .input_example
            .filter(|path| found.iter().any(|file| file.path == *path));
        let contents = Contents {
            checked_ms: self.now_ms(),
            counts: Counts::of(&found, unread),
            files: found,
            declared: described,
        };
        let (files, kept) = (files.clone(), contents.clone());
        self.store
            .write(move |tx| Ok::<_, RegistryError>(contents::put(tx, &files, &kept)?))
            .await?;
        Ok(contents)
    }
}

fn look(folder: &Folder, reading: &mut Reading) -> Result<(Vec<FileCheck>, Declared), RegistryError> {
    let said = match folder.get(MLMODEL) {
        Some(size) if *size <= MLMODEL_MAX_BYTES => {
            MLMODEL.clone_into(&mut reading.path);
            declared(&reading.read(0..*size).map_err(carried)?)
        }
        _ => Declared::default(),
    };
    let mut checks = Vec::with_capacity(folder.len());
    for (path, size_bytes) in folder {
        path.clone_into(&mut reading.path);
        let found = find(path, *size_bytes, folder, &said, reading).map_err(carried)?;
        checks.push(FileCheck {
            path: path.clone(),
            size_bytes: *size_bytes,
            verdict: found.verdict,
            format: found.format.to_owned(),
            detail: found.detail,
            at_byte: found.at_byte,
        });
    }
    Ok((checks, said))
}

/// A file of a version, read from a thread that may wait.
struct Reading {
    sources: Arc<dyn ModelSources>,
    version: VersionId,
    path: String,
    runtime: Handle,
}

impl Ranged for Reading {
    fn read(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        let wanted = range.end.saturating_sub(range.start);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let read = self.sources.read(&self.version, &self.path, range);
        let bytes = self.runtime.block_on(read).map_err(io::Error::other)?;
        bytes
            .filter(|bytes| bytes.len() as u64 == wanted)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// What a port said, as it said it; anything else is a failure of ours.
fn carried(error: io::Error) -> RegistryError {
    let text = error.to_string();
    match error.into_inner().map(|inner| inner.downcast::<PortError>()) {
        Some(Ok(port)) => RegistryError::Port(*port),
        _ => RegistryError::Unreadable(text),
    }
}
