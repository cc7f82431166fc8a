//! One tenant's keys: opened at start, changed as a whole.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::key::{KeyBytes, SealKey, open_key, random_key, seal_key};
use crate::{KeyError, RootKey, Wrapped};

const FORMAT: &str = "corliss-keyring 1";
const NO_DATA_KEY: &str = "there is no data key";
/// Half of what NIST SP 800-38D allows one key with random nonces.
const SEALS_PER_KEY: u64 = 1 << 31;

/// Where the wrapped keys of one tenant lie.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// What was put last; None before the first time.
    async fn load(&self) -> Result<Option<Vec<u8>>, KeyError>;
    /// Replaces it as a whole; durable when this returns.
    async fn save(&self, bytes: Vec<u8>) -> Result<(), KeyError>;
}

/// A shelf in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryShelf(Mutex<Option<Vec<u8>>>);

#[async_trait]
impl Shelf for MemoryShelf {
    async fn load(&self) -> Result<Option<Vec<u8>>, KeyError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
    async fn save(&self, bytes: Vec<u8>) -> Result<(), KeyError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
        Ok(())
    }
}

/// The keys in the form in which they are kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: String,
    tenant: String,
    tenant_key: KeptTenantKey,
    data_keys: Vec<KeptDataKey>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptTenantKey {
    version: u32,
    wrapped: Wrapped,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptDataKey {
    number: u32,
    wrapped: String,
}

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

/// What a keyring holds, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Whose keys.
    pub tenant: String,
    /// The root key that wraps the tenant's.
    pub root_key: String,
    /// How often the tenant's key was made.
    pub tenant_key_version: u32,
    /// Data keys under it.
    pub data_keys: usize,
}

struct Keys {
    root_key: String,
    version: u32,
    data: BTreeMap<u32, DataKey>,
    /// The newest data key and its number.
    current: (u32, Arc<SealKey>),
}

impl Keys {
    /// None if there is no data key.
    fn new(root_key: String, version: u32, data: BTreeMap<u32, DataKey>) -> Option<Self> {
        let (number, newest) = data.last_key_value()?;
        let current = (*number, Arc::clone(&newest.seal));
        Some(Self {
            root_key,
            version,
            data,
            current,
        })
    }
}

/// A tenant's keys, ready for use.
pub struct Keyring {
    tenant: String,
    root: Arc<dyn RootKey>,
    shelf: Arc<dyn Shelf>,
    keys: RwLock<Keys>,
    /// Made with the current data key.
    seals: AtomicU64,
    changing: tokio::sync::Mutex<()>,
}

impl Keyring {
    /// Opens a tenant's keys; makes them if the tenant has none.
    ///
    /// # Errors
    /// The keys cannot be read, unwrapped or kept.
    pub async fn open(tenant: &str, root: Arc<dyn RootKey>, shelf: Arc<dyn Shelf>) -> Result<Self, KeyError> {
        let keys = match shelf.load().await? {
            Some(bytes) => unwrap(tenant, root.as_ref(), &bytes).await?,
            None => {
                let data = BTreeMap::from([(1, DataKey::new(random_key()?)?)]);
                let (kept, root_key) = wrap(tenant, root.as_ref(), 1, &data).await?;
                shelf.save(kept).await?;
                tracing::info!(tenant, root_key, "made the keys that data is encrypted with");
                Keys::new(root_key, 1, data).ok_or_else(|| form(tenant, &NO_DATA_KEY))?
            }
        };
        Ok(Self {
            tenant: tenant.to_owned(),
            root,
            shelf,
            keys: RwLock::new(keys),
            seals: AtomicU64::new(0),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// The key to seal with now, and its number, which goes with what it sealed. `seals` says how often it
    /// is going to be used.
    pub fn current(&self, seals: u64) -> (u32, Arc<SealKey>) {
        self.seals.fetch_add(seals, Ordering::Relaxed);
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.current.clone()
    }

    /// The key of this number.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, number: u32) -> Result<Arc<SealKey>, KeyError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let found = keys.data.get(&number).map(|key| Arc::clone(&key.seal));
        found.ok_or_else(|| KeyError::Unknown {
            tenant: self.tenant.clone(),
            number,
        })
    }

    /// Whether the current data key has sealed so much that [`Self::rotate`] is due.
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.seals.load(Ordering::Relaxed) >= SEALS_PER_KEY
    }

    /// Gives the tenant a new key, and wraps all data keys and one more under it; from now on that one
    /// seals. A root key that is newer than the last time is taken as well. Touches no data.
    ///
    /// # Errors
    /// The keys cannot be wrapped or kept; then nothing has changed.
    pub async fn rotate(&self) -> Result<Summary, KeyError> {
        let _one_at_a_time = self.changing.lock().await;
        let (mut data, version) = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            let copies = keys.data.iter();
            let copied: Result<BTreeMap<u32, DataKey>, KeyError> = copies
                .map(|(number, key)| Ok((*number, DataKey::new(key.bytes.clone())?)))
                .collect();
            (copied?, keys.version + 1)
        };
        let next = data.last_key_value().map_or(1, |(last, _)| last + 1);
        data.insert(next, DataKey::new(random_key()?)?);
        let (kept, root_key) = wrap(&self.tenant, self.root.as_ref(), version, &data).await?;
        self.shelf.save(kept).await?;
        let keys = Keys::new(root_key, version, data).ok_or_else(|| form(&self.tenant, &NO_DATA_KEY))?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        self.seals.store(0, Ordering::Relaxed);
        Ok(self.summary())
    }

    /// What it holds.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Summary {
            tenant: self.tenant.clone(),
            root_key: keys.root_key.clone(),
            tenant_key_version: keys.version,
            data_keys: keys.data.len(),
        }
    }
}

fn tenant_context(tenant: &str, version: u32) -> String {
    format!("key {version} of tenant {tenant}")
}

fn data_context(tenant: &str, version: u32, number: u32) -> String {
    format!("data key {number} under key {version} of tenant {tenant}")
}

/// Wraps everything under a new key of the tenant; answers the kept form, and which root key wraps now.
async fn wrap(
    tenant: &str,
    root: &dyn RootKey,
    version: u32,
    data: &BTreeMap<u32, DataKey>,
) -> Result<(Vec<u8>, String), KeyError> {
    let tenant_key = random_key()?;
    let wrapped = root.wrap(&tenant_context(tenant, version), &tenant_key).await?;
    let by = SealKey::new(&tenant_key)?;
    let mut data_keys = Vec::with_capacity(data.len());
    for (number, key) in data {
        let context = data_context(tenant, version, *number);
        data_keys.push(KeptDataKey {
            number: *number,
            wrapped: seal_key(&by, &context, &key.bytes)?,
        });
    }
    let root_key = wrapped.by.clone();
    let kept = Kept {
        format: FORMAT.to_owned(),
        tenant: tenant.to_owned(),
        tenant_key: KeptTenantKey { version, wrapped },
        data_keys,
    };
    let bytes = serde_json::to_vec_pretty(&kept).map_err(|error| form(tenant, &error))?;
    Ok((bytes, root_key))
}

async fn unwrap(tenant: &str, root: &dyn RootKey, bytes: &[u8]) -> Result<Keys, KeyError> {
    let kept: Kept = serde_json::from_slice(bytes).map_err(|error| form(tenant, &error))?;
    if kept.format != FORMAT {
        return Err(form(tenant, &format!("their format is '{}'", kept.format)));
    }
    if kept.tenant != tenant {
        return Err(form(tenant, &format!("they are those of '{}'", kept.tenant)));
    }
    let KeptTenantKey { version, wrapped } = &kept.tenant_key;
    let tenant_key = root
        .unwrap(tenant, &tenant_context(tenant, *version), wrapped)
        .await?;
    let by = SealKey::new(&tenant_key)?;
    let mut data = BTreeMap::new();
    for KeptDataKey { number, wrapped } in &kept.data_keys {
        let key = open_key(&by, &data_context(tenant, *version, *number), wrapped)?;
        data.insert(*number, DataKey::new(key)?);
    }
    Keys::new(wrapped.by.clone(), *version, data).ok_or_else(|| form(tenant, &NO_DATA_KEY))
}

fn form(tenant: &str, problem: &dyn std::fmt::Display) -> KeyError {
    KeyError::Form {
        tenant: tenant.to_owned(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileRootKey;

    fn root(folder: &tempfile::TempDir) -> Arc<dyn RootKey> {
        Arc::new(FileRootKey::open(&folder.path().join("root")).unwrap())
    }

    #[tokio::test]
    async fn rotating_changes_the_wrapping_and_not_what_was_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Arc::new(MemoryShelf::default());
        let ring = Keyring::open("t", root(&folder), shelf.clone()).await.unwrap();
        let (old, key) = ring.current(1);
        let mut sealed = Vec::new();
        key.seal(b"", b"data", &mut sealed).unwrap();
        let before = shelf.load().await.unwrap().unwrap();
        let summary = ring.rotate().await.unwrap();
        assert_eq!((summary.tenant_key_version, summary.data_keys), (2, 2));
        let after = shelf.load().await.unwrap().unwrap();
        let wrapped = |bytes: &[u8]| {
            serde_json::from_slice::<Kept>(bytes)
                .unwrap()
                .data_keys
                .remove(0)
                .wrapped
        };
        assert_ne!(wrapped(&before), wrapped(&after));
        assert!(ring.current(1).0 > old);

        let again = Keyring::open("t", root(&folder), shelf.clone()).await.unwrap();
        assert_eq!(again.summary(), summary);
        let opened = again.get(old).unwrap();
        assert_eq!(opened.open(b"", &mut sealed).unwrap(), b"data");
        assert!(matches!(again.get(9), Err(KeyError::Unknown { number: 9, .. })));
    }

    #[tokio::test]
    async fn keys_of_another_tenant_root_or_format_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Arc::new(MemoryShelf::default());
        Keyring::open("t", root(&folder), shelf.clone()).await.unwrap();
        let refused = |tenant: &'static str, root: Arc<dyn RootKey>, shelf: Arc<MemoryShelf>| async move {
            Keyring::open(tenant, root, shelf)
                .await
                .err()
                .unwrap()
                .to_string()
        };
        let other = refused("u", root(&folder), shelf.clone()).await;
        assert!(other.contains("those of 't'"), "{other}");
        let elsewhere = tempfile::tempdir().unwrap();
        let missing = refused("t", root(&elsewhere), shelf.clone()).await;
        assert!(missing.contains("is not in"), "{missing}");
        let text = String::from_utf8(shelf.load().await.unwrap().unwrap()).unwrap();
        shelf
            .save(text.replace("keyring 1", "keyring 2").into_bytes())
            .await
            .unwrap();
        let newer = refused("t", root(&folder), shelf.clone()).await;
        assert!(newer.contains("corliss-keyring 2"), "{newer}");
        shelf
            .save(text.replace("\"version\": 1", "\"version\": 2").into_bytes())
            .await
            .unwrap();
        let moved = refused("t", root(&folder), shelf).await;
        assert!(moved.contains("cannot be decrypted"), "{moved}");
    }
}
