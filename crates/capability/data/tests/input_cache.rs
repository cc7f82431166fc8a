//! What steps read is laid out once for all runs, is there as long as one of them holds it, and goes when there is no
//! room for it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use corliss_blobstore::BlobStore;
use corliss_data::{DataService, InputCache, Limits, MIGRATIONS};
use corliss_metastore::Metastore;
use corliss_types::{RunId, VersionId};
use support::{send, service_with};

const PLENTY: u64 = 1 << 20;

struct World {
    place: tempfile::TempDir,
    service: DataService,
}

impl World {
    async fn new() -> Self {
        let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
        let blobs = BlobStore::in_memory().await.unwrap();
        Self {
            place: tempfile::tempdir().unwrap(),
            service: service_with(store, blobs, Limits::default()).0,
        }
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join("work/inputs")
    }

    /// As a server that has just started.
    fn cache(&self, limit_bytes: u64) -> InputCache {
        InputCache::new(self.service.clone(), self.folder(), limit_bytes)
    }

    /// A version with one file of so many bytes, and what is in it.
    async fn version(&self, letter: char, bytes: usize) -> (VersionId, String) {
        let text = letter.to_string().repeat(bytes);
        let version = send(&self.service, &[("deep/file", &text)]).await;
        self.service.record_version(&version).await.unwrap();
        (version, text)
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.folder()).into_iter().flatten();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn run(number: usize) -> RunId {
    format!("run_01m818p2xpnkx5nx6bxecj7e{number:02}")
        .parse()
        .unwrap()
}

fn text(folder: &Path) -> String {
    fs::read_to_string(folder.join("deep/file")).unwrap()
}

fn inode(folder: &Path) -> u64 {
    fs::metadata(folder.join("deep/file")).unwrap().ino()
}

/// As a step that is root does.
fn spoil(folder: &Path) {
    let file = folder.join("deep/file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "spoilt").unwrap();
}

#[tokio::test]
async fn a_second_run_copies_nothing() {
    let world = World::new().await;
    let (version, content) = world.version('a', 100).await;
    let cache = world.cache(PLENTY);
    let first = cache.hold(&version, &run(1)).await.unwrap();
    assert_eq!(text(&first), content);
    let file = inode(&first);
    // Beside it, after it, and after a restart.
    let second = cache.hold(&version, &run(2)).await.unwrap();
    assert_eq!((inode(&second), &second), (file, &first));
    cache.release(&run(1)).await.unwrap();
    cache.release(&run(2)).await.unwrap();
    let cache = world.cache(PLENTY);
    let usage = cache.tidy().await.unwrap();
    assert_eq!((usage.idle, usage.idle_bytes, usage.removed), (1, 100, 0));
    let third = cache.hold(&version, &run(3)).await.unwrap();
    assert_eq!((inode(&third), third), (file, first));
    assert_eq!(cache.tidy().await.unwrap().idle, 0);
}

#[tokio::test]
async fn what_a_run_spoils_nobody_else_is_given_and_nobody_loses() {
    let world = World::new().await;
    let (version, content) = world.version('a', 100).await;
    let cache = world.cache(PLENTY);
    let shared = cache.hold(&version, &run(1)).await.unwrap();
    cache.hold(&version, &run(2)).await.unwrap();
    let file = inode(&shared);
    spoil(&shared);
    let own = cache.hold(&version, &run(3)).await.unwrap();
    assert_eq!(text(&own), content);
    assert_ne!(own, shared);
    assert_eq!(inode(&shared), file, "two runs still read it");
    // The same for its next attempt, and another for another run.
    assert_eq!(cache.hold(&version, &run(3)).await.unwrap(), own);
    let other = cache.hold(&version, &run(4)).await.unwrap();
    assert!(other != own && other != shared);
    cache.release(&run(3)).await.unwrap();
    assert!(!own.exists() && other.exists());
    cache.release(&run(2)).await.unwrap();
    cache.release(&run(4)).await.unwrap();
    // Nobody but the run itself reads it now.
    assert_eq!(cache.hold(&version, &run(1)).await.unwrap(), shared);
    assert_eq!(text(&shared), content);
    cache.release(&run(1)).await.unwrap();
    cache.close().await.unwrap();
    assert_eq!(world.names(), BTreeSet::new());
}

#[tokio::test]
async fn what_was_held_longest_ago_goes_first_and_what_is_held_never() {
    let world = World::new().await;
    let mut versions = Vec::new();
    for letter in ['a', 'b', 'c', 'd'] {
        versions.push(world.version(letter, 400).await.0);
    }
    let cache = world.cache(900);
    let mut folders = Vec::new();
    for (number, version) in versions.iter().enumerate() {
        folders.push(cache.hold(version, &run(number)).await.unwrap());
    }
    let there = || folders.iter().map(|folder| folder.exists()).collect::<Vec<_>>();
    assert_eq!(there(), [true; 4]);
    for number in [2, 0, 1] {
        std::thread::sleep(std::time::Duration::from_millis(20));
        cache.release(&run(number)).await.unwrap();
    }
    assert_eq!(there(), [true, true, false, true]);
    // Whoever holds it again makes it the newest.
    cache.hold(&versions[0], &run(5)).await.unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    cache.release(&run(5)).await.unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    cache.release(&run(3)).await.unwrap();
    assert_eq!(there(), [true, false, false, true]);
    assert_eq!(world.cache(0).tidy().await.unwrap().removed, 2);
    assert_eq!(world.names(), BTreeSet::new());
}

#[tokio::test]
async fn what_a_killed_server_left_is_gone_on_with_or_removed() {
    let world = World::new().await;
    let (version, content) = world.version('a', 100).await;
    let remains = [
        format!(".{version}.building/deep"),
        format!(".{version}.discarded/deep"),
        format!(".{version}@{}.building/deep", run(1)),
        format!(".{version}.holds"),
    ];
    let leave = || {
        for folder in &remains {
            fs::create_dir_all(world.folder().join(folder)).unwrap();
        }
        fs::write(world.folder().join(format!(".{version}.stamps")), "").unwrap();
        fs::write(world.folder().join(format!(".{version}.holds/{}", run(1))), "").unwrap();
    };
    leave();
    let cache = world.cache(PLENTY);
    let held = cache.hold(&version, &run(1)).await.unwrap();
    assert_eq!(text(&held), content);
    for _ in 0..2 {
        cache.release(&run(1)).await.unwrap();
        cache.close().await.unwrap();
        assert_eq!(world.names(), BTreeSet::new());
        leave();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_come_and_go_at_once_always_read_what_is_right() {
    let world = World::new().await;
    let mut versions = Vec::new();
    for letter in ['a', 'b', 'c'] {
        versions.push(world.version(letter, 1_000).await);
    }
    // Room for one of them: something goes all the time.
    let cache = world.cache(1_500);
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (cache, versions) = (cache.clone(), versions.clone());
        runs.spawn(async move {
            for round in 0..40 {
                let mut held = BTreeMap::new();
                for (at, (version, content)) in versions.iter().enumerate() {
                    if (number + round + at) % 3 > 0 {
                        let folder = cache.hold(version, &run(number)).await.unwrap();
                        held.insert(folder, content);
                    }
                    for (folder, content) in &held {
                        assert_eq!(text(folder), **content);
                    }
                }
                cache.release(&run(number)).await.unwrap();
            }
        });
    }
    while let Some(ended) = runs.join_next().await {
        ended.unwrap();
    }
    let usage = cache.tidy().await.unwrap();
    assert!(usage.idle_bytes <= 1_500, "{usage:?}");
    cache.close().await.unwrap();
    assert_eq!(world.names(), BTreeSet::new());
}
