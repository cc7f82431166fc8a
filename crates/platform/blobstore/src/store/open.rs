//! Opening a store: its keys, its index, and making the index agree with the packs that are there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use corliss_keyring::{KeyError, Keyring, MemoryRootKey, RootKey, Shelf};
use futures_util::StreamExt;

use super::answers::Answers;
use super::commit::Committer;
use super::turns::Turns;
use super::{BlobStore, Inner, collect, table};
use crate::backend::{Backend, DiskBackend, MemoryBackend};
use crate::condemned::Condemned;
use crate::index::Index;
use crate::pack::{PackId, Row};
use crate::{BlobError, blocking};

/// Whose keys seal what is stored, as long as there is one tenant.
const TENANT: &str = "default";
/// Packs that are looked at at once: a remote service takes its time for each, and has time for many.
const AT_ONCE: usize = 32;

/// A tenant's wrapped keys, beside the packs.
struct BackendShelf {
    backend: Arc<dyn Backend>,
    name: String,
    ours: Mutex<Ours>,
    /// What the last failure was, with more than a keyring's error can tell.
    failure: Mutex<Option<BlobError>>,
}

/// What may be replaced by whoever has a shelf: what they know of.
#[derive(Clone, Default)]
struct Ours {
    /// What was read first, or written last; None is that there was nothing.
    seen: Option<Option<Bytes>>,
    /// What was to be written since, without an answer.
    tried: Vec<Bytes>,
}

impl BackendShelf {
    fn of(backend: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self {
            backend,
            name: format!("keys/{TENANT}"),
            ours: Mutex::default(),
            failure: Mutex::default(),
        })
    }

    fn ours(&self) -> MutexGuard<'_, Ours> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, action: &'static str, error: &BlobError) -> KeyError {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        let place = format!("{} in {}", self.name, self.backend.place());
        match error {
            BlobError::StorageFull => KeyError::StorageFull { place },
            error => KeyError::Io {
                action,
                place,
                message: error.to_string(),
            },
        }
    }
}

#[async_trait]
impl Shelf for BackendShelf {
    async fn load(&self) -> Result<Option<Vec<u8>>, KeyError> {
        let bytes = self.backend.get(&self.name).await;
        let bytes = bytes.map_err(|error| self.failed("read", &error))?;
        // Only the first time: whoever looks again before a change has not taken over what it finds.
        self.ours().seen.get_or_insert_with(|| bytes.clone());
        Ok(bytes.map(Vec::from))
    }

    async fn save(&self, bytes: Vec<u8>) -> Result<(), KeyError> {
        let bytes = Bytes::from(bytes);
        let before = self.ours().clone();
        self.ours().tried.push(bytes.clone());
        let expected = std::iter::once(before.seen.unwrap_or_default());
        // What was tried before and failed may be there all the same.
        for expected in expected.chain(before.tried.into_iter().map(Some)) {
            let put = self
                .backend
                .put_if(&self.name, expected.as_deref(), bytes.clone());
            if put.await.map_err(|error| self.failed("write", &error))? {
                *self.ours() = Ours {
                    seen: Some(Some(bytes)),
                    tried: Vec::new(),
                };
                return Ok(());
            }
        }
        let place = format!("{} in {}", self.name, self.backend.place());
        Err(KeyError::Changed { place })
    }
}

impl BlobStore {
    /// Opens the store in a folder: `packs/` and `keys/`, and `index/`, which can be made anew from them.
    ///
    /// # Errors
    /// The folder cannot be used, another process or version has it, or its keys cannot be unwrapped.
    pub async fn open_folder(folder: &Path, root: Arc<dyn RootKey>) -> Result<Self, BlobError> {
        let backend = Arc::new(DiskBackend::open(folder).await?);
        Self::open_backend(backend, root, &folder.join("index")).await
    }

    /// Opens the store over a backend; the index is a local folder. A store whose keys were destroyed opens too, without
    /// an index, and answers that they were to whoever reads or writes.
    ///
    /// # Errors
    /// The backend or the index cannot be used, or the keys cannot be unwrapped.
    pub async fn open_backend(
        backend: Arc<dyn Backend>,
        root: Arc<dyn RootKey>,
        index: &Path,
    ) -> Result<Self, BlobError> {
        let keyring = open_keyring(&backend, root).await?;
        if let Err(KeyError::Destroyed(destroyed)) = keyring.check() {
            tracing::error!("{destroyed}: what is stored cannot be read again");
            // An index tells what was stored, to whoever guesses it.
            let index = index.to_path_buf();
            let empty = blocking(move || Index::remove(&index).and_then(|()| Index::temporary())).await?;
            return Ok(Self::over(backend, keyring, empty, Condemned::default()));
        }
        let condemned = Condemned::load(backend.as_ref(), &keyring).await?;
        let agreeing = || agreeing_index(backend.as_ref(), &keyring, &condemned, index);
        let index = match agreeing().await {
            // Some of it can only be seen when it is read. It is noted as damaged by then, and made anew.
            Err(BlobError::IndexDamaged { message, .. }) => {
                tracing::warn!(message, "the index of blobs is damaged");
                agreeing().await?
            }
            agreed => agreed?,
        };
        Ok(Self::over(backend, keyring, index, condemned))
    }

    /// A store in memory, for tests: everything as on disk, but for surviving.
    ///
    /// # Errors
    /// There is no room for its index in the folder for temporary files.
    pub async fn in_memory() -> Result<Self, BlobError> {
        let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
        let keyring = open_keyring(&backend, Arc::new(MemoryRootKey::new()?)).await?;
        let index = blocking(Index::temporary).await?;
        Ok(Self::over(backend, keyring, index, Condemned::default()))
    }

    /// The keys that seal what is stored, for whoever lists, rotates, moves or destroys them.
    #[must_use]
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.inner.keyring
    }

    /// Where a backend keeps the store's wrapped keys, for whoever must reach them without their root key.
    #[must_use]
    pub fn shelf(backend: Arc<dyn Backend>) -> Arc<dyn Shelf> {
        BackendShelf::of(backend)
    }

    fn over(backend: Arc<dyn Backend>, keyring: Keyring, index: Index, condemned: Condemned) -> Self {
        let (keyring, index) = (Arc::new(keyring), Arc::new(index));
        let committer = Committer::start(Arc::clone(&backend), Arc::clone(&keyring), Arc::clone(&index));
        let inner = Inner {
            backend,
            keyring,
            index,
            committer,
            answers: Arc::new(Answers::default()),
            turns: Turns::new(condemned),
        };
        Self {
            inner: Arc::new(inner),
        }
    }
}

async fn open_keyring(backend: &Arc<dyn Backend>, root: Arc<dyn RootKey>) -> Result<Keyring, BlobError> {
    match open_keyring_once(backend, Arc::clone(&root)).await {
        // Two were the first at once: the keys of the other one are there now.
        Err(BlobError::Key(KeyError::Changed { .. })) => open_keyring_once(backend, root).await,
        opened => opened,
    }
}

async fn open_keyring_once(backend: &Arc<dyn Backend>, root: Arc<dyn RootKey>) -> Result<Keyring, BlobError> {
    let shelf = BackendShelf::of(Arc::clone(backend));
    Keyring::open_or_destroyed(TENANT, root, Arc::clone(&shelf) as _)
        .await
        .map_err(|error| {
            let failure = shelf
                .failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            failure.unwrap_or(BlobError::Key(error))
        })
}

/// The index of exactly what lies in the packs and is not condemned. It lags behind after a power cut, and names
/// packs too many after somebody removed some; what those held must be asked for again, not be taken as stored.
async fn agreeing_index(
    backend: &dyn Backend,
    keyring: &Keyring,
    condemned: &Condemned,
    path: &Path,
) -> Result<Index, BlobError> {
    let mut there = collect::packs_there(backend, condemned).await?;
    let open = |path: &Path| {
        let path = path.to_path_buf();
        blocking(move || Index::open(&path))
    };
    let mut index = open(path).await?;
    let known = index.packs().into_iter();
    let known = known.filter(|(id, _)| !condemned.is_whole(*id)).collect();
    let lost: Vec<String> = absent(backend, &known, &mut there).await?;
    let is_foreign = collect::is_foreign(&index, condemned)?;
    if !lost.is_empty() {
        let place = backend.place();
        tracing::error!(
            ?lost,
            place,
            "packs are gone or cut short: what only they held is lost"
        );
    }
    if is_foreign || !lost.is_empty() {
        drop(index);
        let folder = path.to_path_buf();
        blocking(move || Index::remove(&folder)).await?;
        index = open(path).await?;
    }
    index = collect::forget_condemned(index, condemned).await?;
    let known = index.packs();
    there.retain(|id, _| !known.contains_key(id));
    let objects = there.keys().map(|id| id.object()).collect();
    backend.make_durable(objects).await?;
    let tables = there.into_iter().map(|(id, bytes)| async move {
        let rows = trusted_table(backend, keyring, id, bytes).await;
        (id, bytes, rows)
    });
    let tables: Vec<_> = tables.collect();
    let mut tables = futures_util::stream::iter(tables).buffer_unordered(AT_ONCE);
    while let Some((id, bytes, rows)) = tables.next().await {
        match rows? {
            Some(rows) => index = add_pack(condemned, index, id, bytes, rows).await?,
            // The list was behind, and is told of no more than that.
            None if backend.size(&id.object()).await?.is_none() => {
                let pack = id.object();
                tracing::warn!(pack, "a pack was listed that is gone");
            }
            None => {
                let pack = id.object();
                tracing::error!(pack, "the table of a pack is damaged: it is left out");
            }
        }
    }
    Ok(index)
}

/// The objects of those packs that are known and gone or cut short. A list may be behind, so each pack that it
/// does not show as it should be is asked for by name; what is found then is put into `there`.
async fn absent(
    backend: &dyn Backend,
    known: &BTreeMap<PackId, u64>,
    there: &mut BTreeMap<PackId, u64>,
) -> Result<Vec<String>, BlobError> {
    let unclear: Vec<(PackId, u64)> = known
        .iter()
        .filter(|(id, bytes)| there.get(id) != Some(bytes))
        .map(|(id, bytes)| (*id, *bytes))
        .collect();
    let asked = unclear.into_iter().map(|(id, bytes)| async move {
        let size_bytes = backend.size(&id.object()).await?;
        Ok::<_, BlobError>((id, bytes, size_bytes))
    });
    let asked: Vec<_> = asked.collect();
    let mut answers = futures_util::stream::iter(asked).buffer_unordered(AT_ONCE);
    let mut absent = Vec::new();
    while let Some(answer) = answers.next().await {
        let (id, bytes, size_bytes) = answer?;
        match size_bytes {
            Some(size_bytes) => there.insert(id, size_bytes),
            None => there.remove(&id),
        };
        if size_bytes != Some(bytes) {
            absent.push(id.object());
        }
    }
    Ok(absent)
}

/// A pack's table; if it is damaged, perhaps only a copy that was kept nearby is.
async fn trusted_table(
    backend: &dyn Backend,
    keyring: &Keyring,
    id: PackId,
    bytes: u64,
) -> Result<Option<Vec<Row>>, BlobError> {
    match table::read(backend, keyring, id, bytes).await? {
        None if backend.distrust(&id.object()).await => table::read(backend, keyring, id, bytes).await,
        rows => Ok(rows),
    }
}

async fn add_pack(
    condemned: &Condemned,
    index: Index,
    id: PackId,
    bytes: u64,
    rows: Vec<Row>,
) -> Result<Index, BlobError> {
    let table_rows = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let kept = condemned.kept(id, rows);
    blocking(move || index.add(id, bytes, table_rows, &kept).map(|()| index)).await
}
