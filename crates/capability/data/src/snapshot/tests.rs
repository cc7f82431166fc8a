//! Snapshots of folders that are made to be difficult.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::AtomicU64;

use corliss_blobstore::id_of_reader;

use super::*;

fn data(root: &Path) -> Result<Snapshot, DataError> {
    take(root, &Options::of(super::Kind::Data), &Memory::default(), &|_| ())
}

fn paths(snapshot: &Snapshot) -> Vec<&str> {
    snapshot
        .entries()
        .iter()
        .map(|entry| entry.path.as_str())
        .collect()
}

fn take(
    root: &Path,
    options: &Options,
    memory: &Memory,
    progress: Progress<'_>,
) -> Result<Snapshot, DataError> {
    list(root, options, memory)?.read(progress)
}

#[test]
fn the_same_content_is_the_same_version_and_code_leaves_tools_out() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("1"), folder.path().join("2"));
    for (root, order) in [(&first, ["b/x", "a", "b-c"]), (&second, ["b-c", "a", "b/x"])] {
        fs::create_dir_all(root.join("b")).unwrap();
        for path in order {
            fs::write(root.join(path), path).unwrap();
        }
        fs::create_dir_all(root.join("empty")).unwrap();
    }
    assert_eq!(paths(&data(&first).unwrap()), ["a", "b-c", "b/x"]);
    let version = data(&first).unwrap().tree().unwrap().0.version();
    assert_eq!(data(&second).unwrap().tree().unwrap().0.version(), version);
    fs::set_permissions(second.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(data(&second).unwrap().tree().unwrap().0.version(), version);

    fs::create_dir(first.join("__pycache__")).unwrap();
    fs::write(first.join("__pycache__/a.pyc"), "").unwrap();
    fs::write(first.join(".corlissignore"), "b-*\n").unwrap();
    let options = Options {
        exclude: vec!["b".into()],
        ..Options::of(Kind::Code)
    };
    assert_eq!(
        paths(&take(&first, &options, &Memory::default(), &|_| ()).unwrap()),
        ["a"]
    );
    assert_eq!(paths(&data(&first).unwrap()), ["__pycache__/a.pyc", "a", "b/x"]);
}

#[test]
fn links_are_followed_inside_and_refused_by_name_outside() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(folder.path().join("secret"), "secret").unwrap();
    fs::write(root.join("sub/real"), "inside").unwrap();
    symlink("sub/real", root.join("relative")).unwrap();
    symlink(root.join("sub/real"), root.join("absolute")).unwrap();
    let snapshot = data(&root).unwrap();
    assert_eq!(paths(&snapshot), ["absolute", "relative", "sub/real"]);
    let blobs: Vec<BlobId> = snapshot.entries().iter().map(|entry| entry.blob).collect();
    assert_eq!(blobs, [BlobId::of(b"inside"); 3]);
    let mut text = String::new();
    let mut opened = snapshot.open(&"relative".parse().unwrap()).unwrap();
    std::io::Read::read_to_string(&mut opened, &mut text).unwrap();
    assert_eq!(text, "inside");

    for (target, expected) in [
        (
            "../../secret",
            DataError::LinkOutside {
                path: "sub/link".into(),
            },
        ),
        (
            "/etc/hostname",
            DataError::LinkOutside {
                path: "sub/link".into(),
            },
        ),
        (
            "nothing",
            DataError::LinkBroken {
                path: "sub/link".into(),
            },
        ),
        (
            "../sub",
            DataError::LinkToFolder {
                path: "sub/link".into(),
            },
        ),
    ] {
        let link = root.join("sub/link");
        symlink(target, &link).unwrap();
        assert_eq!(data(&root).unwrap_err(), expected, "{target}");
        fs::write(root.join(".corlissignore"), "link\n").unwrap();
        assert_eq!(
            paths(&data(&root).unwrap()).len(),
            3,
            "the fix that the error names"
        );
        fs::remove_file(root.join(".corlissignore")).unwrap();
        fs::remove_file(&link).unwrap();
    }
}

#[test]
fn a_folder_swapped_for_a_link_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::create_dir(folder.path().join("outside")).unwrap();
    fs::write(root.join("sub/file"), "inside").unwrap();
    fs::write(folder.path().join("outside/file"), "secret").unwrap();
    let snapshot = data(&root).unwrap();
    fs::rename(root.join("sub"), root.join("moved")).unwrap();
    symlink(folder.path().join("outside"), root.join("sub")).unwrap();
    let error = snapshot.open(&"sub/file".parse().unwrap()).unwrap_err();
    assert!(matches!(error, DataError::Changed { .. }), "{error:?}");
}

#[test]
fn special_files_and_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let error = data(folder.path()).unwrap_err();
    assert_eq!(
        error,
        DataError::SpecialFile {
            path: "socket".into(),
            kind: "a socket"
        }
    );
    fs::remove_file(&socket).unwrap();
    nix::unistd::mkfifo(&socket, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = data(folder.path()).unwrap_err();
    assert_eq!(
        error,
        DataError::SpecialFile {
            path: "socket".into(),
            kind: "a pipe"
        }
    );
    fs::remove_file(&socket).unwrap();
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"a\xffb");
    fs::write(folder.path().join(name), "").unwrap();
    assert!(matches!(data(folder.path()), Err(DataError::InvalidPath { .. })));
    assert!(matches!(
        data(&folder.path().join(name)),
        Err(DataError::NotAFolder { .. })
    ));
    assert!(matches!(
        data(Path::new("/nonexistent-folder")),
        Err(DataError::Io { .. })
    ));
    let few = Options {
        max_files: 0,
        ..Options::of(Kind::Data)
    };
    fs::rename(folder.path().join(name), folder.path().join("fine")).unwrap();
    assert_eq!(
        take(folder.path(), &few, &Memory::default(), &|_| ()).unwrap_err(),
        DataError::TooManyFiles { limit: 0 }
    );
}

/// The file changes between the stamps, as often as it is told to.
#[test]
fn a_file_that_changes_is_read_again_and_at_last_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("busy");
    fs::write(&path, "start").unwrap();
    let root = Root::hold(folder.path()).unwrap();
    let found = Found {
        path: "busy".parse().unwrap(),
        source: None,
        stamp: Stamp::of(&fs::metadata(&path).unwrap()),
    };
    let mut changes = 2;
    let mut reads = 0;
    let entry = unchanging(&root, &found, |file| {
        reads += 1;
        if changes > 0 {
            changes -= 1;
            fs::write(&path, "x".repeat(reads * 7)).unwrap();
        }
        Ok((id_of_reader(file).unwrap(), Cut::default()))
    });
    assert_eq!((entry.unwrap().0.id, reads), (BlobId::of(&[b'x'; 14]), 3));
    let mut len = 20;
    let error = unchanging(&root, &found, |_| {
        len += 1;
        fs::write(&path, "x".repeat(len)).unwrap();
        Ok((id_of_reader(&b""[..]).unwrap(), Cut::default()))
    });
    assert_eq!(
        error.unwrap_err(),
        DataError::Changed {
            path: "busy".into(),
            attempts: READ_ATTEMPTS
        }
    );
}

#[test]
fn what_looks_as_it_did_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [("a", "one"), ("b", "four"), ("c", "sixsix")] {
        fs::write(folder.path().join(path), text).unwrap();
    }
    let take_with = |memory: &Memory| {
        let reads = AtomicU64::new(0);
        let count = |bytes| {
            reads.fetch_add(bytes, Ordering::Relaxed);
        };
        let snapshot = take(folder.path(), &Options::of(Kind::Data), memory, &count).unwrap();
        (snapshot, reads.into_inner())
    };
    let (first, read) = take_with(&Memory::default());
    assert_eq!(read, 13);
    assert!(
        Memory::decode(&Memory::encode(&first)).is_empty(),
        "all of it was written a moment ago"
    );
    std::thread::sleep(Duration::from_millis(1_100));
    let (second, _) = take_with(&Memory::default());
    let memory = Memory::decode(&Memory::encode(&second));
    assert!(memory.is_of(&second));
    let (third, read) = take_with(&memory);
    assert_eq!((third.entries(), read), (second.entries(), 0));

    // Of the same length, with the time set back.
    let path = folder.path().join("b");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "FOUR").unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(before)
        .unwrap();
    fs::remove_file(folder.path().join("a")).unwrap();
    fs::write(folder.path().join("aa"), "new").unwrap();
    let (fourth, read) = take_with(&memory);
    assert_eq!((paths(&fourth), read), (vec!["aa", "b", "c"], 7));
    assert_eq!(fourth.entries()[1].blob, BlobId::of(b"FOUR"));
    assert!(!memory.is_of(&fourth));
}

#[test]
fn a_file_that_was_laid_out_for_a_link_stands_for_it_until_it_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b", "own"] {
        fs::write(folder.path().join(name), "text").unwrap();
    }
    let entry = |path: &str, size_bytes, link| Entry {
        path: path.parse().unwrap(),
        blob: BlobId::of(format!("the link of {path}").as_bytes()),
        size_bytes,
        executable: false,
        link,
    };
    let (a, b) = (entry("a", 4, true), entry("b", 4, true));
    assert!(
        Memory::default()
            .with_laid_out(folder.path(), &[entry("own", 4, false)])
            .is_none()
    );
    // One that is of another size, one that is not there.
    let laid_out = [a.clone(), b.clone(), entry("own", 5, true), entry("z", 4, true)];
    let noted = Memory::default().with_laid_out(folder.path(), &laid_out).unwrap();
    let memory = Memory::decode(&noted);
    let options = Options::of(super::Kind::Data);
    let listing = list(folder.path(), &options, &memory).unwrap();
    assert_eq!(listing.unread().len(), 1, "what is linked is not read");
    let taken = listing.read(&|_| ()).unwrap();
    assert_eq!(taken.entries()[..2], [a.clone(), b.clone()]);
    assert_eq!(
        (taken.entries()[2].link, taken.entries()[2].blob),
        (false, BlobId::of(b"text"))
    );

    // Remembered as long as it looks the same, from one snapshot to the next.
    fs::write(folder.path().join("b"), "TEXT").unwrap();
    let memory = Memory::decode(&Memory::encode(&taken));
    let taken = take(folder.path(), &options, &memory, &|_| ()).unwrap();
    assert_eq!(taken.entries()[0], a);
    assert_eq!(
        (taken.entries()[1].link, taken.entries()[1].blob),
        (false, BlobId::of(b"TEXT"))
    );
    let memory = Memory::decode(&Memory::encode(&taken));
    assert!(memory.has_links());
    let links = Memory::decode(&memory.links_alone());
    let listing = list(folder.path(), &options, &links).unwrap();
    assert_eq!(listing.unread().len(), 2, "all but the link");
    // Where the link means nothing, its bytes count.
    let taken = take(folder.path(), &options, &memory.without_links(), &|_| ()).unwrap();
    assert_eq!(
        (taken.entries()[0].link, taken.entries()[0].blob),
        (false, BlobId::of(b"text"))
    );
}
