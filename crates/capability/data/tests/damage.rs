//! Damage is told by the names of all versions that it hits, and the scrub puts it right where a remote is named for it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;
#[path = "support/remotes.rs"]
mod two;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use corliss_blobstore::BlobStore;
use corliss_clock::Sources;
use corliss_data::{
    DataError, DataService, Limits, MIGRATIONS, RefKind, RemoteSettings, Remotes, spawn_upkeep,
};
use corliss_metastore::Metastore;
use corliss_reconcile::{Shutdown, WorkerBoard};

use support::{NothingElse, branch, commit, name, send};
use two::{push, with};

struct Here {
    service: DataService,
    folder: PathBuf,
}

async fn here(folder: &Path, remotes: Remotes) -> Here {
    let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
    let folder = folder.join("blobs");
    let blobs = BlobStore::open_folder(&folder, two::key()).await.unwrap();
    let service = DataService::new(store, blobs, Sources::system(), Limits::default());
    Here {
        service: service.with_remotes(remotes),
        folder,
    }
}

impl Here {
    fn packs(&self) -> BTreeSet<PathBuf> {
        let folders = fs::read_dir(self.folder.join("packs")).unwrap();
        let packs = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        packs.map(|pack| pack.unwrap().path()).collect()
    }

    /// Flips a bit of the first piece of each pack that came since.
    fn damage(&self, since: &BTreeSet<PathBuf>) {
        for pack in self.packs().difference(since) {
            let mut bytes = fs::read(pack).unwrap();
            bytes[40] ^= 0x10;
            fs::write(pack, bytes).unwrap();
        }
    }

    /// Names and paths of each version that a check tells.
    async fn told(&self) -> BTreeMap<BTreeSet<String>, Vec<String>> {
        let check = self.service.check(false, &|_| {}).await.unwrap();
        assert_eq!(check.versions_total, check.versions.len() as u64);
        let each = check.versions.into_iter().map(|damaged| {
            assert_eq!(damaged.names_total, damaged.names.len() as u64);
            let paths: Vec<String> = damaged.paths.into_iter().map(|path| path.path).collect();
            assert_eq!(damaged.files_total, paths.len() as u64);
            (damaged.names.into_iter().collect(), paths)
        });
        each.collect()
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn every_version_that_is_hit_is_named_with_its_paths() {
    let folder = tempfile::tempdir().unwrap();
    let here = here(folder.path(), Remotes::default()).await;
    let service = &here.service;
    commit(service, "images", &[("a", "one"), ("b", "two")], "before").await;
    let before = here.packs();
    send(service, &[("x", "hit")]).await;
    let hit: BTreeSet<PathBuf> = here.packs();
    // The same blob in three versions of two datasets, under a branch, a tag, and by a commit alone.
    let first = commit(service, "images", &[("a", "one"), ("x", "hit")], "first").await;
    let second = commit(
        service,
        "images",
        &[("a", "1"), ("x", "hit"), ("y/z", "hit")],
        "second",
    )
    .await;
    commit(service, "images", &[("a", "one")], "after").await;
    commit(service, "labels", &[("l/x", "hit")], "labels").await;
    let tag = service
        .create_ref(
            &name("images"),
            RefKind::Tag,
            &branch("v1"),
            &format!("images@{}", second.commit.unwrap()).parse().unwrap(),
            "ada",
        )
        .await;
    tag.unwrap();
    assert!(here.told().await.is_empty());
    let kept: BTreeSet<PathBuf> = here.packs().difference(&hit).cloned().chain(before).collect();
    here.damage(&kept);
    let short = format!("images@{}", &first.commit.unwrap().to_string()[..14]);
    assert_eq!(
        here.told().await,
        BTreeMap::from([
            (set(&[&short]), vec!["x".to_owned()]),
            (set(&["images@v1"]), vec!["x".to_owned(), "y/z".to_owned()]),
            (set(&["labels@main"]), vec!["l/x".to_owned()]),
        ])
    );
}

#[tokio::test]
async fn of_a_list_of_files_that_is_hit_it_is_told_how_many_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let here = here(folder.path(), Remotes::default()).await;
    commit(&here.service, "images", &[("a", "one"), ("b", "two")], "first").await;
    for pack in here.packs() {
        fs::remove_file(pack).unwrap();
    }
    let check = here.service.check(false, &|_| {}).await.unwrap();
    let [damaged] = &check.versions[..] else {
        panic!("{check:?}");
    };
    assert_eq!(damaged.names, ["images@main"]);
    assert_eq!((damaged.files_total, damaged.paths.len()), (2, 1));
    assert_eq!(damaged.paths[0].files_listed, Some(2));
}

/// What the scrub shows, once it shows something that fits.
async fn shown(service: &DataService, fits: impl Fn(&str) -> bool) -> String {
    let (shutdown, board) = (Shutdown::new(), WorkerBoard::new(&Sources::system()));
    spawn_upkeep(service, Arc::new(NothingElse), &shutdown, &board);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let workers = board.list();
        let scrubber = workers.iter().find(|one| one.name == "data.scrubber").unwrap();
        if fits(&scrubber.progress) {
            shutdown.trigger();
            board.drain(Duration::from_secs(60)).await;
            return scrubber.progress.clone();
        }
        assert!(Instant::now() < deadline, "{scrubber:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrub_names_what_it_finds_and_fetches_it_where_a_remote_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let here = here(folder.path(), with(two::in_memory(folder.path()).await)).await;
    commit(&here.service, "images", &[("a", "one"), ("b", "two")], "first").await;
    push(&here.service, "images").await.unwrap();
    here.damage(&BTreeSet::new());
    let line = shown(&here.service, |line| line.contains("damaged")).await;
    assert!(line.starts_with("damaged: images@main: "), "{line}");
    let repairing = here.service.clone().with_repair_from("origin").unwrap();
    let line = shown(&repairing, |line| line.contains("repaired")).await;
    assert!(line.contains("pieces repaired since the start"), "{line}");
    let check = here.service.check(false, &|_| {}).await.unwrap();
    assert_eq!((check.findings, check.versions), (vec![], vec![]));
}

#[tokio::test]
async fn a_remote_that_is_not_there_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let at = RemoteSettings::Folder {
        path: folder.path().join("objects"),
        key: two::key(),
    };
    let remotes = Remotes::new(folder.path().join("work"))
        .with("backup", at)
        .unwrap();
    let here = here(folder.path(), remotes).await;
    assert!(here.service.clone().with_repair_from("backup").is_ok());
    let refused = here.service.clone().with_repair_from("bakcup").err().unwrap();
    assert!(matches!(refused, DataError::RemoteNotFound { .. }), "{refused:?}");
}
