//! The port to whatever keeps the root key.

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
    /// Base64.
    pub bytes: String,
}

/// Wraps and unwraps the keys of tenants.
#[async_trait]
pub trait RootKey: Send + Sync {
    /// Wraps a key with the newest root key. Unwrapping needs the same `context`.
    async fn wrap(&self, context: &str, key: &KeyBytes) -> Result<Wrapped, KeyError>;

    /// The key that was wrapped. `tenant` is for the error's words.
    async fn unwrap(&self, tenant: &str, context: &str, wrapped: &Wrapped) -> Result<KeyBytes, KeyError>;
}

/// A root key that lives as long as the process, for tests.
pub struct MemoryRootKey(SealKey);

impl MemoryRootKey {
    /// A new key.
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn new() -> Result<Self, KeyError> {
        Ok(Self(SealKey::new(&random_key()?)?))
    }
}

#[async_trait]
impl RootKey for MemoryRootKey {
    async fn wrap(&self, context: &str, key: &KeyBytes) -> Result<Wrapped, KeyError> {
        Ok(Wrapped {
            by: "memory".to_owned(),
            bytes: seal_key(&self.0, context, key)?,
        })
    }

    async fn unwrap(&self, _: &str, context: &str, wrapped: &Wrapped) -> Result<KeyBytes, KeyError> {
        open_key(&self.0, context, &wrapped.bytes)
    }
}
