//! Artifacts: bytes go to the content-addressed store first, then the table names them, so a crash between
//! the two leaves an unnamed blob and never a name without bytes.

use corliss_metastore::Tx;
use corliss_mlflow_wire::{WireError, check_length};

use super::Tracking;
use crate::types::{ArtifactEntry, ArtifactFile};
use crate::{ByteStream, StoredBytes, TrackingError, limits, store};

/// The scheme of artifact URIs whose bytes we hold.
const SCHEME: &str = "mlflow-artifacts:/";

/// The folder of an experiment that holds the folders of its traces.
pub(super) const TRACES: &str = "traces";

/// A file being read.
pub struct ArtifactRead {
    /// How many bytes follow.
    pub size_bytes: u64,
    /// The id of its content, unquoted.
    pub blob: String,
    /// The bytes.
    pub bytes: ByteStream,
}

impl Tracking {
    /// Stores a file at a path such as `0/<run>/artifacts/model/MLmodel`, replacing what was there. Answers the id of its
    /// content.
    ///
    /// # Errors
    /// The path belongs to no run or logged model, or clashes with a folder or file.
    pub async fn put_artifact(&self, path: String, bytes: ByteStream) -> Result<String, TrackingError> {
        check_path(&path)?;
        let owned = path.clone();
        // Looked at before the bytes are taken in, so that nobody can fill the disk without naming a run;
        // and again when they are named, because the run may be deleted meanwhile.
        self.store.read(move |tx| check_owner(tx, &owned)).await?;
        let StoredBytes {
            blob,
            size_bytes,
            kept,
        } = self.bytes.put(bytes).await?;
        let (now_ms, content) = (self.now_ms(), blob.clone());
        let placed = self
            .store
            .write(move |tx| {
                check_owner(tx, &path)?;
                if store::put_artifact(tx, &path, &blob, size_bytes, now_ms)? {
                    return Ok(());
                }
                Err(TrackingError::invalid(format!(
                    "The path '{path}' is both a file and a folder."
                )))
            })
            .await;
        drop(kept);
        placed.map(|()| content)
    }

    /// The blobs of all artifacts, for whoever collects what nothing refers to.
    ///
    /// # Errors
    /// The metadata store failed.
    pub async fn blobs_in_use(&self) -> Result<Vec<String>, TrackingError> {
        self.store
            .read(|tx| {
                let mut blobs = store::all_blobs(tx)?;
                blobs.extend(store::blobs_of_parts(tx)?);
                Ok::<_, TrackingError>(blobs)
            })
            .await
    }

    /// Opens a file.
    ///
    /// # Errors
    /// There is no file at this path.
    pub async fn open_artifact(&self, path: String) -> Result<ArtifactRead, TrackingError> {
        let (blob, size_bytes) = self.file(path).await?;
        let bytes = self.bytes.open(&blob).await?;
        Ok(ArtifactRead {
            size_bytes,
            blob,
            bytes,
        })
    }

    /// Opens the file at an artifact URI; none if the URI is not ours.
    ///
    /// # Errors
    /// There is no file there.
    pub async fn open_artifact_at(&self, uri: &str) -> Result<Option<ArtifactRead>, TrackingError> {
        match path_of(uri) {
            Some(path) => self.open_artifact(path).await.map(Some),
            None => Ok(None),
        }
    }

    /// The content and size of a file.
    pub(super) async fn file(&self, path: String) -> Result<(String, u64), TrackingError> {
        check_path(&path)?;
        self.store
            .read(move |tx| {
                store::file_at(tx, &path)?
                    .flatten()
                    .ok_or_else(|| TrackingError::NotFound(format!("No such artifact: '{path}'")))
            })
            .await
    }

    /// The entries of a folder; none if there is no such folder, or if a file is there.
    ///
    /// # Errors
    /// The path is not one.
    pub async fn list_artifacts(&self, folder: String) -> Result<Vec<ArtifactEntry>, TrackingError> {
        if !folder.is_empty() {
            check_path(&folder)?;
        }
        self.store
            .read(move |tx| Ok(store::list_folder(tx, &folder, limits::ARTIFACTS_LISTED)?))
            .await
    }

    /// Removes a file, or a folder with all in it.
    ///
    /// # Errors
    /// The path belongs to no run or logged model, or nothing is there.
    pub async fn delete_artifact(&self, path: String) -> Result<(), TrackingError> {
        check_path(&path)?;
        self.store
            .write(move |tx| {
                check_owner(tx, &path)?;
                if store::delete_artifact(tx, &path)? {
                    return Ok(());
                }
                Err(TrackingError::NotFound(format!("No such artifact: '{path}'")))
            })
            .await
    }

    /// Removes folders by their URIs, with all in them; what is not there or not ours is passed over.
    ///
    /// # Errors
    /// The metadata store failed.
    pub async fn remove_folders(&self, uris: Vec<String>) -> Result<(), TrackingError> {
        self.store
            .write(move |tx| {
                for path in uris.iter().filter_map(|uri| path_of(uri)) {
                    store::delete_artifact(tx, &path)?;
                }
                Ok(())
            })
            .await
    }

    /// Every file under an artifact URI of ours, with its content id: what makes a version of it. None if the
    /// URI is not ours; a single file is one with its own name.
    ///
    /// # Errors
    /// The URI is ours but its path is not one.
    pub async fn files_under(&self, artifact_uri: &str) -> Result<Option<Vec<ArtifactFile>>, TrackingError> {
        let Some(path) = path_of(artifact_uri) else {
            return Ok(None);
        };
        check_path(&path)?;
        self.store
            .read(move |tx| {
                if let Some(Some((blob, size_bytes))) = store::file_at(tx, &path)? {
                    let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
                    return Ok(Some(vec![ArtifactFile {
                        path: name,
                        blob,
                        size_bytes,
                    }]));
                }
                let most = usize::try_from(limits::ARTIFACTS_LISTED).unwrap_or(usize::MAX);
                let files = store::files_under(tx, &path, most)?;
                if files.len() > most {
                    return Err(TrackingError::invalid(format!(
                        "'{path}' holds more than {most} files."
                    )));
                }
                Ok(Some(files))
            })
            .await
    }
}

/// The path that an artifact URI of ours names.
pub(crate) fn path_of(artifact_uri: &str) -> Option<String> {
    let path = artifact_uri.strip_prefix(SCHEME)?;
    // With an authority (`mlflow-artifacts://host/…`) it is another server's.
    (!path.starts_with('/')).then(|| path.trim_end_matches('/').to_owned())
}

/// A path is a key of bounded size whose parts are plain names.
pub(super) fn check_path(path: &str) -> Result<(), TrackingError> {
    check_length("path", limits::ARTIFACT_PATH_LEN, path)?;
    let parts: Vec<&str> = path.split('/').collect();
    let bad = |part: &&str| part.is_empty() || *part == "." || *part == ".." || part.contains(['\\', '\0']);
    // Once more escaped than it should be, a path would mean another one to whoever unescapes it later.
    let lower = path.to_ascii_lowercase();
    let escaped = ["%2e", "%2f", "%5c", "%25", "%00"]
        .iter()
        .any(|escape| lower.contains(escape));
    if parts.len() > limits::ARTIFACT_PATH_PARTS || parts.iter().any(bad) || escaped {
        return Err(WireError::new(format!("Invalid path: {path}")).into());
    }
    Ok(())
}

/// What is written must lie under the artifact folder of an active run, of a logged model, or of a trace of an active
/// experiment. A client sends the files of a trace before anybody may know of the trace, so its experiment stands for it.
pub(super) fn check_owner(tx: &mut dyn Tx, path: &str) -> Result<(), TrackingError> {
    let parts: Vec<&str> = path.split('/').collect();
    for (index, part) in parts.iter().enumerate().skip(1) {
        if *part != "artifacts" || index + 1 == parts.len() {
            continue;
        }
        let uri = format!("{SCHEME}{}", parts[..=index].join("/"));
        let owner = parts[index - 1];
        if index >= 3
            && parts[index - 2] == TRACES
            && let Some(experiment) =
                store::experiment_at(tx, &format!("{SCHEME}{}", parts[..index - 2].join("/")))?
        {
            return super::experiments::check_active(&experiment);
        }
        if let Some((number, run)) = store::run_info(tx, owner)?
            && path_of(&run.artifact_uri) == path_of(&uri)
        {
            // One that is deleted where it comes from is so here before its files are.
            let digests = store::import_digests(tx, &[number])?;
            return match digests.get(&number).is_some_and(String::is_empty) {
                true => Ok(()),
                false => super::runs::active_run(tx, owner).map(drop),
            };
        }
        if let Some(model) = store::logged_model(tx, owner)?
            && path_of(&model.artifact_uri) == path_of(&uri)
        {
            return Ok(());
        }
    }
    Err(TrackingError::NotFound(format!(
        "'{path}' does not lie under the artifacts of any run, logged model or trace"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_climb_are_refused() {
        for bad in [
            "",
            "a//b",
            "../etc/passwd",
            "a/../b",
            "a/./b",
            "/a",
            "a/",
            "a\\b",
            "a\0b",
            "%2e%2e/x",
        ] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
        check_path("0/abc/artifacts/model/MLmodel").unwrap();
        check_path("0/abc/artifacts/with space/ü.txt").unwrap();
    }

    #[test]
    fn only_uris_of_ours_have_a_path() {
        assert_eq!(
            path_of("mlflow-artifacts:/0/a/artifacts").as_deref(),
            Some("0/a/artifacts")
        );
        assert_eq!(path_of("mlflow-artifacts://host/0/a"), None);
        assert_eq!(path_of("s3://bucket/x"), None);
        assert_eq!(path_of("/etc/passwd"), None);
    }
}
