//! After a tenant's keys were destroyed nothing is answered of its data, from no memory, and everything says why.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use corliss_blobstore::{BlobError, BlobStore};
use corliss_clock::Sources;
use corliss_data::{DataError, DataService, Limits, MIGRATIONS, spawn_upkeep};
use corliss_diagnostics::ErrorReport;
use corliss_keyring::{KeyError, MemoryRootKey, RootKey};
use corliss_metastore::Metastore;
use corliss_reconcile::{Shutdown, WorkerBoard};

use support::{NothingElse, by, commit, on};

fn is_destroyed<T: std::fmt::Debug>(answer: Result<T, DataError>) {
    let error = answer.unwrap_err();
    assert!(
        matches!(error, DataError::Blob(BlobError::Key(KeyError::Destroyed(_)))),
        "{error:?}"
    );
    let said = ErrorReport::of(&error).message;
    assert!(said.contains("were destroyed by ada on 2"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_from_memory_and_a_start_goes_on_without_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let key: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let mut version = None;
    for round in 0..2 {
        let blobs = loop {
            match BlobStore::open_folder(folder.path(), Arc::clone(&key)).await {
                Err(BlobError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                opened => break opened.unwrap(),
            }
        };
        let keyring = Arc::clone(blobs.keyring());
        let service = DataService::new(store.clone(), blobs, Sources::system(), Limits::default());
        if round == 0 {
            commit(&service, "images", &[("a", "one"), ("b/c", "two")], "first").await;
            let resolved = service.resolve(&"images".parse().unwrap()).await.unwrap();
            // Its tree is kept in memory now.
            assert_eq!(service.files(&resolved.version, "", 10).await.unwrap().len(), 2);
            version = Some(resolved.version);
            keyring.destroy("ada").await.unwrap();
        }
        let version = version.clone().unwrap();
        is_destroyed(service.files(&version, "", 10).await);
        is_destroyed(service.file(&version, "a").await);
        is_destroyed(service.put_blob(&mut &b"new"[..]).await);
        is_destroyed(service.check(false, &|_| {}).await);
        is_destroyed(service.commit(&on("images"), &version, by("again")).await);
        // What is no data of the tenant is answered.
        let usage = service.storage().await.unwrap();
        assert_eq!((usage.datasets, usage.versions), (1, 1));
        assert!(service.resolve(&"images".parse().unwrap()).await.is_ok());
        // And the loops say it, and do not fail again and again.
        let (shutdown, board) = (Shutdown::new(), WorkerBoard::new(&Sources::system()));
        spawn_upkeep(&service, Arc::new(NothingElse), &shutdown, &board);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !board
            .list()
            .iter()
            .any(|worker| worker.name == "data.scrubber" && worker.progress.contains("were destroyed by ada"))
        {
            assert!(Instant::now() < deadline, "{:?}", board.list());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shutdown.trigger();
        assert!(board.drain(Duration::from_secs(60)).await.is_empty());
    }
}
