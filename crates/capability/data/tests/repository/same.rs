//! Whether everything that can be read of a repository is what the model says, whole and page by page.

use std::collections::{BTreeMap, BTreeSet};

use corliss_data::{
    ChangeKind, DataError, DatasetSummary, DiffSummary, FileChange, FolderItem, RefKind, VersionSummary,
};
use corliss_types::{CommitId, Timestamp, VersionId};

use super::content::{BLOBS, Files, PATHS, content, entries, entry};
use super::home::Home;
use super::model::{Dataset, Model, info};
use super::pick::Aim;

/// More than these suites ever make.
const ALL: usize = 10_000;

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) {
    assert!(
        found == expected,
        "{what}\n   found {found:?}\nexpected {expected:?}"
    );
}

impl Home {
    /// Names, histories and what they hold; the first difference, if there is one.
    pub async fn differs(&self, model: &Model) -> Option<String> {
        let summaries = self.service.datasets("", 100).await.unwrap();
        let expected: Vec<_> = model
            .datasets
            .iter()
            .map(|(name, dataset)| summary(model, name, dataset))
            .collect();
        if summaries != expected {
            return Some(format!("{summaries:?} instead of {expected:?}"));
        }
        for (name, dataset) in &model.datasets {
            let mut names = Vec::new();
            for kind in [RefKind::Branch, RefKind::Tag] {
                names.extend(
                    self.service
                        .refs(&name.parse().unwrap(), kind, "", 100)
                        .await
                        .unwrap(),
                );
            }
            let expected: Vec<_> = dataset.names.iter().map(|(key, name)| info(key, name)).collect();
            if names != expected {
                return Some(format!("{names:?} instead of {expected:?}"));
            }
        }
        None
    }

    /// Everything below the names: each commit and version that a dataset has, and every byte of it if asked for.
    pub async fn is_whole(&self, model: &Model, with_bytes: bool) {
        let own: BTreeSet<&CommitId> = model
            .datasets
            .values()
            .flat_map(|dataset| &dataset.commits)
            .collect();
        let mut used: BTreeSet<u16> = BTreeSet::new();
        for commit in own {
            let found = self.service.commit_info(commit).await.unwrap();
            expect("a commit", &found, &model.commits[commit]);
        }
        for (id, version) in model.versions.iter().filter(|(_, version)| version.is_whole) {
            let found = self.service.files(id, "", ALL).await;
            let found = found.unwrap_or_else(|error| panic!("{id} of {:?}: {error:?}", version.files));
            expect("the files of a version", &found, &entries(&version.files));
            used.extend(version.files.values().map(|(number, _)| number));
        }
        for number in used.into_iter().filter(|_| with_bytes) {
            let (blob, size_bytes) = BLOBS[usize::from(number)];
            let bytes = self.blobs.read_all(blob, size_bytes).await.unwrap();
            assert!(bytes == content(number), "content {number}");
        }
    }

    /// What is read of one version, and of the way from it to another.
    pub async fn reads(&self, model: &Model, [old, new]: [&VersionId; 2], page: usize) {
        let [from, to] = [old, new].map(|id| &model.versions[id].files);
        self.reads_version(model, old, from, page).await;
        let expected = changes(from, to);
        let whole = self.service.diff(old, new, "", ALL).await.unwrap();
        expect("a diff", &whole, &expected);
        let mut after = String::new();
        let mut paged = Vec::new();
        loop {
            let changes = self.service.diff(old, new, &after, page).await.unwrap();
            let Some(last) = changes.last() else { break };
            after = last.path.to_string();
            paged.extend(changes);
        }
        expect("a diff in pages", &paged, &expected);
        let sum = self.service.diff_summary(old, new).await.unwrap();
        expect("the sum of a diff", &sum, &sum_of(&expected));
    }

    async fn reads_version(&self, model: &Model, id: &VersionId, files: &Files, page: usize) {
        let service = &self.service;
        let expected = VersionSummary {
            expired: false,
            version: id.clone(),
            created_ms: Timestamp::from_millis(model.versions[id].created_ms),
            size_bytes: entries(files).iter().map(|entry| entry.size_bytes).sum(),
            files: files.len() as u64,
            linked_files: 0,
            linked_bytes: 0,
            names: having(model, id),
        };
        expect("a version", &service.version(id).await.unwrap(), &expected);
        let mut paged = Vec::new();
        let mut after = String::new();
        loop {
            let entries = service.files(id, &after, page).await.unwrap();
            let Some(last) = entries.last() else { break };
            after = last.path.to_string();
            paged.extend(entries);
        }
        expect("files in pages", &paged, &entries(files));
        for path in PATHS.iter() {
            let expected = files.get(path).map(|file| entry(path, *file));
            let expected = expected.ok_or_else(|| DataError::FileNotFound {
                version: id.clone(),
                path: path.clone(),
            });
            expect(path, &service.file(id, path).await, &expected);
        }
        let mut folders: BTreeSet<&str> = BTreeSet::from([""]);
        for path in files.keys() {
            folders.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
        }
        for folder in folders {
            let expected = listing(files, folder);
            let whole = service.folder(id, folder, "", ALL).await.unwrap();
            expect(folder, &whole, &expected);
            let mut paged = Vec::new();
            let mut after = String::new();
            loop {
                let items = service.folder(id, folder, &after, page).await.unwrap();
                let Some(last) = items.last() else { break };
                let slash = if last.file.is_none() { "/" } else { "" };
                after = format!("{}{slash}", last.name);
                paged.extend(items);
            }
            expect("a folder in pages", &paged, &expected);
        }
    }

    /// A history, whole and in pages, and that nothing in it comes before what came after it.
    pub async fn reads_log(&self, model: &Model, from: &CommitId, skip: usize, limit: usize) {
        let whole = self.service.log(from, 0, ALL).await.unwrap();
        let mut expected: Vec<_> = model.ancestors(from).into_iter().collect();
        expected.sort_by_key(|id| std::cmp::Reverse(model.order(id)));
        let ids: Vec<_> = whole.iter().map(|info| info.commit.clone()).collect();
        expect("a history", &ids, &expected);
        let mut seen = BTreeSet::new();
        for info in &whole {
            expect("an entry of it", info, &model.commits[&info.commit]);
            assert!(info.what.parents.iter().all(|parent| !seen.contains(parent)));
            seen.insert(info.commit.clone());
        }
        let page = self.service.log(from, skip, limit).await.unwrap();
        let part: Vec<_> = whole.into_iter().skip(skip).take(limit).collect();
        expect("a page of a history", &page, &part);
    }

    pub async fn resolves(&self, model: &Model, aim: &Aim) {
        for dataset in ["d", "e"] {
            let spot = aim.at(model, dataset);
            let found = self.service.resolve(&spot.reference()).await;
            match (model.resolve(&spot), &found) {
                (Ok(expected), Ok(found)) => expect(&spot.to_string(), found, &expected),
                (Err(refusals), Err(error)) if refusals.iter().any(|refusal| refusal.is(error)) => {}
                (expected, found) => panic!("{spot}\n   found {found:?}\nexpected {expected:?}"),
            }
        }
    }
}

fn having(model: &Model, version: &VersionId) -> Vec<corliss_types::DatasetName> {
    let has = |dataset: &Dataset| {
        let mut versions = dataset.commits.iter().map(|id| &model.commits[id].what.version);
        versions.any(|id| id == version)
    };
    let datasets = model.datasets.iter().filter(|(_, dataset)| has(dataset));
    datasets.map(|(name, _)| name.parse().unwrap()).collect()
}

fn summary(model: &Model, name: &str, dataset: &Dataset) -> DatasetSummary {
    let head = &dataset.names[&(RefKind::Branch, dataset.default.clone())].commit;
    let info = &model.commits[head];
    DatasetSummary {
        retention_days: None,
        name: name.parse().unwrap(),
        default_branch: dataset.default.parse().unwrap(),
        head: head.clone(),
        latest: info.what.version.clone(),
        versions: info.generation,
        size_bytes: info.size_bytes,
        files: info.files,
        created_ms: Timestamp::from_millis(dataset.created_ms),
        updated_ms: Timestamp::from_millis(dataset.updated_ms),
    }
}

fn changes(old: &Files, new: &Files) -> Vec<FileChange> {
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for path in paths {
        let change = match (old.get(path), new.get(path)) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) if old.0 == new.0 => ChangeKind::Mode,
            _ => ChangeKind::Changed,
        };
        let one = |files: &Files| files.get(path).map(|file| entry(path, *file));
        changes.push(FileChange {
            path: path.parse().unwrap(),
            change,
            old: one(old),
            new: one(new),
        });
    }
    changes
}

fn sum_of(changes: &[FileChange]) -> DiffSummary {
    let count = |kinds: &[ChangeKind]| {
        changes
            .iter()
            .filter(|change| kinds.contains(&change.change))
            .count() as u64
    };
    let bytes = |entry: &Option<corliss_data::Entry>| entry.as_ref().map_or(0, |entry| entry.size_bytes);
    DiffSummary {
        added: count(&[ChangeKind::Added]),
        removed: count(&[ChangeKind::Removed]),
        changed: count(&[ChangeKind::Changed, ChangeKind::Mode]),
        bytes_new: changes.iter().map(|change| bytes(&change.new)).sum(),
        bytes_old: changes.iter().map(|change| bytes(&change.old)).sum(),
    }
}

/// By name, folders as if theirs ended in `/`.
fn listing(files: &Files, folder: &str) -> Vec<FolderItem> {
    let mut items: BTreeMap<String, FolderItem> = BTreeMap::new();
    let begin = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    for (path, file) in files {
        let Some(rest) = path.strip_prefix(&begin) else {
            continue;
        };
        let found = entry(path, *file);
        let (key, name) = match rest.split_once('/') {
            None => (rest.to_owned(), rest),
            Some((name, _)) => (format!("{name}/"), name),
        };
        let item = items.entry(key.clone()).or_insert(FolderItem {
            name: name.to_owned(),
            file: None,
            files: 0,
            size_bytes: 0,
        });
        item.files += 1;
        item.size_bytes += found.size_bytes;
        item.file = (key == name).then_some(found);
    }
    items.into_values().collect()
}
