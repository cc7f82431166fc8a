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

#[path = "support/disk.rs"]
mod disk;
mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use corliss_data::{DataError, Remotes};
use corliss_diagnostics::{Diagnose, ErrorReport};
use corliss_testkit::failing_disk::{Call, FailingDisk, Failure};
use corliss_types::CommitId;

use disk::Home;

const CHILD_VARIABLE: &str = "CORLISS_DATA_TEST_FAILING";
/// Commits of one process; a collection comes after some.
const ROUNDS: u64 = 6;
/// A process that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Not a test of its own: commits and collects, and tells what came of each before the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by what_a_failing_disk…"]
async fn work_on_a_failing_disk() {
    let Some(folder) = std::env::var_os(CHILD_VARIABLE) else {
        return;
    };
    let refused = |what: &str, error: DataError| {
        let report = ErrorReport::of(&error);
        println!(
            "\nsaid refused {} {} {what}: {}",
            report.code, report.retryable, report.message
        );
    };
    println!();
    let home = match Home::open(Path::new(&folder), Remotes::default()).await {
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
    assert!(
        !complaints.contains("panicked"),
        "{}\n{said}\n{complaints}",
        disk.first()
    );
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
        Failure::Full => &["blob_storage_full", "key_storage_full", "store_full"],
    };
    // SQLite does not say why it could not make or extend what its connections share.
    let is_untold = (code == "store_io" && message.contains("extend"))
        || (code == "store_damaged" && message.contains("readonly"));
    assert!(codes.contains(&code) || is_untold, "{line}");
    // A sync that failed is not tried again.
    let reason = match failure {
        Failure::Broken => ["Input/output error", "disk I/O error", "an earlier"],
        Failure::Full => ["is full", "No space left on device", "refused an earlier write"],
    };
    let is_told = reason.iter().any(|reason| message.contains(reason));
    assert!(is_told || is_untold, "{line}");
    assert!(retryable == "true" || retryable == "false", "{line}");
}

/// After all of it, without faults: what was acknowledged is whole, nothing is half, and it goes on.
async fn survived(folder: &Path, acknowledged: &[(u64, CommitId)], what: &str) {
    let home = Home::open(folder, Remotes::default()).await;
    let home = home.unwrap_or_else(|error| panic!("{what}: {error} ({})", error.code()));
    for (round, commit) in acknowledged {
        home.is_whole(commit, *round).await;
    }
    let report = home.blobs.check(&Default::default(), &|_| {}).await.unwrap();
    assert_eq!(report.findings, [], "{what}");
    let report = home.service.check(false, &|_| {}).await.unwrap();
    assert_eq!(
        (report.findings_total, report.versions),
        (0, Vec::new()),
        "{what}"
    );
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
    let until = if random(seed + 3, 2) == 0 {
        from + 1
    } else {
        u64::MAX
    };
    disk.fail(calls, from..until, failure);
    let lines = work(&disk, &home, if is_new { 0 } else { ROUNDS });
    let (failed, first) = (disk.failed(), disk.first());
    note(&lines, &mut acknowledged);
    // Started again on a disk that is well, and what the kernel remembers of it: what it remembers and the disk does
    // not have must not be built upon.
    if random(seed + 4, 2) == 0 {
        disk.fail(calls, u64::MAX..u64::MAX, failure);
        let more = work(&disk, &home, 2 * ROUNDS);
        assert!(
            more.iter().all(|line| !line.starts_with("refused")),
            "{first}\n{more:?}"
        );
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
    let homes = number("CORLISS_FAULTS").unwrap_or(12);
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
