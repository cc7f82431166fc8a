//! A folder or bucket is collected beside those who push to it, wherever either of them dies: whatever a name leads to
//! can be read, and what no name leads to goes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap here is a failed test"
)]

mod support;
#[path = "support/remotes.rs"]
mod two;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use corliss_blobstore::{Backend, BlobError, MemoryBackend, Object};
use corliss_clock::Sources;
use corliss_data::remote::{Pieces, Remote, RemoteCollectWish, RemoteCollected, RemoteTrouble, StoreRemote};
use corliss_data::{DataError, DataService, RemoteSettings, Remotes, Transfer};
use corliss_keyring::RootKey;
use corliss_testkit::noise::noise;
use corliss_types::Timestamp;

use support::{commit, name, on, send_tree};
use two::{installation, pull, push, with};

/// A bucket that several servers use, and that may end at a call, or be behind with its lists.
struct Bucket {
    objects: MemoryBackend,
    calls: AtomicU64,
    ends_at: AtomicU64,
    is_listed: AtomicBool,
}

impl Bucket {
    fn call(&self) -> Result<(), BlobError> {
        let at = self.calls.fetch_add(1, Ordering::SeqCst);
        match at >= self.ends_at.load(Ordering::SeqCst) {
            true => Err(BlobError::Io {
                action: "reach",
                path: "the bucket".to_owned(),
                message: "killed".to_owned(),
            }),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Backend for Bucket {
    async fn put(&self, name: &str, parts: Vec<Bytes>) -> Result<(), BlobError> {
        self.call()?;
        self.objects.put(name, parts).await
    }
    async fn put_if(&self, name: &str, expected: Option<&[u8]>, new: Bytes) -> Result<bool, BlobError> {
        self.call()?;
        self.objects.put_if(name, expected, new).await
    }
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BlobError> {
        self.call()?;
        self.objects.get(name).await
    }
    async fn read(&self, name: &str, ranges: Vec<Range<u64>>) -> Result<Option<Vec<BytesMut>>, BlobError> {
        self.call()?;
        self.objects.read(name, ranges).await
    }
    async fn size(&self, name: &str) -> Result<Option<u64>, BlobError> {
        self.call()?;
        self.objects.size(name).await
    }
    async fn list(&self, folder: &str) -> Result<Vec<Object>, BlobError> {
        self.call()?;
        if folder == "refs" && !self.is_listed.load(Ordering::SeqCst) {
            return Ok(Vec::new());
        }
        self.objects.list(folder).await
    }
    async fn remove(&self, name: &str) -> Result<(), BlobError> {
        self.call()?;
        self.objects.remove(name).await
    }
    async fn make_durable(&self, names: Vec<String>) -> Result<(), BlobError> {
        self.objects.make_durable(names).await
    }
    fn place(&self) -> String {
        self.objects.place()
    }
}

struct World {
    bucket: Arc<Bucket>,
    key: Arc<dyn RootKey>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let bucket = Bucket {
            objects: MemoryBackend::default(),
            calls: AtomicU64::new(0),
            ends_at: AtomicU64::new(u64::MAX),
            is_listed: AtomicBool::new(true),
        };
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self {
            bucket: Arc::new(bucket),
            key: two::key(),
            folder: folder.unwrap(),
        }
    }

    /// As a server opens it that has used it before under this name, or has not.
    async fn try_open(&self, server: &str) -> Result<Arc<StoreRemote>, BlobError> {
        let index: PathBuf = self.folder.path().join(server);
        loop {
            let (backend, key) = (Arc::clone(&self.bucket) as _, Arc::clone(&self.key));
            match StoreRemote::open("origin", backend, key, &index).await {
                Err(BlobError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                opened => return opened.map(Arc::new),
            }
        }
    }

    async fn open(&self, server: &str) -> Arc<StoreRemote> {
        self.try_open(server).await.unwrap()
    }

    async fn packs(&self) -> usize {
        self.bucket.objects.list("packs").await.unwrap().len()
    }
}

fn wish(day: i64) -> RemoteCollectWish {
    RemoteCollectWish {
        grace: Duration::ZERO,
        owner: format!("day {day} of {}", Sources::system().id_seed().random[0]),
        now: Timestamp::from_millis(day * 24 * 3600 * 1000),
        ..RemoteCollectWish::default()
    }
}

async fn collect(remote: &StoreRemote, day: i64) -> RemoteCollected {
    remote.collect(&wish(day), &|_| {}).await.unwrap()
}

/// A branch that is moved away by force from what no other name has.
async fn with_garbage(world: &World) -> DataService {
    let service = installation(with(world.open("a").await)).await;
    work(&service, "images", 1).await;
    push(&service, "images").await.unwrap();
    let other = installation(with(world.open("other").await)).await;
    commit(&other, "images", &[("kept", "kept")], "instead").await;
    let mut transfer = Transfer::all(name("images"));
    transfer.force = true;
    other
        .push("origin", &transfer, &Default::default())
        .await
        .unwrap();
    service
}

/// A large file, and a few small ones.
async fn work(service: &DataService, dataset: &str, seed: u64) {
    let large = noise(600_000, seed);
    let blob = service.put_blob(&mut &large[..]).await.unwrap().blob;
    let entries = [corliss_data::Entry {
        blob: blob.id,
        size_bytes: blob.size_bytes,
        ..support::entry("large", "")
    }];
    let version = send_tree(service, &entries).await.unwrap();
    let on = on(dataset);
    service.commit(&on, &version, support::by("large")).await.unwrap();
}

/// Everything that names there lead to can be fetched, as whoever never was there does.
async fn is_whole(world: &World, dataset: &str, what: &str) -> DataService {
    let fresh = installation(with(world.open(&format!("fresh {what}")).await)).await;
    let cloned = two::clone(&fresh, dataset).await;
    assert!(cloned.is_ok(), "{what}: {cloned:?}");
    let check = fresh.check(false, &|_| {}).await.unwrap();
    assert_eq!(check.findings, Vec::<String>::new(), "{what}");
    fresh
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_name_leads_to_is_condemned_and_goes_a_day_later() {
    let world = World::new();
    drop(with_garbage(&world).await);
    let packs = world.packs().await;
    let look = RemoteCollectWish {
        dry_run: true,
        ..wish(0)
    };
    let remote = world.open("a").await;
    let would = remote.collect(&look, &|_| {}).await.unwrap();
    assert!(
        would.pieces_condemned > 5 && would.packs_removed == 0,
        "{would:?}"
    );
    assert_eq!(world.packs().await, packs);
    let young = RemoteCollectWish {
        grace: Duration::from_hours(1),
        ..wish(0)
    };
    let none = remote.collect(&young, &|_| {}).await.unwrap();
    assert_eq!((none.pieces_condemned, none.removable_ms), (0, None), "{none:?}");
    let first = collect(&remote, 1).await;
    assert_eq!(first.pieces_condemned, would.pieces_condemned);
    assert!(
        first.removable_ms.is_some() && world.packs().await >= packs,
        "{first:?}"
    );
    // Too early, also for another server.
    drop(remote);
    let other = world.open("b").await;
    let early = RemoteCollectWish {
        now: Timestamp::from_millis(36 * 3600 * 1000),
        ..wish(1)
    };
    let early = other.collect(&early, &|_| {}).await.unwrap();
    assert_eq!((early.packs_removed, early.removable_ms), (0, first.removable_ms));
    let second = collect(&other, 3).await;
    assert!(
        second.packs_removed > 0 && second.bytes_freed > 500_000,
        "{second:?}"
    );
    assert!(!second.taken_back, "{second:?}");
    drop(other);
    is_whole(&world, "images", "after").await;
    // Nothing is left to be done, and nothing of it changes again.
    let again = collect(&*world.open("b").await, 9).await;
    assert_eq!((again.pieces_condemned, again.packs_removed), (0, 0), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_relied_on_what_was_condemned_begins_anew_and_loses_nothing() {
    let world = World::new();
    // It is told now that its file is stored; the names are moved days later.
    let service = with_garbage(&world).await;
    let collector = world.open("b").await;
    work(&service, "again", 1).await;
    assert!(collect(&collector, 1).await.pieces_condemned > 5);
    for day in [1, 3] {
        let stale = push(&service, "again").await.unwrap_err();
        let changed = matches!(
            &stale,
            DataError::Remote {
                trouble: RemoteTrouble::Changed,
                ..
            }
        );
        assert!(changed, "day {day}: {stale:?}");
        if day == 1 {
            assert!(collect(&collector, 3).await.packs_removed > 0);
        }
    }
    drop((service, collector));
    // Begun anew by whoever opens it anew.
    let service = installation(with(world.open("a").await)).await;
    work(&service, "again", 1).await;
    push(&service, "again").await.unwrap();
    drop(service);
    is_whole(&world, "again", "again").await;
    is_whole(&world, "images", "images").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_moved_while_it_was_condemned_take_it_back() {
    let world = World::new();
    drop(with_garbage(&world).await);
    // A list that is behind: the collection sees no names at all.
    let collector = world.open("b").await;
    world.bucket.is_listed.store(false, Ordering::SeqCst);
    assert!(collect(&collector, 1).await.pieces_condemned > 10);
    let packs = world.packs().await;
    world.bucket.is_listed.store(true, Ordering::SeqCst);
    let second = collect(&collector, 3).await;
    assert!(second.taken_back && second.packs_removed == 0, "{second:?}");
    assert_eq!(world.packs().await, packs);
    drop(collector);
    is_whole(&world, "images", "taken back").await;
    // And the next one goes on as if nothing had been.
    assert!(collect(&*world.open("b").await, 5).await.pieces_condemned > 5);
    assert!(collect(&*world.open("b").await, 7).await.packs_removed > 0);
    is_whole(&world, "images", "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_of_this_server_holds_what_it_was_told_and_is_not_disturbed() {
    let world = World::new();
    let service = with_garbage(&world).await;
    let remote = world.open("c").await;
    let pusher = installation(with(Arc::clone(&remote) as Arc<dyn Remote>)).await;
    work(&pusher, "again", 1).await;
    let hold = remote.hold().unwrap();
    let resolved = pusher.resolve(&"again".parse().unwrap()).await.unwrap();
    let root = corliss_data::tree::root_of(&resolved.version).unwrap();
    assert!(
        remote.missing(vec![root]).await.unwrap().is_empty(),
        "it is there, and has no name"
    );
    let told = collect(&remote, 1).await;
    assert!(remote.missing(vec![root]).await.unwrap().is_empty(), "{told:?}");
    push(&pusher, "again").await.unwrap();
    drop(hold);
    assert!(!collect(&remote, 3).await.taken_back);
    drop((service, pusher, remote));
    is_whole(&world, "again", "again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_and_collections_of_many_servers_at_once_lose_nothing() {
    let world = Arc::new(World::new());
    drop(with_garbage(&world).await);
    let pushers = (0..2_u64).map(|server| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for round in 0..3 {
                let dataset = format!("d{server}-{round}");
                loop {
                    let remote = world.open(&format!("p{server}")).await;
                    let service = installation(with(remote)).await;
                    // The content is what others have and lose.
                    work(&service, &dataset, (server + round) % 2).await;
                    match push(&service, &dataset).await {
                        Ok(_) => break,
                        Err(DataError::Remote { trouble, .. }) => {
                            assert_ne!(trouble, RemoteTrouble::Refused);
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
        })
    });
    let pushers: Vec<_> = pushers.collect();
    let mut day = 1;
    while pushers.iter().any(|pusher| !pusher.is_finished()) {
        let remote = world.open(&format!("c{}", day % 2)).await;
        // Somebody else may have collected since it was opened.
        let _ = remote.collect(&wish(day), &|_| {}).await;
        day += 2;
    }
    for pusher in pushers {
        pusher.await.unwrap();
    }
    for server in 0..2 {
        for round in 0..3 {
            let dataset = format!("d{server}-{round}");
            is_whole(&world, &dataset, &dataset).await;
        }
    }
}

/// Ends a collection of a day at each of its calls in turn.
async fn killed_on(step: i64) {
    for at in 0.. {
        let world = World::new();
        drop(with_garbage(&world).await);
        if step == 3 {
            collect(&*world.open("b").await, 1).await;
        }
        let remote = world.open("b").await;
        let before = world.bucket.calls.load(Ordering::SeqCst);
        world.bucket.ends_at.store(before + at, Ordering::SeqCst);
        let done = remote.collect(&wish(step), &|_| {}).await;
        let is_over = world.bucket.calls.load(Ordering::SeqCst) <= before + at;
        assert_eq!(done.is_ok(), is_over, "step {step}, call {at}: {done:?}");
        drop(remote);
        world.bucket.ends_at.store(u64::MAX, Ordering::SeqCst);
        // Whoever opens it next pushes what was condemned, or half of it.
        let service = installation(with(world.open("a").await)).await;
        work(&service, "again", 1).await;
        push(&service, "again").await.unwrap();
        drop(service);
        let remote = world.open("c").await;
        for day in [5, 7] {
            collect(&remote, day).await;
        }
        drop(remote);
        let fresh = is_whole(&world, "again", &format!("step {step}, call {at}")).await;
        two::clone(&fresh, "images").await.unwrap();
        if is_over {
            assert!(at > 5, "{at} calls are less than there are");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_killed_while_it_condemns_is_gone_on_with_and_loses_nothing() {
    killed_on(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_killed_while_it_removes_is_gone_on_with_and_loses_nothing() {
    killed_on(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_collected_through_the_settings_and_a_server_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    let between = installation(Remotes::default()).await;
    let (server, _) = two::serve(&between, folder.path()).await;
    let settings = RemoteSettings::Folder {
        path: at("objects"),
        key: two::key(),
    };
    let remotes = Remotes::new(at("work")).with("origin", settings).unwrap();
    let remotes = remotes.with("server", RemoteSettings::Server(server)).unwrap();
    let service = installation(remotes).await;
    work(&service, "images", 1).await;
    push(&service, "images").await.unwrap();
    let collected = service.collect_remote("origin", wish(1), &|_| {}).await.unwrap();
    assert!(
        collected.pieces_kept > 5 && collected.pieces_condemned == 0,
        "{collected:?}"
    );
    let refused = service
        .collect_remote("server", wish(1), &|_| {})
        .await
        .unwrap_err();
    assert!(matches!(refused, DataError::CollectsItself { .. }), "{refused:?}");
    pull(&service, "images").await.unwrap();
    assert!(Path::new(&at("objects")).exists());
}
