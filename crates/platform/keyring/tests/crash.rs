//! Dying at every access to the shelf: whatever was interrupted, the keys open afterwards, or are destroyed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use corliss_keyring::{
    Destroyed, FileRootKey, KeyError, Keyring, MemoryRootKey, MemoryShelf, RootKey, RootKeys, Shelf,
    TenantKeys, inspect,
};

/// Dies at one of its accesses: before it has happened, or after.
#[derive(Default)]
struct DyingShelf {
    inner: MemoryShelf,
    accesses_left: AtomicUsize,
    dies_after: bool,
}

impl DyingShelf {
    fn sound() -> Self {
        Self {
            accesses_left: AtomicUsize::new(usize::MAX),
            ..Self::default()
        }
    }

    /// The same content, for a process that will die.
    async fn dying(&self, accesses_left: usize, dies_after: bool) -> Arc<Self> {
        let copy = Self {
            accesses_left: AtomicUsize::new(accesses_left),
            dies_after,
            ..Self::default()
        };
        if let Some(bytes) = self.inner.load().await.unwrap() {
            copy.inner.save(bytes).await.unwrap();
        }
        Arc::new(copy)
    }

    fn dead() -> KeyError {
        KeyError::Io {
            action: "use",
            place: "the shelf".to_owned(),
            message: "killed".to_owned(),
        }
    }

    /// Whether this is the access that it dies at; all later ones fail at once.
    fn dies(&self) -> Result<bool, KeyError> {
        let left = self.accesses_left.load(Ordering::Relaxed);
        self.accesses_left
            .store(left.saturating_sub(1), Ordering::Relaxed);
        match left {
            0 => Err(Self::dead()),
            1 => Ok(true),
            _ => Ok(false),
        }
    }
}

#[async_trait]
impl Shelf for DyingShelf {
    async fn load(&self) -> Result<Option<Vec<u8>>, KeyError> {
        if self.dies()? {
            return Err(Self::dead());
        }
        self.inner.load().await
    }

    async fn save(&self, bytes: Vec<u8>) -> Result<(), KeyError> {
        if !self.dies()? {
            return self.inner.save(bytes).await;
        }
        if self.dies_after {
            self.inner.save(bytes).await?;
        }
        Err(Self::dead())
    }
}

/// What a change leaves behind.
#[derive(Clone, Copy, PartialEq)]
enum Leaves {
    Keys,
    KeysOrTombstone,
}

/// Runs a change that dies at its first access, its second and so on, until one is not reached; after each,
/// what was sealed before opens, and the change can be made anew.
async fn die_at_every_access(
    root: Arc<dyn RootKey>,
    leaves: Leaves,
    change: impl AsyncFn(&Keyring) -> Result<(), KeyError>,
) {
    let mut died = 0;
    for accesses in 1.. {
        let mut finished = false;
        for dies_after in [false, true] {
            let start = DyingShelf::sound();
            let whole = start.dying(usize::MAX, false).await;
            let ring = Keyring::open("t", root.clone(), whole.clone()).await.unwrap();
            let (number, seal) = ring.current(1).unwrap();
            let mut sealed = Vec::new();
            seal.seal(b"", b"data", &mut sealed).unwrap();

            // The first access is that of opening.
            let dying = whole.dying(accesses + 1, dies_after).await;
            let ring = Keyring::open("t", root.clone(), dying.clone()).await.unwrap();
            finished = change(&ring).await.is_ok();
            died += usize::from(!finished);

            let after = dying.dying(usize::MAX, false).await;
            match Keyring::open("t", root.clone(), after.clone()).await {
                Ok(again) => {
                    let opened = again.get(number).unwrap();
                    assert_eq!(opened.open(b"", &mut sealed).unwrap(), b"data");
                    change(&again).await.unwrap();
                    if leaves == Leaves::Keys {
                        Keyring::open("t", root.clone(), after)
                            .await
                            .unwrap()
                            .get(number)
                            .unwrap();
                    }
                }
                Err(KeyError::Destroyed(_)) if leaves == Leaves::KeysOrTombstone => {}
                Err(error) => panic!("{accesses} {dies_after}: {error}"),
            }
        }
        if finished {
            break;
        }
    }
    assert!(died >= 2, "it must have died on its way");
}

#[tokio::test]
async fn rotating_dies_anywhere() {
    let root = Arc::new(MemoryRootKey::new().unwrap());
    die_at_every_access(root, Leaves::Keys, async |ring| ring.rotate().await.map(drop)).await;
}

#[tokio::test]
async fn rewrapping_under_a_new_root_key_dies_anywhere() {
    let root = Arc::new(MemoryRootKey::new().unwrap());
    let newer = root.clone();
    die_at_every_access(root, Leaves::Keys, async |ring| {
        newer.rotate()?;
        ring.rewrap().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn counting_dies_anywhere() {
    let root = Arc::new(MemoryRootKey::new().unwrap());
    die_at_every_access(root, Leaves::Keys, async |ring| {
        ring.current(1)?;
        ring.settle().await
    })
    .await;
}

#[tokio::test]
async fn destroying_dies_anywhere() {
    let root = Arc::new(MemoryRootKey::new().unwrap());
    die_at_every_access(root, Leaves::KeysOrTombstone, async |ring| {
        ring.destroy("ada").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn making_the_first_keys_dies_anywhere() {
    let root: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    for (accesses, dies_after) in [(1, false), (2, false), (2, true)] {
        let dying = DyingShelf::sound().dying(accesses, dies_after).await;
        assert!(Keyring::open("t", root.clone(), dying.clone()).await.is_err());
        let after = dying.dying(usize::MAX, false).await;
        Keyring::open("t", root.clone(), after).await.unwrap();
    }
}

/// From one file to another: the new file is made by the first thing that it wraps, and either can be there
/// or not when the process dies.
#[tokio::test]
async fn moving_to_another_keeper_dies_anywhere() {
    for (accesses, dies_after) in [(2, false), (3, false), (3, true)] {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| Arc::new(FileRootKey::open(&folder.path().join(name)).unwrap());
        let whole = DyingShelf::sound().dying(usize::MAX, false).await;
        Keyring::open("t", open("old"), whole.clone()).await.unwrap();
        let dying = whole.dying(accesses, dies_after).await;
        let both = || Arc::new(RootKeys::new(open("new"), vec![open("old")]));
        let ring = Keyring::open("t", both(), dying.clone()).await.unwrap();
        assert!(ring.rewrap().await.is_err());
        let after = dying.dying(usize::MAX, false).await;
        let again = Keyring::open("t", both(), after.clone()).await.unwrap();
        let moves = again.rewrap().await.unwrap().is_some();
        assert_eq!(moves, !dies_after);
        Keyring::open("t", open("new"), after).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_destroyed_is_told_from_what_was_lost_and_never_comes_back() {
    let root: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    let shelf = Arc::new(MemoryShelf::default());
    let ring = Keyring::open("t", root.clone(), shelf.clone()).await.unwrap();
    ring.rotate().await.unwrap();
    let other = Keyring::open("t", root.clone(), shelf.clone()).await.unwrap();
    other.current(1).unwrap();
    let destroyed = ring.destroy("ada").await.unwrap();
    assert_eq!((destroyed.by.as_str(), destroyed.data_keys), ("ada", Some(2)));
    let is_so = |error: KeyError| assert_eq!(error, KeyError::Destroyed(destroyed.clone()));
    is_so(ring.current(1).err().unwrap());
    is_so(ring.get(1).err().unwrap());
    is_so(ring.summary().err().unwrap());
    is_so(ring.settle().await.err().unwrap());
    is_so(ring.rewrap().await.err().unwrap());
    // Somebody who still has the keys must not bring them back.
    is_so(other.rotate().await.err().unwrap());
    is_so(other.current(1).err().unwrap());
    is_so(
        Keyring::open("t", root.clone(), shelf.clone())
            .await
            .err()
            .unwrap(),
    );
    assert_eq!(
        ring.destroy("bob").await.unwrap(),
        destroyed,
        "the first date stays"
    );
    let seen = inspect("t", shelf.as_ref()).await.unwrap();
    assert_eq!(seen, Some(TenantKeys::Destroyed(destroyed.clone())));
    let text = String::from_utf8(shelf.load().await.unwrap().unwrap()).unwrap();
    assert!(!text.contains("wrapped"), "{text}");
    let said = KeyError::Destroyed(destroyed).to_string();
    assert!(
        said.starts_with("the keys of 't' were destroyed by ada on 2"),
        "{said}"
    );

    shelf.save(b"{}".to_vec()).await.unwrap();
    let lost = Keyring::open("t", root, shelf).await.err().unwrap();
    assert!(matches!(lost, KeyError::Form { .. }), "{lost}");
}

#[tokio::test]
async fn keys_are_destroyed_without_their_root_key_but_never_anothers() {
    let at = corliss_types::Timestamp::from_millis(7);
    let destroy = async |shelf: &MemoryShelf| corliss_keyring::destroy("t", shelf, "ada", at).await;
    let destroyed = |data_keys| Destroyed {
        tenant: "t".to_owned(),
        at,
        by: "ada".to_owned(),
        data_keys,
    };
    let none = MemoryShelf::default();
    assert_eq!(destroy(&none).await.unwrap(), destroyed(Some(0)));
    let damaged = MemoryShelf::default();
    damaged.save(b"\0\0\0".to_vec()).await.unwrap();
    assert_eq!(destroy(&damaged).await.unwrap(), destroyed(None));
    let anothers = Arc::new(MemoryShelf::default());
    let root: Arc<dyn RootKey> = Arc::new(MemoryRootKey::new().unwrap());
    Keyring::open("u", root.clone(), anothers.clone()).await.unwrap();
    assert!(destroy(&anothers).await.is_err());
    Keyring::open("u", root, anothers).await.unwrap();
}
