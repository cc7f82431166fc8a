//! Folders lent over a real socket.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use corliss_lend::{Folders, Loan};
use rustix::fs::{Mode, OFlags, openat};

async fn lend(folder: &Path, socket: &Path) -> std::io::Result<Loan> {
    let (folder, socket) = (folder.to_path_buf(), socket.to_path_buf());
    tokio::task::spawn_blocking(move || Loan::of(&File::open(folder)?, &socket))
        .await
        .unwrap()
}

/// What the server reads of `a` in a lent folder.
fn read(folders: &Folders, loan: &Loan) -> String {
    let lent = folders.get(loan.handle()).unwrap();
    let file = openat(lent.as_fd(), "a", OFlags::RDONLY, Mode::empty()).unwrap();
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).unwrap();
    text
}

async fn is_soon_gone(folders: &Folders, handle: &str) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        if folders.get(handle).is_none() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_lent_until_its_client_goes() {
    let home = tempfile::tempdir().unwrap();
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    for folder in [&one, &two] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("a"), folder.file_name().unwrap().as_encoded_bytes()).unwrap();
    }
    let socket = home.path().join("folders");
    let folders = Folders::listen(&socket).unwrap();
    let (first, second) = (
        lend(&one, &socket).await.unwrap(),
        lend(&two, &socket).await.unwrap(),
    );
    assert_ne!(first.handle(), second.handle());
    assert_eq!(read(&folders, &first), "one");
    assert_eq!(read(&folders, &second), "two");
    assert!(folders.get("0123").is_none());
    let held = folders.get(first.handle()).unwrap();
    let handle = first.handle().to_owned();
    drop(first);
    assert!(is_soon_gone(&folders, &handle).await);
    assert!(
        openat(held.as_fd(), "a", OFlags::RDONLY, Mode::empty()).is_ok(),
        "held on"
    );
    assert_eq!(read(&folders, &second), "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_folder_is_not_taken_and_others_are() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let socket = home.path().join("folders");
    assert!(lend(home.path(), &socket).await.is_err(), "nobody listens");
    let _folders = Folders::listen(&socket).unwrap();
    assert!(lend(&file, &socket).await.is_err());
    assert!(lend(&home.path().join("absent"), &socket).await.is_err());
    // Somebody who passes nothing, and somebody who says nothing.
    let mut chatty = UnixStream::connect(&socket).unwrap();
    chatty.write_all(b"hello").unwrap();
    let _silent = UnixStream::connect(&socket).unwrap();
    assert!(lend(home.path(), &socket).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_held_until_the_server_is_done_too() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("folders");
    let folders = Folders::listen(&socket).unwrap();
    let opened = File::open(home.path()).unwrap();
    opened.try_lock().unwrap();
    let (loan, opened) = tokio::task::spawn_blocking(move || {
        let loan = Loan::of(&opened, &socket).unwrap();
        (loan, opened)
    })
    .await
    .unwrap();
    let at_work = folders.get(loan.handle()).unwrap();
    // As a client that is killed.
    drop(opened);
    drop(loan);
    let other = File::open(home.path()).unwrap();
    assert!(other.try_lock().is_err());
    drop(at_work);
    let begin = Instant::now();
    while other.try_lock().is_err() {
        assert!(begin.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_may_be_long_and_left_behind() {
    let home = tempfile::tempdir().unwrap();
    let deep: PathBuf = home.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("a"), "deep").unwrap();
    let socket = deep.join("folders");
    drop(Folders::listen(&socket).unwrap());
    assert!(socket.exists(), "as after kill -9");
    let folders = Folders::listen(&socket).unwrap();
    let loan = lend(&deep, &socket).await.unwrap();
    assert_eq!(read(&folders, &loan), "deep");
}
