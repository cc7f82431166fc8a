//! What every keeper of root keys promises, whoever it is: a file, memory, a transit engine with a plain key
//! or a derived one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod transit;

use std::path::PathBuf;
use std::sync::Arc;

use corliss_keyring::{
    FileRootKey, KeyBytes, KeyError, Keyring, MemoryRootKey, MemoryShelf, RootKey, RootKeys, Shelf,
    TransitRootKey, Wrapped,
};
use serde_json::Value;
use transit::Engine;
use zeroize::Zeroizing;

/// A keeper, and how its operator gives it a newer root key.
enum Keeper {
    File(
        Arc<FileRootKey>,
        #[expect(dead_code, reason = "removed when dropped")] tempfile::TempDir,
    ),
    Memory(Arc<MemoryRootKey>),
    Transit(Arc<TransitRootKey>, Arc<Engine>, &'static str),
}

impl Keeper {
    fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("root.key");
        Self::File(Arc::new(FileRootKey::open(&path).unwrap()), folder)
    }

    fn memory() -> Self {
        Self::Memory(Arc::new(MemoryRootKey::new().unwrap()))
    }

    async fn transit(engine: &Arc<Engine>, key: &'static str) -> Self {
        engine.make_key(key, key.contains("derived")).await;
        let root = engine.open(key).await.unwrap();
        Self::Transit(Arc::new(root), Arc::clone(engine), key)
    }

    fn root(&self) -> Arc<dyn RootKey> {
        match self {
            Self::File(root, _) => root.clone(),
            Self::Memory(root) => root.clone(),
            Self::Transit(root, ..) => root.clone(),
        }
    }

    async fn rotate(&self) {
        match self {
            Self::File(root, _) => drop(root.add().unwrap()),
            Self::Memory(root) => root.rotate().unwrap(),
            Self::Transit(_, engine, key) => engine.rotate(key).await,
        }
    }
}

fn key(byte: u8) -> KeyBytes {
    Zeroizing::new([byte; 32])
}

/// All promises.
async fn keep(keeper: &Keeper) {
    binds_what_it_wraps(keeper.root().as_ref()).await;
    rewraps_under_the_newest(keeper).await;
    carries_a_keyring(keeper).await;
}

async fn binds_what_it_wraps(root: &dyn RootKey) {
    let wrapped = root.wrap("a", &key(7)).await.unwrap();
    assert!(root.keeps(&wrapped.by) && !root.keeps("somebody-else"));
    assert_eq!(root.unwrap("t", "a", &wrapped).await.unwrap(), key(7));
    let again = root.wrap("a", &key(7)).await.unwrap();
    assert_ne!(again.bytes, wrapped.bytes, "equal keys look different");
    let is_sealed = |error: KeyError| assert!(matches!(error, KeyError::Sealed { .. }), "{error}");
    is_sealed(root.unwrap("t", "b", &wrapped).await.unwrap_err());
    // An engine that derives keys refuses to derive one of nothing.
    assert!(root.unwrap("t", "", &wrapped).await.is_err());
    for at in [wrapped.bytes.len() - 5, wrapped.bytes.len() / 2] {
        let mut bytes = wrapped.bytes.clone();
        let other = if &bytes[at..=at] == "A" { "B" } else { "A" };
        bytes.replace_range(at..=at, other);
        let by = wrapped.by.clone();
        is_sealed(root.unwrap("t", "a", &Wrapped { by, bytes }).await.unwrap_err());
    }
    let by = "0123456789abcdef".to_owned();
    let bytes = wrapped.bytes.clone();
    let unknown = root.unwrap("t", "a", &Wrapped { by, bytes }).await.unwrap_err();
    assert!(matches!(unknown, KeyError::RootMissing { .. }), "{unknown}");
    let text = unknown.to_string();
    assert!(
        text.contains("0123456789abcdef") && text.contains(&root.place()),
        "{text}"
    );
}

async fn rewraps_under_the_newest(keeper: &Keeper) {
    let root = keeper.root();
    let old = root.wrap("a", &key(9)).await.unwrap();
    assert_eq!(root.rewrap("t", "a", &old).await.unwrap(), None);
    keeper.rotate().await;
    let wrong = root.rewrap("t", "b", &old).await.unwrap_err();
    assert!(matches!(wrong, KeyError::Sealed { .. }), "{wrong}");
    let new = root.rewrap("t", "a", &old).await.unwrap().unwrap();
    assert_ne!(new.by, old.by);
    assert_eq!(root.wrap("x", &key(1)).await.unwrap().by, new.by);
    for wrapped in [&old, &new] {
        assert_eq!(root.unwrap("t", "a", wrapped).await.unwrap(), key(9));
    }
    assert!(
        root.unwrap("t", "b", &new).await.is_err(),
        "it is bound as before"
    );
    assert_eq!(root.rewrap("t", "a", &new).await.unwrap(), None);
}

async fn shelved(shelf: &MemoryShelf) -> Value {
    serde_json::from_slice(&shelf.load().await.unwrap().unwrap()).unwrap()
}

async fn carries_a_keyring(keeper: &Keeper) {
    let shelf = Arc::new(MemoryShelf::default());
    let ring = Keyring::open("acme", keeper.root(), shelf.clone()).await.unwrap();
    let (number, seal) = ring.current(1).unwrap();
    let mut sealed = Vec::new();
    seal.seal(b"here", b"data", &mut sealed).unwrap();
    let before = shelved(&shelf).await;
    keeper.rotate().await;
    assert!(ring.rewrap().await.unwrap().is_some());
    assert!(ring.rewrap().await.unwrap().is_none());
    let after = shelved(&shelf).await;
    assert_ne!(
        before["tenant_key"]["wrapped"]["by"],
        after["tenant_key"]["wrapped"]["by"]
    );
    assert_eq!(
        before["data_keys"], after["data_keys"],
        "rewrapping touches one key"
    );
    ring.rotate().await.unwrap();
    let again = Keyring::open("acme", keeper.root(), shelf).await.unwrap();
    assert_eq!(again.summary().unwrap().data_keys, 2);
    let opened = again.get(number).unwrap();
    assert_eq!(opened.open(b"here", &mut sealed).unwrap(), b"data");
}

/// From any keeper to any other one, one tenant after the other.
async fn move_between(from: &Keeper, to: &Keeper) {
    let shelves = [Arc::new(MemoryShelf::default()), Arc::new(MemoryShelf::default())];
    for (shelf, tenant) in shelves.iter().zip(["a", "b"]) {
        Keyring::open(tenant, from.root(), shelf.clone()).await.unwrap();
    }
    let both: Arc<dyn RootKey> = Arc::new(RootKeys::new(to.root(), vec![from.root()]));
    let ring = Keyring::open("a", both.clone(), shelves[0].clone())
        .await
        .unwrap();
    assert!(ring.rewrap().await.unwrap().is_some());
    assert!(ring.rewrap().await.unwrap().is_none());
    // The move dies here: one tenant is on either side.
    let error = Keyring::open("b", to.root(), shelves[1].clone())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, KeyError::RootMissing { .. }), "{error}");
    for (shelf, tenant) in shelves.iter().zip(["a", "b"]) {
        Keyring::open(tenant, both.clone(), shelf.clone())
            .await
            .unwrap()
            .rewrap()
            .await
            .unwrap();
        Keyring::open(tenant, to.root(), shelf.clone()).await.unwrap();
        assert!(Keyring::open(tenant, from.root(), shelf.clone()).await.is_err());
    }
    let new = Keyring::open("c", both, Arc::new(MemoryShelf::default()))
        .await
        .unwrap();
    assert!(
        to.root().keeps(&new.summary().unwrap().root_key),
        "what is new is wrapped by the new one"
    );
}

#[tokio::test]
async fn a_file_keeps_the_promises() {
    keep(&Keeper::file()).await;
}

#[tokio::test]
async fn memory_keeps_the_promises() {
    keep(&Keeper::memory()).await;
}

#[tokio::test]
async fn a_transit_engine_keeps_the_promises() {
    let engine = Arc::new(Engine::twin().await);
    keep(&Keeper::transit(&engine, "corliss").await).await;
    keep(&Keeper::transit(&engine, "corliss-derived").await).await;
}

#[tokio::test]
async fn keys_move_from_any_keeper_to_any_other() {
    let engine = Arc::new(Engine::twin().await);
    let transit = Keeper::transit(&engine, "corliss").await;
    let derived = Keeper::transit(&engine, "corliss-derived").await;
    let (file, other) = (Keeper::file(), Keeper::file());
    move_between(&file, &transit).await;
    move_between(&transit, &file).await;
    move_between(&transit, &derived).await;
    move_between(&file, &other).await;
}

/// A module, so that one filter runs what needs the binary.
mod openbao {
    use super::*;

    #[tokio::test]
    #[ignore = "needs OpenBao: set CORLISS_TEST_BAO"]
    async fn a_real_transit_engine_keeps_the_promises() {
        let engine = Arc::new(Engine::bao().await);
        let transit = Keeper::transit(&engine, "corliss").await;
        let derived = Keeper::transit(&engine, "corliss-derived").await;
        keep(&transit).await;
        keep(&derived).await;
        move_between(&Keeper::file(), &transit).await;
        move_between(&transit, &derived).await;
        move_between(&derived, &Keeper::file()).await;
    }
}
