//! Which checkpoints count as complete.

use std::fs;

use super::*;

fn publish(dir: &Path, name: &str, text: &str) {
    let unpublished = dir.join(format!("{name}.tmp"));
    fs::write(&unpublished, text).unwrap();
    fs::rename(unpublished, dir.join(name)).unwrap();
}

fn latest(dir: &Path) -> Option<String> {
    let found = latest_complete(dir, 3).unwrap()?;
    Some(found.file_name().unwrap().to_str().unwrap().to_owned())
}

#[test]
fn only_what_was_published_counts_and_the_newest_wins() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(latest(dir.path()), None);
    fs::write(dir.path().join("step-1.tmp"), "half").unwrap();
    fs::write(dir.path().join(".hidden"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("latest")).unwrap();
    assert_eq!(latest(dir.path()), None);
    publish(dir.path(), "step-2", "two");
    assert_eq!(latest(dir.path()).as_deref(), Some("step-2"));
    publish(dir.path(), "step-10", "ten");
    assert_eq!(latest(dir.path()).as_deref(), Some("step-10"));
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "a", "aaaa");
    record(dir.path(), 3).unwrap();
    publish(dir.path(), "b", "bbbb");
    record(dir.path(), 3).unwrap();
    fs::write(dir.path().join("b"), "bXbb").unwrap();
    assert_eq!(latest(dir.path()).as_deref(), Some("a"));
}

#[test]
fn a_folder_with_a_missing_file_is_not_complete() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "a", "aaaa");
    record(dir.path(), 3).unwrap();
    let unpublished = dir.path().join("b.tmp");
    fs::create_dir(&unpublished).unwrap();
    fs::write(unpublished.join("weights"), "w").unwrap();
    fs::write(unpublished.join("optimiser"), "o").unwrap();
    fs::rename(&unpublished, dir.path().join("b")).unwrap();
    assert_eq!(latest(dir.path()).as_deref(), Some("b"));
    fs::remove_file(dir.path().join("b/optimiser")).unwrap();
    assert_eq!(latest(dir.path()).as_deref(), Some("a"));
}

#[test]
fn the_newest_are_kept_and_the_rest_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["s1", "s2", "s3", "s4"] {
        publish(dir.path(), name, name);
        record(dir.path(), 2).unwrap();
    }
    let looked = record(dir.path(), 2).unwrap();
    assert_eq!(looked.complete, ["s3", "s4"]);
    assert!(!dir.path().join("s1").exists() && !dir.path().join(".corliss/s1.json").exists());
}

#[test]
fn a_name_published_again_is_a_new_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "last", "one");
    publish(dir.path(), "other", "x");
    record(dir.path(), 3).unwrap();
    publish(dir.path(), "last", "two");
    assert_eq!(latest(dir.path()).as_deref(), Some("last"));
    assert_eq!(
        fs::read_to_string(latest_complete(dir.path(), 3).unwrap().unwrap()).unwrap(),
        "two"
    );
}

#[test]
fn a_torn_manifest_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "a", "aaaa");
    record(dir.path(), 3).unwrap();
    fs::write(dir.path().join(".corliss/a.json"), "{\"version\":1,").unwrap();
    assert_eq!(latest(dir.path()).as_deref(), Some("a"));
    assert_eq!(record(dir.path(), 3).unwrap().complete, ["a"]);
}

#[test]
fn leftovers_of_a_dead_attempt_are_cleared() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), "a", "aaaa");
    fs::create_dir(dir.path().join("b.tmp")).unwrap();
    clear_unpublished(dir.path()).unwrap();
    assert!(!dir.path().join("b.tmp").exists() && dir.path().join("a").exists());
}
