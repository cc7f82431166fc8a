//! Opening the store of bytes: where the settings say, with the root key from whom they say.

use std::sync::Arc;

use corliss_blobstore::{Backend, BlobStore, BucketBackend, CachedBackend};
use corliss_data::{ImportSources, Remotes};
use corliss_keyring::{FileRootKey, RootKey, RootKeys, TransitRootKey};

use crate::config::{Config, RootKeeper, Storage};
use crate::error::ServerError;
use crate::home::Home;

/// The store, and the copies of a bucket's content if it lies in one.
pub struct Opened {
    /// The store.
    pub blobs: BlobStore,
    /// The copies.
    pub cache: Option<CachedBackend>,
    /// The file in which new root keys are made, if they are not made elsewhere.
    pub key_file: Option<Arc<FileRootKey>>,
}

/// Opens the store.
pub async fn open(config: &Config, home: &Home) -> Result<Opened, ServerError> {
    let (root, key_file) = root_key(config, home).await?;
    let failed = || ServerError::room("the blob store");
    match &config.storage {
        Storage::Home => Ok(Opened {
            blobs: BlobStore::open_folder(&home.blobs(), root)
                .await
                .map_err(failed())?,
            cache: None,
            key_file,
        }),
        Storage::Bucket { bucket, cache_bytes } => {
            let remote: Arc<dyn Backend> = Arc::new(
                BucketBackend::open(bucket.as_ref().clone())
                    .await
                    .map_err(failed())?,
            );
            let folder = home.root().join("bucket");
            let cache = CachedBackend::open_folder(remote, &folder.join("cache"), *cache_bytes)
                .await
                .map_err(failed())?;
            let backend = Arc::new(cache.clone());
            let blobs = BlobStore::open_backend(backend, root, &folder.join("index"))
                .await
                .map_err(failed())?;
            Ok(Opened {
                blobs,
                cache: Some(cache),
                key_file,
            })
        }
    }
}

/// The remotes of the settings.
pub fn remotes(config: &Config, home: &Home) -> Result<Remotes, ServerError> {
    let none = Remotes::new(home.root().join("remotes"));
    let mut each = config.remotes.iter();
    each.try_fold(none, |remotes, remote| remote.add_to(remotes, home.root()))
        .map_err(ServerError::room("the remotes"))
}

/// The sources of the settings.
pub fn sources(config: &Config, home: &Home) -> Result<ImportSources, ServerError> {
    let none = ImportSources::default();
    let mut each = config.sources.iter();
    each.try_fold(none, |sources, source| source.add_to(sources, home.root()))
        .map_err(ServerError::room("the sources"))
}

/// The root key. With Vault, a key file that is still there opens what it wrapped before.
async fn root_key(
    config: &Config,
    home: &Home,
) -> Result<(Arc<dyn RootKey>, Option<Arc<FileRootKey>>), ServerError> {
    let failed = || ServerError::room("encryption at rest");
    let path = home.root().join("root.key");
    match &config.root_keeper {
        RootKeeper::File => {
            let file = Arc::new(FileRootKey::open(&path).map_err(failed())?);
            Ok((file.clone(), Some(file)))
        }
        RootKeeper::Transit(settings) => {
            let transit: Arc<dyn RootKey> = Arc::new(TransitRootKey::open(settings).await.map_err(failed())?);
            if !path.exists() {
                return Ok((transit, None));
            }
            let file: Arc<dyn RootKey> = Arc::new(FileRootKey::open(&path).map_err(failed())?);
            Ok((Arc::new(RootKeys::new(transit, vec![file])), None))
        }
    }
}
