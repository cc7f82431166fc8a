//! The port to whatever keeps the root key, and several of them as one while keys move between them.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::key::{KeyBytes, open_key, random_key, seal_key};
use crate::{KeyError, SealKey};

/// A key in wrapped form, and which root key wrapped it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrapped {
    /// Id of the wrapping key.
    pub by: String,
    /// Text that only the keeper of that key reads: base64, or what transit answered.
    pub bytes: String,
}

/// Wraps and unwraps the keys of tenants.
#[async_trait]
pub trait RootKey: Send + Sync {
    /// Wraps a key with the newest root key. Unwrapping needs the same `context`.
    async fn wrap(&self, context: &str, key: &KeyBytes) -> Result<Wrapped, KeyError>;

    /// The key that was wrapped. `tenant` is for the error's words.
    async fn unwrap(&self, tenant: &str, context: &str, wrapped: &Wrapped) -> Result<KeyBytes, KeyError>;

    /// Wraps with the newest root key what an older one has wrapped; None if the newest has.
    async fn rewrap(
        &self,
        tenant: &str,
        context: &str,
        wrapped: &Wrapped,
    ) -> Result<Option<Wrapped>, KeyError>;

    /// Whether a root key of this id is kept here, so that asking another keeper is no use.
    fn keeps(&self, id: &str) -> bool;

    /// Where the root keys are, for people.
    fn place(&self) -> String;
}

/// A keeper of root keys, and those that came before it.
///
/// All that is new is wrapped by `current`; what one of `older` has wrapped still opens, and
/// [`Self::rewrap`](RootKey::rewrap) moves it. So tenants may be moved one by one, and a move that was cut
/// short goes on where it stopped.
pub struct RootKeys {
    current: Arc<dyn RootKey>,
    older: Vec<Arc<dyn RootKey>>,
}

impl RootKeys {
    /// Tells them apart by the ids of the keys that they keep.
    #[must_use]
    pub fn new(current: Arc<dyn RootKey>, older: Vec<Arc<dyn RootKey>>) -> Self {
        Self { current, older }
    }

    /// Who keeps this key; the current one, which knows best how to refuse, if nobody does.
    fn keeper(&self, id: &str) -> &dyn RootKey {
        let mut all = std::iter::once(&self.current).chain(&self.older);
        all.find(|keeper| keeper.keeps(id))
            .unwrap_or(&self.current)
            .as_ref()
    }
}

#[async_trait]
impl RootKey for RootKeys {
    async fn wrap(&self, context: &str, key: &KeyBytes) -> Result<Wrapped, KeyError> {
        self.current.wrap(context, key).await
    }

    async fn unwrap(&self, tenant: &str, context: &str, wrapped: &Wrapped) -> Result<KeyBytes, KeyError> {
        self.keeper(&wrapped.by).unwrap(tenant, context, wrapped).await
    }

    async fn rewrap(
        &self,
        tenant: &str,
        context: &str,
        wrapped: &Wrapped,
    ) -> Result<Option<Wrapped>, KeyError> {
        if self.current.keeps(&wrapped.by) {
            return self.current.rewrap(tenant, context, wrapped).await;
        }
        let key = self.unwrap(tenant, context, wrapped).await?;
        self.wrap(context, &key).await.map(Some)
    }

    fn keeps(&self, id: &str) -> bool {
        self.current.keeps(id) || self.older.iter().any(|keeper| keeper.keeps(id))
    }

    fn place(&self) -> String {
        let all = std::iter::once(&self.current).chain(&self.older);
        let places: Vec<String> = all.map(|keeper| keeper.place()).collect();
        places.join(", nor in ")
    }
}

/// Root keys that live as long as the process, for tests.
pub struct MemoryRootKey(RwLock<Vec<Arc<SealKey>>>);

impl MemoryRootKey {
    /// A new key.
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn new() -> Result<Self, KeyError> {
        let first = Arc::new(SealKey::new(&random_key()?)?);
        Ok(Self(RwLock::new(vec![first])))
    }

    /// Adds a key, which wraps from now on.
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn rotate(&self) -> Result<(), KeyError> {
        let next = Arc::new(SealKey::new(&random_key()?)?);
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(next);
        Ok(())
    }

    fn named(&self, id: &str) -> Option<Arc<SealKey>> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let at = (0..keys.len()).find(|at| memory_id(*at) == id)?;
        keys.get(at).cloned()
    }

    fn newest(&self) -> Option<(String, Arc<SealKey>)> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some((memory_id(keys.len() - 1), Arc::clone(keys.last()?)))
    }

    fn missing(&self, tenant: &str, wanted: &str) -> KeyError {
        KeyError::RootMissing {
            tenant: tenant.to_owned(),
            wanted: wanted.to_owned(),
            place: self.place(),
        }
    }
}

fn memory_id(at: usize) -> String {
    format!("memory-{}", at + 1)
}

#[async_trait]
impl RootKey for MemoryRootKey {
    async fn wrap(&self, context: &str, key: &KeyBytes) -> Result<Wrapped, KeyError> {
        let (by, newest) = self.newest().ok_or_else(|| self.missing("", "any"))?;
        let bytes = seal_key(&newest, context, key)?;
        Ok(Wrapped { by, bytes })
    }

    async fn unwrap(&self, tenant: &str, context: &str, wrapped: &Wrapped) -> Result<KeyBytes, KeyError> {
        let by = self.named(&wrapped.by);
        let by = by.ok_or_else(|| self.missing(tenant, &wrapped.by))?;
        open_key(&by, context, &wrapped.bytes)
    }

    async fn rewrap(
        &self,
        tenant: &str,
        context: &str,
        wrapped: &Wrapped,
    ) -> Result<Option<Wrapped>, KeyError> {
        let key = self.unwrap(tenant, context, wrapped).await?;
        if self.newest().is_some_and(|(id, _)| id == wrapped.by) {
            return Ok(None);
        }
        self.wrap(context, &key).await.map(Some)
    }

    fn keeps(&self, id: &str) -> bool {
        self.named(id).is_some()
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
