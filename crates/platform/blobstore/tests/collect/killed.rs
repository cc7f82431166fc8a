//! A process that is killed in the middle of collections, and a disk that is full while one goes on.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use corliss_blobstore::{BlobError, BlobId, BlobStore, CollectOptions, OpenFile, Skipped};
use corliss_keyring::{FileRootKey, RootKey};
use corliss_testkit::full_disk::tiny_disk;
use corliss_testkit::noise::noise;

use super::{collect, eager, put, put_record};

async fn open_folder(folder: &Path) -> BlobStore {
    let root: Arc<dyn RootKey> = Arc::new(FileRootKey::open(&folder.with_extension("key")).unwrap());
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match BlobStore::open_folder(folder, Arc::clone(&root)).await {
            Err(BlobError::InUse { .. }) => assert!(Instant::now() < deadline),
            other => return other.unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The task that writes packs lets go of the folder a moment after the store.
async fn wait_until_free(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while fs::File::open(folder.join("lock")).unwrap().try_lock().is_err() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

const CHILD_VARIABLE: &str = "CORLISS_BLOBSTORE_TEST_COLLECT";

/// Not a test of its own: stores, lets go and collects until the test below kills it. A root is written down before
/// anything else happens to the store, and one that is let go is struck out before the next collection.
#[tokio::test]
#[ignore = "started by what_a_killed_collection…"]
async fn collect_until_killed() {
    let Some(folder) = std::env::var_os(CHILD_VARIABLE) else {
        return;
    };
    let folder = Path::new(&folder);
    let store = open_folder(&folder.join("blobs")).await;
    let mut roots = read_roots(folder);
    let begin = u64::from(std::process::id()) << 20;
    for round in 0.. {
        for n in 0..6 {
            let content = noise(20_000, begin + 1000 * round + n);
            let blob = put(&store, &content).await;
            let low = put_record(&store, &[blob], "low").await;
            roots.push(put_record(&store, &[low], "top").await);
        }
        write_roots(folder, &roots);
        while roots.len() > 12 {
            roots.remove(usize::try_from(round % 7).unwrap());
        }
        write_roots(folder, &roots);
        let options = CollectOptions {
            live_percent: 100,
            ..eager()
        };
        store.collect(&mut roots.clone(), options, &|_| {}).await.unwrap();
    }
}

fn read_roots(folder: &Path) -> Vec<BlobId> {
    let text = fs::read_to_string(folder.join("roots")).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

fn write_roots(folder: &Path, roots: &[BlobId]) {
    let text: String = roots.iter().map(|id| format!("{id}\n")).collect();
    fs::write(folder.join("roots.new"), text).unwrap();
    fs::rename(folder.join("roots.new"), folder.join("roots")).unwrap();
}

#[tokio::test]
async fn what_a_killed_collection_leaves_has_every_root_whole() {
    let folder = super::folder();
    let mut kills = 0;
    for kill in 0..8_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "killed::collect_until_killed",
                "--nocapture",
            ])
            .env(CHILD_VARIABLE, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let condemned = folder.path().join("blobs/condemned");
        let before = fs::metadata(&condemned).and_then(|file| file.modified()).ok();
        let deadline = Instant::now() + Duration::from_secs(60);
        // A collection has come so far, and then somewhere in that or the next.
        while fs::metadata(&condemned).and_then(|file| file.modified()).ok() == before {
            assert!(Instant::now() < deadline);
            // Beside this the store of the last round lets go of the folder.
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        std::thread::sleep(Duration::from_micros(2500 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        let roots = read_roots(folder.path());
        assert!(!roots.is_empty());
        for is_rebuilt in [false, true] {
            if is_rebuilt {
                wait_until_free(&folder.path().join("blobs")).await;
                fs::remove_dir_all(folder.path().join("blobs/index")).unwrap();
            }
            let store = open_folder(&folder.path().join("blobs")).await;
            for top in store.read_records(roots.clone()).await.unwrap() {
                for low in store.read_records(top.links).await.unwrap() {
                    store.verify(low.links[0]).await.unwrap();
                }
            }
            let report = store.check(&Default::default(), &|_| {}).await.unwrap();
            assert_eq!(report.findings, [], "kill {kill}");
            if is_rebuilt {
                let report = collect(&store, &roots).await;
                assert_eq!(report.kept_pieces, 3 * roots.len() as u64);
            }
            drop(store);
        }
    }
    assert_eq!(kills, 8);
}

#[tokio::test]
async fn a_disk_that_fills_up_while_packs_are_written_anew_loses_nothing() {
    let name = "killed::a_disk_that_fills_up_while_packs_are_written_anew_loses_nothing";
    let Some(folder) = tiny_disk(name, 40 << 20) else {
        return;
    };
    let store = open_folder(&folder.join("blobs")).await;
    let mut roots = Vec::new();
    for n in 0..10 {
        let mut files: Vec<OpenFile> = Vec::new();
        for file in 0..8 {
            let path = folder.join(format!("file-{file}"));
            fs::write(&path, noise(200_000, 100 * n + file)).unwrap();
            files.push(Box::new(move || Ok(Box::new(fs::File::open(path)?))));
        }
        let stored = store.put_files(files).await.unwrap();
        let ids = stored.iter().map(|stored| stored.blob.id);
        roots.extend(ids.take(5));
    }
    let mut filler = fs::File::create(folder.join("filler")).unwrap();
    while filler.write_all(&[1; 1 << 16]).is_ok() {}
    // Room for what is condemned and for the index, not for packs.
    let len = filler.metadata().unwrap().len();
    filler.set_len(len - (600 << 10)).unwrap();
    let options = CollectOptions {
        live_percent: 100,
        ..eager()
    };
    let report = store.collect(&mut roots.clone(), options, &|_| {}).await.unwrap();
    assert_eq!(report.skipped, [Skipped::StorageFull], "{report:?}");
    for id in &roots {
        store.verify(*id).await.unwrap();
    }
    drop(filler);
    fs::remove_file(folder.join("filler")).unwrap();
    let report = store.collect(&mut roots.clone(), options, &|_| {}).await.unwrap();
    assert!(
        report.packs_rewritten > 0 && report.freed_bytes > report.rewritten_bytes,
        "{report:?}"
    );
    drop(store);
    let store = open_folder(&folder.join("blobs")).await;
    for id in &roots {
        store.verify(*id).await.unwrap();
    }
}
