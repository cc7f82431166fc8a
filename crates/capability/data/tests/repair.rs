//! What is damaged or gone is put right from a remote: all that it has, and nothing is said of what it has not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;
#[path = "support/remotes.rs"]
mod two;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corliss_blobstore::{BlobError, BlobStore};
use corliss_clock::Sources;
use corliss_data::remote::RemoteTrouble;
use corliss_data::{
    CollectWish, DataError, DataService, Limits, MIGRATIONS, Reference, RemoteSettings, Remotes,
};
use corliss_keyring::RootKey;
use corliss_metastore::Metastore;
use corliss_testkit::noise::noise;

use support::{NothingElse, commit, entry, name, send_tree};
use two::{installation, push};

/// A service whose bytes lie in a folder, so that they can be damaged.
struct Here {
    store: Metastore,
    key: Arc<dyn RootKey>,
    folder: PathBuf,
    remotes: Remotes,
}

impl Here {
    async fn open(&self) -> (DataService, BlobStore) {
        let blobs = loop {
            match BlobStore::open_folder(&self.folder, Arc::clone(&self.key)).await {
                Err(BlobError::InUse { .. }) => tokio::task::yield_now().await,
                blobs => break blobs.unwrap(),
            }
        };
        let (store, limits) = (self.store.clone(), Limits::default());
        let service = DataService::new(store, blobs.clone(), Sources::system(), limits);
        (service.with_remotes(self.remotes.clone()), blobs)
    }

    fn packs(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.folder.join("packs")).unwrap();
        let packs = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        let mut packs: Vec<PathBuf> = packs.map(|pack| pack.unwrap().path()).collect();
        packs.sort_by_key(|pack| fs::metadata(pack).unwrap().len());
        packs
    }
}

/// A file of many pieces, many small ones, and two commits.
async fn work(service: &DataService, dataset: &str, seed: u64) -> Vec<u8> {
    let large = noise(900_000, seed);
    let blob = service.put_blob(&mut &large[..]).await.unwrap().blob;
    let mut entries: Vec<_> = (0..200).map(|n| entry(&format!("f/{n:03}"), "same")).collect();
    service.put_blob(&mut &b"same"[..]).await.unwrap();
    entries.push(corliss_data::Entry {
        blob: blob.id,
        size_bytes: blob.size_bytes,
        ..entry("large", "")
    });
    let version = send_tree(service, &entries).await.unwrap();
    let on = support::on(dataset);
    service.commit(&on, &version, support::by("large")).await.unwrap();
    commit(
        service,
        dataset,
        &[("a", "one"), ("b", &format!("two {seed}"))],
        "small",
    )
    .await;
    large
}

async fn is_whole(service: &DataService, blobs: &BlobStore, dataset: &str, large: &[u8]) {
    let at: Reference = format!("{dataset}@main~1").parse().unwrap();
    let version = service.resolve(&at).await.unwrap().version;
    let entry = service.file(&version, "large").await.unwrap();
    assert!(blobs.read_all(entry.blob, u64::MAX).await.unwrap() == large);
    assert_eq!(service.files(&version, "", 1000).await.unwrap().len(), 201);
}

/// What was repaired leaves damaged copies behind: they go.
async fn collect(service: &DataService) {
    let wish = CollectWish {
        grace_seconds: 0,
        ..CollectWish::default()
    };
    service.collect(&NothingElse, wish, &|_| {}).await.unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

async fn here(at: &Path, settings: RemoteSettings) -> Here {
    let work = Remotes::new(at.join("work"));
    Here {
        store: Metastore::in_memory(&[MIGRATIONS]).await.unwrap(),
        key: two::key(),
        folder: at.join("blobs"),
        remotes: work.with("origin", settings).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_or_gone_is_fetched_from_a_server_a_folder_or_memory() {
    let folder = tempfile::tempdir().unwrap();
    for what in ["server", "folder", "memory"] {
        let at = folder.path().join(what);
        fs::create_dir(&at).unwrap();
        let between = installation(Remotes::default()).await;
        let settings = match what {
            "server" => RemoteSettings::Server(two::serve(&between, &at).await.0),
            "folder" => RemoteSettings::Folder {
                path: at.join("objects"),
                key: two::key(),
            },
            _ => RemoteSettings::Opened(two::in_memory(&at).await),
        };
        let here = here(&at, settings).await;
        let (service, blobs) = here.open().await;
        let large = work(&service, "images", 3).await;
        push(&service, "images").await.unwrap();
        // A bit in each pack: in a piece, in the table, in the trailer.
        let packs = here.packs();
        assert!(packs.len() > 3, "{packs:?}");
        for (n, pack) in packs.iter().enumerate() {
            let len = usize::try_from(fs::metadata(pack).unwrap().len()).unwrap();
            flip(pack, [40, len - 40, len - 3][n % 3]);
        }
        flip(packs.last().unwrap(), 200_000);
        let found = service.check(false, &|_| {}).await.unwrap();
        assert!(
            found.findings_total > 3 && !found.versions.is_empty(),
            "{what}: {found:?}"
        );
        let after = service.check_and_repair("origin", &|_| {}).await.unwrap();
        let repair = after.repair.unwrap();
        assert!(
            repair.pieces_repaired > 0 && repair.pieces_salvaged > 0,
            "{what}: {repair:?}"
        );
        assert_eq!((repair.not_there_total, after.findings), (0, vec![]), "{what}");
        is_whole(&service, &blobs, "images", &large).await;
        // A pack that was cut in half.
        collect(&service).await;
        let cut = here.packs().pop().unwrap();
        let bytes = fs::read(&cut).unwrap();
        fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        let found = service.check(false, &|_| {}).await.unwrap();
        assert!(found.findings[0].contains("was cut short"), "{found:?}");
        assert!(found.findings.len() < 3, "{found:?}");
        let after = service.check_and_repair("origin", &|_| {}).await.unwrap();
        assert_eq!(after.findings, Vec::<String>::new(), "{what}: {after:?}");
        is_whole(&service, &blobs, "images", &large).await;
        // A pack that is gone, noticed by a start.
        collect(&service).await;
        fs::remove_file(here.packs().pop().unwrap()).unwrap();
        drop((service, blobs));
        let (service, blobs) = here.open().await;
        let after = service.check_and_repair("origin", &|_| {}).await.unwrap();
        let repair = after.repair.unwrap();
        assert!(repair.pieces_repaired > 3, "{what}: {repair:?}");
        assert_eq!((repair.not_there_total, after.findings), (0, vec![]), "{what}");
        is_whole(&service, &blobs, "images", &large).await;
        // And one that goes while it runs.
        collect(&service).await;
        fs::remove_file(here.packs().pop().unwrap()).unwrap();
        let after = service.check_and_repair("origin", &|_| {}).await.unwrap();
        assert_eq!(after.findings, Vec::<String>::new(), "{what}: {after:?}");
        is_whole(&service, &blobs, "images", &large).await;
        // With nothing to do, nothing is done.
        let after = service.check_and_repair("origin", &|_| {}).await.unwrap();
        assert_eq!(after.repair.unwrap().pieces_repaired, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_remote_has_not_is_named_and_the_rest_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let remote = RemoteSettings::Opened(two::in_memory(folder.path()).await);
    let here = here(folder.path(), remote).await;
    let (service, blobs) = here.open().await;
    let pushed = work(&service, "pushed", 5).await;
    push(&service, "pushed").await.unwrap();
    work(&service, "kept-here", 6).await;
    for pack in here.packs() {
        flip(&pack, 40);
    }
    let after = service.check_and_repair("origin", &|_| {}).await.unwrap();
    let repair = after.repair.as_ref().unwrap();
    assert!(
        repair.pieces_repaired > 0 && repair.not_there_total > 0,
        "{repair:?}"
    );
    assert_eq!(repair.not_there.len() as u64, repair.not_there_total);
    is_whole(&service, &blobs, "pushed", &pushed).await;
    let of: Vec<&str> = after
        .versions
        .iter()
        .flat_map(|damaged| {
            damaged
                .names
                .iter()
                .filter_map(|name| Some(name.split_once('@')?.0))
        })
        .collect();
    assert!(
        !of.is_empty() && of.iter().all(|dataset| *dataset == "kept-here"),
        "{after:?}"
    );
    // Whoever sends it again heals it.
    work(&service, "kept-here", 6).await;
    let after = service.check_and_repair("origin", &|_| {}).await.unwrap();
    assert_eq!(after.versions, [], "{after:?}");
}

#[tokio::test]
async fn a_remote_that_is_not_there_or_does_not_answer_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = RemoteSettings::Folder {
        path: "/dev/null/nowhere".into(),
        key: two::key(),
    };
    let here = here(folder.path(), nobody).await;
    let (service, _) = here.open().await;
    let unknown = service.check_and_repair("elsewhere", &|_| {}).await.unwrap_err();
    assert!(matches!(unknown, DataError::RemoteNotFound { .. }), "{unknown:?}");
    let closed = service.check_and_repair("origin", &|_| {}).await.unwrap_err();
    let told = matches!(&closed, DataError::Remote { trouble, .. } if *trouble == RemoteTrouble::Refused);
    assert!(told, "{closed:?}");
}
