//! The form in which a tenant's keys are kept: JSON, frozen in `tests/fixtures`.
//!
//! What has no default was there from the first version on. A field that came later has one, so that what an
//! earlier version wrote is read; an earlier version refuses what has it.

use corliss_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::form;
use crate::{Destroyed, KeyError, Wrapped};

const FORMAT: &str = "corliss-keyring 1";
const DESTROYED: &str = "corliss-keyring-destroyed 1";

/// What lies on a shelf.
#[derive(Debug)]
pub(super) enum Content {
    Keys(Kept),
    Destroyed(Destroyed),
}

/// A tenant's keys, wrapped.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    format: String,
    pub tenant: String,
    pub tenant_key: KeptTenantKey,
    /// The one of the highest number seals.
    pub data_keys: Vec<KeptDataKey>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptTenantKey {
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Timestamp>,
    pub wrapped: Wrapped,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptDataKey {
    pub number: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Timestamp>,
    /// At most so often it has sealed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uses: u64,
    pub wrapped: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(uses: &u64) -> bool {
    *uses == 0
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tombstone {
    format: String,
    tenant: String,
    destroyed_at: Timestamp,
    destroyed_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_keys: Option<usize>,
}

/// The one field that every form has.
#[derive(Deserialize)]
struct Head {
    format: String,
}

impl Kept {
    pub fn new(tenant: &str, tenant_key: KeptTenantKey, data_keys: Vec<KeptDataKey>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            tenant: tenant.to_owned(),
            tenant_key,
            data_keys,
        }
    }

    /// The data key that seals.
    pub fn newest(&self) -> Option<&KeptDataKey> {
        self.data_keys.iter().max_by_key(|key| key.number)
    }

    /// The same with another count of what the newest data key has sealed.
    pub fn with_uses(&self, uses: u64) -> Self {
        let mut kept = self.clone();
        if let Some(newest) = kept.data_keys.iter_mut().max_by_key(|key| key.number) {
            newest.uses = uses;
        }
        kept
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, KeyError> {
        serde_json::to_vec_pretty(self).map_err(|error| form(&self.tenant, &error))
    }
}

/// What the bytes of a shelf say, if they are this tenant's.
pub(super) fn read(tenant: &str, bytes: &[u8]) -> Result<Content, KeyError> {
    let failed = |error: serde_json::Error| form(tenant, &error);
    let Head { format } = serde_json::from_slice(bytes).map_err(failed)?;
    let (owner, content) = match format.as_str() {
        FORMAT => {
            let kept: Kept = serde_json::from_slice(bytes).map_err(failed)?;
            (kept.tenant.clone(), Content::Keys(kept))
        }
        DESTROYED => {
            let stone: Tombstone = serde_json::from_slice(bytes).map_err(failed)?;
            let destroyed = Destroyed {
                tenant: stone.tenant,
                at: stone.destroyed_at,
                by: stone.destroyed_by,
                data_keys: stone.data_keys,
            };
            (destroyed.tenant.clone(), Content::Destroyed(destroyed))
        }
        other => return Err(form(tenant, &format!("their format is '{other}'"))),
    };
    if owner != tenant {
        return Err(form(tenant, &format!("they are those of '{owner}'")));
    }
    Ok(content)
}

/// What takes the place of keys that were destroyed.
pub(super) fn tombstone(destroyed: &Destroyed) -> Result<Vec<u8>, KeyError> {
    let stone = Tombstone {
        format: DESTROYED.to_owned(),
        tenant: destroyed.tenant.clone(),
        destroyed_at: destroyed.at,
        destroyed_by: destroyed.by.clone(),
        data_keys: destroyed.data_keys,
    };
    serde_json::to_vec_pretty(&stone).map_err(|error| form(&destroyed.tenant, &error))
}
