//! A tenant's keys in the clear, and how they come from the wrapped form and go back to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use corliss_types::Timestamp;

use super::kept::{Kept, KeptDataKey, KeptTenantKey};
use super::{NO_DATA_KEY, form};
use crate::key::{KeyBytes, SealKey, open_key, random_key, seal_key};
use crate::{KeyError, RootKey};

struct DataKey {
    bytes: KeyBytes,
    seal: Arc<SealKey>,
}

impl DataKey {
    fn new(bytes: KeyBytes) -> Result<Self, KeyError> {
        let seal = Arc::new(SealKey::new(&bytes)?);
        Ok(Self { bytes, seal })
    }
}

/// Keys, and the same in the form in which they are kept.
pub(super) struct Keys {
    pub kept: Kept,
    data: BTreeMap<u32, DataKey>,
    /// The newest data key and its number.
    pub current: (u32, Arc<SealKey>),
}

impl Keys {
    fn new(kept: Kept, data: BTreeMap<u32, DataKey>) -> Result<Self, KeyError> {
        let newest = data.last_key_value();
        let (number, newest) = newest.ok_or_else(|| form(&kept.tenant, &NO_DATA_KEY))?;
        let current = (*number, Arc::clone(&newest.seal));
        Ok(Self { kept, data, current })
    }

    /// A tenant's first keys.
    pub async fn first(tenant: &str, root: &dyn RootKey, now: Timestamp) -> Result<Self, KeyError> {
        Self::next(tenant, 1, &[], BTreeMap::new(), root, now).await
    }

    /// These data keys and one more, all under a new key of the tenant.
    pub async fn renewed(self, root: &dyn RootKey, now: Timestamp) -> Result<Self, KeyError> {
        let Kept {
            tenant,
            tenant_key,
            data_keys,
            ..
        } = &self.kept;
        let version = tenant_key.version + 1;
        Self::next(tenant, version, data_keys, self.data, root, now).await
    }

    async fn next(
        tenant: &str,
        version: u32,
        before: &[KeptDataKey],
        mut data: BTreeMap<u32, DataKey>,
        root: &dyn RootKey,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let number = data.last_key_value().map_or(1, |(last, _)| last + 1);
        data.insert(number, DataKey::new(random_key()?)?);
        let tenant_key = random_key()?;
        let wrapped = root.wrap(&tenant_context(tenant, version), &tenant_key).await?;
        let by = SealKey::new(&tenant_key)?;
        let mut data_keys = Vec::with_capacity(data.len());
        for (number, key) in &data {
            let old = before.iter().find(|old| old.number == *number);
            data_keys.push(KeptDataKey {
                number: *number,
                made_at: old.map_or(Some(now), |old| old.made_at),
                uses: old.map_or(0, |old| old.uses),
                wrapped: seal_key(&by, &data_context(tenant, version, *number), &key.bytes)?,
            });
        }
        let made_at = Some(now);
        let tenant_key = KeptTenantKey {
            version,
            made_at,
            wrapped,
        };
        Self::new(Kept::new(tenant, tenant_key, data_keys), data)
    }

    /// The same keys under the newest root key; None if they are. That they open again also tells that they
    /// are the same: the wrapped data keys are those that were there.
    pub async fn rewrapped(mut kept: Kept, root: &dyn RootKey) -> Result<Option<Self>, KeyError> {
        let KeptTenantKey { version, wrapped, .. } = &kept.tenant_key;
        let context = tenant_context(&kept.tenant, *version);
        let Some(wrapped) = root.rewrap(&kept.tenant, &context, wrapped).await? else {
            return Ok(None);
        };
        kept.tenant_key.wrapped = wrapped;
        Self::open(kept, root).await.map(Some)
    }

    /// Unwraps them.
    pub async fn open(kept: Kept, root: &dyn RootKey) -> Result<Self, KeyError> {
        let tenant = kept.tenant.as_str();
        let KeptTenantKey { version, wrapped, .. } = &kept.tenant_key;
        let tenant_key = root
            .unwrap(tenant, &tenant_context(tenant, *version), wrapped)
            .await?;
        let by = SealKey::new(&tenant_key)?;
        let mut data = BTreeMap::new();
        for KeptDataKey { number, wrapped, .. } in &kept.data_keys {
            let key = open_key(&by, &data_context(tenant, *version, *number), wrapped)?;
            data.insert(*number, DataKey::new(key)?);
        }
        Self::new(kept, data)
    }

    pub fn get(&self, number: u32) -> Option<Arc<SealKey>> {
        self.data.get(&number).map(|key| Arc::clone(&key.seal))
    }
}

fn tenant_context(tenant: &str, version: u32) -> String {
    format!("key {version} of tenant {tenant}")
}

fn data_context(tenant: &str, version: u32, number: u32) -> String {
    format!("data key {number} under key {version} of tenant {tenant}")
}
