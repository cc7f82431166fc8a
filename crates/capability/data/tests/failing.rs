//! A home on a disk that fails: the n-th write, sync, rename, new file or removal of a process is refused, or that
//! and all after it; then the process dies, and the power with it, which takes what was not synced. What the process
//! acknowledged is there, what it refused it has said clearly, and the home goes on to work.
//!
//! Which calls fail is random. `CORLISS_FAULTS` asks for more processes than the suite starts by itself,
//! `CORLISS_FAULT_SEED` for other ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use corliss_blobstore::{BlobError, BlobId, BlobStore};
use corliss_clock::Sources;
use corliss_data::tree::Builder;
use corliss_data::{
    CollectWish, Committed, DataError, DataService, Entry, InUse, Limits, MIGRATIONS, PortError, transfer,
};
use corliss_diagnostics::{Diagnose, ErrorReport};
use corliss_keyring::{FileRootKey, RootKey};
use corliss_metastore::{Metastore, MetastoreConfig};
use corliss_testkit::failing_disk::{Call, FailingDisk, Failure};
use corliss_testkit::noise::noise;
use corliss_types::{CommitId, VersionId};

use support::{by, name, on};

const CHILD_VARIABLE: &str = "CORLISS_DATA_TEST_FAILING";
/// Commits of one process; a collection comes after some.
const ROUNDS: u64 = 6;
/// A process that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

struct Home {
    blobs: BlobStore,
    service: DataService,
}

impl Home {
    async fn open(folder: &Path) -> Result<Self, DataError> {
        let path = folder.join("corliss.db");
        let store = Metastore::open(&MetastoreConfig::Sqlite { path }, &[MIGRATIONS]).await?;
        let root = FileRootKey::open(&folder.join("key")).map_err(BlobError::from)?;
        let root: Arc<dyn RootKey> = Arc::new(root);
        let blobs = loop {
            match BlobStore::open_folder(&folder.join("blobs"), Arc::clone(&root)).await {
                // A store that was open lets go of it a moment after it is dropped.
                Err(BlobError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                blobs => break blobs?,
            }
        };
        let service = DataService::new(store, blobs.clone(), Sources::system(), Limits::default());
        Ok(Self { blobs, service })
    }

    async fn commit(&self, dataset: &str, round: u64) -> Result<Committed, DataError> {
        let mut builder = Builder::default();
        for (path, bytes) in files(round) {
            let blob = self.service.put_blob(&mut &bytes[..]).await?.blob;
            builder.push(&Entry {
                path: path.parse()?,
                blob: blob.id,
                size_bytes: blob.size_bytes,
                executable: false,
            })?;
        }
        let root = builder.finish()?;
        let mut body = Vec::new();
        for piece in builder.take_pieces() {
            transfer::append(piece.kind, &piece.bytes, &mut body);
        }
        self.service.put_pieces(body.into()).await?;
        let by = by(&format!("round {round}"));
        self.service.commit(&on(dataset), &root.version(), by).await
    }

    /// Lets what was committed beside go, and collects.
    async fn collect(&self, round: u64) -> Result<(), DataError> {
        self.commit("scrap", 100 + round).await?;
        self.service.delete_dataset(&name("scrap")).await?;
        let wish = CollectWish {
            grace_seconds: 0,
            ..CollectWish::default()
        };
        self.service.collect(&NothingElse, wish, &|_| {}).await?;
        Ok(())
    }

    /// The commit has the files of its round.
    async fn is_whole(&self, commit: &CommitId, round: u64) {
        let info = self.service.commit_info(commit).await.unwrap();
        assert_eq!(info.what.message, format!("round {round}"));
        for (path, bytes) in files(round) {
            let entry = self.service.file(&info.what.version, path).await.unwrap();
            let read = self.blobs.read_all(entry.blob, u64::MAX).await;
            assert!(read.unwrap() == bytes, "{path} of round {round}");
        }
    }
}

/// Small, larger than a chunk, and larger than what passes the page cache.
fn files(round: u64) -> Vec<(&'static str, Vec<u8>)> {
    let large = if round.is_multiple_of(3) { 1_300_000 } else { 300_000 };
    vec![
        ("large", noise(large, 7 * round)),
        ("small", noise(900, 7 * round + 1)),
    ]
}

struct NothingElse;

#[async_trait]
impl InUse for NothingElse {
    async fn versions(&self) -> Result<Vec<VersionId>, PortError> {
        Ok(Vec::new())
    }
    async fn blobs(&self) -> Result<Vec<BlobId>, PortError> {
        Ok(Vec::new())
    }
}

/// Not a test of its own: commits and collects, and tells what came of each before the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by what_a_failing_disk…"]
async fn work_on_a_failing_disk() {
    let Some(folder) = std::env::var_os(CHILD_VARIABLE) else {
        return;
    };
    let refused = |what: &str, error: DataError| {
        let report = ErrorReport::of(&error);
        println!("\nsaid refused {} {} {what}: {}", report.code, report.retryable, report.message);
    };
    println!();
    let home = match Home::open(Path::new(&folder)).await {
        Ok(home) => home,
        Err(error) => {
            refused("open", error);
            println!("said end");
            return;
        }
    };
    let begin: u64 = std::env::var("CORLISS_DATA_TEST_ROUND").unwrap().parse().unwrap();
    for round in begin..begin + ROUNDS {
        match home.commit("kept", round).await {
            Ok(committed) => println!("said committed {round} {}", committed.commit.unwrap()),
            Err(error) => refused("commit", error),
        }
        if round % 2 == 1
            && let Err(error) = home.collect(round).await
        {
            refused("collect", error);
        }
    }
    println!("said end");
    // Without an end in order: what was not synced by now is lost.
    std::process::abort();
}

/// What a process said, line by line.
fn work(disk: &FailingDisk, folder: &Path, round: u64) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "work_on_a_failing_disk", "--nocapture"])
        .env(CHILD_VARIABLE, folder)
        .env("CORLISS_DATA_TEST_ROUND", round.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = disk.before(&mut command).spawn().unwrap();
    let id = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    let (ended, has_ended) = std::sync::mpsc::channel();
    let watch = std::thread::spawn(move || {
        if has_ended.recv_timeout(PATIENCE).is_err() {
            let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    let _ = ended.send(());
    watch.join().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(!complaints.contains("panicked"), "{}\n{said}\n{complaints}", disk.first());
    let lines = said.lines().filter_map(|line| line.strip_prefix("said "));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    let end = lines.last().map(String::as_str);
    assert_eq!(end, Some("end"), "{}\n{said}\n{complaints}", disk.first());
    lines
}

/// An error is one of those that a disk can cause, and says so.
fn is_clear(line: &str, failure: Failure) {
    let mut words = line.split(' ').skip(1);
    let (code, retryable) = (words.next().unwrap(), words.next().unwrap());
    let message = words.collect::<Vec<_>>().join(" ");
    let codes: &[&str] = match failure {
        Failure::Broken => &["blob_io", "key_io", "store_io"],
        Failure::Full => &["blob_storage_full", "key_io", "store_full"],
    };
    assert!(codes.contains(&code), "{line}");
    // A sync that failed is not tried again.
    let reason = match failure {
        Failure::Broken => ["Input/output error", "disk I/O error", "an earlier"],
        Failure::Full => ["is full", "No space left on device", "refused an earlier write"],
    };
    assert!(reason.iter().any(|reason| message.contains(reason)), "{line}");
    assert!(retryable == "true" || retryable == "false", "{line}");
}

/// After all of it, without faults: what was acknowledged is whole, nothing is half, and it goes on.
async fn survived(folder: &Path, acknowledged: &[(u64, CommitId)], what: &str) {
    let home = Home::open(folder).await;
    let home = home.unwrap_or_else(|error| panic!("{what}: {error} ({})", error.code()));
    for (round, commit) in acknowledged {
        home.is_whole(commit, *round).await;
    }
    let report = home.blobs.check(&Default::default(), &|_| {}).await.unwrap();
    assert_eq!(report.findings, [], "{what}");
    let report = home.service.check(false, &|_| {}).await.unwrap();
    assert_eq!((report.findings_total, report.files), (0, Vec::new()), "{what}");
    let committed = home.commit("kept", 1_000_000).await.unwrap();
    if let Some(commit) = committed.commit {
        home.is_whole(&commit, 1_000_000).await;
    }
    home.collect(2_000_000).await.unwrap();
}

/// A number below another, by a seed.
const fn random(seed: u64, below: u64) -> u64 {
    ((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) * below) >> 32
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// What is let fail together.
const fn calls(failure: Failure) -> &'static [&'static [Call]] {
    use Call::{Create, Remove, Rename, Sync, Write};
    match failure {
        Failure::Broken => &[
            &[Sync],
            &[Write],
            &[Rename],
            &[Create],
            &[Remove],
            &[Sync, Write, Rename, Create, Remove],
        ],
        // A sync that finds no room has lost what it should have written, which is no full disk.
        Failure::Full => &[&[Write], &[Rename], &[Create], &[Write, Rename, Create]],
    }
}

async fn one_home(seed: u64, failure: Failure) -> Option<u64> {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let disk = FailingDisk::over(&home)?;
    let calls = calls(failure);
    let calls = calls[usize::try_from(seed % calls.len() as u64).unwrap()];
    let is_new = random(seed + 1, 3) == 0;
    let mut acknowledged = Vec::new();
    let note = |lines: &[String], acknowledged: &mut Vec<(u64, CommitId)>| {
        for line in lines.iter().filter_map(|line| line.strip_prefix("committed ")) {
            let (round, commit) = line.split_once(' ').unwrap();
            acknowledged.push((round.parse().unwrap(), commit.parse().unwrap()));
        }
    };
    // How many calls there are to fail; on some homes those of the first start too.
    disk.fail(calls, u64::MAX..u64::MAX, failure);
    let lines = work(&disk, &home, 0);
    assert!(lines.iter().all(|line| !line.starts_with("refused")), "{lines:?}");
    let count = disk.calls();
    assert!(count > 0, "{calls:?}");
    if is_new {
        std::fs::remove_dir_all(&home).unwrap();
        std::fs::create_dir(&home).unwrap();
    } else {
        note(&lines, &mut acknowledged);
    }
    disk.cut_power();
    let from = 1 + random(seed + 2, count);
    let until = if random(seed + 3, 2) == 0 { from + 1 } else { u64::MAX };
    disk.fail(calls, from..until, failure);
    let lines = work(&disk, &home, if is_new { 0 } else { ROUNDS });
    let (failed, first) = (disk.failed(), disk.first());
    note(&lines, &mut acknowledged);
    // Started again on a disk that is well, and what the kernel remembers of it: what it remembers and the disk does
    // not have must not be built upon.
    if random(seed + 4, 2) == 0 {
        disk.fail(calls, u64::MAX..u64::MAX, failure);
        let more = work(&disk, &home, 2 * ROUNDS);
        assert!(more.iter().all(|line| !line.starts_with("refused")), "{first}\n{more:?}");
        note(&more, &mut acknowledged);
    }
    let lost = disk.cut_power();
    let what = format!(
        "CORLISS_FAULT_SEED={seed} {failure:?} {calls:?} {from}..{until} of {count}: {first}, {failed} failed, {lost} pages lost\n{}",
        lines.join("\n")
    );
    println!("{what}\n");
    for line in lines.iter().filter(|line| line.starts_with("refused")) {
        is_clear(line, failure);
    }
    survived(&home, &acknowledged, &what).await;
    Some(failed)
}

async fn many_homes(failure: Failure) {
    let homes = number("CORLISS_FAULTS").unwrap_or(18);
    let begin = number("CORLISS_FAULT_SEED").unwrap_or(0);
    let mut failed = 0;
    for seed in begin..begin + homes {
        let Some(more) = one_home(seed, failure).await else {
            return;
        };
        failed += more;
    }
    assert!(failed > 0, "no call failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failing_disk_acknowledged_is_there_after_a_power_cut() {
    many_homes(Failure::Broken).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_disk_acknowledged_is_there_after_a_power_cut() {
    many_homes(Failure::Full).await;
}
