//! Opening a store: its keys, its index, and making the index agree with the packs that are there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use corliss_keyring::{KeyError, Keyring, MemoryRootKey, RootKey, Shelf};
use futures_util::StreamExt;

use super::commit::Committer;
use super::{BlobStore, Inner};
use crate::backend::{Backend, DiskBackend, MemoryBackend};
use crate::index::Index;
use crate::pack::{PackId, Row, TRAILER_BYTES, Trailer};
use crate::{BlobError, blocking};

/// Whose keys seal what is stored, as long as there is one tenant.
const TENANT: &str = "default";
/// Packs that are looked at at once: a remote service takes its time for each, and has time for many.
const AT_ONCE: usize = 32;

/// A tenant's wrapped keys, beside the packs.
struct BackendShelf {
    backend: Arc<dyn Backend>,
    name: String,
    /// What the last failure was, with more than a keyring's error can tell.
    failure: Mutex<Option<BlobError>>,
}

impl BackendShelf {
    fn of(backend: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self {
            backend,
            name: format!("keys/{TENANT}"),
            failure: Mutex::default(),
        })
    }

    fn failed(&self, action: &'static str, error: &BlobError) -> KeyError {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        KeyError::Io {
            action,
            place: format!("{} in {}", self.name, self.backend.place()),
            message: error.to_string(),
        }
    }
}

#[async_trait]
impl Shelf for BackendShelf {
    async fn load(&self) -> Result<Option<Vec<u8>>, KeyError> {
        let bytes = self.backend.get(&self.name).await;
        let bytes = bytes.map_err(|error| self.failed("read", &error))?;
        Ok(bytes.map(Vec::from))
    }

    async fn save(&self, bytes: Vec<u8>) -> Result<(), KeyError> {
        let put = self.backend.put(&self.name, vec![Bytes::from(bytes)]).await;
        put.map_err(|error| self.failed("write", &error))
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

    /// Opens the store over a backend; the index is a local folder.
    ///
    /// # Errors
    /// The backend or the index cannot be used, or the keys cannot be unwrapped.
    pub async fn open_backend(
        backend: Arc<dyn Backend>,
        root: Arc<dyn RootKey>,
        index: &Path,
    ) -> Result<Self, BlobError> {
        let keyring = open_keyring(&backend, root).await?;
        let index = agreeing_index(backend.as_ref(), &keyring, index).await?;
        Ok(Self::over(backend, keyring, index))
    }

    /// A store in memory, for tests: everything as on disk, but for surviving.
    ///
    /// # Errors
    /// There is no room for its index in the folder for temporary files.
    pub async fn in_memory() -> Result<Self, BlobError> {
        let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
        let keyring = open_keyring(&backend, Arc::new(MemoryRootKey::new()?)).await?;
        Ok(Self::over(backend, keyring, blocking(Index::temporary).await?))
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

    fn over(backend: Arc<dyn Backend>, keyring: Keyring, index: Index) -> Self {
        let (keyring, index) = (Arc::new(keyring), Arc::new(index));
        let committer = Committer::start(Arc::clone(&backend), Arc::clone(&keyring), Arc::clone(&index));
        let inner = Inner {
            backend,
            keyring,
            index,
            committer,
        };
        Self {
            inner: Arc::new(inner),
        }
    }
}

async fn open_keyring(backend: &Arc<dyn Backend>, root: Arc<dyn RootKey>) -> Result<Keyring, BlobError> {
    let shelf = BackendShelf::of(Arc::clone(backend));
    Keyring::open(TENANT, root, Arc::clone(&shelf) as _)
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

/// The index of exactly the packs that are there. It lags behind after a power cut, and names packs too many
/// after somebody removed some; what those held must be asked for again, not be taken as stored.
async fn agreeing_index(backend: &dyn Backend, keyring: &Keyring, path: &Path) -> Result<Index, BlobError> {
    let objects = backend.list("packs").await?;
    let mut there: BTreeMap<PackId, u64> = objects
        .iter()
        .filter_map(|object| Some((PackId::of_object(&object.name)?, object.size_bytes)))
        .collect();
    let open = |path: &Path| {
        let path = path.to_path_buf();
        blocking(move || Index::open(&path))
    };
    let mut index = open(path).await?;
    let known = index.packs();
    let lost: Vec<String> = absent(backend, &known, &mut there).await?;
    if !lost.is_empty() {
        let place = backend.place();
        tracing::error!(
            ?lost,
            place,
            "packs are gone or cut short: what only they held is lost"
        );
        drop(index);
        let folder = path.to_path_buf();
        blocking(move || Index::remove(&folder)).await?;
        index = open(path).await?;
    }
    let known = index.packs();
    let unknown = there.into_iter().filter(|(id, _)| !known.contains_key(id));
    let tables = unknown.map(|(id, bytes)| async move {
        let rows = trusted_table(backend, keyring, id, bytes).await;
        (id, bytes, rows)
    });
    let tables: Vec<_> = tables.collect();
    let mut tables = futures_util::stream::iter(tables).buffer_unordered(AT_ONCE);
    while let Some((id, bytes, rows)) = tables.next().await {
        match rows {
            Ok(rows) => index = blocking(move || index.add(id, bytes, &rows).map(|()| index)).await?,
            // The list was behind, and is told of no more than that.
            Err(BlobError::Io { .. }) if backend.size(&id.object()).await?.is_none() => {
                let pack = id.object();
                tracing::warn!(pack, "a pack was listed that is gone");
            }
            Err(BlobError::Io { message, .. }) => {
                let pack = id.object();
                tracing::error!(pack, message, "a pack cannot be read and is left out");
            }
            Err(error) => return Err(error),
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

/// As [`read_table`]; if it is damaged, perhaps only a copy that was kept nearby is.
async fn trusted_table(
    backend: &dyn Backend,
    keyring: &Keyring,
    id: PackId,
    bytes: u64,
) -> Result<Vec<Row>, BlobError> {
    match read_table(backend, keyring, id, bytes).await {
        Err(BlobError::Io { .. }) if backend.distrust(&id.object()).await => {
            read_table(backend, keyring, id, bytes).await
        }
        rows => rows,
    }
}

async fn read_table(
    backend: &dyn Backend,
    keyring: &Keyring,
    id: PackId,
    bytes: u64,
) -> Result<Vec<Row>, BlobError> {
    let name = id.object();
    let damaged = || BlobError::Io {
        action: "read",
        path: name.clone(),
        message: "its table is damaged".to_owned(),
    };
    let read = async |range: std::ops::Range<u64>| {
        let read = backend.peek(&name, vec![range]).await?;
        read.and_then(|mut parts| parts.pop()).ok_or_else(damaged)
    };
    let start = bytes.checked_sub(TRAILER_BYTES).ok_or_else(damaged)?;
    let trailer = Trailer::decode(id, &read(start..bytes).await?).ok_or_else(damaged)?;
    let table = read(trailer.table.clone()).await?;
    let seal = keyring.get(trailer.key)?;
    trailer.rows(id, &seal, &table).ok_or_else(damaged)
}
