//! A keyring over a shelf in memory, as it is seen from inside.

use corliss_clock::ManualClock;
use corliss_types::Timestamp;

use super::kept::Kept;
use super::*;
use crate::{MemoryRootKey, Wrapped};

fn root() -> Arc<MemoryRootKey> {
    Arc::new(MemoryRootKey::new().unwrap())
}

async fn kept(shelf: &MemoryShelf) -> Kept {
    serde_json::from_slice(&shelf.load().await.unwrap().unwrap()).unwrap()
}

#[tokio::test]
async fn rotating_changes_the_wrapping_and_not_what_was_sealed() {
    let (root, shelf) = (root(), Arc::new(MemoryShelf::default()));
    let ring = Keyring::open("t", root.clone(), shelf.clone()).await.unwrap();
    let (old, key) = ring.current(1).unwrap();
    let mut sealed = Vec::new();
    key.seal(b"", b"data", &mut sealed).unwrap();
    let before = kept(&shelf).await;
    let summary = ring.rotate().await.unwrap();
    assert_eq!((summary.tenant_key_version, summary.data_keys), (2, 2));
    let after = kept(&shelf).await;
    assert_ne!(before.data_keys[0].wrapped, after.data_keys[0].wrapped);
    assert_eq!(before.data_keys[0].made_at, after.data_keys[0].made_at);
    assert!(ring.current(1).unwrap().0 > old);

    let again = Keyring::open("t", root, shelf.clone()).await.unwrap();
    let uses_left = again.summary().unwrap().uses_left;
    assert_eq!(again.summary().unwrap(), Summary { uses_left, ..summary });
    let opened = again.get(old).unwrap();
    assert_eq!(opened.open(b"", &mut sealed).unwrap(), b"data");
    assert!(matches!(again.get(9), Err(KeyError::Unknown { number: 9, .. })));
}

#[tokio::test]
async fn rewrapping_changes_the_wrapping_of_the_tenants_key_and_nothing_else() {
    let (root, shelf) = (root(), Arc::new(MemoryShelf::default()));
    let ring = Keyring::open("t", root.clone(), shelf.clone()).await.unwrap();
    assert_eq!(ring.rewrap().await.unwrap(), None, "the newest has wrapped it");
    root.rotate().unwrap();
    let before = kept(&shelf).await;
    let summary = ring.rewrap().await.unwrap().unwrap();
    assert_eq!(
        (summary.root_key.as_str(), summary.tenant_key_version),
        ("memory-2", 1)
    );
    let mut after = kept(&shelf).await;
    assert_ne!(before.tenant_key.wrapped, after.tenant_key.wrapped);
    after.tenant_key.wrapped = before.tenant_key.wrapped.clone();
    assert_eq!(before.to_bytes().unwrap(), after.to_bytes().unwrap());
    assert_eq!(ring.rewrap().await.unwrap(), None);
}

/// Answers another key than the one that was wrapped.
struct Swapping(MemoryRootKey);

#[async_trait::async_trait]
impl RootKey for Swapping {
    async fn wrap(&self, context: &str, key: &crate::KeyBytes) -> Result<Wrapped, KeyError> {
        self.0.wrap(context, key).await
    }
    async fn unwrap(&self, tenant: &str, context: &str, by: &Wrapped) -> Result<crate::KeyBytes, KeyError> {
        self.0.unwrap(tenant, context, by).await
    }
    async fn rewrap(&self, _: &str, context: &str, _: &Wrapped) -> Result<Option<Wrapped>, KeyError> {
        self.0.wrap(context, &crate::key::random_key()?).await.map(Some)
    }
    fn keeps(&self, id: &str) -> bool {
        self.0.keeps(id)
    }
    fn place(&self) -> String {
        self.0.place()
    }
}

#[tokio::test]
async fn what_does_not_open_never_takes_the_place_of_what_does() {
    let shelf = Arc::new(MemoryShelf::default());
    let root: Arc<dyn RootKey> = Arc::new(Swapping(MemoryRootKey::new().unwrap()));
    let ring = Keyring::open("t", root.clone(), shelf.clone()).await.unwrap();
    let before = shelf.load().await.unwrap();
    assert!(ring.rewrap().await.is_err());
    assert_eq!(shelf.load().await.unwrap(), before);
    Keyring::open("t", root, shelf).await.unwrap();
}

#[tokio::test]
async fn uses_are_counted_across_restarts_and_a_worn_key_is_changed() {
    let (root, shelf) = (root(), Arc::new(MemoryShelf::default()));
    let open = async || Keyring::open("t", root.clone(), shelf.clone()).await.unwrap();
    let first = open().await;
    first.settle().await.unwrap();
    assert_eq!(kept(&shelf).await.data_keys[0].uses, 0, "nothing was sealed yet");
    first.current(10).unwrap();
    assert_eq!(first.summary().unwrap().uses_left, SEALS_PER_KEY - 10);
    first.settle().await.unwrap();
    let counted = 10 + COUNTED_AT_ONCE;
    assert_eq!(kept(&shelf).await.data_keys[0].uses, counted);
    first.current(COUNTED_AT_ONCE).unwrap();
    let before = shelf.load().await.unwrap();
    first.settle().await.unwrap();
    assert_eq!(
        shelf.load().await.unwrap(),
        before,
        "still within what was counted"
    );

    let second = open().await;
    assert_eq!(second.summary().unwrap().uses_left, SEALS_PER_KEY - counted);
    second.current(SEALS_PER_KEY - counted).unwrap();
    assert_eq!(second.summary().unwrap().uses_left, 0);
    second.settle().await.unwrap();
    let worn = second.summary().unwrap();
    assert_eq!((worn.current, worn.uses_left), (2, SEALS_PER_KEY));
    assert_eq!(open().await.summary().unwrap(), worn);
}

#[tokio::test]
async fn keys_of_another_tenant_root_or_format_are_refused_by_name() {
    let (root, shelf) = (root(), Arc::new(MemoryShelf::default()));
    Keyring::open("t", root.clone(), shelf.clone()).await.unwrap();
    let refused = |tenant: &'static str, root: Arc<MemoryRootKey>| {
        let shelf = shelf.clone();
        async move {
            Keyring::open(tenant, root, shelf)
                .await
                .err()
                .unwrap()
                .to_string()
        }
    };
    let other = refused("u", root.clone()).await;
    assert!(other.contains("those of 't'"), "{other}");
    let elsewhere = refused("t", Arc::new(MemoryRootKey::new().unwrap())).await;
    assert!(elsewhere.contains("cannot be decrypted"), "{elsewhere}");
    let text = String::from_utf8(shelf.load().await.unwrap().unwrap()).unwrap();
    for (from, to, says) in [
        ("keyring 1", "keyring 2", "corliss-keyring 2"),
        ("\"version\": 1", "\"version\": 2", "cannot be decrypted"),
        ("\"number\": 1", "\"number\": 2", "cannot be decrypted"),
        ("memory-1", "memory-9", "memory-9, which is not in memory"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        shelf.save(changed.into_bytes()).await.unwrap();
        let error = refused("t", root.clone()).await;
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn the_summary_tells_ages_and_is_the_same_without_the_root_key() {
    let (root, shelf) = (root(), Arc::new(MemoryShelf::default()));
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
    assert_eq!(inspect("t", shelf.as_ref()).await.unwrap(), None);
    let ring = Keyring::open_with("t", root, shelf.clone(), clock.clone())
        .await
        .unwrap();
    clock.advance(corliss_types::DurationMs::from_secs(2));
    let summary = ring.rotate().await.unwrap();
    let expected = Summary {
        tenant: "t".to_owned(),
        root_key: "memory-1".to_owned(),
        provider: Provider::Memory,
        tenant_key_version: 2,
        tenant_key_made_at: Some(Timestamp::from_millis(3_000)),
        data_keys: 2,
        current: 2,
        current_made_at: Some(Timestamp::from_millis(3_000)),
        uses_left: SEALS_PER_KEY,
    };
    assert_eq!(summary, expected);
    let seen = inspect("t", shelf.as_ref()).await.unwrap();
    assert_eq!(seen, Some(TenantKeys::Live(expected)));
    assert_eq!(
        kept(&shelf).await.data_keys[0].made_at,
        Some(Timestamp::from_millis(1_000))
    );
}
