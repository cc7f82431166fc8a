//! The server that suites get: real, empty, and gone with the process that asked for it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use corliss_testkit::postgres;

const WAIT_VARIABLE: &str = "CORLISS_TESTKIT_WAIT";

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn every_suite_gets_a_database_of_its_own() {
    let (Some(first), Some(second)) = (postgres::fresh_database().await, postgres::fresh_database().await)
    else {
        return;
    };
    assert_ne!(first, second);
    connect(&first)
        .await
        .batch_execute("CREATE TABLE t (n BIGINT)")
        .await
        .unwrap();
    assert!(
        connect(&second)
            .await
            .batch_execute("SELECT n FROM t")
            .await
            .is_err()
    );
}

/// Not a test of its own: the process that the test below kills.
#[tokio::test]
#[ignore = "started by a_killed_process_leaves_no_server"]
async fn start_and_wait() {
    if std::env::var_os(WAIT_VARIABLE).is_none() {
        return;
    }
    println!("folder={}", postgres::fresh_database().await.unwrap());
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn a_killed_process_leaves_no_server() {
    if std::env::var_os(postgres::SKIP_VARIABLE).is_some() {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "start_and_wait", "--nocapture"])
        .env(WAIT_VARIABLE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines
        .find_map(|line| line.unwrap().split_once("folder=").map(|(_, url)| url.to_owned()))
        .unwrap();
    let host = url
        .split_once('@')
        .unwrap()
        .1
        .rsplit_once('/')
        .unwrap()
        .0
        .replace("%2F", "/");
    let folder = Path::new(&host);
    let mut pid = String::new();
    std::fs::File::open(folder.join("data/postmaster.pid"))
        .unwrap()
        .read_to_string(&mut pid)
        .unwrap();
    let server = Path::new("/proc").join(pid.lines().next().unwrap());
    assert!(server.exists());

    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.exists() || folder.exists() {
        assert!(
            Instant::now() < deadline,
            "the server or its folder outlived the test process"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
