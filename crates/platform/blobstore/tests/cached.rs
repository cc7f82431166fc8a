//! The hot tier: never wrong, never above its limit, and never needed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use corliss_blobstore::{
    Backend, BlobError, BlobId, BlobStore, CachedBackend, DiskBackend, MemoryBackend, Object,
};
use corliss_keyring::MemoryRootKey;
use corliss_testkit::full_disk::tiny_disk;
use corliss_testkit::noise::noise;
use proptest::prelude::*;

/// A backend in memory that counts what is fetched, and fails when it is told to.
#[derive(Default)]
struct Counting {
    inner: MemoryBackend,
    gets: AtomicUsize,
    peeks: AtomicUsize,
    is_failing: AtomicBool,
    /// Whoever gets waits here until it is let go.
    gate: tokio::sync::RwLock<()>,
}

impl Counting {
    fn check(&self) -> Result<(), BlobError> {
        match self.is_failing.load(Ordering::SeqCst) {
            true => Err(BlobError::StorageFull),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Backend for Counting {
    fn place(&self) -> String {
        self.inner.place()
    }
    async fn put(&self, name: &str, parts: Vec<Bytes>) -> Result<(), BlobError> {
        self.check()?;
        self.inner.put(name, parts).await
    }
    async fn put_if(&self, name: &str, expected: Option<&[u8]>, new: Bytes) -> Result<bool, BlobError> {
        self.check()?;
        self.inner.put_if(name, expected, new).await
    }
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let _gate = self.gate.read().await;
        self.check()?;
        self.inner.get(name).await
    }
    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        self.check()?;
        self.inner.read(name, ranges).await
    }
    async fn peek(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        self.peeks.fetch_add(1, Ordering::SeqCst);
        self.read(name, ranges).await
    }
    async fn size(&self, name: &str) -> Result<Option<u64>, BlobError> {
        self.inner.size(name).await
    }
    async fn list(&self, folder: &str) -> Result<Vec<Object>, BlobError> {
        self.inner.list(folder).await
    }
    async fn remove(&self, name: &str) -> Result<(), BlobError> {
        self.check()?;
        self.inner.remove(name).await
    }
}

/// One range.
fn span(start: u64, end: u64) -> Vec<Range<u64>> {
    std::iter::once(start..end).collect()
}

/// A step of a random story.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, u16),
    Read(u8, u16, u16),
    Get(u8),
    Peek(u8, u16),
    Remove(u8),
    Distrust(u8),
    /// Somebody cuts the copies off, or takes them away.
    CutCopies,
    TakeCopies,
    /// The local backend fails from now on, or no longer.
    Fail(bool),
    /// With a limit of so many blocks.
    Restart(u8),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u8, 0..30_000_u16).prop_map(|(name, len)| Step::Put(name, len)),
        8 => (0..12_u8, any::<u16>(), any::<u16>()).prop_map(|(name, from, to)| Step::Read(name, from, to)),
        2 => (0..12_u8).prop_map(Step::Get),
        2 => (0..12_u8, any::<u16>()).prop_map(|(name, to)| Step::Peek(name, to)),
        1 => (0..12_u8).prop_map(Step::Remove),
        1 => (0..12_u8).prop_map(Step::Distrust),
        1 => Just(Step::CutCopies),
        1 => Just(Step::TakeCopies),
        1 => any::<bool>().prop_map(Step::Fail),
        1 => (0..40_u8).prop_map(Step::Restart),
        2 => Just(Step::Settle),
    ]
}

const BLOCK: u64 = 4096;

struct Story {
    remote: Arc<MemoryBackend>,
    local: Arc<Counting>,
    cached: CachedBackend,
    limit: u64,
    model: BTreeMap<String, Vec<u8>>,
    /// Whether the local backend has ever failed. From then on a restart may find what could not be removed, so
    /// names are not used twice any more, as those of packs never are.
    has_failed: bool,
}

impl Story {
    async fn open(remote: Arc<MemoryBackend>, local: Arc<Counting>, blocks: u8) -> Self {
        let limit = u64::from(blocks) * BLOCK;
        let cached = CachedBackend::open(remote.clone(), local.clone(), limit)
            .await
            .unwrap();
        Self {
            remote,
            local,
            cached,
            limit,
            model: BTreeMap::new(),
            has_failed: false,
        }
    }

    async fn take(&mut self, step: Step, seed: u64) {
        let name = |number: u8| format!("packs/0{number:x}/{number}");
        match step {
            Step::Put(number, _) if self.has_failed && self.model.contains_key(&name(number)) => {}
            Step::Put(number, len) => {
                let bytes = noise(len.into(), seed);
                let parts = bytes.chunks(1000).map(Bytes::copy_from_slice).collect();
                self.cached.put(&name(number), parts).await.unwrap();
                self.model.insert(name(number), bytes);
            }
            Step::Read(number, from, to) => {
                let name = name(number);
                let (from, to) = (u64::from(from) % 33_000, u64::from(to) % 33_000);
                for ranges in [span(from, to), vec![0..from.min(to), from..from], Vec::new()] {
                    let expected = self.expected(&name, &ranges);
                    let read = self.cached.read(&name, ranges).await.unwrap();
                    assert!(read.map(|parts| parts.concat()) == expected);
                }
            }
            Step::Get(number) => {
                let read = self.cached.get(&name(number)).await.unwrap();
                assert!(read.as_deref() == self.model.get(&name(number)).map(|bytes| &bytes[..]));
            }
            Step::Peek(number, to) => {
                let ranges = span(0, u64::from(to) % 33_000);
                let expected = self.expected(&name(number), &ranges);
                let read = self.cached.peek(&name(number), ranges).await.unwrap();
                assert!(read.map(|parts| parts.concat()) == expected);
            }
            Step::Remove(_) if self.has_failed => {}
            Step::Remove(number) => {
                self.cached.remove(&name(number)).await.unwrap();
                self.model.remove(&name(number));
            }
            Step::Distrust(number) => {
                self.cached.distrust(&name(number)).await;
            }
            Step::CutCopies => {
                for copy in self.local.inner.list("cache").await.unwrap() {
                    let bytes = self.local.inner.get(&copy.name).await.unwrap().unwrap();
                    let cut = bytes.slice(..bytes.len() / 2);
                    self.local.inner.put(&copy.name, vec![cut]).await.unwrap();
                }
            }
            Step::TakeCopies => {
                for copy in self.local.inner.list("cache").await.unwrap() {
                    self.local.inner.remove(&copy.name).await.unwrap();
                }
            }
            Step::Fail(fails) => {
                self.local.is_failing.store(fails, Ordering::SeqCst);
                self.has_failed |= fails;
            }
            Step::Restart(blocks) => {
                self.cached.settle().await;
                self.local.is_failing.store(false, Ordering::SeqCst);
                let again = Self::open(self.remote.clone(), self.local.clone(), blocks).await;
                (self.cached, self.limit) = (again.cached, again.limit);
            }
            Step::Settle => self.cached.settle().await,
        }
    }

    fn expected(&self, name: &str, ranges: &[Range<u64>]) -> Option<Vec<u8>> {
        let whole = self.model.get(name)?;
        let part = |range: &Range<u64>| whole.get(range.start as usize..range.end as usize);
        let parts: Option<Vec<&[u8]>> = ranges.iter().map(part).collect();
        parts.map(|parts| parts.concat())
    }

    async fn check_limit(&self) {
        let copies = self.local.inner.list("cache").await.unwrap();
        let cost = |copy: &Object| copy.size_bytes.max(1).div_ceil(BLOCK) * BLOCK;
        let used: u64 = copies.iter().map(cost).sum();
        assert!(used <= self.limit, "{used} bytes of {}", self.limit);
        let stats = self.cached.stats();
        assert!(
            stats.used_bytes <= self.limit && stats.limit_bytes == self.limit,
            "{stats:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_what_is_read_is_what_was_put_and_the_limit_holds(
        blocks in 0..40_u8,
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut story = Story::open(Arc::default(), Arc::default(), blocks).await;
            for (seed, step) in steps.into_iter().enumerate() {
                story.take(step, seed as u64).await;
                story.check_limit().await;
            }
            // Nothing that was reserved is still so when nothing is on its way and every copy is dropped.
            story.local.is_failing.store(false, Ordering::SeqCst);
            for number in 0..12 {
                story.take(Step::Distrust(number), 0).await;
                story.take(Step::Put(200 + number, 1), 0).await;
                story.cached.settle().await;
                story.take(Step::Distrust(200 + number), 0).await;
            }
            let stats = story.cached.stats();
            prop_assert_eq!((stats.objects, stats.used_bytes), (0, 0));
            prop_assert_eq!(story.local.inner.list("cache").await.unwrap(), []);
            Ok(())
        })?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pack_is_fetched_once_however_many_ask() {
    let (remote, local) = (Arc::new(Counting::default()), Arc::new(MemoryBackend::default()));
    let bytes = noise(1 << 20, 1);
    let parts = vec![Bytes::from(bytes.clone())];
    remote.put("packs/aa/one", parts).await.unwrap();
    let cached = CachedBackend::open(remote.clone(), local, 8 << 20).await.unwrap();
    let closed = remote.gate.write().await;
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..50_u64 {
        let cached = cached.clone();
        tasks.spawn(async move {
            let range = 1000 * at..1000 * at + 500;
            (at as usize, cached.read("packs/aa/one", vec![range]).await)
        });
    }
    // The first gives up; the fetch goes on for the others.
    let first = cached.read("packs/aa/one", Vec::new());
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(20), first)
            .await
            .is_err()
    );
    drop(closed);
    while let Some(done) = tasks.join_next().await {
        let (at, read) = done.unwrap();
        assert!(read.unwrap().unwrap()[0] == bytes[1000 * at..1000 * at + 500]);
    }
    assert_eq!(remote.gets.load(Ordering::SeqCst), 1);
    let stats = cached.stats();
    assert_eq!(
        (stats.misses + stats.hits, stats.bytes_from_remote),
        (51, 1 << 20)
    );
    // An error is shared by those who waited for it, and not kept for those who come later.
    remote.is_failing.store(true, Ordering::SeqCst);
    let error = cached.read("packs/aa/two", Vec::new()).await;
    assert_eq!(error, Err(BlobError::StorageFull));
    remote.is_failing.store(false, Ordering::SeqCst);
    assert_eq!(cached.read("packs/aa/two", Vec::new()).await.unwrap(), None);
}

#[tokio::test]
async fn what_changes_is_not_copied_and_what_is_peeked_at_is_not_fetched() {
    let (remote, local) = (Arc::new(Counting::default()), Arc::new(MemoryBackend::default()));
    let cached = CachedBackend::open(remote.clone(), local.clone(), 8 << 20)
        .await
        .unwrap();
    for content in ["first", "second"] {
        let parts = vec![Bytes::from(content)];
        cached.put("keys/default", parts).await.unwrap();
        assert_eq!(cached.get("keys/default").await.unwrap().unwrap(), content);
    }
    // Behind its back, as only what is not copied may change.
    remote
        .inner
        .put("keys/default", vec![Bytes::from("third")])
        .await
        .unwrap();
    assert_eq!(cached.get("keys/default").await.unwrap().unwrap(), "third");
    remote
        .inner
        .put("packs/aa/one", vec![Bytes::from("0123")])
        .await
        .unwrap();
    let gets = remote.gets.load(Ordering::SeqCst);
    let peeked = cached.peek("packs/aa/one", span(1, 3)).await.unwrap().unwrap();
    assert_eq!(peeked[0], "12");
    assert_eq!(remote.gets.load(Ordering::SeqCst), gets);
    assert_eq!(remote.peeks.load(Ordering::SeqCst), 1);
    cached.settle().await;
    assert_eq!(local.list("cache").await.unwrap(), []);
}

/// A store over a hot tier in a folder, what is behind it, and one blob in it.
async fn store_over(
    folder: &std::path::Path,
    remote: &Arc<Counting>,
) -> (BlobStore, CachedBackend, BlobId, Vec<u8>) {
    let cached = CachedBackend::open_folder(remote.clone(), &folder.join("hot"), 64 << 20)
        .await
        .unwrap();
    let root = Arc::new(MemoryRootKey::new().unwrap());
    let index = folder.join("index");
    let store = BlobStore::open_backend(Arc::new(cached.clone()), root, &index)
        .await
        .unwrap();
    let bytes = noise(3_000_000, 1);
    let id = store.put(&mut &bytes[..], None).await.unwrap().blob.id;
    cached.settle().await;
    (store, cached, id, bytes)
}

fn copies(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => files.extend(copies(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}

#[tokio::test]
async fn a_copy_that_was_changed_is_dropped_and_the_pack_is_read_from_where_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let remote = Arc::new(Counting::default());
    let (store, cached, id, bytes) = store_over(folder.path(), &remote).await;
    let hot = folder.path().join("hot/cache");
    // Of the keys alone, so far.
    let gets = remote.gets.load(Ordering::SeqCst);
    assert!(store.read_all(id, u64::MAX).await.unwrap() == bytes);
    assert_eq!(remote.gets.load(Ordering::SeqCst), gets, "what was put is copied");
    for (round, spoil) in ["flip", "cut", "grow", "remove"].into_iter().enumerate() {
        for copy in copies(&hot) {
            let mut content = std::fs::read(&copy).unwrap();
            match spoil {
                "flip" => content.iter_mut().step_by(1000).for_each(|byte| *byte ^= 1),
                "cut" => content.truncate(content.len() - 1),
                _ => content.push(0),
            }
            match spoil {
                "remove" => std::fs::remove_file(&copy).unwrap(),
                _ => std::fs::write(&copy, content).unwrap(),
            }
        }
        let before = cached.stats();
        assert!(store.read_all(id, u64::MAX).await.unwrap() == bytes, "{spoil}");
        cached.settle().await;
        let after = cached.stats();
        let fetched = after.bytes_from_remote - before.bytes_from_remote;
        // What was added at the end is never read.
        assert_eq!(fetched > 0, spoil != "grow", "{spoil}: {after:?}");
        assert_eq!(
            after.distrusted > before.distrusted,
            spoil == "flip",
            "{spoil}: {after:?}"
        );
        assert_eq!(
            after.errors > before.errors,
            ["cut", "remove"].contains(&spoil),
            "{after:?}"
        );
        assert!(!copies(&hot).is_empty(), "round {round}: there is a copy again");
    }
    // What is damaged where it came from is damaged, and asked for a second time at most.
    for pack in remote.inner.list("packs").await.unwrap() {
        let mut content = remote.inner.get(&pack.name).await.unwrap().unwrap().to_vec();
        content.iter_mut().step_by(1000).for_each(|byte| *byte ^= 1);
        remote
            .inner
            .put(&pack.name, vec![Bytes::from(content)])
            .await
            .unwrap();
        cached.distrust(&pack.name).await;
    }
    let gets = remote.gets.load(Ordering::SeqCst);
    assert_eq!(store.verify(id).await, Err(BlobError::Damaged { id }));
    assert!(remote.gets.load(Ordering::SeqCst) - gets <= 2);
}

#[tokio::test]
async fn a_damaged_copy_hides_no_pack_when_the_index_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let remote = Arc::new(Counting::default());
    let hot = folder.path().join("hot");
    let root = Arc::new(MemoryRootKey::new().unwrap());
    let cached = CachedBackend::open_folder(remote.clone(), &hot, 64 << 20)
        .await
        .unwrap();
    let open = async |index: &str| {
        let index = folder.path().join(index);
        let store = BlobStore::open_backend(Arc::new(cached.clone()), root.clone(), &index).await;
        store.unwrap()
    };
    let bytes = noise(3_000_000, 1);
    let id = open("index")
        .await
        .put(&mut &bytes[..], None)
        .await
        .unwrap()
        .blob
        .id;
    cached.settle().await;
    for copy in copies(&hot.join("cache")) {
        let mut content = std::fs::read(&copy).unwrap();
        content.iter_mut().for_each(|byte| *byte ^= 1);
        std::fs::write(&copy, content).unwrap();
    }
    let store = open("another index").await;
    assert!(cached.stats().distrusted > 0);
    assert!(store.read_all(id, u64::MAX).await.unwrap() == bytes);
}

#[tokio::test]
async fn a_restart_finds_the_copies_that_are_whole_and_keeps_to_a_lower_limit() {
    let folder = tempfile::tempdir().unwrap();
    let remote = Arc::new(Counting::default());
    let open = async |limit: u64| {
        let local = DiskBackend::open(folder.path()).await.unwrap();
        CachedBackend::open(remote.clone(), Arc::new(local), limit)
            .await
            .unwrap()
    };
    let cached = open(1 << 20).await;
    let name = |at: u8| format!("packs/0{at}/{at}");
    for at in 0..6 {
        let parts = vec![Bytes::from(noise(100_000, at.into()))];
        cached.put(&name(at), parts).await.unwrap();
        cached.settle().await;
    }
    drop(cached);
    let stray = folder.path().join("cache/packs/notes.txt");
    std::fs::write(&stray, "not ours").unwrap();
    let cut = &copies(&folder.path().join("cache/packs/00"))[0];
    std::fs::OpenOptions::new()
        .write(true)
        .open(cut)
        .unwrap()
        .set_len(50_000)
        .unwrap();
    let cached = open(1 << 20).await;
    assert_eq!(
        (cached.stats().objects, copies(&folder.path().join("cache")).len()),
        (5, 6)
    );
    for at in 1..6 {
        let whole = cached.get(&name(at)).await.unwrap().unwrap();
        assert!(whole == noise(100_000, at.into()));
    }
    assert_eq!(cached.stats().hits, 5);
    assert_eq!(remote.gets.load(Ordering::SeqCst), 0);
    assert!(cached.get(&name(0)).await.unwrap().unwrap() == noise(100_000, 0));
    assert_eq!(remote.gets.load(Ordering::SeqCst), 1);
    cached.settle().await;
    drop(cached);
    // Room for two of the five and the one that was fetched last: the oldest go.
    let cached = open(210_000).await;
    assert_eq!(cached.stats().objects, 2);
    let _ = cached.get(&name(0)).await.unwrap();
    let _ = cached.get(&name(5)).await.unwrap();
    assert_eq!(cached.stats().hits, 2);
    assert_eq!(std::fs::read_to_string(stray).unwrap(), "not ours");
}

#[tokio::test]
async fn what_was_used_last_stays() {
    let remote = Arc::new(Counting::default());
    let name = |at: u8| format!("packs/0{at}/{at}");
    for at in 0..4 {
        let parts = vec![Bytes::from(noise(BLOCK as usize, at.into()))];
        remote.put(&name(at), parts).await.unwrap();
    }
    let local = Arc::new(MemoryBackend::default());
    let cached = CachedBackend::open(remote.clone(), local, 3 * BLOCK)
        .await
        .unwrap();
    for at in [0, 1, 2, 0, 3, 0, 2, 3] {
        let _ = cached.get(&name(at)).await.unwrap();
        cached.settle().await;
    }
    let stats = cached.stats();
    assert_eq!(
        (stats.misses, stats.hits, stats.evictions, stats.objects),
        (4, 4, 1, 3)
    );
    let _ = cached.get(&name(1)).await.unwrap();
    assert_eq!(
        cached.stats().misses,
        5,
        "the first that was not used again has gone"
    );
}

#[tokio::test]
async fn a_full_disk_costs_time_and_nothing_else() {
    let test = "a_full_disk_costs_time_and_nothing_else";
    let Some(folder) = tiny_disk(test, 12 << 20) else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let remote = Arc::new(Counting::default());
    let hot = folder.join("hot");
    let cached = CachedBackend::open_folder(remote.clone(), &hot, 64 << 20)
        .await
        .unwrap();
    let root = Arc::new(MemoryRootKey::new().unwrap());
    let index = elsewhere.path().join("index");
    let store = BlobStore::open_backend(Arc::new(cached.clone()), root, &index)
        .await
        .unwrap();
    let mut ids = Vec::new();
    for seed in 0..8 {
        let bytes = noise(3_000_000, seed);
        ids.push((store.put(&mut &bytes[..], None).await.unwrap().blob.id, bytes));
    }
    for _ in 0..2 {
        for (id, bytes) in &ids {
            assert!(store.read_all(*id, u64::MAX).await.unwrap() == *bytes);
        }
    }
    cached.settle().await;
    let stats = cached.stats();
    assert!(stats.errors > 0 && stats.hits > 0, "{stats:?}");
    assert!(
        copies(&folder.join("hot/tmp")).is_empty(),
        "nothing is left by half"
    );
}
