//! What earlier versions wrote is read by this one: `tests/fixtures/keyring-1`.
//!
//! `root.key` and `default` are of the first version of the form. `counted` came with dates and counts of use,
//! `destroyed` with tombstones; `two-roots.key` is a key file with an older key. When a form changes, these
//! files stay and new ones are added beside them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap here is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corliss_keyring::{
    Destroyed, FileRootKey, KeyError, Keyring, MemoryShelf, Provider, Shelf, Summary, TenantKeys, inspect,
};
use corliss_types::Timestamp;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keyring-1")
        .join(name)
}

async fn shelf(name: &str) -> Arc<MemoryShelf> {
    let shelf = MemoryShelf::default();
    shelf.save(fs::read(fixture(name)).unwrap()).await.unwrap();
    Arc::new(shelf)
}

/// Git keeps no modes: the copy has that of a key file.
fn root(name: &str, folder: &Path) -> Arc<FileRootKey> {
    let path = folder.join("root.key");
    fs::copy(fixture(name), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Arc::new(FileRootKey::open(&path).unwrap())
}

/// Sealed by data key 1 for the context `frozen`.
fn opens(ring: &Keyring) {
    let mut sealed = fs::read(fixture("sealed")).unwrap();
    let key = ring.get(1).unwrap();
    assert_eq!(key.open(b"frozen", &mut sealed).unwrap(), b"what was sealed then");
}

#[tokio::test]
async fn keys_of_the_first_version_are_read_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let root = root("root.key", folder.path());
    let shelf = shelf("default").await;
    let ring = Keyring::open("default", root.clone(), shelf.clone())
        .await
        .unwrap();
    opens(&ring);
    let summary = ring.summary().unwrap();
    let expected = Summary {
        tenant: "default".to_owned(),
        root_key: "9ca2010089ffcdf9".to_owned(),
        provider: Provider::File,
        tenant_key_version: 1,
        tenant_key_made_at: None,
        data_keys: 1,
        current: 1,
        current_made_at: None,
        uses_left: 1 << 31,
    };
    assert_eq!(summary, expected);
    root.add().unwrap();
    ring.rewrap().await.unwrap().unwrap();
    ring.rotate().await.unwrap();
    opens(&Keyring::open("default", root, shelf).await.unwrap());
}

#[tokio::test]
async fn dates_counts_and_an_older_root_key_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = root("two-roots.key", folder.path());
    assert_eq!(root.ids(), ["61d1f27e45e9c2b3", "9ca2010089ffcdf9"]);
    let ring = Keyring::open("default", root, shelf("counted").await)
        .await
        .unwrap();
    opens(&ring);
    let summary = ring.summary().unwrap();
    assert_eq!(
        summary.tenant_key_made_at,
        Some(Timestamp::from_millis(1_795_302_672_000))
    );
    assert_eq!(summary.uses_left, (1 << 31) - 4096);
}

#[tokio::test]
async fn a_tombstone_is_read() {
    let shelf = shelf("destroyed").await;
    let destroyed = Destroyed {
        tenant: "default".to_owned(),
        at: Timestamp::from_millis(1_795_302_672_000),
        by: "ada".to_owned(),
        data_keys: Some(1),
    };
    let seen = inspect("default", shelf.as_ref()).await.unwrap();
    assert_eq!(seen, Some(TenantKeys::Destroyed(destroyed.clone())));
    let folder = tempfile::tempdir().unwrap();
    let opened = Keyring::open("default", root("root.key", folder.path()), shelf).await;
    assert_eq!(opened.err(), Some(KeyError::Destroyed(destroyed)));
}

/// Not a test: writes what was sealed. It was run once, with the first version of `default`.
#[tokio::test]
#[ignore = "writes tests/fixtures/keyring-1/sealed"]
async fn write_what_was_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let ring = Keyring::open("default", root("root.key", folder.path()), shelf("default").await);
    let (_, seal) = ring.await.unwrap().current(1).unwrap();
    let mut sealed = Vec::new();
    seal.seal(b"frozen", b"what was sealed then", &mut sealed)
        .unwrap();
    fs::write(fixture("sealed"), sealed).unwrap();
}
