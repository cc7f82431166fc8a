//! What a keyring holds, for people: also without the root key, from what lies on its shelf.

use corliss_types::Timestamp;
use serde::Serialize;

use super::SEALS_PER_KEY;
use super::kept::{self, Content, Kept};
use super::shelf::Shelf;
use crate::{Destroyed, KeyError};

/// What a keyring holds, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Whose keys.
    pub tenant: String,
    /// Id of the root key that wraps the tenant's.
    pub root_key: String,
    /// Who keeps that one.
    pub provider: Provider,
    /// How often the tenant's key was made.
    pub tenant_key_version: u32,
    /// When it was made; None if that was before this was kept.
    pub tenant_key_made_at: Option<Timestamp>,
    /// Data keys under it.
    pub data_keys: usize,
    /// Number of the one that seals.
    pub current: u32,
    /// When that one was made; None if that was before this was kept.
    pub current_made_at: Option<Timestamp>,
    /// How many seals it has left before another takes its place, at least.
    pub uses_left: u64,
}

/// What keeps a root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// A file of this machine.
    File,
    /// Vault or OpenBao.
    Transit,
    /// This process.
    Memory,
}

impl Provider {
    /// Of a root key's id.
    fn of(id: &str) -> Self {
        if id.starts_with(crate::transit::ID_PREFIX) {
            Self::Transit
        } else if id.starts_with("memory-") {
            Self::Memory
        } else {
            Self::File
        }
    }
}

/// What lies on a tenant's shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TenantKeys {
    /// Keys.
    Live(Summary),
    /// That there were some.
    Destroyed(Destroyed),
}

impl Summary {
    /// None if there is no data key. `seals` is how often the current one was used.
    pub(super) fn of(kept: &Kept, seals: Option<u64>) -> Option<Self> {
        let current = kept.newest()?;
        let root_key = kept.tenant_key.wrapped.by.clone();
        Some(Self {
            tenant: kept.tenant.clone(),
            provider: Provider::of(&root_key),
            root_key,
            tenant_key_version: kept.tenant_key.version,
            tenant_key_made_at: kept.tenant_key.made_at,
            data_keys: kept.data_keys.len(),
            current: current.number,
            current_made_at: current.made_at,
            uses_left: SEALS_PER_KEY.saturating_sub(seals.unwrap_or(current.uses)),
        })
    }
}

/// What lies on a tenant's shelf, without opening it; None if the tenant never had keys.
///
/// # Errors
/// The shelf failed, or what lies there cannot be read.
pub async fn inspect(tenant: &str, shelf: &dyn Shelf) -> Result<Option<TenantKeys>, KeyError> {
    let Some(bytes) = shelf.load().await? else {
        return Ok(None);
    };
    Ok(Some(match kept::read(tenant, &bytes)? {
        Content::Keys(kept) => {
            let summary = Summary::of(&kept, None);
            TenantKeys::Live(summary.ok_or_else(|| super::form(tenant, &super::NO_DATA_KEY))?)
        }
        Content::Destroyed(destroyed) => TenantKeys::Destroyed(destroyed),
    }))
}
