//! A disk that fills up: a test is run again in a process of its own whose folder is a tiny file system.

use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER_VARIABLE: &str = "CORLISS_TEST_TINY_DISK";

const MOUNT_AND_RUN: &str = r#"
mount -t tmpfs -o "size=$1" corliss-tiny "$2" || exit 77
shift 2
exec "$@"
"#;

/// In the process that has the tiny disk: its folder. Elsewhere: runs the named test (the caller's own) there,
/// checks that it passes, and answers None; also None, with a note, where the system forbids mounting.
///
/// # Panics
/// The test fails on the tiny disk.
#[must_use]
pub fn tiny_disk(test: &str, size_bytes: u64) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        return Some(PathBuf::from(folder));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let answer = run(test, size_bytes, folder.path());
    let (Ok(answer), code) = (
        &answer,
        answer.as_ref().ok().and_then(|answer| answer.status.code()),
    ) else {
        eprintln!("left out: there is no 'unshare' command");
        return None;
    };
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&answer.stdout),
        String::from_utf8_lossy(&answer.stderr)
    );
    // 77: the mount was refused; unshare's own refusal names itself.
    if code == Some(77) || said.contains("unshare:") {
        eprintln!("left out: this system does not let tests mount a file system");
        return None;
    }
    assert!(
        answer.status.success() && said.contains("1 passed"),
        "on the tiny disk:\n{said}"
    );
    None
}

fn run(test: &str, size_bytes: u64, folder: &Path) -> std::io::Result<std::process::Output> {
    Command::new("unshare")
        .args([
            "--map-root-user",
            "--mount",
            "/bin/sh",
            "-c",
            MOUNT_AND_RUN,
            "tiny-disk",
        ])
        .arg(size_bytes.to_string())
        .arg(folder)
        .arg(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER_VARIABLE, folder)
        .output()
}
