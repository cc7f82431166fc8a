//! The key file: what it refuses, and dying at every step that changes it.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::key::random_key;

#[tokio::test]
async fn the_file_is_made_private_once_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/root");
    let first = FileRootKey::open(&path).unwrap();
    assert!(!path.exists(), "nothing was wrapped yet");
    first.wrap("a", &random_key().unwrap()).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    let key = random_key().unwrap();
    let wrapped = first.wrap("a", &key).await.unwrap();
    let again = FileRootKey::open(&path).unwrap();
    assert_eq!(again.unwrap("t", "a", &wrapped).await.unwrap(), key);
}

#[tokio::test]
async fn two_processes_make_one_file_and_see_each_others_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    let (one, two) = (
        FileRootKey::open(&path).unwrap(),
        FileRootKey::open(&path).unwrap(),
    );
    let key = random_key().unwrap();
    let first = one.wrap("a", &key).await.unwrap();
    let second = two.wrap("a", &key).await.unwrap();
    assert_eq!(first.by, second.by, "the second has taken the key of the first");
    let (a, b) = (one.add().unwrap(), two.add().unwrap());
    let all = FileRootKey::open(&path).unwrap();
    assert_eq!(all.ids(), [b.clone(), a, first.by]);
    let newer = two.wrap("a", &key).await.unwrap();
    assert_eq!(newer.by, b);
    assert_eq!(
        one.unwrap("t", "a", &newer).await.unwrap(),
        key,
        "it was read again"
    );
}

#[test]
fn keys_that_many_add_at_once_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    let adders: Vec<_> = (0..4)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || {
                let root = FileRootKey::open(&path).unwrap();
                (0..8).map(|_| root.add().unwrap()).collect::<Vec<String>>()
            })
        })
        .collect();
    let added: BTreeSet<String> = adders
        .into_iter()
        .flat_map(|adder| adder.join().unwrap())
        .collect();
    let there: BTreeSet<String> = FileRootKey::open(&path).unwrap().ids().into_iter().collect();
    assert_eq!((added.len(), there), (32, added));
}

#[test]
fn a_file_never_grows_beyond_what_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    let line = |at: usize| format!("{at:016x} {}\n", "ab".repeat(32));
    let full: String = (0..798).map(line).collect();
    fs::write(&path, format!("corliss-root-keys 1\n{full}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let root = FileRootKey::open(&path).unwrap();
    let refused = root.add().unwrap_err();
    assert!(refused.to_string().contains("too many keys"), "{refused}");
    assert_eq!(FileRootKey::open(&path).unwrap().ids().len(), 798);
}

#[tokio::test]
async fn a_key_is_retired_only_when_nothing_is_wrapped_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    let root = FileRootKey::open(&path).unwrap();
    let key = random_key().unwrap();
    let old = root.wrap("a", &key).await.unwrap();
    let newest = root.add().unwrap();
    let in_use = BTreeSet::from([old.by.clone()]);
    assert_eq!(root.retire(&in_use).unwrap(), Vec::<String>::new());
    let moved = root.rewrap("t", "a", &old).await.unwrap().unwrap();
    assert_eq!(
        root.retire(&BTreeSet::new()).unwrap(),
        std::slice::from_ref(&old.by)
    );
    assert_eq!(root.ids(), [newest], "the newest stays although nobody names it");
    assert_eq!(root.unwrap("t", "a", &moved).await.unwrap(), key);
    let gone = root.unwrap("t", "a", &old).await.unwrap_err();
    assert!(gone.to_string().contains(&old.by), "{gone}");
    assert!(!fs::read_to_string(&path).unwrap().contains(&old.by));
}

#[tokio::test]
async fn no_other_key_takes_the_place_of_a_lost_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    let wrapped = FileRootKey::open(&path)
        .unwrap()
        .wrap("a", &random_key().unwrap())
        .await
        .unwrap();
    fs::remove_file(&path).unwrap();
    let lost = FileRootKey::open(&path).unwrap();
    assert!(lost.unwrap("t", "a", &wrapped).await.is_err());
    assert!(lost.rewrap("t", "a", &wrapped).await.is_err());
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_others_can_read_or_that_is_not_one_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    let made = FileRootKey::open(&path).unwrap();
    made.wrap("a", &random_key().unwrap()).await.unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = FileRootKey::open(&path).err().unwrap();
    assert!(error.to_string().contains("0644"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for (text, line) in [
        ("", 1),
        ("corliss-root-keys 2\n", 1),
        ("corliss-root-keys 1\n", 2),
        ("corliss-root-keys 1\nx y\n", 2),
        (&format!("corliss-root-keys 1\nx {}\n", "g".repeat(64)), 2),
    ] {
        fs::write(&path, text).unwrap();
        let error = FileRootKey::open(&path).err().unwrap();
        assert!(
            matches!(error, KeyError::FileForm { line: at, .. } if at == line),
            "{error}"
        );
    }
}

/// Lets so many steps happen and then does nothing any more, as if the process had been killed. A write that
/// it dies in leaves half of the text.
struct DyingDisk {
    steps_left: AtomicUsize,
}

impl DyingDisk {
    fn step(&self, alive: impl FnOnce() -> io::Result<()>, dying: impl FnOnce()) -> io::Result<()> {
        let left = self
            .steps_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() {
            return alive();
        }
        dying();
        Err(io::Error::other("killed"))
    }
}

impl Disk for DyingDisk {
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let half = || fs::write(path, &text[..text.len() / 2]).unwrap();
        self.step(|| LocalDisk.write(path, text), half)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|| LocalDisk.rename(from, to), || ())
    }
    fn sync(&self, folder: &Path) -> io::Result<()> {
        self.step(|| LocalDisk.sync(folder), || ())
    }
}

fn dying(path: &Path, steps: usize) -> Result<FileRootKey, KeyError> {
    let steps_left = AtomicUsize::new(steps);
    FileRootKey::open_on(path, Box::new(DyingDisk { steps_left }))
}

#[tokio::test]
async fn whatever_step_of_making_the_file_dies_the_next_start_makes_or_finds_it() {
    let mut died = 0;
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        let key = random_key().unwrap();
        let wrapped = dying(&path, steps).unwrap().wrap("a", &key).await;
        let again = FileRootKey::open(&path).unwrap();
        let Ok(wrapped) = wrapped else {
            died += 1;
            let wrapped = again.wrap("a", &key).await.unwrap();
            let third = FileRootKey::open(&path).unwrap();
            assert_eq!(third.unwrap("t", "a", &wrapped).await.unwrap(), key);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                1,
                "nothing is left over"
            );
            continue;
        };
        assert_eq!(again.unwrap("t", "a", &wrapped).await.unwrap(), key);
        break;
    }
    assert_eq!(died, 3, "write, rename, sync");
}

#[tokio::test]
async fn whatever_step_of_adding_or_retiring_dies_all_that_was_wrapped_opens() {
    for retires in [false, true] {
        let mut died = 0;
        // The first step is the sync of opening.
        for steps in 1.. {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("root");
            let key = random_key().unwrap();
            let sound = FileRootKey::open(&path).unwrap();
            let old = sound.wrap("a", &key).await.unwrap();
            let newest = sound.add().unwrap();
            let new = sound.wrap("a", &key).await.unwrap();
            let root = dying(&path, steps).unwrap();
            let in_use = BTreeSet::from([newest.clone()]);
            let done = if retires {
                root.retire(&in_use).map(drop)
            } else {
                root.add().map(drop)
            };
            // Also this process goes on with what it has.
            assert_eq!(root.unwrap("t", "a", &new).await.unwrap(), key);
            let again = FileRootKey::open(&path).unwrap();
            assert_eq!(again.unwrap("t", "a", &new).await.unwrap(), key);
            if !retires {
                assert_eq!(again.unwrap("t", "a", &old).await.unwrap(), key);
            }
            again.add().unwrap();
            assert_eq!(again.unwrap("t", "a", &new).await.unwrap(), key);
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                1,
                "nothing is left over"
            );
            if done.is_ok() {
                break;
            }
            died += 1;
        }
        assert_eq!(died, 3, "write, rename, sync");
    }
}
