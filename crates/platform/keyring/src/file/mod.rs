//! The root key in a file of this machine, made when it is first needed.
//!
//! Older keys unwrap; only the newest wraps. Whoever has this file and the data can read the data: keep a
//! backup of it apart from theirs.

mod disk;
mod form;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use self::disk::{Disk, LocalDisk, change, folder, read};
use self::form::Named;
use crate::key::{KeyBytes, open_key, seal_key};
use crate::{KeyError, RootKey, Wrapped};

/// Root keys from a file.
pub struct FileRootKey {
    path: PathBuf,
    disk: Box<dyn Disk>,
    /// Newest first; empty until the first key is needed.
    keys: RwLock<Vec<Arc<Named>>>,
}

impl FileRootKey {
    /// Reads the file. If there is none, it is made when something is wrapped for the first time; where there
    /// is something to unwrap, a key that was lost is told and no other takes its place.
    ///
    /// # Errors
    /// Others may read the file, it has another form, or the file system refused.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        Self::open_on(path, Box::new(LocalDisk))
    }

    fn open_on(path: &Path, disk: Box<dyn Disk>) -> Result<Self, KeyError> {
        let keys = read(path)?;
        if !keys.is_empty() {
            // Whoever put it there may have died before its name was durable, and what it wraps will be.
            let folder = folder(path);
            let synced = disk.sync(folder);
            synced.map_err(|error| KeyError::io("sync the folder", folder, &error))?;
        }
        Ok(Self {
            path: path.to_path_buf(),
            keys: RwLock::new(keys),
            disk,
        })
    }

    /// Adds a key, which wraps from now on; answers its id. What the others have wrapped still opens, and is
    /// moved to this one by [`Keyring::rewrap`](crate::Keyring::rewrap).
    ///
    /// # Errors
    /// The file cannot be read or written; then it is whole, with the new key or without.
    pub fn add(&self) -> Result<String, KeyError> {
        let new = Arc::new(Named::new()?);
        let keys = change(self.disk.as_ref(), &self.path, |before| {
            Ok(Some(std::iter::once(&new).chain(before).cloned().collect()))
        })?;
        self.set(keys);
        Ok(new.id.clone())
    }

    /// Removes all keys but the newest and those `in_use`; answers the ids of those that are gone. What a
    /// removed key has wrapped cannot be opened by anybody again, old backups of tenants' keys included:
    /// `in_use` must name the root key of every tenant there is, as [`crate::inspect`] tells it.
    ///
    /// # Errors
    /// The file cannot be read or written; then it is whole, with the old keys or without.
    pub fn retire(&self, in_use: &BTreeSet<String>) -> Result<Vec<String>, KeyError> {
        let mut gone = Vec::new();
        let keys = change(self.disk.as_ref(), &self.path, |before| {
            let newest = before.first().map(|key| key.id.as_str());
            let stays = |key: &&Arc<Named>| newest == Some(&key.id) || in_use.contains(&key.id);
            let (kept, removed): (Vec<_>, Vec<_>) = before.iter().partition(stays);
            gone = removed.into_iter().map(|key| key.id.clone()).collect();
            Ok((!gone.is_empty()).then(|| kept.into_iter().cloned().collect()))
        })?;
        self.set(keys);
        Ok(gone)
    }

    /// The ids of the keys, the newest first.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().map(|key| key.id.clone()).collect()
    }

    fn set(&self, keys: Vec<Arc<Named>>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// The key that wraps; it is made if there is none.
    fn newest(&self) -> Result<Arc<Named>, KeyError> {
        let first = |keys: &[Arc<Named>]| keys.first().cloned();
        let known = first(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        if let Some(known) = known {
            return Ok(known);
        }
        let new = Arc::new(Named::new()?);
        let keys = change(self.disk.as_ref(), &self.path, |before| {
            // Another process may have been first.
            Ok(before.is_empty().then(|| vec![new]))
        })?;
        let newest = first(&keys).ok_or_else(|| self.missing("", "any"))?;
        self.set(keys);
        Ok(newest)
    }

    fn named(&self, id: &str) -> Option<Arc<Named>> {
        let find = |keys: &[Arc<Named>]| keys.iter().find(|key| key.id == id).cloned();
        let known = find(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        known.or_else(|| {
            // Another process may have added one since.
            let keys = read(&self.path).ok()?;
            let found = find(&keys)?;
            self.set(keys);
            Some(found)
        })
    }

    fn missing(&self, tenant: &str, wanted: &str) -> KeyError {
        KeyError::RootMissing {
            tenant: tenant.to_owned(),
            wanted: wanted.to_owned(),
            place: self.place(),
        }
    }
}

#[async_trait]
impl RootKey for FileRootKey {
    async fn wrap(&self, context: &str, key: &KeyBytes) -> Result<Wrapped, KeyError> {
        let newest = self.newest()?;
        Ok(Wrapped {
            by: newest.id.clone(),
            bytes: seal_key(&newest.seal, context, key)?,
        })
    }

    async fn unwrap(&self, tenant: &str, context: &str, wrapped: &Wrapped) -> Result<KeyBytes, KeyError> {
        let by = self.named(&wrapped.by);
        let by = by.ok_or_else(|| self.missing(tenant, &wrapped.by))?;
        open_key(&by.seal, context, &wrapped.bytes)
    }

    async fn rewrap(
        &self,
        tenant: &str,
        context: &str,
        wrapped: &Wrapped,
    ) -> Result<Option<Wrapped>, KeyError> {
        let key = self.unwrap(tenant, context, wrapped).await?;
        if self.newest()?.id == wrapped.by {
            return Ok(None);
        }
        self.wrap(context, &key).await.map(Some)
    }

    fn keeps(&self, id: &str) -> bool {
        self.named(id).is_some()
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}
