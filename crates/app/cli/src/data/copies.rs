//! What is remembered of folders of this machine, in the home: how their files looked, and of which dataset and
//! commit they are working copies. Nothing is put into the folders themselves.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use corliss_blobstore::BlobId;
use corliss_data::Entry;
use corliss_data::snapshot::{Kind, Memory, Snapshot};
use serde::{Deserialize, Serialize};

use crate::error::{CliError, CliResult, cause};

/// Below the home.
const FOLDER: &str = "copies";

/// Which version a folder was made from or became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// The folder, for people who look into the file.
    pub folder: PathBuf,
    /// The server.
    pub server: String,
    /// The dataset.
    pub dataset: String,
    /// The branch that commits go to; none after a tag or an id was checked out.
    pub branch: Option<String>,
    /// The commit whose files it had last.
    pub commit: Option<String>,
    /// The version of that commit.
    pub version: String,
    /// Only these folders of the version are in it; none is all of it.
    #[serde(default)]
    pub only: Vec<String>,
}

/// The notes on one folder.
pub struct Notes {
    folder: PathBuf,
    place: PathBuf,
}

impl Notes {
    /// The notes on a folder, whether there are any or not.
    pub fn on(home: &Path, folder: &Path) -> CliResult<Self> {
        let folder = fs::canonicalize(folder).map_err(|error| {
            CliError::input(format!("cannot open {}: {}", folder.display(), cause(&error)))
        })?;
        let digest = BlobId::of(folder.as_os_str().as_encoded_bytes()).to_string();
        let place = home.join(FOLDER).join(&digest[..32]);
        Ok(Self { folder, place })
    }

    /// The notes on the working copy that a path lies in.
    pub fn around(home: &Path, path: &Path) -> CliResult<Option<(Self, Copy)>> {
        let mut folder = fs::canonicalize(path)
            .map_err(|error| CliError::input(format!("cannot open {}: {}", path.display(), cause(&error))))?;
        loop {
            let notes = Self::on(home, &folder)?;
            if let Some(copy) = notes.copy()? {
                return Ok(Some((notes, copy)));
            }
            if !folder.pop() {
                return Ok(None);
            }
        }
    }

    /// The folder, without links.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Of what the folder is a working copy, if of anything.
    pub fn copy(&self) -> CliResult<Option<Copy>> {
        let path = self.place.join("copy.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, &error)),
        };
        let copy: Copy = serde_json::from_slice(&text).map_err(|error| {
            CliError::failed(format!("{} is not readable: {error}", path.display()))
                .hint("remove it and check the folder out again")
        })?;
        // Two paths of one digest do not happen; a home that was copied to another machine does.
        Ok((copy.folder == self.folder).then_some(copy))
    }

    /// Notes of what the folder is a working copy.
    pub fn set_copy(&self, copy: &Copy) -> CliResult {
        let text = serde_json::to_vec_pretty(copy)
            .map_err(|error| CliError::failed(format!("cannot write down the working copy: {error}")))?;
        self.write("copy.json", &text)
    }

    /// What is remembered of its files; nothing if it cannot be read.
    pub fn memory(&self, kind: Kind) -> Memory {
        fs::read(self.place.join(memory_name(kind)))
            .map(|bytes| Memory::decode(&bytes))
            .unwrap_or_default()
    }

    /// Forgets its files, so that all of them are read; but for the linked ones, of which reading tells nothing.
    pub fn forget(&self, kind: Kind) -> CliResult {
        let memory = self.memory(kind);
        if memory.has_links() {
            return self.write(memory_name(kind), &memory.links_alone());
        }
        let path = self.place.join(memory_name(kind));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(&path, &error)),
            _ => Ok(()),
        }
    }

    /// Remembers the files of a snapshot. That this fails costs time later, nothing else.
    pub fn remember(&self, kind: Kind, before: &Memory, snapshot: &Snapshot) {
        if !before.is_of(snapshot) {
            let _ = self.write(memory_name(kind), &Memory::encode(snapshot));
        }
    }

    /// Remembers which of the files that were just laid out are linked. If this fails, they are files of the folder's
    /// own later.
    pub fn remember_links(&self, laid_out: &[Entry]) -> CliResult {
        let noted = self.memory(Kind::Data).with_laid_out(&self.folder, laid_out);
        match noted {
            Some(bytes) => self.write(memory_name(Kind::Data), &bytes),
            None => Ok(()),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> CliResult {
        let path = self.place.join(name);
        let partial = self.place.join(format!("{name}.{}", std::process::id()));
        fs::create_dir_all(&self.place)
            .and_then(|()| fs::write(&partial, bytes))
            .and_then(|()| fs::rename(&partial, &path))
            .map_err(|error| {
                let _ = fs::remove_file(&partial);
                unusable(&path, &error)
            })
    }
}

const fn memory_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Data => "files",
        Kind::Code => "code-files",
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::failed(format!("cannot use {}: {}", path.display(), cause(error)))
}
