//! A data folder as `initdb` makes it, made once per build folder and copied for each test process:
//! `initdb` takes seconds, a copy of its result a fraction of one.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::user::User;

/// Raise when the arguments of `initdb` below change.
const GENERATION: u32 = 1;

/// Makes `data` a fresh data folder that belongs to the user.
pub(super) fn copy(programs: &Path, user: &User, data: &Path) {
    let template = cached(programs, user);
    copy_folder(&template, user, data);
}

fn cached(programs: &Path, user: &User) -> PathBuf {
    let cache = cache_folder();
    fs::create_dir_all(&cache).expect("the build folder is writable");
    let template = cache.join(format!("postgres-{}-{GENERATION}", version(programs)));
    // Test processes start in parallel; the first makes the template, the others wait for it.
    let lock = File::create(cache.join("postgres.lock")).expect("the build folder is writable");
    lock.lock().expect("a file lock");
    if !template.exists() {
        make(programs, user, &template);
    }
    template
}

/// Beside this test's executable, `target/debug/deps/name-hash`, whatever the target folder is called.
fn cache_folder() -> PathBuf {
    let executable = std::env::current_exe().expect("the path of this test");
    let profile = executable.ancestors().nth(2).expect("a build folder");
    profile.join("corliss-testkit")
}

fn version(programs: &Path) -> String {
    let answer = Command::new(programs.join("postgres"))
        .arg("--version")
        .output()
        .expect("postgres runs");
    // "postgres (PostgreSQL) 15.13 (Debian …)"
    String::from_utf8_lossy(&answer.stdout)
        .split_whitespace()
        .nth(2)
        .unwrap_or("unknown")
        .to_owned()
}

fn make(programs: &Path, user: &User, template: &Path) {
    // The build folder may lie where the server's user cannot look, so it is made elsewhere and brought in.
    let scratch = tempfile::tempdir().expect("a temporary folder");
    user.own(scratch.path());
    let made = scratch.path().join("data");
    let mut initdb = Command::new(programs.join("initdb"));
    initdb
        .args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--wal-segsize=1",
        ])
        .args(["--no-sync", "--no-instructions", "--pgdata"])
        .arg(&made)
        .current_dir("/");
    user.run_as(&mut initdb);
    let answer = initdb.output().expect("initdb runs");
    assert!(
        answer.status.success(),
        "initdb failed: {}",
        String::from_utf8_lossy(&answer.stderr)
    );
    let partial = template.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).expect("the remains of a test that was killed can be removed");
    }
    copy_folder(&made, &User::us(), &partial);
    fs::rename(&partial, template).expect("the build folder is writable");
}

fn copy_folder(from: &Path, user: &User, to: &Path) {
    fs::create_dir(to).expect("a new folder");
    fs::set_permissions(to, Permissions::from_mode(0o700)).expect("our own folder");
    user.own(to);
    for entry in fs::read_dir(from).expect("the template is readable") {
        let entry = entry.expect("the template is readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a file type").is_dir() {
            copy_folder(&entry.path(), user, &target);
        } else {
            fs::copy(entry.path(), &target).expect("space for a small database");
            user.own(&target);
        }
    }
}
