//! Snapshots of folders that are made to be difficult.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use corliss_blobstore::id_of_reader;

use super::*;

fn data(root: &Path) -> Result<Snapshot, DataError> {
    take(root, &Options::of(super::Kind::Data), &())
}

fn paths(snapshot: &Snapshot) -> Vec<&str> {
    snapshot
        .tree()
        .entries()
        .iter()
        .map(|entry| entry.path.as_str())
        .collect()
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
    let version = data(&first).unwrap().tree().version();
    assert_eq!(data(&second).unwrap().tree().version(), version);
    fs::set_permissions(second.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(data(&second).unwrap().tree().version(), version);

    fs::create_dir(first.join("__pycache__")).unwrap();
    fs::write(first.join("__pycache__/a.pyc"), "").unwrap();
    fs::write(first.join(".corlissignore"), "b-*\n").unwrap();
    let options = Options {
        exclude: vec!["b".into()],
        ..Options::of(Kind::Code)
    };
    assert_eq!(paths(&take(&first, &options, &()).unwrap()), ["a"]);
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
    let blobs: Vec<BlobId> = snapshot.tree().entries().iter().map(|entry| entry.blob).collect();
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
        take(folder.path(), &few, &()).unwrap_err(),
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
        source: "busy".into(),
        size_bytes: 0,
    };
    let mut changes = 2;
    let mut reads = 0;
    let entry = unchanging(&root, &found, |file| {
        reads += 1;
        if changes > 0 {
            changes -= 1;
            fs::write(&path, "x".repeat(reads * 7)).unwrap();
        }
        Ok((id_of_reader(&file).unwrap(), Cut::default()))
    });
    assert_eq!((entry.unwrap().0.blob, reads), (BlobId::of(&[b'x'; 14]), 3));
    let mut len = 20;
    let error = unchanging(&root, &found, |_| {
        len += 1;
        fs::write(&path, "x".repeat(len)).unwrap();
        Ok((id_of_reader(&b""[..]).unwrap(), Cut::default()))
    });
    assert_eq!(
        error,
        Err(DataError::Changed {
            path: "busy".into(),
            attempts: READ_ATTEMPTS
        })
    );
}
