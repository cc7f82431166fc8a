//! What a check says of packs that are gone, cut short or given up; and that whoever asks goes before the scrub.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use corliss_blobstore::{
    BlobError, BlobId, CheckOptions, CheckReport, Finding, Piece, PieceSource, ScrubOptions,
};
use corliss_testkit::noise::noise;

use super::damage::{World, check};
use super::{collect, record};

struct Elsewhere(BTreeMap<BlobId, Piece>);

#[async_trait]
impl PieceSource for Elsewhere {
    async fn fetch(&self, ids: Vec<BlobId>) -> Result<Vec<Piece>, BlobError> {
        Ok(ids.iter().filter_map(|id| self.0.get(id).cloned()).collect())
    }
}

/// A record above many chunks, in one pack.
fn many() -> (Vec<Piece>, BlobId) {
    let mut pieces: Vec<Piece> = (0..40).map(|n| Piece::chunk(noise(2000, n))).collect();
    let ids: Vec<BlobId> = pieces.iter().map(|piece| piece.id).collect();
    let top = record(&ids, "top");
    let id = top.id;
    pieces.push(top);
    (pieces, id)
}

impl World {
    async fn cut(&self, pack: &str) -> usize {
        let bytes = self.backend.get(pack).await.unwrap().unwrap();
        let half = bytes.slice(..bytes.len() / 2);
        let len = half.len();
        self.backend.put(pack, vec![half]).await.unwrap();
        len
    }
}

fn sound(report: &CheckReport) -> (u64, &[Finding]) {
    (report.findings_total, &report.findings)
}

#[tokio::test]
async fn a_pack_that_is_cut_in_half_is_one_finding_and_is_given_up_once_all_is_elsewhere() {
    for restarts in [false, true] {
        let world = World::new();
        let mut store = world.open("index").await;
        let (pieces, top) = many();
        store.put_pieces(pieces.clone()).await.unwrap();
        let pack = world.packs().await.pop().unwrap();
        let there = world.cut(&pack).await as u64;
        let quick = CheckOptions {
            quick: true,
            roots: vec![top],
            ..CheckOptions::default()
        };
        if restarts {
            drop(store);
            store = world.open("index").await;
            let report = store.check(&quick, &|_| {}).await.unwrap();
            let unreadable = Finding::PackUnreadable { pack: pack.clone() };
            assert_eq!(report.findings, [Finding::RootMissing { id: top }, unreadable]);
        } else {
            for is_quick in [true, false] {
                let options = CheckOptions {
                    quick: is_quick,
                    ..quick.clone()
                };
                let report = store.check(&options, &|_| {}).await.unwrap();
                assert!(
                    matches!(&report.findings[..], [Finding::PackCut { pack: cut, there: left, pieces: 41, lost, .. }]
                        if *cut == pack && *left == there && (15..30).contains(lost)),
                    "{report:?}"
                );
            }
            assert_eq!(store.missing(vec![top]).await.unwrap(), [top]);
            let moved = store.salvage(&pack).await.unwrap();
            assert!((10..27).contains(&moved.moved), "{moved:?}");
        }
        let source = Elsewhere(pieces.iter().map(|piece| (piece.id, piece.clone())).collect());
        let mut ids = store.known_damage().await.unwrap();
        ids.push(top);
        assert_eq!(store.repair(ids, &source).await.unwrap().failed, []);
        // Without any collection.
        let report = check(&store, &[top]).await;
        assert_eq!(sound(&report), (0, &[][..]));
        assert_eq!(report.waiting, u64::from(restarts), "{report:?}");
        drop(store);
        let store = world.open("anew").await;
        assert_eq!(sound(&check(&store, &[top]).await), (0, &[][..]));
        // What nobody can read keeps no collection from its work, and goes.
        let report = collect(&store, &[top]).await;
        assert_eq!(
            (report.kept_pieces, &report.skipped[..]),
            (41, &[][..]),
            "{report:?}"
        );
        assert!(!world.packs().await.contains(&pack));
        let report = check(&store, &[top]).await;
        assert_eq!((sound(&report), report.waiting), ((0, &[][..]), 0));
    }
}

#[tokio::test]
async fn a_pack_of_which_all_was_sent_again_goes_though_nobody_can_read_it() {
    let world = World::new();
    let store = world.open("index").await;
    let (pieces, top) = many();
    store.put_pieces(pieces.clone()).await.unwrap();
    let pack = world.packs().await.pop().unwrap();
    world.backend.put(&pack, vec!["gone".into()]).await.unwrap();
    assert!(check(&store, &[top]).await.findings_total > 0);
    store.put_pieces(pieces).await.unwrap();
    let report = check(&store, &[top]).await;
    assert_eq!((sound(&report), report.waiting), ((0, &[][..]), 1));
    let report = collect(&store, &[top]).await;
    assert_eq!(
        (report.kept_pieces, &report.skipped[..]),
        (41, &[][..]),
        "{report:?}"
    );
    assert_eq!(report.unreadable_packs, [pack.as_str()]);
    assert!(!world.packs().await.contains(&pack));
    let report = check(&store, &[top]).await;
    assert_eq!((sound(&report), report.waiting), ((0, &[][..]), 0));
}

#[tokio::test]
async fn a_pack_that_nobody_can_read_stays_while_something_is_missing() {
    let world = World::new();
    let store = world.open("index").await;
    let (pieces, top) = many();
    store.put_pieces(pieces).await.unwrap();
    let pack = world.packs().await.pop().unwrap();
    world.cut(&pack).await;
    drop(store);
    let store = world.open("index").await;
    let report = collect(&store, &[top]).await;
    assert_eq!(report.missing_roots, [top]);
    assert_eq!(world.packs().await, [pack]);
}

#[tokio::test]
async fn a_damaged_copy_of_what_was_sent_again_is_no_finding() {
    let world = World::new();
    let store = world.open("index").await;
    let (pieces, top) = many();
    store.put_pieces(pieces.clone()).await.unwrap();
    let pack = world.packs().await.pop().unwrap();
    world.flip(&pack, 100).await;
    let report = check(&store, &[top]).await;
    let [Finding::Damaged { id, .. }] = report.findings[..] else {
        panic!("{report:?}");
    };
    assert_eq!(
        store.are_damaged(vec![id, top, pieces[5].id]).await.unwrap(),
        [true, true, false]
    );
    let again = pieces.iter().filter(|piece| [id, top].contains(&piece.id));
    store.put_pieces(again.cloned().collect()).await.unwrap();
    let report = check(&store, &[top]).await;
    assert_eq!((sound(&report), report.waiting), ((0, &[][..]), 1));
    assert_eq!(store.are_damaged(vec![id, top]).await.unwrap(), [false, false]);
    // The other copy is hit too: now it is damage.
    let other = world
        .packs()
        .await
        .into_iter()
        .find(|other| *other != pack)
        .unwrap();
    world.flip(&other, 100).await;
    let report = check(&store, &[top]).await;
    assert!(report.findings_total >= 1 && report.waiting == 0, "{report:?}");
    assert_eq!(store.missing(vec![top]).await.unwrap(), [top]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrub_gives_way_to_whoever_asks_and_goes_on_after_it() {
    let world = World::new();
    let store = world.open("index").await;
    let mut roots = Vec::new();
    for n in 0..6 {
        roots.push(super::put(&store, &noise(300_000, n)).await);
    }
    let packs = world.packs().await.len() as u64;
    // So slow that it sits in the first pack for ever, unless it is dropped there.
    let slow = ScrubOptions {
        bytes_per_second: u64::MAX,
        packs: u64::MAX,
    };
    let (scrubbed, seen) = (store.clone(), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&seen);
    let scrub = tokio::spawn(async move {
        for _ in 0..40 {
            let told = |_| {
                count.fetch_add(1, Ordering::SeqCst);
            };
            scrubbed.scrub(slow, &told).await.unwrap();
        }
    });
    for round in 0..20 {
        tokio::time::sleep(Duration::from_millis(round % 4)).await;
        assert_eq!(sound(&check(&store, &roots).await), (0, &[][..]));
        collect(&store, &roots).await;
        store
            .repair(vec![roots[0]], &Elsewhere(BTreeMap::new()))
            .await
            .unwrap();
    }
    scrub.await.unwrap();
    assert!(seen.load(Ordering::SeqCst) >= packs);
}

#[tokio::test]
async fn of_two_who_ask_at_once_the_second_is_told() {
    let world = World::new();
    let store = world.open("index").await;
    let top = super::put(&store, &noise(300_000, 1)).await;
    // So slow that it is under way when the other asks.
    let slow = CheckOptions {
        bytes_per_second: Some(3 << 20),
        ..CheckOptions::default()
    };
    let (one, other) = tokio::join!(store.check(&slow, &|_| {}), store.check(&slow, &|_| {}));
    assert!(one.is_ok(), "{one:?}");
    assert_eq!(other, Err(BlobError::Busy));
    assert_eq!(sound(&check(&store, &[top]).await), (0, &[][..]));
}
