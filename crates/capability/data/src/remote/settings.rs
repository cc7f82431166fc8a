//! Which remotes there are, as the administrator has set them, and opening one.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use corliss_blobstore::{Backend, BlobError, BucketBackend, BucketSettings, DiskBackend};
use corliss_keyring::RootKey;
use serde::Serialize;
use tokio::sync::Mutex;

use super::trouble::OrRemote;
use super::{Remote, RemoteTrouble, ServerRemote, ServerSettings, StoreRemote};
use crate::error::shortened;
use crate::{DataError, RefName};

/// How often, and how long after, a store that is in use is tried again.
const OPEN_TRIES: u32 = 50;
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// Where a remote is.
#[derive(Clone)]
pub enum RemoteSettings {
    /// Another Corliss server.
    Server(ServerSettings),
    /// A folder, such as one of a network file system. One server at a time has it open.
    Folder {
        /// The folder; it is made if it is missing.
        path: PathBuf,
        /// Keeper of the root key by which what lies there is encrypted. Whoever shares the folder shares the key.
        key: Arc<dyn RootKey>,
    },
    /// A bucket, which several servers may use at once.
    Bucket {
        /// Which, and as whom. Its service must know conditional writes.
        bucket: Box<BucketSettings>,
        /// As of a folder.
        key: Arc<dyn RootKey>,
    },
    /// One that is open.
    Opened(Arc<dyn Remote>),
}

impl fmt::Debug for RemoteSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at {}", self.kind(), self.place())
    }
}

impl RemoteSettings {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Server(_) => "server",
            Self::Folder { .. } => "folder",
            Self::Bucket { .. } => "bucket",
            Self::Opened(_) => "opened",
        }
    }

    /// For people, without secrets.
    fn place(&self) -> String {
        match self {
            Self::Server(settings) => settings.place(),
            Self::Folder { path, .. } => path.display().to_string(),
            Self::Bucket { bucket, .. } => bucket.url.clone(),
            Self::Opened(remote) => remote.name().to_owned(),
        }
    }
}

/// A remote in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoteInfo {
    /// What it is called.
    pub name: String,
    /// `server`, `folder` or `bucket`.
    pub kind: &'static str,
    /// Its URL or path.
    pub place: String,
}

/// The remotes of this installation; cheap to clone.
#[derive(Clone, Default)]
pub struct Remotes {
    work: PathBuf,
    settings: Arc<BTreeMap<String, RemoteSettings>>,
    /// A folder or bucket has one index here, so those who use it at once share what is open.
    open: Arc<Mutex<HashMap<String, Weak<StoreRemote>>>>,
}

impl Remotes {
    /// None yet. Indexes of folders and buckets lie below `work`, a local folder; they can be made anew.
    #[must_use]
    pub fn new(work: impl Into<PathBuf>) -> Self {
        Self {
            work: work.into(),
            ..Self::default()
        }
    }

    /// Adds one. The name is what users call it, and the first part of the branches that a pull makes for what
    /// cannot be moved forward.
    ///
    /// # Errors
    /// The name cannot be the first part of a branch's, or is taken; or the settings of a server cannot be right.
    pub fn with(mut self, name: &str, settings: RemoteSettings) -> Result<Self, DataError> {
        let checked: RefName = name.parse()?;
        let wrong = |problem| DataError::BadRefName {
            name: shortened(name),
            problem,
        };
        if checked.as_str().contains('/') || name.len() > 40 {
            return Err(wrong(
                "must have at most 40 characters, and no '/', to be a remote's",
            ));
        }
        if let RemoteSettings::Server(server) = &settings {
            ServerRemote::open(name, server)?;
        }
        match Arc::make_mut(&mut self.settings).insert(name.to_owned(), settings) {
            None => Ok(self),
            Some(_) => Err(wrong("is a remote already")),
        }
    }

    /// Their names, kinds and places.
    pub(crate) fn list(&self) -> Vec<RemoteInfo> {
        let info = |(name, settings): (&String, &RemoteSettings)| RemoteInfo {
            name: name.clone(),
            kind: settings.kind(),
            place: settings.place(),
        };
        self.settings.iter().map(info).collect()
    }

    /// Whether a branch of this name stands for a remote's.
    pub(crate) fn tracks(&self, branch: &RefName) -> bool {
        let first = branch.as_str().split_once('/').map(|(first, _)| first);
        first.is_some_and(|first| self.settings.contains_key(first))
    }

    /// Whether there is one of this name.
    pub(crate) fn check(&self, name: &str) -> Result<(), DataError> {
        self.settings_of(name).map(drop)
    }

    /// Opens one; a folder or bucket that somebody has open is shared.
    pub(crate) async fn open(&self, name: &str) -> Result<Arc<dyn Remote>, DataError> {
        let settings = self.settings_of(name)?;
        match settings {
            RemoteSettings::Server(server) => return Ok(Arc::new(ServerRemote::open(name, server)?)),
            RemoteSettings::Opened(remote) => return Ok(Arc::clone(remote)),
            RemoteSettings::Folder { .. } | RemoteSettings::Bucket { .. } => {}
        }
        let mut open = self.open.lock().await;
        if let Some(remote) = open.get(name).and_then(Weak::upgrade) {
            return Ok(remote);
        }
        let mut tried = 0;
        let remote = loop {
            match self.open_store(name, settings).await {
                // The store that was open a moment ago lets go of its folder and its index a moment later.
                Err(BlobError::InUse { .. }) if tried < OPEN_TRIES => {
                    tried += 1;
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
                opened => break Arc::new(opened.or_remote(name)?),
            }
        };
        open.insert(name.to_owned(), Arc::downgrade(&remote));
        Ok(remote)
    }

    async fn open_store(&self, name: &str, settings: &RemoteSettings) -> Result<StoreRemote, BlobError> {
        let (backend, key): (Arc<dyn Backend>, _) = match settings {
            RemoteSettings::Folder { path, key } => (Arc::new(DiskBackend::open(path).await?), key),
            RemoteSettings::Bucket { bucket, key } => {
                (Arc::new(BucketBackend::open((**bucket).clone()).await?), key)
            }
            RemoteSettings::Server(_) | RemoteSettings::Opened(_) => return Err(BlobError::Busy),
        };
        StoreRemote::open(name, backend, Arc::clone(key), &self.work.join(name)).await
    }

    fn settings_of(&self, name: &str) -> Result<&RemoteSettings, DataError> {
        let settings = self.settings.get(name);
        settings.ok_or_else(|| DataError::RemoteNotFound {
            name: shortened(name),
        })
    }
}

/// An error about settings.
pub(super) fn wrong_settings(remote: &str, message: impl Into<String>) -> DataError {
    DataError::Remote {
        remote: remote.to_owned(),
        trouble: RemoteTrouble::Settings,
        message: message.into(),
    }
}
