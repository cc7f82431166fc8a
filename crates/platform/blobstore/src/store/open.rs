//! Opening a store: its keys, its index, and making the index agree with the packs that are there.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use corliss_keyring::{KeyError, Keyring, MemoryRootKey, RootKey, Shelf};

use super::answers::Answers;
use super::commit::Committer;
use super::{BlobStore, Inner, collect, table};
use crate::backend::{Backend, DiskBackend, MemoryBackend};
use crate::condemned::Condemned;
use crate::index::Index;
use crate::pack::PackId;
use crate::{BlobError, blocking};

/// Whose keys seal what is stored, as long as there is one tenant.
const TENANT: &str = "default";

/// A tenant's wrapped keys, beside the packs.
struct BackendShelf {
    backend: Arc<dyn Backend>,
    name: String,
}

impl BackendShelf {
    fn failed(&self, action: &'static str, error: &BlobError) -> KeyError {
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
        let condemned = Condemned::load(backend.as_ref(), &keyring).await?;
        let index = agreeing_index(backend.as_ref(), &keyring, &condemned, index).await?;
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

    fn over(backend: Arc<dyn Backend>, keyring: Keyring, index: Index, condemned: Condemned) -> Self {
        let (keyring, index) = (Arc::new(keyring), Arc::new(index));
        let committer = Committer::start(Arc::clone(&backend), Arc::clone(&keyring), Arc::clone(&index));
        let inner = Inner {
            backend,
            keyring,
            index,
            committer,
            answers: Arc::new(Answers::default()),
            condemned: Arc::new(tokio::sync::Mutex::new(condemned)),
        };
        Self {
            inner: Arc::new(inner),
        }
    }
}

async fn open_keyring(backend: &Arc<dyn Backend>, root: Arc<dyn RootKey>) -> Result<Keyring, BlobError> {
    let shelf = BackendShelf {
        backend: Arc::clone(backend),
        name: format!("keys/{TENANT}"),
    };
    Ok(Keyring::open(TENANT, root, Arc::new(shelf)).await?)
}

/// The index of exactly what lies in the packs and is not condemned. It lags behind after a power cut, and names
/// packs too many after somebody removed some; what those held must be asked for again, not be taken as stored.
async fn agreeing_index(
    backend: &dyn Backend,
    keyring: &Keyring,
    condemned: &Condemned,
    path: &Path,
) -> Result<Index, BlobError> {
    let there = collect::packs_there(backend, condemned).await?;
    let open = |path: &Path| {
        let path = path.to_path_buf();
        blocking(move || Index::open(&path))
    };
    let mut index = open(path).await?;
    let known = index.packs().into_iter();
    let lost = known.filter(|(id, bytes)| !condemned.is_whole(*id) && there.get(id) != Some(bytes));
    let lost: Vec<String> = lost.map(|(id, _)| id.object()).collect();
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
    for (id, bytes) in there.into_iter().filter(|(id, _)| !known.contains_key(id)) {
        match add_pack(backend, keyring, condemned, index, id, bytes).await? {
            (back, true) => index = back,
            (back, false) => {
                let pack = id.object();
                tracing::error!(pack, "the table of a pack is damaged: it is left out");
                index = back;
            }
        }
    }
    Ok(index)
}

/// Whether the pack's table could be read.
async fn add_pack(
    backend: &dyn Backend,
    keyring: &Keyring,
    condemned: &Condemned,
    index: Index,
    id: PackId,
    bytes: u64,
) -> Result<(Index, bool), BlobError> {
    let Some(rows) = table::read(backend, keyring, id, bytes).await? else {
        return Ok((index, false));
    };
    let table_rows = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let kept = condemned.kept(id, rows);
    let add = move || index.add(id, bytes, table_rows, &kept).map(|()| index);
    Ok((blocking(add).await?, true))
}
