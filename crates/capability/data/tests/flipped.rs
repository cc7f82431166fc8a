//! One bit flipped in every kind of file that a store keeps, a home's and a folder remote's: it is told, with a name,
//! or it does no harm; and nobody ever reads other bytes than were stored.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

#[path = "support/disk.rs"]
mod disk;
mod support;
#[path = "support/remotes.rs"]
mod two;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use corliss_blobstore::{BlobError, BlobStore};
use corliss_data::{Committed, DataError, RemoteSettings, Remotes};
use corliss_diagnostics::{Diagnose, ErrorReport};
use corliss_keyring::FileRootKey;
use corliss_types::CommitId;

use disk::{Home, files};
#[allow(unused_imports, reason = "the remotes of the suites look for it here")]
use support::name;
use two::{clone, push};

/// Bits that are flipped in one file, each by itself.
const FLIPS: usize = 3;

/// Files of one kind.
const FILES: usize = 4;
/// At the head of a pack, and read by nobody: what is in it is found from its end.
const MAGIC: usize = 16;

/// What came of a bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    /// The store was not opened, or a read failed, and the error told of what.
    Refused,
    /// A check named it.
    Found,
    /// Everything is as it was.
    Harmless,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(&path, &to).unwrap()),
        }
    }
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.path().is_dir() {
            true => found.extend(all_files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

/// What kind of file it is.
fn kind(path: &Path) -> String {
    let parts: Vec<String> = path.iter().map(|part| part.display().to_string()).collect();
    match parts[0].as_str() {
        "packs" | "refs" => parts[0].clone(),
        "index" => {
            let file = path
                .extension()
                .map_or("other", |extension| extension.to_str().unwrap());
            let is_table = parts.iter().any(|part| part == "tables");
            format!("index, {}", if is_table { "table" } else { file })
        }
        _ => path.display().to_string(),
    }
}

/// The error tells of what it is, so that somebody can look there.
fn is_told(error: &dyn Diagnose, kind: &str) {
    let report = ErrorReport::of(error);
    let words: &[&str] = match kind {
        "packs" | "refs" => &["damaged", "not stored", "cannot be read", "there is no"],
        "keys/default" => &["keys", "of tenant default"],
        "condemned" => &["condemned"],
        "format" => &["format"],
        kind if kind.starts_with("index") => &["index"],
        _ => panic!("{kind}: {report:?}"),
    };
    assert!(
        words.iter().any(|word| report.message.contains(word)),
        "{kind}: {report:?}"
    );
}

/// A home, and a folder remote that has the same.
async fn make(root: &Path) -> Vec<(u64, CommitId)> {
    let home = Home::open(&root.join("home"), remotes(root, "home"))
        .await
        .unwrap();
    let mut committed = Vec::new();
    for round in 0..4 {
        let Committed { commit, .. } = home.commit("kept", round).await.unwrap();
        committed.push((round, commit.unwrap()));
        push(&home.service, "kept").await.unwrap();
        if round == 1 {
            home.collect(round).await.unwrap();
        }
    }
    drop(home);
    // Stores let go of their folders a moment later.
    let locks = all_files(root).into_iter().filter(|path| path.ends_with("lock"));
    for lock in locks {
        while fs::File::open(&lock).unwrap().try_lock().is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    committed
}

fn remotes(root: &Path, who: &str) -> Remotes {
    let settings = RemoteSettings::Folder {
        path: root.join("remote"),
        key: Arc::new(FileRootKey::open(&root.join("remote.key")).unwrap()),
    };
    let work = root.join(format!("work-{who}"));
    Remotes::new(work).with("origin", settings).unwrap()
}

async fn of_home(root: &Path, committed: &[(u64, CommitId)], kind: &str) -> Came {
    let home = match Home::open(&root.join("home"), Remotes::default()).await {
        Ok(home) => home,
        Err(error) => {
            is_told(&error, kind);
            return Came::Refused;
        }
    };
    let mut came = Came::Harmless;
    for (round, commit) in committed {
        let info = home.service.commit_info(commit).await.unwrap();
        for (path, bytes) in files(*round) {
            let read = async {
                let entry = home.service.file(&info.what.version, path).await?;
                Ok::<_, DataError>(home.blobs.read_all(entry.blob, u64::MAX).await?)
            };
            match read.await {
                Ok(read) => assert!(read == bytes, "{kind}: other bytes"),
                Err(error) => {
                    is_told(&error, kind);
                    came = Came::Refused;
                }
            }
        }
    }
    match home.service.check(false, &|_| {}).await {
        // Of a pack that cannot be read nothing may be missed: it is counted, and goes.
        Ok(check) if check.findings_total + check.waiting > 0 => Came::Found,
        Ok(_) => came,
        Err(error) => {
            is_told(&error, kind);
            Came::Refused
        }
    }
}

async fn of_remote(root: &Path, committed: &[(u64, CommitId)], kind: &str) -> Came {
    let home = Home::in_memory(remotes(root, "reader")).await;
    match clone(&home.service, "kept").await {
        Ok(_) => {
            for (round, commit) in committed {
                home.is_whole(commit, *round).await;
            }
        }
        Err(error) => {
            is_told(&error, kind);
            return Came::Refused;
        }
    }
    // What no name leads to is only seen by a check.
    let key = Arc::new(FileRootKey::open(&root.join("remote.key")).unwrap());
    let store = loop {
        match BlobStore::open_folder(&root.join("remote"), Arc::clone(&key) as _).await {
            Err(BlobError::InUse { .. }) => tokio::task::yield_now().await,
            store => break store,
        }
    };
    match store {
        Ok(store) => match store
            .check(&Default::default(), &|_| {})
            .await
            .unwrap()
            .findings_total
        {
            0 => Came::Harmless,
            _ => Came::Found,
        },
        Err(error) => {
            is_told(&error, kind);
            Came::Refused
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_every_kind_of_file_is_told_or_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good");
    fs::create_dir_all(good.join("home")).unwrap();
    let committed = make(&good).await;
    let mut outcomes: BTreeMap<String, Vec<Came>> = BTreeMap::new();
    for (store, root) in [("home", "home/blobs"), ("remote", "remote")] {
        for path in all_files(&good.join(root)) {
            let inside = path.strip_prefix(good.join(root)).unwrap();
            let len = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
            let kind = kind(inside);
            let told = outcomes.get(&format!("{store}: {kind}"));
            if told.is_some_and(|told| told.len() >= FILES * FLIPS) {
                continue;
            }
            for flip in 0..FLIPS.min(len) {
                let bad = folder.path().join("bad");
                copy(&good, &bad);
                let at = match flip {
                    0 if kind == "packs" => MAGIC,
                    0 => 0,
                    1 => len - 1,
                    flip => len * (flip - 1) / (FLIPS - 1),
                };
                let mut bytes = fs::read(&path).unwrap();
                bytes[at] ^= 1 << (flip % 8);
                fs::write(bad.join(root).join(inside), bytes).unwrap();
                let came = match store {
                    "home" => of_home(&bad, &committed, &kind).await,
                    _ => of_remote(&bad, &committed, &kind).await,
                };
                // An index is made anew, at the latest by the next start.
                if kind.starts_with("index") && came != Came::Harmless {
                    assert_eq!(
                        of_home(&bad, &committed, &kind).await,
                        Came::Harmless,
                        "{}",
                        path.display()
                    );
                }
                outcomes.entry(format!("{store}: {kind}")).or_default().push(came);
                fs::remove_dir_all(&bad).unwrap();
            }
        }
    }
    for (kind, came) in &outcomes {
        let count = |of: Came| came.iter().filter(|came| **came == of).count();
        let [refused, found, harmless] = [Came::Refused, Came::Found, Came::Harmless].map(count);
        println!("{kind}: refused {refused}, found {found}, harmless {harmless}");
        // Only what can be made anew, or is not read, may be as it is.
        let may_be_harmless = kind.contains("index") || kind.ends_with("lock");
        assert!(may_be_harmless || harmless == 0, "{kind}: {came:?}");
    }
    for kind in ["packs", "condemned", "format", "keys/default"] {
        assert!(outcomes.contains_key(&format!("home: {kind}")), "{outcomes:?}");
    }
    assert!(outcomes.contains_key("remote: refs"), "{outcomes:?}");
}
