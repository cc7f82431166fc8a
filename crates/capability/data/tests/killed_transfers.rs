//! A process that is killed while it pushes to a folder or a server, or pulls from one, again and again: what it was
//! told to be pushed is there, no name leads to something that is not whole, and the next transfer comes to its end.
//!
//! `CORLISS_KILLS` asks for more kills than the suite makes by itself, `CORLISS_KILL_SEED` for other moments.
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

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use corliss_blobstore::{BlobError, BlobStore};
use corliss_data::{RemoteSettings, Remotes, ServerSettings};
use corliss_keyring::FileRootKey;
use corliss_testkit::killed;
use corliss_types::CommitId;

use disk::Home;
use support::name;
use two::{clone, pull, push};

const CHILD_VARIABLE: &str = "CORLISS_DATA_TEST_KILLED_TRANSFER";
const URL_VARIABLE: &str = "CORLISS_DATA_TEST_REMOTE_URL";
const DATASET: &str = "kept";
/// Within this much of its work a process is killed.
const LIFE_MAX: Duration = Duration::from_millis(900);
/// More than a process gets to before it is killed.
const ROUNDS: u64 = 200;
/// Kills on one pair of a home and a remote.
const KILLS_A_PAIR: u64 = 3;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// What lies where: a home that pushes, one that pulls, and the remote.
struct Place {
    root: PathBuf,
    url: Option<String>,
}

impl Place {
    /// The remote, for whoever has this folder for its indexes.
    fn remotes(&self, who: &str) -> Remotes {
        let settings = match &self.url {
            Some(url) => RemoteSettings::Server(ServerSettings::of(url.clone(), self.root.join("token"))),
            None => RemoteSettings::Folder {
                path: self.root.join("objects"),
                key: Arc::new(FileRootKey::open(&self.root.join("remote.key")).unwrap()),
            },
        };
        let remotes = Remotes::new(self.root.join(who).join("remotes"));
        remotes.with("origin", settings).unwrap()
    }

    async fn home(&self, who: &str) -> Home {
        std::fs::create_dir_all(self.root.join(who)).unwrap();
        Home::open(&self.root.join(who), self.remotes(who)).await.unwrap()
    }
}

/// Not a test of its own: commits and pushes, or pulls, and says what is done before it does the next.
#[tokio::test]
#[ignore = "started by a_transfer_that_is_killed…"]
async fn transfer_until_killed() {
    let Some(child) = std::env::var_os(CHILD_VARIABLE) else {
        return;
    };
    let child = child.into_string().unwrap();
    let (what, begin) = child.split_once(' ').unwrap();
    let (begin, root) = begin.split_once(' ').unwrap();
    let place = Place {
        root: root.into(),
        url: std::env::var(URL_VARIABLE).ok(),
    };
    let home = place.home(what).await;
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").unwrap();
        out.flush().unwrap();
    };
    say("\nready".to_owned());
    let begin: u64 = begin.parse().unwrap();
    if what == "pull" {
        fetch(&home).await;
        say("pulled".to_owned());
        return;
    }
    for round in begin..begin + ROUNDS {
        let committed = home.commit(DATASET, round).await.unwrap();
        // Some of several commits at once.
        if round % 3 != 0 {
            push(&home.service, DATASET).await.unwrap();
            say(format!("pushed {round} {}", committed.commit.unwrap()));
        }
    }
}

/// All that the remote has.
async fn fetch(home: &Home) {
    if home.service.dataset(&name(DATASET)).await.is_ok() {
        pull(&home.service, DATASET).await.unwrap();
    } else {
        clone(&home.service, DATASET).await.unwrap();
    }
}

/// Starts a process, kills it after some time, and answers what it said.
fn said_until_killed(place: &Place, what: &str, begin: u64, after: Duration) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "transfer_until_killed", "--nocapture"])
        .env(CHILD_VARIABLE, format!("{what} {begin} {}", place.root.display()));
    if let Some(url) = &place.url {
        command.env(URL_VARIABLE, url);
    }
    killed::after_ready(&mut command, after)
}

/// Whoever comes new to the remote gets all that was acknowledged, whole.
async fn is_whole(place: &Place, acknowledged: &[(u64, CommitId)]) {
    let who = format!("new-{}", acknowledged.len());
    let home = Home::in_memory(place.remotes(&who)).await;
    if acknowledged.is_empty() {
        // The first push may have come so far or not.
        let _ = clone(&home.service, DATASET).await;
    } else {
        clone(&home.service, DATASET).await.unwrap();
        for (round, commit) in acknowledged {
            home.is_whole(commit, *round).await;
        }
    }
    let check = home.service.check(false, &|_| {}).await.unwrap();
    assert_eq!((check.findings, check.versions), (vec![], vec![]));
}

/// The bytes of a folder that nobody has open.
async fn folder_is_sound(place: &Place) {
    let key = Arc::new(FileRootKey::open(&place.root.join("remote.key")).unwrap());
    let folder = place.root.join("objects");
    if place.url.is_some() || !folder.join("keys").exists() {
        return;
    }
    let store = loop {
        match BlobStore::open_folder(&folder, Arc::clone(&key) as _).await {
            Err(BlobError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
            store => break store.unwrap(),
        }
    };
    let report = store.check(&Default::default(), &|_| {}).await.unwrap();
    assert_eq!(report.findings, []);
}

async fn one_pair(root: &Path, seed: u64, kills: u64) -> [usize; 2] {
    println!("a remote begins with CORLISS_KILL_SEED={seed}");
    let mut place = Place {
        root: root.to_path_buf(),
        url: None,
    };
    let server = Home::in_memory(Remotes::default()).await;
    if (seed / KILLS_A_PAIR).is_multiple_of(2) {
        place.url = Some(two::serve(&server.service, root).await.0.url);
    }
    let (mut acknowledged, mut pulled) = (Vec::new(), 0);
    for kill in 0..kills {
        let seed = seed + kill;
        let part = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1 << 24) as f64;
        let after = LIFE_MAX.mul_f64(part);
        let said = said_until_killed(&place, "push", 1000 * kill, after);
        for line in said.iter().filter_map(|line| line.strip_prefix("pushed ")) {
            let (round, commit) = line.split_once(' ').unwrap();
            acknowledged.push((round.parse().unwrap(), commit.parse().unwrap()));
        }
        folder_is_sound(&place).await;
        is_whole(&place, &acknowledged).await;
        // The next push comes to its end, and takes what the one before left.
        let home = place.home("push").await;
        let check = home.service.check(false, &|_| {}).await.unwrap();
        assert_eq!(check.findings, Vec::<String>::new(), "seed {seed}");
        let round = 1000 * kill + 900;
        let committed = home.commit(DATASET, round).await.unwrap();
        push(&home.service, DATASET).await.unwrap();
        acknowledged.push((round, committed.commit.unwrap()));
        drop(home);
        // A pull is killed as well; the next one has everything.
        let said = said_until_killed(&place, "pull", 0, after);
        pulled += usize::from(said.iter().any(|line| line == "pulled"));
        let home = place.home("pull").await;
        let check = home.service.check(false, &|_| {}).await.unwrap();
        assert_eq!((check.findings, check.versions), (vec![], vec![]), "seed {seed}");
        fetch(&home).await;
        for (round, commit) in &acknowledged {
            home.is_whole(commit, *round).await;
        }
    }
    [acknowledged.len(), pulled]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_is_killed_leaves_what_is_whole_and_goes_on() {
    let kills = number("CORLISS_KILLS").unwrap_or(6);
    let begin = number("CORLISS_KILL_SEED").unwrap_or(1);
    for first in (0..kills).step_by(usize::try_from(KILLS_A_PAIR).unwrap()) {
        let folder = tempfile::tempdir().unwrap();
        let here = KILLS_A_PAIR.min(kills - first);
        let [pushed, pulled] = one_pair(folder.path(), begin + first, here).await;
        println!("{pushed} pushes acknowledged, {pulled} pulls ended before the kill");
    }
}
