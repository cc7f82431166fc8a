//! Linked files against a model: whatever is imported, edited and done to the source, a file reads as exactly the bytes
//! that it was linked to or copied from, or says why it cannot.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use corliss_blobstore::{BlobId, BlobStore};
use corliss_clock::Sources;
use corliss_data::remote::Counters;
use corliss_data::{
    CollectWish, DataError, DataService, Edit, ImportSources, ImportWish, Limits, LinkTrouble, MIGRATIONS,
    SourceSettings,
};
use corliss_metastore::Metastore;
use corliss_testkit::noise::noise;
use corliss_types::VersionId;
use proptest::prelude::*;
use support::{NothingElse, by, name, on};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

const KEYS: [&str; 6] = ["a", "b", "d/a", "d/b", "d/e/c", "z"];

#[derive(Debug, Clone)]
enum Step {
    /// Written anew, with a length that it never had.
    Put(usize),
    Remove(usize),
    Import {
        prefix: &'static str,
        link: bool,
    },
    /// A file of the dataset is stored, or removed.
    Edit {
        at: usize,
        is_removed: bool,
    },
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..KEYS.len()).prop_map(Step::Put),
        1 => (0..KEYS.len()).prop_map(Step::Remove),
        4 => (prop_oneof![Just(""), Just("d"), Just("a")], any::<bool>())
            .prop_map(|(prefix, link)| Step::Import { prefix, link }),
        2 => (0..KEYS.len(), any::<bool>()).prop_map(|(at, is_removed)| Step::Edit { at, is_removed }),
        1 => Just(Step::Collect),
    ]
}

/// A file as it must read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    bytes: Vec<u8>,
    /// The object, and how often it had been written.
    link: Option<(&'static str, usize)>,
}

struct World {
    folder: TempDir,
    service: DataService,
    /// Objects, with how often anything had been written when they were.
    lake: BTreeMap<&'static str, (usize, Vec<u8>)>,
    writes: usize,
    head: BTreeMap<String, File>,
    /// Versions that were seen, with what they must hold.
    versions: Vec<(VersionId, BTreeMap<String, File>)>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = ImportSources::default()
            .with("lake", SourceSettings::Folder(folder.path().to_path_buf()))
            .unwrap();
        let store = Metastore::in_memory(&[MIGRATIONS]).await.unwrap();
        let blobs = BlobStore::in_memory().await.unwrap();
        let service =
            DataService::new(store, blobs, Sources::system(), Limits::default()).with_sources(sources);
        Self {
            folder,
            service,
            lake: BTreeMap::new(),
            writes: 0,
            head: BTreeMap::new(),
            versions: Vec::new(),
        }
    }

    async fn run(&mut self, step: &Step) {
        match step {
            Step::Put(at) => {
                self.writes += 1;
                let bytes = noise(self.writes * 97, self.writes as u64);
                let path = self.folder.path().join(KEYS[*at]);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, &bytes).unwrap();
                self.lake.insert(KEYS[*at], (self.writes, bytes));
            }
            Step::Remove(at) => {
                if self.lake.remove(KEYS[*at]).is_some() {
                    std::fs::remove_file(self.folder.path().join(KEYS[*at])).unwrap();
                }
            }
            Step::Import { prefix, link } => self.import(prefix, *link).await,
            Step::Edit { at, is_removed } => self.edit(KEYS[*at], *is_removed).await,
            Step::Collect => {
                // Nothing goes: everything that was committed is in the history of the branch.
                let now = CollectWish {
                    grace_seconds: 0,
                    ..CollectWish::default()
                };
                self.service.collect(&NothingElse, now, &|_| {}).await.unwrap();
            }
        }
    }

    async fn import(&mut self, prefix: &str, link: bool) {
        let wish = ImportWish {
            source: "lake".to_owned(),
            prefix: prefix.to_owned(),
            to: None,
            target: on("d"),
            link,
            by: by(""),
        };
        let below = |key: &str| match prefix {
            "" => Some(key.to_owned()),
            prefix if key == prefix => Some(key.to_owned()),
            prefix => key.strip_prefix(prefix)?.strip_prefix('/').map(str::to_owned),
        };
        let found: Vec<_> = self
            .lake
            .iter()
            .filter_map(|(key, object)| Some((*key, below(key)?, object.clone())))
            .collect();
        match self.service.import(&wish, &Arc::new(Counters::default())).await {
            Ok(done) => {
                assert_eq!(done.copied + done.linked + done.unchanged, found.len() as u64);
                for (key, path, (written, bytes)) in found {
                    let link = link.then_some((key, written));
                    self.head.insert(path, File { bytes, link });
                }
                self.versions.push((done.committed.version, self.head.clone()));
            }
            Err(DataError::SourceEmpty { .. }) => assert!(found.is_empty()),
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn edit(&mut self, path: &str, is_removed: bool) {
        if self.versions.is_empty() || (is_removed && !self.head.contains_key(path)) {
            return;
        }
        self.writes += 1;
        let bytes = noise(self.writes * 97, self.writes as u64);
        self.service.put_blob(&mut &bytes[..]).await.unwrap();
        let edit = Edit {
            path: path.parse().unwrap(),
            blob: (!is_removed).then(|| BlobId::of_blob(&bytes)),
            executable: false,
            link: false,
        };
        match self.service.commit_edits(&on("d"), vec![edit], by("")).await {
            Ok(done) => {
                match is_removed {
                    true => self.head.remove(path),
                    false => self.head.insert(path.to_owned(), File { bytes, link: None }),
                };
                self.versions.push((done.version, self.head.clone()));
            }
            Err(DataError::PathConflict { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn reads(&self) {
        for (version, files) in &self.versions {
            let summary = self.service.version(version).await.unwrap();
            let linked: Vec<_> = files.values().filter(|file| file.link.is_some()).collect();
            let bytes: usize = linked.iter().map(|file| file.bytes.len()).sum();
            assert_eq!(
                (summary.linked_files, summary.linked_bytes),
                (linked.len() as u64, bytes as u64)
            );
            let listed = self.service.files(version, "", 100).await.unwrap();
            let names: Vec<&str> = listed.iter().map(|entry| entry.path.as_str()).collect();
            assert_eq!(names, files.keys().map(String::as_str).collect::<Vec<_>>());
            for (path, file) in files {
                self.reads_file(version, path, file).await;
            }
        }
    }

    async fn reads_file(&self, version: &VersionId, path: &str, file: &File) {
        let opened = self.service.open_file(version, path).await;
        let now = file.link.map(|(key, written)| (written, self.lake.get(key)));
        match (opened, now) {
            (Err(DataError::Link { trouble, .. }), Some((_, None))) => {
                assert!(matches!(trouble, LinkTrouble::Gone { .. }), "{path} {trouble:?}");
            }
            (Err(DataError::Link { trouble, .. }), Some((written, Some((now, _))))) => {
                assert!(
                    matches!(trouble, LinkTrouble::Changed { .. }),
                    "{path} {trouble:?}"
                );
                assert_ne!(written, *now, "{path}");
            }
            (Ok((entry, mut reader)), now) => {
                let mut bytes = Vec::new();
                reader.bytes.read_to_end(&mut bytes).await.unwrap();
                assert!(bytes == file.bytes, "{path}");
                assert_eq!(entry.link, file.link.is_some());
                assert!(now.is_none_or(|(written, now)| now.is_some_and(|now| now.0 == written)));
            }
            (Err(other), _) => panic!("{path} {other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_file_reads_as_what_it_was_linked_to_or_says_why_not(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in &steps {
                world.run(step).await;
            }
            world.reads().await;
            // Of one installation, and of one dataset at most.
            assert!(world.service.datasets("", 10).await.unwrap().iter().all(|one| one.name == name("d")));
        });
    }
}
